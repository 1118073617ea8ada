//! A user agent that makes calls all day keeps nothing of them but the last.

mod support;

use std::time::Duration;

use callwright_ua::{DtmfMode, FreeRequest, Phase};
use callwright_wire::{Node, Residue};
use support::Lab;

#[test]
fn of_many_calls_the_last_ones_are_remembered_and_nothing_is_held() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    for _ in 0..100 {
        lab.establish(a, b);
        lab.pass(Duration::from_millis(50));
        lab.hangup(a).unwrap();
        lab.until(|lab| lab.phase(b) == Some(Phase::Ended));
    }
    lab.pass(Duration::from_secs(64));
    for phone in [a, b] {
        assert_eq!(lab.user_agent(phone).calls().len(), 64);
        assert_eq!(lab.user_agent(phone).calls()[63].key().0, 100);
        let residue = lab.fleet(phone, |fleet, _, _| fleet.residue());
        let sockets = Residue {
            sockets: residue.sockets,
            ..Residue::default()
        };
        assert_eq!(residue, sockets);
        assert_eq!(lab.open_media(phone), 0);
        assert!(
            lab.media_numbers(phone) <= 4,
            "ports are numbered anew for every call"
        );
    }
}

#[test]
fn of_many_requests_the_last_ones_are_remembered() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    let options = FreeRequest {
        method: "OPTIONS".into(),
        ..FreeRequest::default()
    };
    let mut keys = Vec::new();
    for _ in 0..1_100 {
        let key = lab
            .fleet(a, |fleet, now, id| fleet.send(now, id, None, &options, None))
            .unwrap();
        keys.push(key);
        lab.pass(Duration::from_millis(3));
    }
    assert!(lab.user_agent(a).request(keys[0]).is_none());
    let last = lab.user_agent(a).request(keys[1_099]).unwrap();
    assert_eq!(last.status, Some(200));
}

#[test]
fn digits_by_info_that_wait_are_forgotten_when_the_call_ends() {
    let mut lab = Lab::new();
    let a = lab.phone_with("alice", |account| account.dtmf = DtmfMode::Info);
    let b = lab.phone("bob");
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| {
        fleet.dtmf(
            now,
            id,
            None,
            "1234567890",
            Some(Duration::from_millis(500)),
            None,
        )
    })
    .unwrap();
    lab.pass(Duration::from_millis(700));
    lab.hangup(b).unwrap();
    lab.pass(Duration::from_secs(64));
    assert_eq!(lab.user_agent(b).calls()[0].received_dtmf(), "12");
    let residue = lab.fleet(a, |fleet, _, _| fleet.residue());
    assert_eq!((residue.timers, residue.transactions), (0, 0));
}

#[test]
fn a_peer_that_refuses_info_gets_every_digit_all_the_same() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone_with("alice", |account| account.dtmf = DtmfMode::Info);
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    let answer = support::script::sdp(1, "10.0.0.250", 4000, "");
    let fields = ["Contact: <sip:10.0.0.250>"];
    lab.say(peer, invite.from, invite.reply("200 OK", "p", &fields, &answer));
    lab.expect(peer, "ACK");
    lab.fleet(a, |fleet, now, id| fleet.dtmf(now, id, None, "5#", None, None))
        .unwrap();
    for digit in ["Signal=5\r\n", "Signal=#\r\n"] {
        let info = lab.expect(peer, "INFO");
        assert!(info.body().starts_with(digit), "{}", info.text);
        lab.say(
            peer,
            info.from,
            info.reply("415 Unsupported Media Type", "", &[], ""),
        );
    }
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.phase(a), Some(Phase::Established));
}
