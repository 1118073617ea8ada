//! Ports of legs, what the plane is told, and what it tells.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callwright_media::Event as MediaEvent;
use callwright_media::plane::{Announcement, Below, Command, DtmfMode, SessionId, Source};
use callwright_media::tone;
use callwright_sip::command::{Body, DialogRequest};
use callwright_sip_message::Method;
use callwright_wire::{BindError, SocketId, Time};

use super::{LegKey, Media};
use crate::config::{Prompts, Sound};
use crate::machine::Machine;

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
            self.withdraw(now, call, None);
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

    /// Joins the audio of two legs, and records them where their call is.
    pub(super) fn bridge(&mut self, one: LegKey, other: LegKey) {
        let session = |key| {
            let session = self.switch.leg(key).and_then(|leg| leg.session());
            session.filter(|_| self.config.audio)
        };
        if let (Some(one), Some(other)) = (session(one), session(other)) {
            // Both are open, and they are two.
            let _joined = self.media.plane_mut().bridge(one, other);
        }
        if let Some(call) = self.call_of_leg(one) {
            self.record_ends(call);
        }
    }

    /// Plays music to a caller who waits: that of the queue, or what is built in.
    pub(super) fn play_music(&mut self, now: Time, key: LegKey, music: Option<&Sound>) {
        let samples = match music {
            Some(Sound(samples)) => Arc::clone(samples),
            None => tone::melody(),
        };
        self.play(
            now,
            key,
            Source::Samples {
                samples,
                repeat: true,
            },
        );
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

    /// Tells a caller who waits its position, and what else there is to tell; the music waits for it. Gives how long that takes.
    pub(super) fn announce(
        &mut self,
        now: Time,
        key: LegKey,
        prompts: &Prompts,
        position: usize,
    ) -> Duration {
        let position = prompts.announce_position.then(|| self.position_clip(position));
        let also = prompts.announce.as_ref().map(|sound| Arc::clone(&sound.0));
        let clips: Vec<_> = position.into_iter().chain(also).collect();
        let samples: usize = clips.iter().map(|clip| clip.len()).sum();
        self.say(now, key, clips);
        Duration::from_micros(samples as u64 * 125)
    }

    /// What tells a position: recorded, or in tones.
    fn position_clip(&self, position: usize) -> Arc<[i16]> {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        match self.config.positions.get(&position) {
            Some(Sound(samples)) => Arc::clone(samples),
            None => tone::pips(position).into(),
        }
    }

    /// Plays and says no more.
    pub(super) fn stop_playing(&mut self, now: Time, key: LegKey) {
        self.play(now, key, Source::Silence);
        self.say(now, key, Vec::new());
    }

    pub(super) fn say(&mut self, now: Time, key: LegKey, clips: Vec<Arc<[i16]>>) {
        let below = Below::Waits;
        self.tell_session(now, key, Command::Announce(Announcement { clips, below }));
    }

    fn play(&mut self, now: Time, key: LegKey, source: Source) {
        self.tell_session(now, key, Command::Play(source));
    }

    fn tell_session(&mut self, now: Time, key: LegKey, command: Command) {
        let session = self.switch.leg(key).and_then(|leg| leg.session());
        if let Some(session) = session.filter(|_| self.config.audio) {
            // Only a session that is closed refuses, and this one is not.
            let _open = self.media.plane_mut().command(now, session, command);
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
            | MediaEvent::Announced
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
