//! Slots with generations: ids stay small integers, and an id of something gone never names its successor.

/// Where a value lies, and which of the values that lay there it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Values by [`Slot`]; iterated in the order of their index.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Arena<T> {
    pub(crate) fn insert(&mut self, value: T) -> Slot {
        if let Some(index) = self.free.pop() {
            let (generation, place) = &mut self.slots[index as usize];
            *generation = generation.wrapping_add(1);
            *place = Some(value);
            return Slot {
                index,
                generation: *generation,
            };
        }
        self.slots.push((0, Some(value)));
        Slot {
            index: (self.slots.len() - 1) as u32,
            generation: 0,
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        match self.slots.get(slot.index as usize) {
            Some((generation, Some(value))) if *generation == slot.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.slots.get_mut(slot.index as usize) {
            Some((generation, Some(value))) if *generation == slot.generation => Some(value),
            _ => None,
        }
    }

    /// Whatever lies at `index` now.
    pub(crate) fn at_index(&self, index: u32) -> Option<(Slot, &T)> {
        let (generation, value) = self.slots.get(index as usize)?;
        value.as_ref().map(|value| {
            (
                Slot {
                    index,
                    generation: *generation,
                },
                value,
            )
        })
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        self.get(slot)?;
        self.free.push(slot.index);
        self.slots[slot.index as usize].1.take()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, (generation, value))| {
                let slot = Slot {
                    index: index as u32,
                    generation: *generation,
                };
                value.as_ref().map(|value| (slot, value))
            })
    }
}
