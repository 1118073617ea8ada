//! Recordings of calls: from when two parties talk until the call is over, whoever takes part meanwhile.

use std::collections::BTreeMap;

use callwright_media::plane::{Piece, RecordingId, Track};
use callwright_wire::Time;

use super::Stage;
use crate::fact::{CallKey, Event};
use crate::machine::Machine;

/// The recordings that go on.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    of_call: BTreeMap<CallKey, RecordingId>,
    /// The same the other way round, until the last piece was told.
    calls: BTreeMap<RecordingId, CallKey>,
}

impl Machine {
    /// Two parties begin to talk: they are recorded where that is wanted.
    pub(super) fn begin_recording(&mut self, now: Time, key: CallKey) {
        if !self.is_to_be_recorded(key) || self.recordings.of_call.contains_key(&key) {
            return;
        }
        let recording = self.media.plane_mut().begin_recording(now);
        self.recordings.of_call.insert(key, recording);
        self.recordings.calls.insert(recording, key);
        self.tell(Event::RecordingBegan { call: key, at: now });
    }

    fn is_to_be_recorded(&self, key: CallKey) -> bool {
        let Some(call) = self.switch.call(key) else {
            return false;
        };
        let wanted = match &call.queued {
            Some(queued) => self.floor.queue(queued.queue).config.record,
            None => self.config.record_direct,
        };
        wanted && self.config.audio && !call.story.silent
    }

    /// The parties of a call are others than before, or none for a while: left is the caller or who took its place, right the other one.
    pub(super) fn record_ends(&mut self, key: CallKey) {
        let Some(recording) = self.recordings.of_call.get(&key).copied() else {
            return;
        };
        let stage = self.switch.call(key).map(|call| call.stage);
        let ends = if let Some(Stage::Talking { ends }) = stage {
            ends.map(Some)
        } else {
            // Who waits for the next one talks to nobody.
            [None; 2]
        };
        for (track, leg) in [Track::Left, Track::Right].into_iter().zip(ends) {
            let session = leg.and_then(|leg| self.switch.leg(leg)?.session());
            // Both are open.
            let _open = self.media.plane_mut().record_from(recording, track, session);
        }
    }

    /// A call is over.
    pub(super) fn end_recording(&mut self, now: Time, key: CallKey) {
        if let Some(recording) = self.recordings.of_call.remove(&key) {
            self.media.plane_mut().end_recording(now, recording);
        }
    }

    /// All calls are over.
    pub(crate) fn end_recordings(&mut self, now: Time) {
        for recording in std::mem::take(&mut self.recordings.of_call).into_values() {
            self.media.plane_mut().end_recording(now, recording);
        }
    }

    /// Hands on what the plane recorded.
    pub(crate) fn tell_recorded(&mut self) {
        while let Some((recording, piece)) = self.media.plane_mut().poll_recorded() {
            let calls = &mut self.recordings.calls;
            let call = match piece {
                Piece::End { .. } => calls.remove(&recording),
                Piece::Samples(_) | Piece::Silence { .. } | Piece::Missing { .. } => {
                    calls.get(&recording).copied()
                }
            };
            if let Some(call) = call {
                self.tell(Event::Recorded { call, piece });
            }
        }
    }
}
