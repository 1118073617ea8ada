//! Recordings of a conversation: two tracks on one timeline, each from the session that is placed on it.
//!
//! A session stays what it is: packets that cross a bridge go on byte for byte, and are decoded beside that only while they are
//! recorded. What is recorded is handed over in pieces, and nothing of it is kept here.

mod clock;
mod timeline;

use std::collections::{BTreeSet, VecDeque};

use callwright_wire::Time;

use self::timeline::Timeline;
use crate::codec::Codec;
use crate::plane::SessionId;

/// Pieces that wait to be taken; what comes on top is [`Piece::Missing`]. With all of them full, 13 MB.
const LIMIT: usize = 2_048;

/// A recording, numbered by the plane. The generation tells it from one that had its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId {
    index: u32,
    generation: u32,
}

/// One side of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// The first of each pair of samples.
    Left,
    /// The second.
    Right,
}

impl Track {
    pub(crate) fn index(self) -> usize {
        match self {
            Track::Left => 0,
            Track::Right => 1,
        }
    }
}

/// A piece of a recording. Pieces follow each other without gaps: a frame is a sample of each track, 8,000 of them are a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Audio, interleaved: left, right, left, right, …
    Samples(Box<[i16]>),
    /// So many frames in which neither side said anything.
    Silence {
        /// How many.
        frames: u64,
    },
    /// So many frames were dropped, because pieces before them were not taken in time. In a file they are silence.
    Missing {
        /// How many.
        frames: u64,
    },
    /// The recording ended; nothing follows.
    End {
        /// How many frames it has in all, those that are missing included.
        frames: u64,
    },
}

/// All recordings of a plane.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    places: Vec<Place>,
    vacant: Vec<u32>,
    /// When each of them hands over next.
    due: BTreeSet<(Time, RecordingId)>,
    pieces: VecDeque<(RecordingId, Piece)>,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    recording: Option<Box<Recording>>,
}

#[derive(Debug)]
struct Recording {
    timeline: Timeline,
    sources: [Option<SessionId>; 2],
    outlet: Outlet,
    /// When it is to hand over, as [`Recordings::due`] has it.
    due: Time,
}

/// Where the pieces of one recording go.
#[derive(Debug, Default)]
struct Outlet {
    /// Frames that were dropped and not told of yet.
    missing: u64,
}

impl Outlet {
    fn put(&mut self, id: RecordingId, piece: Piece, pieces: &mut VecDeque<(RecordingId, Piece)>) {
        if pieces.len() >= LIMIT {
            self.missing += match piece {
                Piece::Samples(samples) => samples.len() as u64 / 2,
                Piece::Silence { frames } | Piece::Missing { frames } => frames,
                Piece::End { .. } => 0,
            };
            return;
        }
        self.tell_missing(id, pieces);
        pieces.push_back((id, piece));
    }

    fn tell_missing(&mut self, id: RecordingId, pieces: &mut VecDeque<(RecordingId, Piece)>) {
        let frames = std::mem::take(&mut self.missing);
        if frames > 0 {
            pieces.push_back((id, Piece::Missing { frames }));
        }
    }
}

impl Recordings {
    /// Begins one.
    pub(crate) fn begin(&mut self, now: Time) -> RecordingId {
        let recording = Box::new(Recording {
            timeline: Timeline::new(now),
            sources: [None; 2],
            outlet: Outlet::default(),
            due: now,
        });
        let id = match self.vacant.pop() {
            Some(index) => {
                let place = &mut self.places[index as usize];
                place.recording = Some(recording);
                RecordingId {
                    index,
                    generation: place.generation,
                }
            }
            None => {
                self.places.push(Place {
                    generation: 0,
                    recording: Some(recording),
                });
                RecordingId {
                    index: (self.places.len() - 1) as u32,
                    generation: 0,
                }
            }
        };
        self.schedule(id);
        id
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    pub(crate) fn is_open(&self, id: RecordingId) -> bool {
        self.places
            .get(id.index as usize)
            .is_some_and(|place| place.generation == id.generation && place.recording.is_some())
    }

    /// Puts a session on a track, and gives the one that was there.
    pub(crate) fn put(
        &mut self,
        id: RecordingId,
        track: Track,
        source: Option<SessionId>,
    ) -> Option<SessionId> {
        let recording = self.get_mut(id)?;
        recording.timeline.change_source(track);
        std::mem::replace(&mut recording.sources[track.index()], source)
    }

    /// A session that is on a track has another source from now on, whose timestamps have nothing to do with those before.
    pub(crate) fn restart(&mut self, (id, track): (RecordingId, Track)) {
        if let Some(recording) = self.get_mut(id) {
            recording.timeline.change_source(track);
        }
    }

    /// The sessions on both tracks.
    pub(crate) fn sources(&self, id: RecordingId) -> [Option<SessionId>; 2] {
        self.places
            .get(id.index as usize)
            .filter(|place| place.generation == id.generation)
            .and_then(|place| place.recording.as_ref())
            .map_or([None; 2], |recording| recording.sources)
    }

    /// Hears a payload of a session that is on a track.
    pub(crate) fn hear(
        &mut self,
        (id, track): (RecordingId, Track),
        arrived: Time,
        timestamp: u32,
        codec: Codec,
        payload: &[u8],
    ) {
        let pieces = &mut self.pieces;
        let place = self.places.get_mut(id.index as usize);
        let Some(recording) = place
            .filter(|place| place.generation == id.generation)
            .and_then(|place| place.recording.as_mut())
        else {
            return;
        };
        let outlet = &mut recording.outlet;
        // What came before makes room for it.
        recording
            .timeline
            .advance(arrived, |piece| outlet.put(id, piece, pieces));
        recording.timeline.hear(track, arrived, timestamp, codec, payload);
    }

    /// Hands over what is due at `now`.
    pub(crate) fn advance(&mut self, now: Time) {
        while let Some(&(at, id)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            let pieces = &mut self.pieces;
            if let Some(recording) = self.places[id.index as usize].recording.as_mut() {
                let outlet = &mut recording.outlet;
                recording
                    .timeline
                    .advance(now, |piece| outlet.put(id, piece, pieces));
                self.schedule(id);
            }
        }
    }

    /// When to hand over next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Ends one: it lasts until `now`, to the sample. Gives how many frames that were; `None` when it is not open.
    pub(crate) fn end(&mut self, now: Time, id: RecordingId) -> Option<u64> {
        let pieces = &mut self.pieces;
        let place = self.places.get_mut(id.index as usize)?;
        if place.generation != id.generation {
            return None;
        }
        let mut recording = place.recording.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.vacant.push(id.index);
        self.due.remove(&(recording.due, id));
        let outlet = &mut recording.outlet;
        let frames = recording
            .timeline
            .finish(now, |piece| outlet.put(id, piece, pieces));
        // An end is told however many wait: there is one for each recording.
        outlet.tell_missing(id, pieces);
        pieces.push_back((id, Piece::End { frames }));
        Some(frames)
    }

    /// The next piece.
    pub(crate) fn poll(&mut self) -> Option<(RecordingId, Piece)> {
        self.pieces.pop_front()
    }

    fn schedule(&mut self, id: RecordingId) {
        if let Some(recording) = self.get_mut(id) {
            let at = recording.timeline.next();
            recording.due = at;
            self.due.insert((at, id));
        }
    }

    fn get_mut(&mut self, id: RecordingId) -> Option<&mut Recording> {
        let place = self.places.get_mut(id.index as usize)?;
        place
            .recording
            .as_deref_mut()
            .filter(|_| place.generation == id.generation)
    }
}
