//! Where packets may come from, and where they go.

use std::net::SocketAddr;
use std::time::Duration;

use callwright_media::plane::Remote;
use callwright_media::rtp::Header;
use callwright_media::{Command, Event};

use crate::pair::{Alice, Bob, Pair, RTCP, RTP, address, millis, towards};

const NOWHERE: ([u8; 4], u16) = ([203, 0, 113, 9], 9_000);
const NAT: ([u8; 4], u16) = ([198, 51, 100, 7], 61_000);

fn packet(ssrc: u32, sequence: u16) -> [u8; 172] {
    let mut packet = [0; 172];
    let header = Header {
        ssrc,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ..Header::default()
    };
    header.write(&[0xff; 160], &mut packet);
    packet
}

/// A side whose peer said that it receives somewhere where it does not.
fn misled() -> Pair {
    let mut pair = Pair::opened();
    let mut start = towards(Alice);
    start.remote = Some(Remote {
        rtp: NOWHERE.into(),
        rtcp: (NOWHERE.0, NOWHERE.1 + 1).into(),
    });
    pair.command(Bob, Command::Start(Box::new(start)));
    pair.run(millis(100));
    pair
}

fn last_destination(pair: &Pair) -> SocketAddr {
    pair.rtp_sent(Bob).last().expect("a packet").to
}

#[test]
fn packets_go_to_where_a_valid_stream_comes_from() {
    let mut pair = misled();
    assert_eq!(last_destination(&pair), NOWHERE.into());
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 1));
    pair.run(millis(20));
    assert_eq!(
        last_destination(&pair),
        NOWHERE.into(),
        "one packet proves nothing"
    );
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 2));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NAT.into());
    assert!(pair.events_of(Bob).contains(&&Event::Latched { to: NAT.into() }));
    // Nobody else takes the stream over.
    for sequence in 3..20 {
        pair.inject(Bob, RTP, (NAT.0, 61_001).into(), &packet(7, sequence));
    }
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NAT.into());
    assert_eq!(pair.stats(Bob).refused.wrong_source, 18);
}

#[test]
fn garbage_and_unknown_formats_move_nothing() {
    let mut pair = misled();
    for sequence in 0..5 {
        let mut unknown = packet(7, sequence);
        unknown[1] = 99;
        pair.inject(Bob, RTP, NAT.into(), &unknown);
        pair.inject(Bob, RTP, NAT.into(), b"OPTIONS sip:x SIP/2.0\r\n\r\n");
        // Random sequence numbers are no stream.
        pair.inject(Bob, RTP, NAT.into(), &packet(7, sequence * 1_000));
    }
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NOWHERE.into());
}

#[test]
fn the_described_address_wins_over_a_guess() {
    let mut pair = misled();
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 1));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 2));
    pair.inject(Bob, RTP, NOWHERE.into(), &packet(8, 1));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NOWHERE.into());
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 3));
    assert_eq!(pair.stats(Bob).refused.wrong_source, 2);
}

#[test]
fn a_new_description_unsettles_the_address() {
    let mut pair = misled();
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 1));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 2));
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), address(Alice, RTP));
}

/// Describes the peer of Bob at another address.
fn describe(pair: &mut Pair, rtp: ([u8; 4], u16)) {
    let mut start = towards(Alice);
    start.remote = Some(Remote {
        rtp: rtp.into(),
        rtcp: (rtp.0, rtp.1 + 1).into(),
    });
    pair.command(Bob, Command::Start(Box::new(start)));
}

#[test]
fn packets_still_on_their_way_from_where_the_peer_was_do_not_call_the_stream_back() {
    let mut pair = misled();
    // The peer is where it said, and moves to Alice.
    for sequence in 1..4 {
        pair.inject(Bob, RTP, NOWHERE.into(), &packet(7, sequence));
    }
    describe(&mut pair, ([192, 0, 2, 1], 40_000));
    for sequence in 4..8 {
        pair.inject(Bob, RTP, NOWHERE.into(), &packet(7, sequence));
    }
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), address(Alice, RTP));
    assert_eq!(pair.stats(Bob).refused.wrong_source, 4);
    // Behind a NAT, it is still followed to where it really is, and back to where it was once it says so.
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 8));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 9));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NAT.into());
    describe(&mut pair, NOWHERE);
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 10));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 11));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NOWHERE.into());
    pair.inject(Bob, RTP, NOWHERE.into(), &packet(7, 12));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NOWHERE.into());
}

#[test]
fn a_peer_behind_a_nat_is_where_it_was_after_a_hold_with_an_address_of_zeros() {
    let mut pair = misled();
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 1));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 2));
    describe(&mut pair, ([0, 0, 0, 0], 9_000));
    pair.run(millis(40));
    describe(&mut pair, NOWHERE);
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NAT.into());
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 3));
    assert_eq!(pair.stats(Bob).refused.wrong_source, 1, "the first of all");
}

#[test]
fn reports_still_on_their_way_do_not_call_those_of_this_side_back() {
    let mut pair = misled();
    let report = {
        let mut other = Pair::call();
        other.run(millis(200));
        let sent = other
            .sent
            .iter()
            .find(|sent| sent.by == Alice && sent.socket == RTCP);
        sent.expect("a report").bytes.clone()
    };
    // The same host, other ports.
    describe(&mut pair, (NOWHERE.0, 9_100));
    pair.inject(Bob, RTCP, (NOWHERE.0, NOWHERE.1 + 1).into(), &report);
    let before = pair.sent.len();
    pair.run(Duration::from_secs(20));
    let rtcp = pair.sent[before..]
        .iter()
        .filter(|sent| sent.by == Bob && sent.socket == RTCP);
    let mut rtcp = rtcp.peekable();
    assert!(rtcp.peek().is_some());
    assert!(rtcp.all(|sent| sent.to == (NOWHERE.0, 9_101).into()));
}

#[test]
fn the_same_description_again_keeps_the_address() {
    let mut pair = misled();
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 1));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 2));
    let mut start = towards(Alice);
    start.remote = Some(Remote {
        rtp: NOWHERE.into(),
        rtcp: (NOWHERE.0, NOWHERE.1 + 1).into(),
    });
    pair.command(Bob, Command::Start(Box::new(start)));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NAT.into());
}

#[test]
fn early_media_is_not_sent_to_until_it_goes_on_after_the_description() {
    let mut pair = Pair::opened();
    let mut offer = towards(Alice);
    offer.remote = None;
    pair.command(Bob, Command::Start(Box::new(offer)));
    for sequence in 0..5 {
        pair.inject(Bob, RTP, NAT.into(), &packet(7, sequence));
    }
    pair.command(Bob, Command::Start(Box::new(towards(Alice))));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), address(Alice, RTP));
    // It goes on, and the described address is silent: the other side is behind a NAT.
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 5));
    pair.inject(Bob, RTP, NAT.into(), &packet(7, 6));
    pair.run(millis(40));
    assert_eq!(last_destination(&pair), NAT.into());
    let stats = pair.stats(Bob);
    assert_eq!((stats.received.packets, stats.refused.wrong_source), (7, 0));
}

#[test]
fn nothing_is_sent_to_an_address_of_zeros() {
    let mut pair = Pair::call();
    pair.run(millis(200));
    let mut held = towards(Bob);
    held.remote = Some(Remote {
        rtp: ([0, 0, 0, 0], 40_000).into(),
        rtcp: ([0, 0, 0, 0], 40_001).into(),
    });
    pair.command(Alice, Command::Start(Box::new(held)));
    let before = pair.rtp_sent(Alice).count();
    pair.run(millis(1_000));
    assert_eq!(pair.rtp_sent(Alice).count(), before);
    pair.command(Alice, Command::Start(Box::new(towards(Bob))));
    pair.run(millis(1_000));
    assert_eq!(pair.rtp_sent(Alice).count(), before + 50);
}

#[test]
fn reports_from_strangers_are_refused() {
    let mut pair = Pair::call();
    pair.run(millis(200));
    let report = pair
        .sent
        .iter()
        .find(|sent| sent.by == Alice && sent.socket == RTCP);
    let report = report.expect("a report").bytes.clone();
    let before = pair.stats(Bob);
    pair.inject(Bob, RTCP, NAT.into(), &report);
    let after = pair.stats(Bob);
    assert_eq!(after.received.rtcp_packets, before.received.rtcp_packets);
    assert_eq!(after.refused.wrong_source, before.refused.wrong_source + 1);
}
