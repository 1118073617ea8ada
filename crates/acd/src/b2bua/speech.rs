//! The machine itself talks to a caller, and hangs up then.

use std::time::Duration;

use callwright_sdp::Direction;
use callwright_wire::Time;

use super::hunt::sip_reason;
use super::{LegKey, Stage};
use crate::config::Sound;
use crate::fact::{CallKey, EndCause};
use crate::machine::{Alarm, Machine};

/// What is left of a message on its way to the caller when all of it was sent.
const TAIL: Duration = Duration::from_millis(300);

/// What is said, and why the call ends with it.
#[derive(Clone, Debug)]
pub(crate) struct Speech {
    sound: Sound,
    cause: EndCause,
    /// Whether it may be said: what it confirms is stored.
    due: bool,
}

impl Machine {
    /// Says something to the caller as soon as it can be answered.
    pub(super) fn speak(&mut self, now: Time, key: CallKey, sound: Sound, cause: EndCause) {
        self.prepare_speech(key, sound, cause);
        self.speech_is_due(now, key);
    }

    /// What will be said.
    pub(super) fn prepare_speech(&mut self, key: CallKey, sound: Sound, cause: EndCause) {
        if let Some(call) = self.switch.call_mut(key) {
            call.stage = Stage::Speaking { began: false };
            call.speech = Some(Speech {
                sound,
                cause,
                due: false,
            });
        }
    }

    /// What was to be said may be said.
    pub(super) fn speech_is_due(&mut self, now: Time, key: CallKey) {
        if let Some(speech) = self.switch.call_mut(key).and_then(|call| call.speech.as_mut()) {
            speech.due = true;
        }
        self.begin_speech(now, key);
    }

    /// Says it, where it may be said and the ports of the caller are there.
    pub(super) fn begin_speech(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call(key) else { return };
        let (caller, answered) = (call.caller, call.caller_answered);
        let speech = call.speech.as_ref().filter(|speech| speech.due);
        let Some(sound) = speech.map(|speech| speech.sound.clone()) else {
            return;
        };
        if self.switch.leg(caller).is_none_or(|leg| leg.session().is_none()) {
            return;
        }
        if answered {
            self.open_caller(now, key);
        } else if let Err(reject) = self.answer_with(now, caller, Direction::SendRecv, None) {
            return self.fail_call(now, key, reject);
        }
        if let Some(call) = self.switch.call_mut(key) {
            call.stage = Stage::Speaking { began: true };
        }
        // An announcement that is under way would hold it back.
        self.say(now, caller, Vec::new());
        self.play_once(now, caller, &sound);
        let length = Duration::from_millis(sound.0.len() as u64 / 8);
        self.alarms.set(Alarm::SpeechOver(key), now + length + TAIL);
    }

    /// It was said.
    pub(crate) fn on_speech_over(&mut self, now: Time, key: CallKey) {
        let Some(call) = self.switch.call_mut(key) else {
            return;
        };
        let caller: LegKey = call.caller;
        let Some(speech) = call.speech.take() else { return };
        self.finish(now, key, speech.cause);
        self.hang_up(now, caller, Some(sip_reason(200, "All Said")));
    }
}
