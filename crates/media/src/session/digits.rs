//! The digits that a session sends, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use crate::codec::SAMPLE_RATE;
use crate::plane::{CommandError, Dtmf, DtmfMode};
use crate::telephone_event::{EventPacket, EventSender, event_of};
use crate::tone::{DtmfDigit, DtmfGenerator};

/// So many digits may wait.
const LIMIT: usize = 1_000;
/// The stronger of the two tones of a digit in band.
const INBAND_DBM0: f64 = -8.0;

#[derive(Clone, Copy, Debug)]
struct Waiting {
    digit: DtmfDigit,
    tone: Duration,
    gap: Duration,
    mode: DtmfMode,
}

#[derive(Debug)]
enum Sounding {
    Event {
        sender: EventSender,
        gap: u32,
    },
    Tone {
        generator: Box<DtmfGenerator>,
        left: u32,
    },
}

/// What the digits make of a packet interval.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    /// Nothing: audio is sent.
    Audio,
    /// This event packet is sent, and no audio.
    Event(EventPacket),
    /// An event sounds and has nothing new to say: nothing is sent.
    Nothing,
    /// The tone of a digit, or the pause behind it, is in the frame.
    Inband,
}

/// The queue, and the digit that sounds.
#[derive(Debug, Default)]
pub(crate) struct Digits {
    waiting: VecDeque<Waiting>,
    sounding: Option<Sounding>,
}

impl Digits {
    /// Puts digits at the end of the queue: all, or none.
    pub(crate) fn push(&mut self, dtmf: &Dtmf) -> Result<(), CommandError> {
        if let Some(character) = dtmf.digits.chars().find(|&digit| DtmfDigit::new(digit).is_none()) {
            return Err(CommandError::NotADigit { character });
        }
        if self.waiting.len() + dtmf.digits.len() > LIMIT {
            return Err(CommandError::TooManyDigits { limit: LIMIT });
        }
        self.waiting.extend(
            dtmf.digits
                .chars()
                .filter_map(DtmfDigit::new)
                .map(|digit| Waiting {
                    digit,
                    tone: dtmf.tone.max(Dtmf::LEAST_TONE),
                    gap: dtmf.gap.max(Dtmf::LEAST_GAP),
                    mode: dtmf.mode,
                }),
        );
        Ok(())
    }

    /// True when nothing sounds or waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.sounding.is_none() && self.waiting.is_empty()
    }

    /// An interval of `frame.len()` ticks that starts at `timestamp` goes by. The second value is true when the last digit
    /// and its pause ended with it.
    ///
    /// Without `events`, digits that are sent as such wait.
    pub(crate) fn interval(&mut self, timestamp: u32, events: bool, frame: &mut [i16]) -> (Interval, bool) {
        if !events && self.wants_events() {
            return (Interval::Audio, false);
        }
        if self.sounding.is_none() {
            let Some(next) = self.waiting.pop_front() else {
                return (Interval::Audio, false);
            };
            self.sounding = Some(Sounding::start(next, timestamp));
        }
        let ticks = frame.len() as u32;
        let Some(sounding) = &mut self.sounding else {
            return (Interval::Audio, false);
        };
        let (interval, ended) = match sounding {
            Sounding::Event { sender, gap } => {
                let paused = sender.has_ended();
                let packet = sender.interval(ticks);
                if paused {
                    *gap = gap.saturating_sub(ticks);
                }
                let interval = match packet {
                    Some(packet) => Interval::Event(packet),
                    None if paused => Interval::Audio,
                    None => Interval::Nothing,
                };
                (interval, *gap == 0 && sender.is_done())
            }
            Sounding::Tone { generator, left } => {
                // The generator fills up with silence behind the pause.
                generator.fill(frame);
                *left = left.saturating_sub(ticks);
                (Interval::Inband, *left == 0)
            }
        };
        if ended {
            self.sounding = None;
        }
        (interval, ended && self.waiting.is_empty())
    }

    fn wants_events(&self) -> bool {
        match &self.sounding {
            Some(sounding) => matches!(sounding, Sounding::Event { .. }),
            None => self
                .waiting
                .front()
                .is_some_and(|next| next.mode == DtmfMode::Rfc4733),
        }
    }

    /// Time passes in which nothing could be sent.
    pub(crate) fn skip(&mut self, ticks: u32) {
        match &mut self.sounding {
            Some(Sounding::Event { sender, gap }) => {
                if sender.has_ended() {
                    *gap = gap.saturating_sub(ticks);
                }
                sender.skip(ticks);
            }
            // What is left of the digit goes out when sending goes on: it is shorter than what was missed.
            Some(Sounding::Tone { .. }) | None => {}
        }
    }
}

impl Sounding {
    fn start(next: Waiting, timestamp: u32) -> Self {
        let millis = |span: Duration| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        let ticks = |span: Duration| millis(span).saturating_mul(SAMPLE_RATE / 1_000);
        match next.mode {
            DtmfMode::Rfc4733 => {
                let event = event_of(next.digit.as_char()).unwrap_or_default();
                let tone = u64::from(ticks(next.tone));
                Sounding::Event {
                    sender: EventSender::new(event, timestamp, tone, SAMPLE_RATE),
                    gap: ticks(next.gap),
                }
            }
            DtmfMode::Inband => {
                let mut generator = DtmfGenerator::new(millis(next.tone), millis(next.gap), INBAND_DBM0);
                generator.press(next.digit);
                Sounding::Tone {
                    generator: Box::new(generator),
                    left: ticks(next.tone).saturating_add(ticks(next.gap)),
                }
            }
        }
    }
}
