//! Ports of legs, what the plane is told, and what it tells.

use std::net::SocketAddr;

use callwright_media::Event as MediaEvent;
use callwright_media::plane::{Command, DtmfMode, SessionId, Source};
use callwright_sip::command::{Body, DialogRequest};
use callwright_sip_message::Method;
use callwright_wire::{BindError, SocketId, Time};

use super::{LegKey, Media};
use crate::config::{Prompts, Sound};
use crate::fact::PresentationOutcome;
use crate::machine::Machine;

/// The tone of who waits in a queue without music.
const MUSIC_HZ: f64 = 440.0;
const MUSIC_DBM0: f64 = -24.0;
/// How long a digit is said to last where nobody told.
const USUAL_DIGIT_MS: u128 = 100;

impl Machine {
    /// The ports of a leg are leased.
    pub(crate) fn on_ports(&mut self, now: Time, socket: SocketId, local: SocketAddr) {
        let Some((key, session)) = self.media.bound(socket, &mut self.entropy) else {
            return;
        };
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        leg.media = Media::Open(session);
        leg.talk.set_port(local.port());
        let call = leg.call;
        if leg.invite.is_some() {
            self.send_invite(now, key);
        } else {
            self.on_caller_ports(now, call);
        }
    }

    /// There are no ports for a leg.
    pub(crate) fn on_no_ports(&mut self, now: Time, socket: SocketId, _error: &BindError) {
        let Some(key) = self.media.bind_failed(socket) else {
            return;
        };
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        leg.media = Media::Closed;
        let call = leg.call;
        self.counters.over_limit += 1;
        if self.switch.call(call).is_some_and(|call| call.caller == key) {
            let reject = self.unavailable();
            self.end_presentation_of(now, call, PresentationOutcome::Withdrawn, None);
            self.abandon_hunt(now, call, None);
            self.fail_call(now, call, reject);
        } else {
            self.on_not_rung(now, call, key);
        }
    }

    /// Tells the plane what a leg agreed on.
    pub(super) fn tell_plane(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.switch.leg(key) else { return };
        let session = leg.session().filter(|_| self.config.audio);
        if let (Some(session), Some(agreed)) = (session, &leg.talk.agreed) {
            let start = Command::Start(Box::new(agreed.clone()));
            // Only a session that is closed refuses, and this one is not.
            let _open = self.media.plane_mut().command(now, session, start);
        }
    }

    /// Joins the audio of two legs.
    pub(super) fn bridge(&mut self, one: LegKey, other: LegKey) {
        let session = |key| {
            let session = self.switch.leg(key).and_then(|leg| leg.session());
            session.filter(|_| self.config.audio)
        };
        if let (Some(one), Some(other)) = (session(one), session(other)) {
            // Both are open, and they are two.
            let _joined = self.media.plane_mut().bridge(one, other);
        }
    }

    /// Plays music to a caller who waits: that of the queue, or what is built in.
    pub(super) fn play_music(&mut self, now: Time, key: LegKey, music: Option<&Sound>) {
        let source = match music {
            Some(Sound(samples)) => Source::Samples {
                samples: samples.clone(),
                repeat: true,
            },
            None => Source::Tones {
                hz: vec![MUSIC_HZ],
                level_dbm0: MUSIC_DBM0,
            },
        };
        self.play(now, key, source);
    }

    /// Plays something once.
    pub(super) fn play_once(&mut self, now: Time, key: LegKey, sound: &Sound) {
        let samples = sound.0.clone();
        self.play(
            now,
            key,
            Source::Samples {
                samples,
                repeat: false,
            },
        );
    }

    /// Tells a caller who waits its position, and what else there is to tell; the music goes on behind.
    pub(super) fn announce(&mut self, now: Time, key: LegKey, prompts: &Prompts, _position: usize) {
        if let Some(sound) = &prompts.announce {
            self.play_once(now, key, sound);
        }
    }

    /// Plays no more.
    pub(super) fn stop_playing(&mut self, now: Time, key: LegKey) {
        self.play(now, key, Source::Silence);
    }

    fn play(&mut self, now: Time, key: LegKey, source: Source) {
        let session = self.switch.leg(key).and_then(|leg| leg.session());
        if let Some(session) = session.filter(|_| self.config.audio) {
            // Only a session that is closed refuses, and this one is not.
            let _open = self
                .media
                .plane_mut()
                .command(now, session, Command::Play(source));
        }
    }

    /// Parts the audio of a leg from whom it was joined to.
    pub(super) fn unbridge(&mut self, key: LegKey) {
        if let Some(session) = self.switch.leg(key).and_then(|leg| leg.session()) {
            self.media.plane_mut().unbridge(session);
        }
    }

    /// Gives the ports of a leg back.
    pub(super) fn close_media(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.switch.leg_mut(key) else {
            return;
        };
        match std::mem::replace(&mut leg.media, Media::Closed) {
            Media::Opening(socket) => self.media.unwant(socket),
            Media::Open(session) => self.media.close(now, session),
            Media::Closed => {}
        }
    }

    /// Something happened in a session. Audio is the plane's affair; a digit that cannot cross as an event goes by INFO.
    pub(crate) fn on_media_event(&mut self, now: Time, session: SessionId, event: MediaEvent) {
        match event {
            MediaEvent::Digit {
                digit,
                duration,
                mode: DtmfMode::Rfc4733,
            } => {
                let millis = duration.map_or(USUAL_DIGIT_MS, |duration| duration.as_millis());
                self.carry_digit(now, session, digit, millis);
            }
            MediaEvent::Digit { .. }
            | MediaEvent::FirstPacket { .. }
            | MediaEvent::Latched { .. }
            | MediaEvent::SsrcChanged { .. }
            | MediaEvent::ToneHeard { .. }
            | MediaEvent::SilenceHeard
            | MediaEvent::DtmfSent
            | MediaEvent::PlayEnded
            | MediaEvent::Recorded { .. }
            | MediaEvent::RecordingEnded
            | MediaEvent::RemoteBye => {}
        }
    }

    fn carry_digit(&mut self, now: Time, session: SessionId, digit: char, millis: u128) {
        let partner = self
            .media
            .leg_of(session)
            .and_then(|leg| self.switch.partner(leg))
            .and_then(|partner| self.switch.leg(partner));
        let Some(partner) = partner.filter(|leg| !leg.talk.takes_events()) else {
            return;
        };
        if let Some(sip) = partner.sip {
            let body = format!("Signal={digit}\r\nDuration={millis}\r\n");
            let info = DialogRequest {
                body: Some(Body::new("application/dtmf-relay", body)),
                ..DialogRequest::new(Method::Info)
            };
            // A peer that takes neither events nor INFO takes no digits.
            let _gone = self.endpoint.request(now, sip, info, None);
        }
    }
}
