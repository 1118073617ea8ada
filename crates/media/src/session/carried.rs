//! How a stream that crosses a bridge is numbered where it leaves.
//!
//! To the one who receives it, a session is one source whatever is behind it: its SSRC stays when the bridge leads elsewhere,
//! or when the session plays something itself. Sequence numbers and timestamps are those that came in, moved by as much as
//! makes the stream go on: a packet that was lost, late or doubled on one side is so on the other, and can be measured there.

/// A step of the sequence number beyond this begins a new stream (RFC 3550 §A.1, MAX_DROPOUT).
const LONGEST_STEP: i16 = 3_000;

/// The stream that crosses now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    ssrc: u32,
    sequence_shift: u16,
    timestamp_shift: u32,
    /// The highest sequence number that left.
    highest: u16,
}

/// Where a packet stands in the outgoing stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// It begins a stream.
    pub(crate) first: bool,
}

impl Carried {
    /// Gives a packet its place, with `sequence` and `timestamp` for one that begins a stream.
    pub(crate) fn place(
        carried: &mut Option<Carried>,
        received: (u32, u16, u32),
        sequence: u16,
        timestamp: u32,
    ) -> Place {
        let (ssrc, received_sequence, received_timestamp) = received;
        if let Some(stream) = carried.as_mut().filter(|stream| stream.ssrc == ssrc) {
            let moved = received_sequence.wrapping_add(stream.sequence_shift);
            let step = moved.wrapping_sub(stream.highest).cast_signed();
            if step.unsigned_abs() <= LONGEST_STEP.unsigned_abs() {
                if step > 0 {
                    stream.highest = moved;
                }
                return Place {
                    sequence: moved,
                    timestamp: received_timestamp.wrapping_add(stream.timestamp_shift),
                    first: false,
                };
            }
        }
        *carried = Some(Carried {
            ssrc,
            sequence_shift: sequence.wrapping_sub(received_sequence),
            timestamp_shift: timestamp.wrapping_sub(received_timestamp),
            highest: sequence,
        });
        Place {
            sequence,
            timestamp,
            first: true,
        }
    }

    /// The sequence number after the highest that left.
    pub(crate) fn next_sequence(&self) -> u16 {
        self.highest.wrapping_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(carried: &mut Option<Carried>, ssrc: u32, sequence: u16, timestamp: u32) -> (u16, u32, bool) {
        let next = carried.as_ref().map_or(100, Carried::next_sequence);
        let place = Carried::place(carried, (ssrc, sequence, timestamp), next, 5_000);
        (place.sequence, place.timestamp, place.first)
    }

    #[test]
    fn a_stream_keeps_its_gaps_doubles_and_disorder() {
        let mut carried = None;
        assert_eq!(place(&mut carried, 1, 65_534, 160), (100, 5_000, true));
        assert_eq!(place(&mut carried, 1, 1, 640), (103, 5_480, false));
        assert_eq!(place(&mut carried, 1, 0, 480), (102, 5_320, false));
        assert_eq!(place(&mut carried, 1, 0, 480), (102, 5_320, false));
        assert_eq!(carried.map(|stream| stream.next_sequence()), Some(104));
    }

    #[test]
    fn another_source_and_a_leap_go_on_where_the_stream_was() {
        let mut carried = None;
        place(&mut carried, 1, 7, 0);
        assert_eq!(place(&mut carried, 2, 900, 77), (101, 5_000, true));
        assert_eq!(place(&mut carried, 2, 3_901, 77), (102, 5_000, true));
        assert_eq!(place(&mut carried, 2, 6_901, 237), (3_102, 5_160, false));
    }
}
