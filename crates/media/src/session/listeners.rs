//! Who listens to what a session hears: attached while somebody asks, gone afterwards.

use std::time::Duration;

use callwright_wire::Time;

use super::sink::Sink;
use crate::detect::{SilenceDetector, ToneDetector};
use crate::dtmf_inband::InbandDtmf;
use crate::plane::{Command, CommandError, DtmfMode, Event};

/// So many tones may be listened for at once.
const TONES: usize = 16;
/// What takes the place of lost audio: 10 ms of nothing.
const NOTHING: [i16; 80] = [0; 80];

/// A detector that hears what arrived since it was asked for.
#[derive(Debug)]
struct Since<D> {
    since: Time,
    detector: D,
}

/// The detectors of one session.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    tones: Vec<Since<(f64, ToneDetector)>>,
    silence: Option<Box<Since<SilenceDetector>>>,
    digits: Option<Box<Since<InbandDtmf>>>,
}

impl Listeners {
    /// True when nobody listens: audio need not be decoded.
    pub(super) fn is_empty(&self) -> bool {
        self.tones.is_empty() && self.silence.is_none() && self.digits.is_none()
    }

    pub(super) fn command(&mut self, now: Time, command: &Command) -> Result<(), CommandError> {
        match *command {
            Command::Listen { hz } => {
                let detector = ToneDetector::new(hz)?;
                self.forget(hz);
                if self.tones.len() == TONES {
                    return Err(CommandError::TooManyTones { limit: TONES });
                }
                self.tones.push(Since {
                    since: now,
                    detector: (hz, detector),
                });
            }
            Command::Unlisten { hz } => self.forget(hz),
            Command::ListenSilence { at_least, below_dbm0 } => {
                let needed_ms = u32::try_from(at_least.as_millis()).unwrap_or(u32::MAX);
                self.silence = Some(Box::new(Since {
                    since: now,
                    detector: SilenceDetector::new(below_dbm0, needed_ms),
                }));
            }
            Command::UnlistenSilence => self.silence = None,
            Command::ListenDtmf(false) => self.digits = None,
            Command::ListenDtmf(true) => {
                self.digits.get_or_insert_with(|| {
                    Box::new(Since {
                        since: now,
                        detector: InbandDtmf::default(),
                    })
                });
            }
            Command::Start(_)
            | Command::Stop
            | Command::Play(_)
            | Command::Mute(_)
            | Command::Dtmf(_)
            | Command::Announce(_)
            | Command::Record(_) => {}
        }
        Ok(())
    }

    fn forget(&mut self, hz: f64) {
        self.tones.retain(|tone| tone.detector.0 != hz);
    }

    /// Hears samples of a packet that came at `arrived`. Who was heard is told, and its listener goes.
    pub(super) fn hear(&mut self, arrived: Time, samples: &[i16], sink: &mut Sink<'_>) {
        self.hear_tones(arrived, samples, sink);
        if let Some(silence) = &mut self.silence
            && silence.since <= arrived
            && silence.detector.push(samples)
        {
            self.silence = None;
            sink.tell(Event::SilenceHeard);
        }
        self.hear_digits(arrived, samples, sink);
    }

    /// Hears that so many samples are missing. Tones and digits go on under the hole; silence is no packet's absence.
    pub(super) fn miss(&mut self, mut samples: usize, sink: &mut Sink<'_>) {
        while samples > 0 {
            let hole = &NOTHING[..samples.min(NOTHING.len())];
            self.hear_tones(Time::NEVER, hole, sink);
            self.hear_digits(Time::NEVER, hole, sink);
            samples -= hole.len();
        }
    }

    fn hear_tones(&mut self, arrived: Time, samples: &[i16], sink: &mut Sink<'_>) {
        self.tones.retain_mut(|tone| {
            if tone.since > arrived {
                return true;
            }
            let (hz, detector) = &mut tone.detector;
            match detector.push(samples) {
                None => true,
                Some(heard) => {
                    sink.tell(Event::ToneHeard {
                        hz: *hz,
                        level_dbm0: heard.level_dbm0,
                    });
                    false
                }
            }
        });
    }

    fn hear_digits(&mut self, arrived: Time, samples: &[i16], sink: &mut Sink<'_>) {
        if let Some(digits) = &mut self.digits
            && digits.since <= arrived
        {
            digits.detector.push(samples, |heard| {
                sink.tell(Event::Digit {
                    digit: heard.digit.as_char(),
                    duration: None::<Duration>,
                    mode: DtmfMode::Inband,
                });
            });
        }
    }
}
