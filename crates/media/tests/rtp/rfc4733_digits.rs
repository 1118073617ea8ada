//! RFC 4733: each digit exactly once, for every pattern of loss that leaves one packet of it.

use callwright_media::jitter::{Heard, Playout, Put};
use callwright_media::telephone_event::{
    EventPacket, EventPayload, EventReceiver, EventSender, digit_of, event_of,
};
use callwright_wire::Time;
use proptest::prelude::*;

/// The packets of one digit of 100 ms, sent every 20 ms.
fn packets_of(digit: char, timestamp: u32) -> Vec<EventPacket> {
    let event = event_of(digit).expect("a digit");
    let mut sender = EventSender::new(event, timestamp, 800, 8_000);
    (0..10).filter_map(|_| sender.interval(160)).collect()
}

/// The packets of digits with pauses of 100 ms, in order.
fn burst(digits: &str) -> Vec<(usize, EventPacket)> {
    let starts = (0u32..).map(|number| 0xffff_f000u32.wrapping_add(number * 1_600));
    let digits = digits.chars().zip(starts).enumerate();
    digits
        .flat_map(|(number, (digit, start))| {
            packets_of(digit, start)
                .into_iter()
                .map(move |packet| (number, packet))
        })
        .collect()
}

/// Hears packets in the given order, 20 ms apart, and then silence.
fn receive<'a>(packets: impl IntoIterator<Item = &'a EventPacket>) -> String {
    let mut receiver = EventReceiver::default();
    let mut digits = String::new();
    let mut now = Time::ZERO;
    for packet in packets {
        now += std::time::Duration::from_millis(20);
        receiver.expire(now, |completed| digits.push(completed.digit));
        receiver.packet(now, packet.timestamp, packet.payload, |completed| {
            digits.push(completed.digit)
        });
    }
    receiver.expire(now + std::time::Duration::from_secs(1), |completed| {
        digits.push(completed.digit)
    });
    assert_eq!(receiver.deadline(), None);
    digits
}

#[test]
fn a_digit_of_100_ms_is_five_packets() {
    let packets = packets_of('5', 7);
    assert_eq!(packets.len(), 5);
    let told: Vec<(u16, bool, bool)> = packets
        .iter()
        .map(|packet| (packet.payload.duration, packet.payload.end, packet.marker))
        .collect();
    assert_eq!(
        told,
        [
            (160, false, true),
            (480, false, false),
            (800, true, false),
            (800, true, false),
            (800, true, false)
        ]
    );
}

#[test]
fn updates_are_never_more_than_50_ms_apart_and_need_no_more_packets_than_that() {
    for (ptime, ticks) in [(10u32, 80u32), (20, 160), (30, 240), (40, 320), (60, 480)] {
        let mut sender = EventSender::new(1, 0, 8_000, 8_000);
        let sent: Vec<u32> = (1..=1_000 / ptime)
            .filter(|_| sender.interval(ticks).is_some())
            .collect();
        let most = sent.windows(2).map(|pair| (pair[1] - pair[0]) * ptime).max();
        assert!(most <= Some(50.max(ptime)), "{ptime} ms: {most:?}");
        assert_eq!(sent.first(), Some(&1), "the first packet goes at once");
    }
}

#[test]
fn every_loss_pattern_of_three_equal_digits_leaves_three_digits() {
    let packets = burst("111");
    assert_eq!(packets.len(), 15);
    for pattern in 0u32..1 << 15 {
        let arrives = |index: usize| pattern & 1 << index != 0;
        if (0..3).any(|digit| !(0..5).any(|packet| arrives(digit * 5 + packet))) {
            continue;
        }
        let left = packets.iter().enumerate().filter(|(index, _)| arrives(*index));
        assert_eq!(
            receive(left.map(|(_, (_, packet))| packet)),
            "111",
            "{pattern:015b}"
        );
    }
}

#[test]
fn every_order_and_every_loss_of_two_digits_still_gives_each_once() {
    // Four packets of two digits in all 24 orders of all 15 subsets, each packet once or twice.
    let all = burst("12");
    let chosen = [all[0].1, all[2].1, all[5].1, all[7].1];
    let digit_of_packet = ['1', '1', '2', '2'];
    for order in permutations(4) {
        for pattern in 0u32..1 << 8 {
            let copies = |index: usize| (pattern >> (2 * index) & 1) + (pattern >> (2 * index + 1) & 1);
            let arriving: Vec<&EventPacket> = order
                .iter()
                .flat_map(|&index| std::iter::repeat_n(&chosen[index], copies(index) as usize))
                .collect();
            let mut expected: Vec<char> = (0..4)
                .filter(|&index| copies(index) > 0)
                .map(|index| digit_of_packet[index])
                .collect();
            expected.dedup();
            let mut received: Vec<char> = receive(arriving).chars().collect();
            received.sort_unstable();
            assert_eq!(received, expected, "{order:?} {pattern:08b}");
        }
    }
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    permutations(count - 1)
        .into_iter()
        .flat_map(|shorter| {
            (0..count).map(move |at| {
                let mut longer = shorter.clone();
                longer.insert(at, count - 1);
                longer
            })
        })
        .collect()
}

#[test]
fn every_segment_of_a_long_event_alone_is_one_digit() {
    let mut sender = EventSender::new(11, 500, 200_000, 8_000);
    let packets: Vec<EventPacket> = (0..1_300).filter_map(|_| sender.interval(160)).collect();
    assert!(sender.is_done());
    let segments: Vec<u32> = {
        let mut starts: Vec<u32> = packets.iter().map(|packet| packet.timestamp).collect();
        starts.dedup();
        starts
    };
    assert_eq!(segments, [500, 66_035, 131_570, 197_105]);
    assert_eq!(receive(&packets), "#");
    // Without the ends of segments, without every second packet, with all doubled.
    assert_eq!(
        receive(
            packets
                .iter()
                .filter(|packet| packet.payload.duration != u16::MAX)
        ),
        "#"
    );
    assert_eq!(receive(packets.iter().step_by(2)), "#");
    assert_eq!(receive(packets.iter().flat_map(|packet| [packet, packet])), "#");
    assert_eq!(packets.iter().filter(|packet| packet.marker).count(), 1);
}

/// The packets of one event, each with the milliseconds at which it is sent.
fn timed(digit: char, timestamp: u32, ticks: u64, from_ms: u64) -> Vec<(u64, EventPacket)> {
    let event = event_of(digit).expect("a digit");
    let mut sender = EventSender::new(event, timestamp, ticks, 8_000);
    let mut packets = Vec::new();
    for interval in 1.. {
        packets.extend(
            sender
                .interval(160)
                .map(|packet| (from_ms + interval * 20, packet)),
        );
        if sender.is_done() {
            break;
        }
    }
    packets
}

/// Hears packets at their times, whatever their order, and then silence.
fn receive_at(mut packets: Vec<(u64, EventPacket)>) -> String {
    packets.sort_by_key(|(at, _)| *at);
    let mut receiver = EventReceiver::default();
    let mut digits = String::new();
    for (at, packet) in packets {
        let now = Time::from_millis(at);
        receiver.expire(now, |completed| digits.push(completed.digit));
        receiver.packet(now, packet.timestamp, packet.payload, |completed| {
            digits.push(completed.digit)
        });
    }
    receiver.expire(Time::from_secs(10_000), |completed| digits.push(completed.digit));
    digits
}

#[test]
fn a_late_packet_of_a_segment_before_is_of_the_same_event() {
    for late in [20, 100, 300, 9_000] {
        let mut packets = timed('5', 500, 160_000, 0);
        for (at, packet) in &mut packets {
            // The last update of the first segment, and one in the middle of the second.
            let into = (packet.timestamp, packet.payload.duration);
            if into.0 == 500 && into.1 > 65_000 || into.0 == 66_035 && (30_000..31_000).contains(&into.1) {
                *at += late;
            }
        }
        assert_eq!(receive_at(packets), "5", "{late} ms late");
    }
}

#[test]
fn the_first_segment_may_come_after_the_second() {
    for end in [90_000, 160_000] {
        let packets = timed('5', 500, end, 0);
        let first = *packets.first().expect("packets");
        let mut later: Vec<_> = packets
            .into_iter()
            .filter(|(_, packet)| packet.timestamp != 500)
            .collect();
        let (begin, last) = (later[0].0, later.last().expect("packets").0);
        for at in [begin + 1, last + 1, last + 1_000] {
            later.push((at, first.1));
            assert_eq!(receive_at(later.clone()), "5", "{end} ticks, {at} ms");
            later.pop();
        }
    }
}

#[test]
fn outages_within_a_long_event_make_no_second_digit() {
    let packets = timed('5', 500, 200_000, 0);
    for outage in [250, 1_000, 8_500, 17_000] {
        for from in (0..25_000).step_by(500) {
            let is_left = |(at, _): &&(u64, EventPacket)| !(from..from + outage).contains(at);
            let left: Vec<_> = packets.iter().filter(is_left).copied().collect();
            assert_eq!(receive_at(left), "5", "{outage} ms from {from} ms on");
        }
    }
}

#[test]
fn two_digits_a_segment_apart_are_two() {
    let first = timed('5', 500, 800, 0);
    for distance in [65_535u32, 2 * 65_535] {
        let second = timed('5', 500 + distance, 800, u64::from(distance) / 8);
        let both: Vec<_> = first.iter().chain(&second).copied().collect();
        assert_eq!(receive_at(both.clone()), "55");
        // The end of the first comes last of all its packets, and is doubled.
        let mut shuffled = both.clone();
        shuffled.extend(first.iter().map(|(at, packet)| (at + 60, *packet)));
        shuffled.extend(second.iter().map(|(at, packet)| (at + 60, *packet)));
        assert_eq!(receive_at(shuffled), "55");
        // Without any end of the first, but with another digit between them.
        let between = timed('6', 2_100, 800, 200);
        let open = both
            .iter()
            .filter(|(at, packet)| *at > 200 || !packet.payload.end);
        let open: Vec<_> = open.chain(&between).copied().collect();
        assert_eq!(receive_at(open), "565");
    }
}

#[test]
fn events_that_are_no_digits_are_not_reported() {
    let flash = EventPacket {
        payload: EventPayload {
            event: 16,
            end: true,
            volume: 0,
            duration: 800,
        },
        timestamp: 0,
        marker: true,
    };
    assert_eq!(receive([&flash]), "");
    assert_eq!(
        (digit_of(16), event_of('e'), event_of('d')),
        (None, None, Some(15))
    );
}

#[test]
fn a_payload_is_read_as_it_is_written_and_short_ones_are_not() {
    for bytes in [[5, 0x8a, 3, 32], [255, 0x3f, 255, 255], [0, 0, 0, 0]] {
        assert_eq!(EventPayload::parse(&bytes).expect("a payload").to_bytes(), bytes);
    }
    assert_eq!(EventPayload::parse(&[5, 0x8a, 3]), None);
}

proptest! {
    /// Through the buffer that restores order: packets displaced by up to 60 ms come out as the digits that were sent.
    #[test]
    fn a_burst_through_loss_duplication_and_reordering_is_the_digits_that_were_sent(
        digits in "[0-9*#A-D]{1,10}",
        survivors in proptest::collection::vec(0usize..5, 10),
        lost in proptest::collection::vec(any::<bool>(), 50),
        delays in proptest::collection::vec(0u64..55, 50),
        doubled in proptest::collection::vec(any::<bool>(), 50),
        first_sequence: u16,
    ) {
        let packets = burst(&digits);
        let mut arriving = Vec::new();
        // An audio packet before, so that the buffer knows where the stream starts, and one behind.
        let end = packets.len() as u64 + 1;
        arriving.push((0, 0, None));
        for (index, (number, packet)) in packets.iter().enumerate() {
            let at = (index as u64 + 1) * 20;
            let survives = index - number * 5 == survivors[*number];
            if survives || !lost[index] {
                arriving.push((at + delays[index], index as u64 + 1, Some(*packet)));
                if doubled[index] {
                    arriving.push((at + delays[index] / 2 + 7, index as u64 + 1, Some(*packet)));
                }
            }
        }
        arriving.push((end * 20 + 300, end, None));
        arriving.sort_by_key(|(at, sequence, _)| (*at, *sequence));
        let mut playout = Playout::default();
        let mut receiver = EventReceiver::default();
        let mut heard = String::new();
        for (at, sequence, packet) in arriving {
            let now = Time::from_millis(at);
            let payload = packet.map(|packet| packet.payload.to_bytes());
            let mut hear = |out: Heard<'_>| {
                if let Heard::Packet(put) | Heard::Late(put) = out
                    && let Some(payload) = EventPayload::parse(put.payload)
                {
                    receiver.packet(now, put.timestamp, payload, |completed| heard.push(completed.digit));
                }
            };
            playout.expire(now, &mut hear);
            playout.put(
                Put {
                    arrived: now,
                    sequence: first_sequence.wrapping_add(sequence as u16),
                    timestamp: packet.map_or(0, |packet| packet.timestamp),
                    payload_type: 101,
                    marker: false,
                    payload: payload.as_ref().map_or(&[], |payload| payload.as_slice()),
                },
                &mut hear,
            );
        }
        let later = Time::from_secs(100);
        playout.expire(later, |out| {
            if let Heard::Packet(put) = out
                && let Some(payload) = EventPayload::parse(put.payload)
            {
                receiver.packet(later, put.timestamp, payload, |completed| heard.push(completed.digit));
            }
        });
        receiver.expire(later + std::time::Duration::from_secs(1), |completed| heard.push(completed.digit));
        prop_assert_eq!(heard, digits);
    }

    /// Straight into the receiver: short and long events, packets up to 300 ms late. The digits may change places then,
    /// but none is lost and none comes twice.
    #[test]
    fn every_event_that_leaves_a_packet_is_one_digit(
        events in proptest::collection::vec(("[0-9*#A-D]", event_ticks(), 3u64..50, any::<proptest::sample::Index>()), 1..8),
        first_timestamp: u32,
        keep in 0u32..100,
        seed: u64,
        most_late in proptest::sample::select(vec![0u64, 30, 300]),
    ) {
        let mut chance = Chance(seed | 1);
        let mut arriving = Vec::new();
        let mut expected = String::new();
        let mut intervals = 0u64;
        for (digit, ticks, pause, survivor) in &events {
            let timestamp = first_timestamp.wrapping_add(intervals as u32 * 160);
            expected.push_str(digit);
            let digit = digit.chars().next().expect("a digit");
            let packets = timed(digit, timestamp, *ticks, intervals * 20);
            let survivor = survivor.index(packets.len());
            for (index, (at, packet)) in packets.iter().enumerate() {
                if index == survivor || chance.below(100) < keep {
                    for _ in 0..=u32::from(chance.below(8) == 0) {
                        arriving.push((at + u64::from(chance.below(most_late as u32 + 1)), *packet));
                    }
                }
            }
            intervals += ticks.div_ceil(160) + pause;
        }
        let sorted = |digits: &str| {
            let mut digits: Vec<char> = digits.chars().collect();
            digits.sort_unstable();
            digits
        };
        let received = receive_at(arriving);
        if most_late <= 30 {
            prop_assert_eq!(&received, &expected);
        }
        prop_assert_eq!(sorted(&received), sorted(&expected));
    }
}

/// Mostly short digits, some with further segments.
fn event_ticks() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 320u64..4_000, 2 => 60_000u64..70_000, 1 => 70_000u64..270_000]
}

/// A few random numbers, by the generator of Lehmer.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0xda94_2042_e4dd_58b5).rotate_left(17);
        ((self.0 >> 32) as u32) % limit
    }
}
