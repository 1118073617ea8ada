//! Where the packets of one source stand on a timeline.
//!
//! Their distances are those of their timestamps, so that jitter moves nothing and what is lost leaves its room; where all of
//! them stand is told by their arrival.

/// A packet is not placed farther than this behind the moment at which it arrived: 20 ms. Nothing arrives before it is said.
const AHEAD: i64 = 160;
/// When all packets of a while come later than this after their place, the clock of their sender is slow: 20 ms.
const SLACK: i64 = 160;
/// So many packets are a while: a second, usually.
const WHILE: u32 = 50;
/// When packets come too late for their place for as long as this, their sender has set its clock back: 200 ms.
const PATIENCE: i64 = 1_600;

/// The clock of one source. All positions are frames of the timeline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// A timestamp and its place.
    anchor: Option<(u32, i64)>,
    /// The shortest time by which a packet of this while came after its place, and how many there were.
    least: i64,
    counted: u32,
    /// Since when they come too late.
    late_since: Option<i64>,
}

impl Clock {
    /// The place of a packet that arrived at `arrived`; `None` when that was handed over already, up to `earliest`.
    pub(super) fn place(&mut self, timestamp: u32, arrived: i64, earliest: i64) -> Option<i64> {
        let told = self
            .anchor
            .map(|(before, at)| at + i64::from(timestamp.wrapping_sub(before).cast_signed()));
        let at = match told {
            Some(at) if at < earliest => {
                let since = *self.late_since.get_or_insert(arrived);
                if arrived - since < PATIENCE {
                    return None;
                }
                self.begin(arrived)
            }
            Some(at) if at <= arrived + AHEAD => at,
            Some(_) | None => self.begin(arrived),
        };
        self.late_since = None;
        self.anchor = Some((timestamp, at));
        self.follow(arrived - at);
        Some(at)
    }

    fn begin(&mut self, arrived: i64) -> i64 {
        (self.least, self.counted) = (i64::MAX, 0);
        arrived
    }

    /// Goes after a sender whose clock is slower than ours.
    fn follow(&mut self, behind: i64) {
        self.least = self.least.min(behind);
        self.counted += 1;
        if self.counted < WHILE {
            return;
        }
        if self.least > SLACK
            && let Some((_, at)) = &mut self.anchor
        {
            *at += self.least;
        }
        (self.least, self.counted) = (i64::MAX, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places packets of 20 ms, the first of which arrives at 1,000, each with its delay in frames.
    fn placed(delays: impl IntoIterator<Item = i64>) -> Vec<Option<i64>> {
        let mut clock = Clock::default();
        let times = delays.into_iter().zip(0u32..);
        times
            .map(|(delay, index)| {
                let timestamp = u32::MAX.wrapping_add(160 * index);
                let arrived = 1_000 + 160 * i64::from(index) + delay;
                clock.place(timestamp, arrived, arrived - 3_200)
            })
            .collect()
    }

    #[test]
    fn jitter_moves_nothing() {
        let places = placed([0, 300, 40, 700, 0, 20]);
        let expected: Vec<_> = (0..6).map(|index| Some(1_000 + 160 * index)).collect();
        assert_eq!(places, expected);
    }

    #[test]
    fn a_first_packet_that_was_late_holds_nobody_back() {
        let places = placed([400, 0, 0, 0]);
        assert_eq!(places, [Some(1_400), Some(1_160), Some(1_320), Some(1_480)]);
    }

    #[test]
    fn what_comes_after_its_place_was_handed_over_is_not_placed_and_spoils_nothing() {
        // A line that stood still for a second, then everything at once.
        let delays = (0..60).map(|index| if index < 50 { (50 - index) * 160 } else { 0 });
        let places = placed([0].into_iter().chain(delays.map(|delay| delay.min(8_000))));
        for (index, place) in places.iter().enumerate() {
            let expected = 1_000 + 160 * index as i64;
            assert!(place.is_none() || *place == Some(expected), "{index}: {place:?}");
        }
        assert!(places[35..].iter().all(Option::is_some));
        assert!(places[1..29].iter().all(Option::is_none));
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed_after_a_while() {
        let mut clock = Clock::default();
        clock.place(1_000_000, 0, -3_200);
        let places: Vec<_> = (1..20)
            .map(|index| clock.place(160 * index as u32, 160 * index, 160 * index - 3_200))
            .collect();
        assert!(places[..10].iter().all(Option::is_none));
        assert_eq!(
            places[10..],
            (11..20).map(|index| Some(160 * index)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_not_believed() {
        let mut clock = Clock::default();
        clock.place(0, 0, -3_200);
        assert_eq!(clock.place(1_000_000, 160, -3_040), Some(160));
        assert_eq!(clock.place(1_000_160, 320, -2_880), Some(320));
    }

    #[test]
    fn clocks_that_are_fast_or_slow_are_followed() {
        for error in [-1i64, 1] {
            let mut clock = Clock::default();
            let mut worst = 0;
            // Half an hour with 1 in 8,000 too fast or too slow.
            for index in 0..90_000i64 {
                let arrived = 160 * index;
                let timestamp = (arrived + error * arrived / 8_000) as u32;
                let at = clock.place(timestamp, arrived, arrived - 3_200).expect("in time");
                worst = worst.max((at - arrived).abs());
            }
            assert!(worst <= 170, "{worst}");
        }
    }
}
