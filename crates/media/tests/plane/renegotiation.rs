//! Starting again: the stream goes on.

use callwright_media::codec::Codec;
use callwright_media::plane::SendFormat;
use callwright_media::{Command, Event};

use crate::pair::{Alice, Bob, Pair, millis, tone, towards};

#[test]
fn source_sequence_and_timestamps_go_on_through_a_change_of_codec() {
    let mut pair = Pair::call();
    pair.command(Alice, tone(1_000.0));
    pair.run(millis(500));
    let mut other = towards(Bob);
    other.send = Some(SendFormat {
        codec: Codec::Pcma,
        payload_type: 8,
    });
    pair.command(Alice, Command::Start(Box::new(other)));
    pair.command(Bob, Command::Listen { hz: 1_000.0 });
    pair.run(millis(500));
    let sent: Vec<_> = pair.rtp_sent(Alice).collect();
    assert_eq!(sent.first().map(|sent| sent.payload_type()), Some(0));
    assert_eq!(sent.last().map(|sent| sent.payload_type()), Some(8));
    for pair in sent.windows(2) {
        assert_eq!(pair[1].ssrc(), pair[0].ssrc());
        assert_eq!(pair[1].sequence(), pair[0].sequence().wrapping_add(1));
        assert_eq!(pair[1].timestamp(), pair[0].timestamp().wrapping_add(160));
    }
    assert!(pair.heard_at(Bob, 1_000.0).is_some());
    let stats = pair.stats(Bob);
    assert_eq!(
        (stats.received.lost, stats.received.codec),
        (0, Some(Codec::Pcma))
    );
    assert!(
        !pair
            .events_of(Bob)
            .iter()
            .any(|event| matches!(event, Event::SsrcChanged { .. }))
    );
}

#[test]
fn packets_of_another_length_keep_to_the_clock() {
    for (ptime_ms, packets) in [
        (10, 100),
        (20, 50),
        (30, 33),
        (40, 25),
        (60, 16),
        (0, 50),
        (200, 16),
    ] {
        let mut pair = Pair::opened();
        let mut start = towards(Bob);
        start.ptime_ms = ptime_ms;
        pair.command(Alice, Command::Start(Box::new(start)));
        pair.command(Bob, Command::Start(Box::new(towards(Alice))));
        pair.command(Alice, tone(1_000.0));
        pair.command(Bob, Command::Listen { hz: 1_000.0 });
        pair.run(millis(1_000));
        let sent = pair.stats(Alice).sent.packets;
        assert!((packets..=packets + 1).contains(&sent), "{ptime_ms} ms: {sent}");
        assert!(pair.heard_at(Bob, 1_000.0).is_some(), "{ptime_ms} ms");
    }
}

#[test]
fn early_media_is_heard_before_the_answer_names_an_address() {
    let mut pair = Pair::opened();
    let mut offer = towards(Bob);
    offer.remote = None;
    pair.command(Alice, Command::Start(Box::new(offer)));
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.command(Bob, tone(425.0));
    pair.command(Alice, Command::Listen { hz: 425.0 });
    pair.run(millis(1_000));
    assert!(pair.heard_at(Alice, 425.0).is_some());
    assert_eq!(pair.rtp_sent(Alice).count(), 0);
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(1_000));
    assert_eq!(pair.rtp_sent(Alice).count(), 50);
    assert_eq!(pair.stats(Alice).received.lost, 0);
}

#[test]
fn packets_before_the_start_are_counted() {
    let mut pair = Pair::opened();
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.run(millis(1_000));
    let refused = pair.stats(Alice).refused;
    assert!(refused.before_start >= 49, "{refused:?}");
}
