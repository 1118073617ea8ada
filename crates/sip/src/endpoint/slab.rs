//! Places for things with a handle: reused, and told apart by generation.

use std::fmt;
use std::marker::PhantomData;

use super::id::Handle;

/// Things of one kind, each found by its handle. A handle of something that is gone finds nothing.
pub(crate) struct Slab<H, T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    handles: PhantomData<H>,
}

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<H, T> Default for Slab<H, T> {
    fn default() -> Self {
        Slab {
            places: Vec::new(),
            free: Vec::new(),
            handles: PhantomData,
        }
    }
}

impl<H, T> fmt::Debug for Slab<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab")
            .field("places", &self.places.len())
            .field("free", &self.free.len())
            .finish()
    }
}

impl<H: Handle, T> Slab<H, T> {
    /// Puts `value` into a free place.
    pub(crate) fn insert(&mut self, value: T) -> H {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                value: None,
            });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.value = Some(value);
        H::new(index, place.generation)
    }

    /// Puts what `make` makes, which learns its handle before it is there; nothing when it makes none.
    pub(crate) fn try_insert_with(&mut self, make: impl FnOnce(H) -> Option<T>) -> Option<H> {
        let index = self.free.last().copied().unwrap_or(self.places.len() as u32);
        let generation = self
            .places
            .get(index as usize)
            .map_or(0, |place| place.generation);
        let value = make(H::new(index, generation))?;
        Some(self.insert(value))
    }

    /// Takes it out; its handle finds nothing from now on.
    pub(crate) fn remove(&mut self, handle: H) -> Option<T> {
        let (index, generation) = handle.parts();
        let place = self
            .places
            .get_mut(index as usize)
            .filter(|place| place.generation == generation)?;
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        Some(value)
    }

    pub(crate) fn get(&self, handle: H) -> Option<&T> {
        let (index, generation) = handle.parts();
        self.places
            .get(index as usize)
            .filter(|place| place.generation == generation)?
            .value
            .as_ref()
    }

    pub(crate) fn get_mut(&mut self, handle: H) -> Option<&mut T> {
        let (index, generation) = handle.parts();
        self.places
            .get_mut(index as usize)
            .filter(|place| place.generation == generation)?
            .value
            .as_mut()
    }

    /// All that are there, in order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (H, &T)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            place
                .value
                .as_ref()
                .map(|value| (H::new(index as u32, place.generation), value))
        })
    }

    /// How many are there.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
