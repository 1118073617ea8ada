//! Filling the gaps that lost packets leave, in the spirit of ITU-T G.711 appendix I.
//!
//! The last pitch period is repeated; after 10 ms it fades, and after 60 ms there is silence. Where true sound comes
//! back it is blended in over 2.5 ms.

/// Samples that are kept: three of the longest pitch periods.
const HISTORY: usize = 3 * MAX_PERIOD;
/// Pitch from 66 to 200 Hz, as appendix I searches it.
const MIN_PERIOD: usize = 40;
const MAX_PERIOD: usize = 120;
/// What is compared to find the pitch: 20 ms.
const COMPARED: usize = 160;
/// 10 ms at full level, then 20 % less with each 10 ms more.
const FULL_SAMPLES: usize = 80;
const FADE_SAMPLES: usize = 400;
const BLEND: usize = 20;

/// Conceals the losses of one stream.
#[derive(Debug, Clone)]
pub struct Concealer {
    history: [i16; HISTORY],
    /// While concealing: the period that is repeated, and samples made since the loss began.
    repeating: Option<(usize, usize)>,
}

impl Default for Concealer {
    fn default() -> Self {
        Self {
            history: [0; HISTORY],
            repeating: None,
        }
    }
}

impl Concealer {
    /// Takes samples that arrived; the first ones after a loss are blended with what was made up.
    pub fn received(&mut self, samples: &mut [i16]) {
        if self.repeating.is_some() {
            let mut made_up = [0; BLEND];
            let count = samples.len().min(BLEND);
            self.make_up(&mut made_up[..count]);
            for (index, (sample, old)) in samples.iter_mut().zip(&made_up[..count]).enumerate() {
                let part = (index + 1) as i32;
                let whole = (BLEND + 1) as i32;
                *sample = ((i32::from(*sample) * part + i32::from(*old) * (whole - part)) / whole) as i16;
            }
            self.repeating = None;
        }
        self.remember(samples);
    }

    /// Fills `out` with what may have been in a lost packet.
    pub fn conceal(&mut self, out: &mut [i16]) {
        self.make_up(out);
    }

    fn make_up(&mut self, out: &mut [i16]) {
        let (period, mut made) = self.repeating.unwrap_or_else(|| (self.period(), 0));
        for sample in out {
            // The history ends with the true sound before the loss, and stays as it is.
            let source = self.history[HISTORY - period + made % period];
            let faded = FADE_SAMPLES - made.saturating_sub(FULL_SAMPLES).min(FADE_SAMPLES);
            *sample = (i32::from(source) * faded as i32 / FADE_SAMPLES as i32) as i16;
            made = made.saturating_add(1);
        }
        self.repeating = Some((period, made));
    }

    fn remember(&mut self, samples: &[i16]) {
        let new = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.copy_within(new.len().., 0);
        self.history[HISTORY - new.len()..].copy_from_slice(new);
    }

    /// The shift at which the last 20 ms look most like those before.
    fn period(&self) -> usize {
        let now = &self.history[HISTORY - COMPARED..];
        let likeness = |shift: usize| {
            let before = &self.history[HISTORY - COMPARED - shift..][..COMPARED];
            let product: f64 = now
                .iter()
                .zip(before)
                .map(|(one, other)| f64::from(*one) * f64::from(*other))
                .sum();
            let energy: f64 = before.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            // Normalized, so that a loud past does not win over a like one.
            product / energy.sqrt().max(1.0)
        };
        let mut best = (MIN_PERIOD, f64::MIN);
        for shift in MIN_PERIOD..=MAX_PERIOD {
            let found = likeness(shift);
            // A multiple of the period is as like as the period itself: the shortest wins.
            if found > best.1 * if best.1 > 0.0 { 1.001 } else { 1.0 } {
                best = (shift, found);
            }
        }
        best.0
    }
}
