//! Where numbers lead that are looked up for every packet.

use std::hash::Hash;

use crate::NumberMap;

/// The numbers of one chunk differ in so many low bits: few, since an owner may have no more than two.
const BITS: u32 = 6;
const CHUNK: usize = 1 << BITS;
const NOTHING: u32 = u32::MAX;

/// Places, by an owner and a number that the owner gave out: a map for numbers that are dense, as those of sockets are. A place
/// takes four octets beside its neighbours, so that thousands of them stay in the cache of a processor, where the entries of a
/// hash map do not.
#[derive(Debug)]
pub struct NumberTable<O> {
    chunks: NumberMap<(O, u32), Chunk>,
}

#[derive(Debug)]
struct Chunk {
    places: Box<[u32]>,
    used: usize,
}

impl<O> Default for NumberTable<O> {
    fn default() -> Self {
        NumberTable {
            chunks: NumberMap::default(),
        }
    }
}

impl<O: Copy + Eq + Hash> NumberTable<O> {
    /// Where a number leads.
    pub fn get(&self, owner: O, number: u32) -> Option<usize> {
        let chunk = self.chunks.get(&(owner, number >> BITS))?;
        let place = chunk.places[within(number)];
        (place != NOTHING).then_some(place as usize)
    }

    /// Lets a number lead to `place`, whatever it led to before.
    ///
    /// # Panics
    ///
    /// When `place` is no index of a collection that fits a computer: from 2^32 - 1 on.
    pub fn insert(&mut self, owner: O, number: u32, place: usize) {
        let place = u32::try_from(place).ok().filter(|place| *place != NOTHING);
        let chunk = self
            .chunks
            .entry((owner, number >> BITS))
            .or_insert_with(|| Chunk {
                places: vec![NOTHING; CHUNK].into_boxed_slice(),
                used: 0,
            });
        let entry = &mut chunk.places[within(number)];
        chunk.used += usize::from(*entry == NOTHING);
        *entry = place.expect("fewer than 2^32 - 1 places");
    }

    /// Forgets a number; nothing happens when it leads nowhere.
    pub fn remove(&mut self, owner: O, number: u32) {
        let key = (owner, number >> BITS);
        let Some(chunk) = self.chunks.get_mut(&key) else {
            return;
        };
        let entry = &mut chunk.places[within(number)];
        chunk.used -= usize::from(*entry != NOTHING);
        *entry = NOTHING;
        if chunk.used == 0 {
            self.chunks.remove(&key);
        }
    }
}

fn within(number: u32) -> usize {
    number as usize % CHUNK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_where_they_were_told_and_nowhere_else() {
        let mut table = NumberTable::default();
        for (owner, number, place) in [(0, 0, 7), (0, 63, 8), (0, 64, 9), (1, 0, 10), (1, u32::MAX, 0)] {
            table.insert(owner, number, place);
            assert_eq!(table.get(owner, number), Some(place));
        }
        assert_eq!(table.get(0, 0), Some(7));
        assert_eq!(table.get(0, 1), None);
        assert_eq!(table.get(2, 0), None);
        table.insert(0, 0, 11);
        assert_eq!(table.get(0, 0), Some(11));
        table.remove(0, 0);
        table.remove(0, 0);
        table.remove(3, 5);
        assert_eq!(table.get(0, 0), None);
        assert_eq!(table.get(0, 63), Some(8));
    }

    #[test]
    fn what_leads_nowhere_takes_no_room() {
        let mut table = NumberTable::default();
        for number in 0..10_000 {
            table.insert((), number, 1);
            table.remove((), number);
        }
        assert_eq!(table.chunks.len(), 0);
    }
}
