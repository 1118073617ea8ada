//! What can be heard in a stream: a wanted tone, silence, the strongest frequency.
//!
//! Detectors take samples as they come, in pieces of any length, and hold less than 4 KB each. What was lost on the
//! way is pushed as zeros, or as what concealment made of it, so that time goes on.

mod mix;
mod silence;
mod spectrum;
mod strongest;
mod tone;

pub use silence::{SILENCE_DBM0, SilenceDetector};
pub use strongest::{Strongest, strongest};
pub use tone::{Heard, MIN_LEVEL_DBM0, MIN_SHARE, TOLERANCE_HZ, ToneDetector};
