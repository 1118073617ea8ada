//! Processes and hosts that crash and come back, and networks that are cut.

mod support;

use std::time::Duration;

use callwright_sim::{CrashKind, HostId, PartyId};
use callwright_wire::{ConnectionError, ConnectionId, Input, Time, Transport};
use support::{Heard, Lab, addr, ms};

const SERVER: &str = "192.0.2.2:5060";

/// A client that is connected to a server, and when.
fn connected() -> (Lab, PartyId, PartyId, ConnectionId, Time) {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.listen(b, Transport::Tcp, SERVER);
    let (connection, _) = lab.connected(a, b, addr(SERVER));
    let start = lab.world.now();
    (lab, a, b, connection, start)
}

#[test]
fn a_crashed_process_resets_its_connections() {
    let (mut lab, a, b, _, start) = connected();
    lab.crash(b, CrashKind::Process);
    lab.pass(ms(100));
    assert_eq!(lab.closed(a), (start + ms(10), Some(ConnectionError::Reset)));
    lab.connect(a, addr(SERVER), None);
    lab.pass(ms(100));
    assert_eq!(lab.connect_failed(a).1, ConnectionError::Refused);
}

#[test]
fn a_crashed_host_is_noticed_after_a_minute() {
    let (mut lab, a, b, _, start) = connected();
    lab.crash(b, CrashKind::Host);
    lab.connect(a, addr(SERVER), None);
    lab.pass(Duration::from_secs(30));
    assert_eq!(
        lab.connect_failed(a),
        (start + Duration::from_secs(10), ConnectionError::TimedOut)
    );
    lab.pass(Duration::from_secs(60));
    let minute = start + Duration::from_secs(60);
    assert_eq!(lab.closed(a), (minute, Some(ConnectionError::TimedOut)));
}

#[test]
fn a_host_that_is_back_knows_no_connection_from_before() {
    let (mut lab, a, b, connection, _) = connected();
    lab.crash(b, CrashKind::Host);
    lab.write(a, connection, "are you there?");
    lab.pass(Duration::from_secs(3));
    assert!(lab.next(a).is_none());
    lab.restart(b);
    lab.pass(Duration::from_secs(10));
    assert_eq!(lab.closed(a).1, Some(ConnectionError::Reset));
    assert!(lab.next(b).is_none());
}

#[test]
fn a_silent_peer_of_a_host_that_is_back_is_told_by_keep_alive() {
    let (mut lab, a, b, _, start) = connected();
    lab.crash(b, CrashKind::Host);
    lab.pass(Duration::from_secs(3));
    lab.restart(b);
    lab.pass(Duration::from_secs(100));
    let minute = start + Duration::from_secs(60);
    assert_eq!(lab.closed(a), (minute, Some(ConnectionError::Reset)));
}

#[test]
fn a_host_takes_all_its_parties_with_it() {
    let mut lab = Lab::new();
    let host = lab.host("pbx", "192.0.2.1");
    let (a, b) = (lab.peer_on(host, "first"), lab.peer_on(host, "second"));
    let c = lab.peer("192.0.2.2");
    let gone: Vec<_> = lab
        .world
        .crash(a, CrashKind::Host)
        .into_iter()
        .map(|(party, _)| party)
        .collect();
    assert_eq!(gone, [a, b]);
    assert!(lab.world.with(b, |_, _| ()).is_none() && lab.world.node(c).is_some());
    assert!(
        lab.world.crash(a, CrashKind::Process).is_empty(),
        "it is gone already"
    );
}

#[test]
fn who_restarts_has_the_same_place_and_free_ports() {
    for kind in [CrashKind::Process, CrashKind::Host] {
        let mut lab = Lab::new();
        let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
        lab.udp(b, SERVER);
        let (_, media) = lab.media(b, "192.0.2.2:0");
        let (from, _) = lab.udp(a, "192.0.2.1:5060");
        lab.crash(b, kind);
        lab.restart(b);
        lab.udp(b, SERVER);
        lab.media(b, &media.to_string());
        lab.send(a, from, addr(SERVER), "hello");
        lab.pass(ms(10));
        assert_eq!(lab.flow(b).local, addr(SERVER), "{kind:?}");
    }
}

#[test]
fn a_node_that_runs_is_not_replaced() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    assert!(lab.world.restart(a, support::Peer::default()).is_err());
    assert!(lab.world.restart(PartyId(99), support::Peer::default()).is_err());
    assert!(lab.world.remove(a).is_some());
    assert!(lab.world.remove(a).is_none());
}

#[test]
fn a_timer_of_a_node_that_crashed_is_not_due_any_more() {
    let mut lab = Lab::new();
    let a = lab.peer("192.0.2.1");
    lab.world
        .with(a, |peer, _| peer.due = Some((support::at(50), "tea")));
    lab.crash(a, CrashKind::Process);
    assert_eq!(lab.world.next_event(), None);
    lab.restart(a);
    lab.pass(ms(100));
    assert!(lab.next(a).is_none());
}

#[test]
fn a_cut_takes_what_is_sent_and_not_what_is_on_its_way() {
    let mut lab = Lab::new();
    let (a, b, c) = (
        lab.peer("192.0.2.1"),
        lab.peer("192.0.2.2"),
        lab.peer("192.0.2.3"),
    );
    let (from, _) = lab.udp(a, "192.0.2.1:5060");
    lab.udp(b, SERVER);
    lab.udp(c, "192.0.2.3:5060");
    lab.send(a, from, addr(SERVER), "before");
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.send(a, from, addr(SERVER), "during");
    lab.send(a, from, addr("192.0.2.3:5060"), "elsewhere");
    lab.pass(ms(50));
    lab.world.heal();
    lab.send(a, from, addr(SERVER), "after");
    lab.pass(ms(50));
    let texts = |heard: Vec<(Time, String)>| heard.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(texts(lab.texts(b)), ["before", "after"]);
    assert_eq!(texts(lab.texts(c)), ["elsewhere"]);
}

#[test]
fn a_host_that_crashes_while_it_is_dialled_answers_nothing() {
    let mut lab = Lab::new();
    let (a, b) = (lab.peer("192.0.2.1"), lab.peer("192.0.2.2"));
    lab.listen(b, Transport::Tcp, SERVER);
    lab.connect(a, addr(SERVER), None);
    lab.pass(ms(25));
    assert!(matches!(
        lab.next(a),
        Some((_, Heard::Input(Input::Connected { .. })))
    ));
    lab.crash(b, CrashKind::Host);
    lab.pass(Duration::from_secs(120));
    assert_eq!(lab.closed(a).1, Some(ConnectionError::TimedOut));
}

#[test]
fn a_process_that_crashes_behind_a_cut_is_noticed_after_it_is_healed() {
    let (mut lab, a, b, _, start) = connected();
    lab.world.partition(&[HostId(0)], &[HostId(1)]);
    lab.crash(b, CrashKind::Process);
    lab.pass(Duration::from_secs(5));
    lab.world.heal();
    lab.pass(Duration::from_secs(100));
    let minute = start + Duration::from_secs(60);
    assert_eq!(lab.closed(a), (minute, Some(ConnectionError::Reset)));
}
