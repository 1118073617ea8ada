//! Where packets may come from, and where they go.

use std::net::SocketAddr;

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
