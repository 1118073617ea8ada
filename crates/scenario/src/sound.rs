//! What agents send and hear.

mod connection;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callwright_events::{FailureKind, RunEvent};
use callwright_media::wav::{self, ReadError};
use callwright_wire::Time;

use crate::phone::{Aspect, Audio, CallRef, CallState, Heard, ListenFor, ListenerId, Phase, Phone, Verb};
use crate::world::Wake;
use crate::{Agent, Fault, Position, Scene, context, span};

pub(crate) use connection::Checks;
pub use connection::verify_connection;

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
    /// Changes what the agent sends, on the call given or on the newest one; before a call: on the next.
    ///
    /// # Errors
    /// As [`Agent::perform`].
    pub fn send_audio(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        audio: Audio,
        at: &Position,
    ) -> Result<(), Fault> {
        let alone = self.phone().snapshot().live_calls() <= 1;
        scene.run().checks().sends(self.aor(), &audio, alone);
        self.perform(scene, call, Verb::SendAudio(audio), at).map(|_| ())
    }

    /// Passes as soon as the tone is heard in audio that arrives from now on, on the call given or on any.
    ///
    /// # Errors
    /// When the time is up: with the strongest frequency heard, and whether RTP arrived at all.
    pub fn verify_audio(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        hz: f64,
        within: Duration,
        at: &Position,
    ) -> Result<(), Fault> {
        check_frequency(hz).map_err(|fault| fault.at(at))?;
        self.verify(scene, call, ListenFor::Tone { hz }, within, at)
    }

    /// Passes as soon as RTP that carries silence arrives, on the call given or on any.
    ///
    /// # Errors
    /// When the time is up; also when no RTP arrived, since nothing is no silence.
    pub fn verify_silence(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        within: Duration,
        at: &Position,
    ) -> Result<(), Fault> {
        self.verify(scene, call, ListenFor::Silence, within, at)
    }

    fn verify(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        what: ListenFor,
        within: Duration,
        at: &Position,
    ) -> Result<(), Fault> {
        scene.check().map_err(|fault| fault.at(at))?;
        context::asserts();
        let listening = Listening {
            phone: self.phone(),
            id: self.phone().listen(call, what),
        };
        let began = scene.world().now();
        let heard = self.listen_until(scene, listening.id, began + within)?;
        let expect = match what {
            ListenFor::Tone { hz } => format!("hears {hz} Hz"),
            ListenFor::Silence => "hears silence".to_owned(),
        };
        let label = match call {
            None => format!("{} audio", self.name()),
            Some(_) => format!("{} call audio", self.name()),
        };
        let actual = if heard.done {
            what_text(what)
        } else {
            self.instead(call, what, &heard)
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
    fn instead(&self, call: Option<CallRef>, what: ListenFor, heard: &Heard) -> String {
        let snapshot = self.phone().snapshot();
        let phase = call.map(|call| snapshot.call(call).map_or(Phase::Ended, |call| call.phase));
        let no_call = match (phase, snapshot.state()) {
            (Some(Phase::Ended), _) => " (that call has ended)",
            (Some(Phase::Established | Phase::Held), _) | (None, CallState::Established) => "",
            (Some(_), _) | (None, CallState::Ringing) => " (its call is not established)",
            (None, CallState::Idle) => " (it has no call)",
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
