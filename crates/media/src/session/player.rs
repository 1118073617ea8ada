//! What a session plays.

use std::sync::Arc;

use crate::plane::Source;
use crate::tone::{FrequencyError, Noise, Tones};

/// A source with its position.
#[derive(Debug)]
pub(crate) enum Player {
    Silence,
    Tones(Tones),
    Noise(Noise),
    Samples {
        samples: Arc<[i16]>,
        position: usize,
        repeat: bool,
    },
}

impl Player {
    /// The start of a source. `seed` makes the noise.
    pub(crate) fn new(source: Source, seed: u64) -> Result<Self, FrequencyError> {
        Ok(match source {
            Source::Silence => Player::Silence,
            Source::Tones { hz, level_dbm0 } => Player::Tones(Tones::new(&hz, level_dbm0)?),
            Source::Noise { level_dbm0 } => Player::Noise(Noise::new(seed, level_dbm0)),
            Source::Samples { samples, repeat } => Player::Samples {
                samples,
                position: 0,
                repeat,
            },
        })
    }

    /// Fills `frame`; true when the source came to its end with it.
    pub(crate) fn fill(&mut self, frame: &mut [i16]) -> bool {
        match self {
            Player::Silence => {
                frame.fill(0);
                false
            }
            Player::Tones(tones) => {
                tones.fill(frame);
                false
            }
            Player::Noise(noise) => {
                noise.fill(frame);
                false
            }
            Player::Samples {
                samples,
                position,
                repeat,
            } => {
                let mut filled = 0;
                while filled < frame.len() {
                    let take = (samples.len() - *position).min(frame.len() - filled);
                    frame[filled..filled + take].copy_from_slice(&samples[*position..*position + take]);
                    filled += take;
                    *position += take;
                    if *position == samples.len() {
                        if !*repeat {
                            break;
                        }
                        *position = 0;
                    }
                }
                frame[filled..].fill(0);
                let ended = !*repeat && *position == samples.len();
                if ended {
                    *self = Player::Silence;
                }
                ended
            }
        }
    }

    /// Goes on by `count` samples that nobody hears; true when the source came to its end with them.
    pub(crate) fn skip(&mut self, count: usize) -> bool {
        let Player::Samples {
            samples,
            position,
            repeat,
        } = self
        else {
            // A tone without some of its middle is the same tone.
            return false;
        };
        let after = position.saturating_add(count);
        if *repeat {
            *position = after % samples.len();
            return false;
        }
        *position = after.min(samples.len());
        let ended = *position == samples.len();
        if ended {
            *self = Player::Silence;
        }
        ended
    }
}
