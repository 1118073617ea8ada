//! What a session does with audio that it hears: keep the last seconds, let listeners hear it, record it.

use std::time::Duration;

use callwright_wire::Time;

use super::evidence::{Evidence, LastHeard, samples_in};
use super::listeners::Listeners;
use super::recorder::Recorder;
use super::sink::Sink;
use crate::codec::Codec;
use crate::jitter::Put;
use crate::plane::{Command, CommandError, Event, RecordingId, Track};

/// Samples decoded at once.
const CHUNK: usize = 480;
/// A hole in the sequence numbers longer than this is not filled up with as much silence: half a second.
const LONGEST_HOLE: usize = 4_000;

/// The ears of a session.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    evidence: Evidence,
    listeners: Listeners,
    recorder: Option<Box<Recorder>>,
    /// Where it is recorded together with another one.
    track: Option<(RecordingId, Track)>,
    /// Samples in the last packet: as many are missing where one was lost.
    packet_samples: usize,
    /// When the newest of it arrived.
    last: Option<Time>,
}

impl Ears {
    pub(crate) fn command(
        &mut self,
        now: Time,
        command: &Command,
        sink: &mut Sink<'_>,
    ) -> Result<(), CommandError> {
        match command {
            Command::Record(true) => {
                self.recorder.get_or_insert_default();
                Ok(())
            }
            Command::Record(false) => {
                self.finish(sink);
                Ok(())
            }
            other => self.listeners.command(now, other),
        }
    }

    /// Does not remember what is heard.
    pub(crate) fn keep_nothing(&mut self) {
        self.evidence.keep_nothing();
    }

    /// Hears a payload, in order.
    pub(crate) fn audio(&mut self, codec: Codec, packet: Put<'_>, sink: &mut Sink<'_>) {
        let (arrived, payload) = (packet.arrived, packet.payload);
        self.evidence.add(codec, payload);
        self.packet_samples = payload.len();
        self.last = Some(arrived);
        if let Some(track) = self.track {
            sink.recordings
                .hear(track, arrived, packet.timestamp, codec, payload);
        }
        if self.listeners.is_empty() && self.recorder.is_none() {
            return;
        }
        let mut samples = [0; CHUNK];
        for chunk in payload.chunks(CHUNK) {
            let decoded = codec.decode(chunk, &mut samples);
            self.listeners.hear(arrived, &samples[..decoded], sink);
            if let Some(recorder) = &mut self.recorder {
                recorder.hear(&mut samples[..decoded]);
            }
        }
    }

    /// Another source is heard from now on, or the same one began anew.
    pub(crate) fn restart(&mut self, sink: &mut Sink<'_>) {
        if let Some(track) = self.track {
            sink.recordings.restart(track);
        }
    }

    /// Hears that so many packets are missing.
    pub(crate) fn lost(&mut self, missing: u16, sink: &mut Sink<'_>) {
        let samples = (usize::from(missing) * self.packet_samples).min(LONGEST_HOLE);
        self.listeners.miss(samples, sink);
        if let Some(recorder) = &mut self.recorder {
            recorder.miss(samples);
        }
    }

    /// An interval went by in which `frame` was sent.
    pub(crate) fn sent(&mut self, frame: &[i16], sink: &mut Sink<'_>) {
        if let Some(recorder) = &mut self.recorder
            && let Some(samples) = recorder.send(frame)
        {
            sink.tell(Event::Recorded { samples });
        }
    }

    /// Hands over what is left of a recording, and ends it.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) {
        if let Some(mut recorder) = self.recorder.take() {
            if let Some(samples) = recorder.finish() {
                sink.tell(Event::Recorded { samples });
            }
            sink.tell(Event::RecordingEnded);
        }
    }

    /// What is heard goes on a track.
    pub(crate) fn put_on(&mut self, track: (RecordingId, Track)) {
        self.track = Some(track);
    }

    /// It no longer does.
    pub(crate) fn take_track(&mut self) -> Option<(RecordingId, Track)> {
        self.track.take()
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }

    /// When the newest audio heard arrived.
    pub(crate) fn last(&self) -> Option<Time> {
        self.last
    }

    /// The last audio heard, at most three seconds, oldest first.
    pub(crate) fn recent(&self, span: Duration) -> Vec<i16> {
        self.evidence.last(samples_in(span))
    }

    /// What is left of a session that was closed.
    pub(crate) fn into_heard(self) -> LastHeard {
        self.evidence.into_heard()
    }
}
