//! What is going to happen, in order of time, then of being put down.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use callwright_wire::Time;

use crate::PartyId;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next<D> {
    /// A deadline of a node.
    Wake(PartyId),
    /// Something else.
    Due(D),
}

/// One queue for all of a world.
///
/// Deadlines of nodes are moved with every packet, and so stand in a set of their own; both count in one sequence.
#[derive(Debug)]
pub(crate) struct Agenda<D> {
    heap: BinaryHeap<Reverse<(Time, u64, u32)>>,
    /// What the numbers in the heap stand for: sifting moves no packets.
    slots: Vec<Option<D>>,
    free: Vec<u32>,
    wakes: BTreeSet<(Time, u64, PartyId)>,
    /// The entry of each party in `wakes`.
    set: Vec<Option<(Time, u64)>>,
    sequence: u64,
}

impl<D> Default for Agenda<D> {
    fn default() -> Self {
        Agenda {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            wakes: BTreeSet::new(),
            set: Vec::new(),
            sequence: 0,
        }
    }
}

impl<D> Agenda<D> {
    /// `due` happens at `at`.
    pub(crate) fn put(&mut self, at: Time, due: D) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(due);
                slot
            }
            None => {
                self.slots.push(Some(due));
                (self.slots.len() - 1) as u32
            }
        };
        let sequence = self.count();
        self.heap.push(Reverse((at, sequence, slot)));
    }

    /// A node wants to be called at `at`, and no more at the time that it said before.
    pub(crate) fn set_wake(&mut self, party: PartyId, at: Option<Time>) {
        let index = party.0 as usize;
        if self.set.len() <= index {
            self.set.resize(index + 1, None);
        }
        let before = self.set[index];
        if before.map(|(at, _)| at) == at {
            return;
        }
        if let Some((at, sequence)) = before {
            self.wakes.remove(&(at, sequence, party));
        }
        self.set[index] = at.map(|at| (at, self.count()));
        if let Some((at, sequence)) = self.set[index] {
            self.wakes.insert((at, sequence, party));
        }
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Time> {
        let due = self.heap.peek().map(|Reverse((at, _, _))| *at);
        let wake = self.wakes.first().map(|(at, _, _)| *at);
        [due, wake].into_iter().flatten().min()
    }

    /// Takes what happens next.
    pub(crate) fn pop(&mut self) -> Option<Next<D>> {
        let due = self
            .heap
            .peek()
            .map(|Reverse((at, sequence, _))| (*at, *sequence));
        let wake = self.wakes.first().map(|(at, sequence, _)| (*at, *sequence));
        if wake.is_some_and(|wake| due.is_none_or(|due| wake < due)) {
            let (_, _, party) = self.wakes.pop_first()?;
            self.set[party.0 as usize] = None;
            return Some(Next::Wake(party));
        }
        let Reverse((_, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        self.slots[slot as usize].take().map(Next::Due)
    }

    /// How many things are put down, deadlines of nodes aside.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    fn count(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(agenda: &mut Agenda<&'static str>) -> Vec<String> {
        std::iter::from_fn(|| agenda.pop())
            .map(|next| match next {
                Next::Wake(party) => format!("party {}", party.0),
                Next::Due(due) => due.to_owned(),
            })
            .collect()
    }

    #[test]
    fn of_one_instant_what_was_put_down_first_comes_first() {
        let mut agenda = Agenda::default();
        let at = Time::from_millis(5);
        agenda.put(at, "first");
        agenda.set_wake(PartyId(7), Some(at));
        agenda.put(at, "third");
        agenda.put(Time::from_millis(4), "before all");
        assert_eq!(order(&mut agenda), ["before all", "first", "party 7", "third"]);
    }

    #[test]
    fn a_deadline_that_moves_is_not_kept_twice() {
        let mut agenda = Agenda::<&str>::default();
        agenda.set_wake(PartyId(0), Some(Time::from_millis(5)));
        agenda.set_wake(PartyId(0), Some(Time::from_millis(9)));
        assert_eq!(agenda.next(), Some(Time::from_millis(9)));
        agenda.set_wake(PartyId(0), None);
        assert_eq!(agenda.next(), None);
    }

    #[test]
    fn a_deadline_that_is_said_again_keeps_its_place() {
        let mut agenda = Agenda::default();
        let at = Time::from_millis(5);
        agenda.set_wake(PartyId(0), Some(at));
        agenda.put(at, "later");
        agenda.set_wake(PartyId(0), Some(at));
        assert_eq!(order(&mut agenda), ["party 0", "later"]);
    }
}
