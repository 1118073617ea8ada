//! DTMF as sound: ITU-T Q.23.

use std::collections::VecDeque;

use crate::codec::SAMPLE_RATE;
use crate::level::peak_of;
use crate::tone::{Rotation, to_sample};

/// The frequencies of the rows, in Hz.
pub(crate) const ROWS_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// The frequencies of the columns, in Hz.
pub(crate) const COLUMNS_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// One of the 16 keys: `0`–`9`, `*`, `#`, `A`–`D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DtmfDigit {
    row: u8,
    column: u8,
}

impl DtmfDigit {
    /// All 16 keys, row by row.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..4).flat_map(|row| (0..4).map(move |column| Self { row, column }))
    }

    /// The key of a character; lower case is taken too. `None` for anything else.
    #[must_use]
    pub fn new(key: char) -> Option<Self> {
        Self::all().find(|digit| digit.as_char() == key.to_ascii_uppercase())
    }

    pub(crate) fn at(row: usize, column: usize) -> Self {
        Self {
            row: row as u8 & 3,
            column: column as u8 & 3,
        }
    }

    /// The character on the key.
    #[must_use]
    pub fn as_char(self) -> char {
        KEYS[usize::from(self.row)][usize::from(self.column)]
    }

    /// Row and column frequency in Hz.
    #[must_use]
    pub fn frequencies_hz(self) -> (f64, f64) {
        (
            ROWS_HZ[usize::from(self.row)],
            COLUMNS_HZ[usize::from(self.column)],
        )
    }
}

/// Plays digits one after the other.
#[derive(Debug, Clone)]
pub struct DtmfGenerator {
    waiting: VecDeque<DtmfDigit>,
    on_samples: u32,
    gap_samples: u32,
    row_peak: f64,
    column_peak: f64,
    now: Option<Sounding>,
}

#[derive(Debug, Clone)]
struct Sounding {
    row: Rotation,
    column: Rotation,
    on_left: u32,
    gap_left: u32,
}

impl DtmfGenerator {
    /// A generator with `on_ms` of tone and `gap_ms` of silence for each digit, each of the two tones at
    /// `level_dbm0`. ITU-T Q.24 wants 40 ms of both at least, and levels that differ little: the column is 2 dB
    /// stronger, as in telephones.
    #[must_use]
    pub fn new(on_ms: u32, gap_ms: u32, level_dbm0: f64) -> Self {
        let samples = |ms: u32| ms.saturating_mul(SAMPLE_RATE / 1000);
        Self {
            waiting: VecDeque::new(),
            on_samples: samples(on_ms),
            gap_samples: samples(gap_ms),
            row_peak: peak_of(level_dbm0 - 2.0),
            column_peak: peak_of(level_dbm0),
            now: None,
        }
    }

    /// Puts a digit behind those that wait.
    pub fn press(&mut self, digit: DtmfDigit) {
        self.waiting.push_back(digit);
    }

    /// Whether all digits and the gap after the last are over.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.now.is_none() && self.waiting.is_empty()
    }

    /// The next samples; silence once idle. Returns how many were used by digits and their gaps.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        for (index, sample) in out.iter_mut().enumerate() {
            match self.step() {
                Some(value) => *sample = value,
                None => {
                    out[index..].fill(0);
                    return index;
                }
            }
        }
        out.len()
    }

    fn step(&mut self) -> Option<i16> {
        while self
            .now
            .as_ref()
            .is_none_or(|now| now.on_left == 0 && now.gap_left == 0)
        {
            self.now = None;
            let (row, column) = self.waiting.pop_front()?.frequencies_hz();
            self.now = Some(Sounding {
                row: Rotation::new(row),
                column: Rotation::new(column),
                on_left: self.on_samples,
                gap_left: self.gap_samples,
            });
        }
        let now = self.now.as_mut()?;
        if now.on_left == 0 {
            now.gap_left -= 1;
            return Some(0);
        }
        now.on_left -= 1;
        Some(to_sample(
            self.row_peak * now.row.step().1 + self.column_peak * now.column.step().1,
        ))
    }
}
