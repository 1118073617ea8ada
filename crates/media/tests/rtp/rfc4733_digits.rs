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
}
