//! What agents send and hear.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callwright_events::{FailureKind, RunEvent};
use callwright_media::wav::{self, ReadError};
use callwright_wire::Time;

use crate::phone::{Aspect, Audio, CallState, Heard, ListenFor, ListenerId, Phone, Verb};
use crate::world::Wake;
use crate::{Agent, Fault, Position, Scene, context, span};

/// The tones that [`verify_connection`] sends, one for each direction, so that an echo is no answer.
const CONNECTION_TONES: [f64; 2] = [1000.0, 1400.0];

/// A sine wave.
///
/// # Errors
/// When no telephone carries it.
pub fn tone(hz: f64) -> Result<Audio, Fault> {
    tones(vec![hz])
}

/// Several sine waves, mixed.
///
/// # Errors
/// When there is none, or one that no telephone carries.
pub fn tones(hz: Vec<f64>) -> Result<Audio, Fault> {
    if hz.is_empty() {
        return Err(Fault::script("tones: there is no frequency"));
    }
    hz.iter().try_for_each(|hz| check_frequency(*hz))?;
    Ok(Audio::Tones { hz })
}

fn check_frequency(hz: f64) -> Result<(), Fault> {
    if (50.0..=3900.0).contains(&hz) {
        return Ok(());
    }
    Err(Fault::script(format!(
        "{hz} Hz: a telephone carries 50 to 3,900 Hz"
    )))
}

impl Agent {
    /// Changes what the agent sends.
    ///
    /// # Errors
    /// As [`Agent::perform`].
    pub fn send_audio(&self, scene: &Scene, audio: Audio, at: &Position) -> Result<(), Fault> {
        self.perform(scene, None, Verb::SendAudio(audio), at).map(|_| ())
    }

    /// Passes as soon as the tone is heard in audio that arrives from now on.
    ///
    /// # Errors
    /// When the time is up: with the strongest frequency heard, and whether RTP arrived at all.
    pub fn verify_audio(&self, scene: &Scene, hz: f64, within: Duration, at: &Position) -> Result<(), Fault> {
        check_frequency(hz).map_err(|fault| fault.at(at))?;
        self.verify(scene, ListenFor::Tone { hz }, within, at)
    }

    /// Passes as soon as RTP that carries silence arrives.
    ///
    /// # Errors
    /// When the time is up; also when no RTP arrived, since nothing is no silence.
    pub fn verify_silence(&self, scene: &Scene, within: Duration, at: &Position) -> Result<(), Fault> {
        self.verify(scene, ListenFor::Silence, within, at)
    }

    fn verify(&self, scene: &Scene, what: ListenFor, within: Duration, at: &Position) -> Result<(), Fault> {
        scene.check().map_err(|fault| fault.at(at))?;
        context::asserts();
        let listening = Listening {
            phone: self.phone(),
            id: self.phone().listen(None, what),
        };
        let began = scene.world().now();
        let heard = self.listen_until(scene, listening.id, began + within)?;
        let expect = match what {
            ListenFor::Tone { hz } => format!("hears {hz} Hz"),
            ListenFor::Silence => "hears silence".to_owned(),
        };
        let label = format!("{} audio", self.name());
        let actual = if heard.done {
            what_text(what)
        } else {
            self.instead(what, &heard)
        };
        scene.emit(RunEvent::Assertion {
            label: Some(label.clone()),
            expect: expect.clone(),
            ok: heard.done,
            actual: Some(actual.clone()),
            location: at.location(),
        });
        if heard.done {
            return Ok(());
        }
        let waited = scene.world().now().since(began);
        let message = format!(
            "{label}: expected to hear {} within {}, but {actual}",
            what_text(what),
            span::text(within)
        );
        let mut fault = Fault::new(FailureKind::Assertion, message).retriable().at(at);
        let parts = fault.parts_mut();
        parts.label = Some(label);
        parts.expected = Some(expect);
        parts.actual = Some(actual);
        parts.waited = Some(waited);
        parts.audio_since = Some(began);
        Err(fault)
    }

    fn listen_until(&self, scene: &Scene, listener: ListenerId, until: Time) -> Result<Heard, Fault> {
        let topic = self.phone().topic(Aspect::Audio);
        loop {
            let seen = scene.world().version(topic);
            let heard = self.phone().heard(listener);
            if heard.done {
                return Ok(heard);
            }
            if scene.wait_for(&[(topic, seen)], until)? == Wake::TimeUp {
                return Ok(self.phone().heard(listener));
            }
        }
    }

    /// What was there instead, in words.
    fn instead(&self, what: ListenFor, heard: &Heard) -> String {
        let state = self.phone().snapshot().state();
        let no_call = match state {
            CallState::Established => "",
            CallState::Ringing => " (its call is not established)",
            CallState::Idle => " (it has no call)",
        };
        match heard.strongest {
            _ if heard.packets == 0 => format!("no RTP arrived{no_call}"),
            Some(strongest) => format!(
                "the strongest frequency was {:.0} Hz at {:.0} dBm0 ({} RTP packets arrived){no_call}",
                strongest.hz, strongest.dbm0, heard.packets
            ),
            None if matches!(what, ListenFor::Silence) => {
                format!(
                    "there was no silence long enough ({} RTP packets arrived){no_call}",
                    heard.packets
                )
            }
            None => format!(
                "there was silence ({} RTP packets arrived){no_call}",
                heard.packets
            ),
        }
    }
}

fn what_text(what: ListenFor) -> String {
    match what {
        ListenFor::Tone { hz } => format!("{hz} Hz"),
        ListenFor::Silence => "silence".to_owned(),
    }
}

/// Passes when each of two agents hears the other. What they sent before, they send again afterwards.
///
/// # Errors
/// When one does not within `within`: the text says which, and what it heard.
pub fn verify_connection(
    scene: &Scene,
    a: &Agent,
    b: &Agent,
    within: Duration,
    at: &Position,
) -> Result<(), Fault> {
    if a.is(b) {
        return Err(Fault::script("verify_audio_connection needs two agents").at(at));
    }
    let before = [a.sending(), b.sending()];
    let mut outcome = Ok(());
    for (agent, hz) in [a, b].into_iter().zip(CONNECTION_TONES) {
        outcome = outcome.and_then(|()| agent.send_audio(scene, Audio::Tones { hz: vec![hz] }, at));
    }
    let outcome = outcome.and_then(|()| {
        let listeners = [(b, CONNECTION_TONES[0]), (a, CONNECTION_TONES[1])];
        let tasks = listeners.map(|(agent, hz)| {
            let task: Box<dyn FnOnce() -> Result<(), Fault> + Send + '_> =
                Box::new(move || agent.verify_audio(scene, hz, within, at));
            task
        });
        let heard = scene.together(Vec::from(tasks));
        heard.map(|_| ()).map_err(|(_, fault)| fault)
    });
    for (agent, audio) in [a, b].into_iter().zip(before) {
        if !scene.is_ending() && scene.check().is_ok() {
            // The call may have ended meanwhile; what is sent next time is set all the same.
            let _ = agent.send_audio(scene, audio, at);
        }
    }
    outcome
}

/// Reads a WAV file for [`Agent::send_audio`]: any rate, 8 to 32 bits or float, mono or stereo.
///
/// # Errors
/// When it is missing, or not a WAV file.
pub fn file(scene: &Scene, path: &str) -> Result<Audio, Fault> {
    let full = scene.path(path);
    let samples =
        read_wav(&full).map_err(|error| Fault::environment(format!("{}: {error}", full.display())))?;
    Ok(Audio::Samples {
        name: path.to_owned(),
        samples,
    })
}

fn read_wav(path: &Path) -> Result<Arc<[i16]>, ReadError> {
    let file = File::open(path).map_err(ReadError::Io)?;
    wav::read(BufReader::new(file)).map(Arc::from)
}

struct Listening<'a> {
    phone: &'a Arc<dyn Phone>,
    id: ListenerId,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.phone.unlisten(self.id);
        context::reads_without_event();
    }
}
