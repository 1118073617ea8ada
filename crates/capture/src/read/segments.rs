//! Segments of TCP, put in order (RFC 9293 §3.4): what came again is left out, what is missing is waited for.
//!
//! What a capture has not it never will have. A hole is passed over when its bytes were acknowledged a while ago, when it is old, or
//! when more waits behind it than may; whoever reads the stream is told, and begins anew behind it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use callwright_wire::Time;

use super::link::Segment;

/// From a source to a destination.
pub(crate) type Way = (SocketAddr, SocketAddr);

/// Packets of two interfaces may be in the file in another order than on the wire by this much.
const DISORDER: Duration = Duration::from_millis(200);
/// A hole is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A sequence number farther ahead than any window belongs to another connection.
const FARTHEST: u64 = 1 << 28;
/// What a segment that waits costs beside its bytes.
const OVERHEAD: usize = 64;

/// What becomes of a direction of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery<'a> {
    /// It begins here.
    Start,
    /// It began before the capture, or nothing is known of what was before.
    Midway,
    /// The next bytes.
    Bytes(&'a [u8]),
    /// So many bytes are missing here.
    Missing(u64),
}

/// Every direction of every connection.
#[derive(Debug)]
pub(crate) struct Segments {
    open: BTreeMap<Way, Direction>,
    /// By the time of their last segment.
    order: BTreeMap<u64, Way>,
    stamp: u64,
    limit: usize,
    waiting_limit: usize,
    /// Directions forgotten for newer ones.
    pub(crate) forgotten: u64,
}

#[derive(Debug)]
struct Direction {
    stamp: u64,
    /// The next sequence number.
    next: u32,
    /// The sequence number of the first byte.
    first: u32,
    /// How many bytes were delivered or passed over.
    position: u64,
    /// What came too early, and when, by its position.
    waiting: BTreeMap<u64, (Time, Vec<u8>)>,
    waiting_bytes: usize,
}

impl Segments {
    pub(crate) fn new(limit: usize, waiting_limit: usize) -> Self {
        Segments {
            open: BTreeMap::new(),
            order: BTreeMap::new(),
            stamp: 0,
            limit,
            waiting_limit,
            forgotten: 0,
        }
    }

    /// Takes a segment. What it brings goes to `deliver`, with the way that it belongs to: an acknowledgement may end the waiting
    /// in the other direction.
    pub(crate) fn take(
        &mut self,
        now: Time,
        way: Way,
        segment: &Segment<'_>,
        deliver: &mut impl FnMut(Way, Delivery<'_>),
    ) {
        if let Some(acknowledged) = segment.acknowledged {
            let back = (way.1, way.0);
            if let Some(direction) = self.open.get_mut(&back) {
                direction.acknowledged(now, back, acknowledged, deliver);
            }
        }
        if segment.payload.is_empty() && !segment.syn {
            return;
        }
        let first = segment.sequence.wrapping_add(u32::from(segment.syn));
        let known = self
            .open
            .get(&way)
            .is_some_and(|direction| direction.belongs(segment, first));
        if !known {
            self.begin(way, first);
            deliver(
                way,
                if segment.syn {
                    Delivery::Start
                } else {
                    Delivery::Midway
                },
            );
        }
        self.touch(way);
        if let Some(direction) = self.open.get_mut(&way) {
            direction.take(now, way, first, segment.payload, self.waiting_limit, deliver);
        }
    }

    /// Nothing more comes: what waits is handed out.
    pub(crate) fn finish(&mut self, deliver: &mut impl FnMut(Way, Delivery<'_>)) {
        for (way, direction) in &mut self.open {
            while !direction.waiting.is_empty() {
                direction.pass_over(*way, deliver);
            }
        }
        self.open.clear();
        self.order.clear();
    }

    fn begin(&mut self, way: Way, first: u32) {
        if let Some(before) = self.open.remove(&way) {
            self.order.remove(&before.stamp);
        }
        if self.open.len() >= self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.open.remove(&oldest);
            self.forgotten += 1;
        }
        self.open.insert(
            way,
            Direction {
                stamp: 0,
                next: first,
                first,
                position: 0,
                waiting: BTreeMap::new(),
                waiting_bytes: 0,
            },
        );
    }

    fn touch(&mut self, way: Way) {
        if let Some(direction) = self.open.get_mut(&way) {
            self.order.remove(&direction.stamp);
            self.stamp += 1;
            direction.stamp = self.stamp;
            self.order.insert(self.stamp, way);
        }
    }
}

impl Direction {
    /// Whether a segment is one of this connection, not of a later one with the same addresses.
    fn belongs(&self, segment: &Segment<'_>, first: u32) -> bool {
        if segment.syn {
            return first == self.first;
        }
        let ahead = i64::from(first.wrapping_sub(self.next).cast_signed());
        ahead.unsigned_abs() < FARTHEST
    }

    fn take(
        &mut self,
        now: Time,
        way: Way,
        first: u32,
        bytes: &[u8],
        waiting_limit: usize,
        deliver: &mut impl FnMut(Way, Delivery<'_>),
    ) {
        let ahead = first.wrapping_sub(self.next).cast_signed();
        let Ok(ahead) = u64::try_from(ahead) else {
            // RFC 9293 §3.10.7.4: "any portion of the segment that is outside of the window" on the left came before.
            let old = ahead.unsigned_abs() as usize;
            if let Some(new) = bytes.get(old..) {
                self.deliver(way, new, deliver);
            }
            self.drain(way, deliver);
            return;
        };
        if ahead == 0 {
            self.deliver(way, bytes, deliver);
            self.drain(way, deliver);
            return;
        }
        if bytes.is_empty() {
            return;
        }
        let at = self.position + ahead;
        let before = self.waiting.get(&at).map(|(since, held)| (*since, held.len()));
        if before.is_none_or(|(_, length)| length < bytes.len()) {
            let since = before.map_or(now, |(since, _)| since);
            self.waiting.insert(at, (since, bytes.to_vec()));
            self.waiting_bytes -= before.map_or(0, |(_, length)| length + OVERHEAD);
            self.waiting_bytes += bytes.len() + OVERHEAD;
        }
        if self.hole().is_some_and(|(since, _)| since + PATIENCE < now) {
            self.pass_over(way, deliver);
        }
        while self.waiting_bytes > waiting_limit {
            self.pass_over(way, deliver);
        }
    }

    /// The other side has everything before this number.
    fn acknowledged(
        &mut self,
        now: Time,
        way: Way,
        number: u32,
        deliver: &mut impl FnMut(Way, Delivery<'_>),
    ) {
        while let Some((since, first)) = self.hole()
            && since + DISORDER < now
            && u64::try_from(number.wrapping_sub(self.next).cast_signed())
                .is_ok_and(|acknowledged| self.position + acknowledged >= first)
        {
            self.pass_over(way, deliver);
        }
    }

    /// Since when something is missing, and where what waits for it begins.
    fn hole(&self) -> Option<(Time, u64)> {
        self.waiting
            .first_key_value()
            .map(|(at, (since, _))| (*since, *at))
    }

    /// Gives up on what is missing before the first piece that waits.
    fn pass_over(&mut self, way: Way, deliver: &mut impl FnMut(Way, Delivery<'_>)) {
        let Some(first) = self.waiting.keys().next().copied() else {
            return;
        };
        let missing = first.saturating_sub(self.position);
        if missing > 0 {
            deliver(way, Delivery::Missing(missing));
            self.advance(missing);
        }
        self.drain(way, deliver);
    }

    fn drain(&mut self, way: Way, deliver: &mut impl FnMut(Way, Delivery<'_>)) {
        while let Some((at, (since, bytes))) = self.waiting.pop_first() {
            if at > self.position {
                self.waiting.insert(at, (since, bytes));
                return;
            }
            self.waiting_bytes -= bytes.len() + OVERHEAD;
            let old = usize::try_from(self.position - at).unwrap_or(usize::MAX);
            if let Some(new) = bytes.get(old..) {
                self.deliver(way, new, deliver);
            }
        }
    }

    fn deliver(&mut self, way: Way, bytes: &[u8], deliver: &mut impl FnMut(Way, Delivery<'_>)) {
        if !bytes.is_empty() {
            deliver(way, Delivery::Bytes(bytes));
            self.advance(bytes.len() as u64);
        }
    }

    fn advance(&mut self, count: u64) {
        self.position += count;
        self.next = self.next.wrapping_add(count as u32);
    }
}
