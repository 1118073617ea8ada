//! The members of a queue that are free, in the order of its strategy.

use std::collections::BTreeSet;

use callwright_wire::Entropy;

use crate::config::Strategy;

/// Positions of members. What is small comes first: a score by the strategy, then the position itself.
#[derive(Debug)]
pub(super) struct Free {
    strategy: Strategy,
    /// Score and position; where any will do, in no order.
    scored: BTreeSet<(u64, u32)>,
    /// The same as a list, where any will do.
    list: Vec<u32>,
    /// Where in the list each position is.
    places: Vec<Option<u32>>,
    /// Who was presented a call last.
    last: Option<u32>,
}

impl Free {
    pub(super) fn new(strategy: Strategy) -> Free {
        Free {
            strategy,
            scored: BTreeSet::new(),
            list: Vec::new(),
            places: Vec::new(),
            last: None,
        }
    }

    pub(super) fn insert(&mut self, score: u64, position: u32) {
        if self.strategy != Strategy::Random {
            self.scored.insert((score, position));
            return;
        }
        let index = position as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some(self.list.len() as u32);
        self.list.push(position);
    }

    pub(super) fn remove(&mut self, score: u64, position: u32) {
        if self.strategy != Strategy::Random {
            self.scored.remove(&(score, position));
            return;
        }
        let Some(place) = self.places.get_mut(position as usize).and_then(Option::take) else {
            return;
        };
        self.list.swap_remove(place as usize);
        if let Some(moved) = self.list.get(place as usize) {
            self.places[*moved as usize] = Some(place);
        }
    }

    /// Somebody was presented a call: the next one in turn stands behind.
    pub(super) fn follow(&mut self, position: Option<u32>) {
        self.last = position.or(self.last);
    }

    pub(super) fn len(&self) -> usize {
        self.scored.len() + self.list.len()
    }

    /// All of them, where the strategy has an order; none with [`Strategy::Random`].
    pub(super) fn in_order(&self) -> impl Iterator<Item = u32> {
        self.scored.iter().map(|(_, position)| *position)
    }

    /// The first whose turn it is, of those that `takes` lets through.
    pub(super) fn first(&self, takes: impl Fn(u32) -> bool, entropy: &mut Entropy) -> Option<u32> {
        let fits = |position: &u32| takes(*position);
        match self.strategy {
            Strategy::RoundRobin => {
                let after = self.last.map_or(0, |last| last.saturating_add(1));
                let behind = self.scored.range((0, after)..);
                let before = self.scored.range(..(0, after));
                behind.chain(before).map(|(_, position)| *position).find(fits)
            }
            Strategy::Random => {
                let length = self.list.len();
                if length == 0 {
                    return None;
                }
                let start = entropy.below(length as u64) as usize;
                let around = self.list[start..].iter().chain(&self.list[..start]);
                around.copied().find(fits)
            }
            Strategy::LongestIdle
            | Strategy::FewestCalls
            | Strategy::LeastTalkTime
            | Strategy::Linear
            | Strategy::RingAll => self.in_order().find(fits),
        }
    }
}
