//! What a user agent says and hears.

use std::time::Duration;

use callwright_media::plane::{Command, Event, SessionId, Source, Stats};
use callwright_wire::Time;

use crate::call::CallKey;
use crate::media_host::MediaHost;
use crate::verb::{Audio, VerbError};

use super::{Change, Context, UserAgent};

/// The level of every tone that is sent: well heard, and far from clipping when several are mixed.
const TONE_LEVEL_DBM0: f64 = -10.0;
/// The level of noise.
const NOISE_LEVEL_DBM0: f64 = -20.0;
/// Silence is what stays below this for so long.
const SILENCE_DBM0: f64 = -45.0;
const SILENCE: Duration = Duration::from_millis(200);

/// What to listen for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ListenFor {
    /// A tone.
    Tone {
        /// Its frequency in Hz.
        hz: f64,
    },
    /// RTP that carries silence.
    Silence,
}

/// The number of a listener; unique within its user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// What a listener heard since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// What it listens for was heard.
    pub done: bool,
    /// RTP packets that arrived since.
    pub packets: u64,
    /// When it was started.
    pub since: Time,
    /// On which call it listens; `None` for every one.
    pub call: Option<CallKey>,
}

#[derive(Debug)]
struct Listener {
    id: ListenerId,
    /// `None` for every call.
    call: Option<CallKey>,
    what: ListenFor,
    done: bool,
    /// Packets that had arrived when it was started.
    packets_before: u64,
    since: Time,
}

#[derive(Debug, Default)]
pub(super) struct Listeners {
    active: Vec<Listener>,
    so_far: u32,
}

impl UserAgent {
    /// Starts to listen, from now on, on a call, or on every call that carries audio, now or later.
    ///
    /// # Errors
    ///
    /// For a frequency that telephone audio does not carry.
    pub(crate) fn listen(
        &mut self,
        ctx: &mut Context<'_>,
        call: Option<CallKey>,
        what: ListenFor,
    ) -> Result<ListenerId, VerbError> {
        if let ListenFor::Tone { hz } = what {
            check_frequency(hz)?;
        }
        self.listeners.so_far += 1;
        let id = ListenerId(self.listeners.so_far);
        let packets_before = self.packets_received(ctx.media, call);
        self.listeners.active.push(Listener {
            id,
            call,
            what,
            done: false,
            packets_before,
            since: ctx.now,
        });
        let sessions: Vec<_> = self.sessions().collect();
        for session in sessions {
            self.tell_plane(ctx, session, listen_command(what));
        }
        Ok(id)
    }

    /// What a listener heard so far; `None` for one that was ended.
    pub(crate) fn heard(&self, media: &MediaHost, id: ListenerId) -> Option<Heard> {
        let listener = self.listeners.active.iter().find(|listener| listener.id == id)?;
        Some(Heard {
            done: listener.done,
            since: listener.since,
            call: listener.call,
            packets: self
                .packets_received(media, listener.call)
                .saturating_sub(listener.packets_before),
        })
    }

    /// Ends a listener.
    pub(crate) fn unlisten(&mut self, ctx: &mut Context<'_>, id: ListenerId) {
        let Some(index) = self
            .listeners
            .active
            .iter()
            .position(|listener| listener.id == id)
        else {
            return;
        };
        let listener = self.listeners.active.remove(index);
        // Somebody else may listen for the same.
        if self
            .listeners
            .active
            .iter()
            .any(|other| other.what == listener.what && !other.done)
        {
            return;
        }
        let command = match listener.what {
            ListenFor::Tone { hz } => Command::Unlisten { hz },
            ListenFor::Silence => Command::UnlistenSilence,
        };
        let sessions: Vec<_> = self.sessions().collect();
        for session in sessions {
            self.tell_plane(ctx, session, command.clone());
        }
    }

    /// The figures of a call's audio; of one that ended its last ones.
    pub(crate) fn stats(&self, media: &MediaHost, key: CallKey) -> Option<Stats> {
        let call = self.call(key)?;
        match call.open_session() {
            Some(session) => media.stats(session),
            None => call.stats.as_deref().cloned(),
        }
    }

    fn packets_received(&self, media: &MediaHost, on: Option<CallKey>) -> u64 {
        self.calls
            .iter()
            .filter(|call| on.is_none_or(|on| on == call.key))
            .filter_map(|call| match call.open_session() {
                Some(session) => media.stats(session).map(|stats| stats.received.packets),
                None => call.stats.as_ref().map(|stats| stats.received.packets),
            })
            .sum()
    }

    /// A call's audio begins: whoever listens hears it too.
    pub(super) fn start_listening(&mut self, ctx: &mut Context<'_>, session: SessionId) {
        if self.account.dtmf == crate::account::DtmfMode::Inband {
            self.tell_plane(ctx, session, Command::ListenDtmf(true));
        }
        let commands: Vec<_> = self
            .listeners
            .active
            .iter()
            .filter(|listener| !listener.done)
            .map(|listener| listen_command(listener.what))
            .collect();
        for command in commands {
            self.tell_plane(ctx, session, command);
        }
    }

    pub(super) fn play(&mut self, ctx: &mut Context<'_>, session: SessionId, audio: &Audio) {
        let source = match audio {
            Audio::Silence => Source::Silence,
            Audio::Tones { hz } => Source::Tones {
                hz: hz.clone(),
                level_dbm0: TONE_LEVEL_DBM0,
            },
            Audio::Noise => Source::Noise {
                level_dbm0: NOISE_LEVEL_DBM0,
            },
            Audio::Samples { samples } => Source::Samples {
                samples: samples.clone(),
                repeat: false,
            },
        };
        self.tell_plane(ctx, session, Command::Play(source));
        let mut calls = self.calls.iter_mut();
        if let Some(call) = calls.find(|call| call.open_session() == Some(session)) {
            call.playing = match audio {
                Audio::Silence => None,
                audio => Some(Box::new(audio.clone())),
            };
        }
    }

    /// Tells the plane something whose arguments were checked before: only a session that was closed can refuse it,
    /// and then nothing is lost.
    pub(super) fn tell_plane(&self, ctx: &mut Context<'_>, session: SessionId, command: Command) {
        let _ = ctx.media.command(ctx.now, session, command);
    }

    pub(crate) fn handle_media_event(&mut self, key: CallKey, event: Event) {
        match event {
            Event::ToneHeard { hz, .. } => self.mark_heard(key, ListenFor::Tone { hz }),
            Event::SilenceHeard => self.mark_heard(key, ListenFor::Silence),
            Event::Digit { digit, .. } => self.receive_digit(key, digit),
            Event::Recorded { samples } => self.change(Change::Recorded { call: key, samples }),
            Event::FirstPacket { .. }
            | Event::Latched { .. }
            | Event::SsrcChanged { .. }
            | Event::DtmfSent
            | Event::PlayEnded
            | Event::Announced
            | Event::RecordingEnded
            | Event::RemoteBye => self.change(Change::Audio),
        }
    }

    fn mark_heard(&mut self, on: CallKey, what: ListenFor) {
        for listener in self
            .listeners
            .active
            .iter_mut()
            .filter(|listener| listener.what == what && listener.call.is_none_or(|call| call == on))
        {
            listener.done = true;
        }
        self.change(Change::Audio);
    }

    pub(super) fn receive_digit(&mut self, key: CallKey, digit: char) {
        if let Some(call) = self.call_mut(key) {
            call.digits.push(digit);
        }
        self.change(Change::Dtmf);
    }
}

/// A frequency between 1 Hz and half the sampling rate of telephone audio.
pub(super) fn check_frequency(hz: f64) -> Result<(), VerbError> {
    if (1.0..4000.0).contains(&hz) {
        return Ok(());
    }
    let detail = format!("{hz} Hz does not fit into telephone audio; use 1 to 3999 Hz");
    Err(VerbError::BadArgument {
        what: "frequency",
        detail,
    })
}

fn listen_command(what: ListenFor) -> Command {
    match what {
        ListenFor::Tone { hz } => Command::Listen { hz },
        ListenFor::Silence => Command::ListenSilence {
            at_least: SILENCE,
            below_dbm0: SILENCE_DBM0,
        },
    }
}
