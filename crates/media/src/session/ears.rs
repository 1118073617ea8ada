//! What a session does with audio that it hears: keep the last seconds, look for what somebody listens for, record.

use std::time::Duration;

use callwright_wire::Time;

use super::evidence::{CAPACITY, Evidence};
use super::recorder::Recorder;
use super::sink::Sink;
use crate::codec::{Codec, SAMPLE_RATE};
use crate::plane::{Command, CommandError, Event, Received};

/// Samples decoded at once.
const CHUNK: usize = 480;

/// The ears of a session.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    evidence: Evidence,
    recorder: Option<Box<Recorder>>,
}

impl Ears {
    pub(crate) fn command(
        &mut self,
        _now: Time,
        command: &Command,
        sink: &mut Sink<'_>,
    ) -> Result<(), CommandError> {
        match command {
            Command::Record(true) => {
                self.recorder.get_or_insert_default();
            }
            Command::Record(false) => self.finish(sink),
            _ => {}
        }
        Ok(())
    }

    /// Hears a payload, in order.
    pub(crate) fn audio(&mut self, _arrived: Time, codec: Codec, payload: &[u8], _sink: &mut Sink<'_>) {
        self.evidence.add(codec, payload);
        if let Some(recorder) = &mut self.recorder {
            let mut samples = [0; CHUNK];
            for chunk in payload.chunks(CHUNK) {
                let decoded = codec.decode(chunk, &mut samples);
                recorder.hear(&samples[..decoded]);
            }
        }
    }

    /// Hears that so many packets are missing.
    pub(crate) fn lost(&mut self, _missing: u16, _sink: &mut Sink<'_>) {}

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

    /// The last audio heard, at most three seconds, oldest first.
    pub(crate) fn recent(&self, span: Duration) -> Vec<i16> {
        let samples = span.as_millis() * u128::from(SAMPLE_RATE) / 1_000;
        self.evidence
            .last(usize::try_from(samples).unwrap_or(CAPACITY).min(CAPACITY))
    }
}

/// Quality as a listener would put it.
pub(crate) fn mos(_received: &Received, _round_trip: Option<Duration>) -> Option<f64> {
    None
}
