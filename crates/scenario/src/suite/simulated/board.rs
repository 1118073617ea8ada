//! What the pieces of a simulated run came to.

use std::collections::BTreeMap;
use std::time::Duration;

use callwright_capture::rules::Tally;
use callwright_events::{Failure, Outcome, Record};

use super::trial::Left;
use crate::simulated::Episode;

/// What one scenario came to with one seed.
pub(super) struct Piece {
    pub(super) outcome: Outcome,
    /// What it reported, where that is not told at once.
    pub(super) records: Vec<Record>,
    episodes: Vec<Episode>,
    duration: Duration,
    tally: Vec<Tally>,
    /// What went wrong around it, in the last attempt.
    pub(super) file_failure: Option<Box<Failure>>,
}

impl Default for Piece {
    fn default() -> Self {
        Piece {
            outcome: Outcome::Failed,
            records: Vec::new(),
            episodes: Vec::new(),
            duration: Duration::ZERO,
            tally: Vec::new(),
            file_failure: None,
        }
    }
}

impl Piece {
    /// One more attempt.
    pub(super) fn add(&mut self, left: Left) {
        self.duration += left.duration;
        self.episodes.extend(left.episode);
        self.file_failure = left.file_failure;
        add(&mut self.tally, &left.tally);
    }
}

fn add(sum: &mut Vec<Tally>, more: &[Tally]) {
    if sum.is_empty() {
        *sum = more.to_vec();
        return;
    }
    for (sum, more) in sum.iter_mut().zip(more) {
        sum.subjects += more.subjects;
        sum.excused += more.excused;
        sum.checks += more.checks;
    }
}

/// All pieces, by the number of the seed and the slot.
#[derive(Default)]
pub(super) struct Board {
    pieces: BTreeMap<(usize, usize), Piece>,
    first_failed: Option<usize>,
    ended: Vec<usize>,
    /// How many scenarios have given their packets.
    captured: usize,
}

impl Board {
    pub(super) fn add(&mut self, seed: usize, slot: usize, piece: Piece, failed: bool) {
        self.pieces.insert((seed, slot), piece);
        if failed {
            self.first_failed = Some(self.first_failed.map_or(seed, |first| first.min(seed)));
        }
    }

    /// The number of the first seed that fails, as far as is known.
    pub(super) fn first_failed(&self) -> Option<usize> {
        self.first_failed
    }

    /// Nobody is shown a seed that passes, but the first.
    pub(super) fn forget_if_fine(&mut self, seed: usize, slots: &[usize]) {
        let done = slots.iter().all(|slot| self.is_done(seed, *slot));
        let shown = self.first_failed.unwrap_or(0);
        if done && seed != 0 && seed != shown {
            for slot in slots {
                self.take(seed, *slot);
            }
        }
    }

    /// What is to be told of a piece, once.
    pub(super) fn take(&mut self, seed: usize, slot: usize) -> (Vec<Record>, Vec<Episode>) {
        let piece = self.pieces.get_mut(&(seed, slot));
        piece.map_or_else(Default::default, |piece| {
            (
                std::mem::take(&mut piece.records),
                std::mem::take(&mut piece.episodes),
            )
        })
    }

    /// The packets of those scenarios before which none is missing, once.
    pub(super) fn episodes_in_order(&mut self, slots: &[usize]) -> Vec<Episode> {
        let mut episodes = Vec::new();
        while let Some(slot) = slots.get(self.captured)
            && self.is_done(0, *slot)
        {
            episodes.extend(self.take(0, *slot).1);
            self.captured += 1;
        }
        episodes
    }

    /// Notes that a file is over; false when it was noted before.
    pub(super) fn ends(&mut self, file: usize) -> bool {
        let first = !self.ended.contains(&file);
        if first {
            self.ended.push(file);
        }
        first
    }

    pub(super) fn is_done(&self, seed: usize, slot: usize) -> bool {
        self.pieces.contains_key(&(seed, slot))
    }

    pub(super) fn outcome(&self, seed: usize, slot: usize) -> Option<Outcome> {
        Some(self.pieces.get(&(seed, slot))?.outcome)
    }

    pub(super) fn file_failed(&self, seed: usize, slot: usize) -> bool {
        let piece = self.pieces.get(&(seed, slot));
        piece.is_some_and(|piece| piece.file_failure.is_some())
    }

    /// What went wrong around the first of these.
    pub(super) fn file_failure(
        &self,
        seed: usize,
        mut slots: impl Iterator<Item = usize>,
    ) -> Option<Box<Failure>> {
        slots.find_map(|slot| self.pieces.get(&(seed, slot))?.file_failure.clone())
    }

    pub(super) fn duration(&self, seed: usize, slots: impl Iterator<Item = usize>) -> Duration {
        slots
            .filter_map(|slot| Some(self.pieces.get(&(seed, slot))?.duration))
            .sum()
    }

    /// How often each rule was looked at, up to this seed.
    pub(super) fn tally(&self, last: usize) -> Vec<Tally> {
        let mut sum = Vec::new();
        for piece in self.pieces.range(..=(last, usize::MAX)) {
            add(&mut sum, &piece.1.tally);
        }
        sum
    }
}
