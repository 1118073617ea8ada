//! A call from one user to another through the machine, from both sides.

mod support;

use std::time::Duration;

use callwright_acd::{Auth, CallKey, EndCause, Fact, Records};
use callwright_media::codec::Codec;
use callwright_ua::Phase;
use support::Lab;
use support::script::{rtp, rtp_port};

#[test]
fn two_phones_talk_through_the_bridge_and_the_caller_hangs_up() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.assert_they_talk(alice, bob);
    lab.hangup(alice);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    assert_eq!(lab.ended(bob).1, "the peer hung up");
    assert_eq!(lab.ends(), [EndCause::CompletedByCaller]);
    lab.assert_nothing_left();
}

#[test]
fn the_callee_hangs_up() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.hangup(bob);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    assert_eq!(lab.ends(), [EndCause::CompletedByCallee]);
    lab.assert_nothing_left();
}

#[test]
fn the_callee_sees_who_calls_and_each_side_has_a_dialog_of_its_own() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |account| {
        account.display_name = Some("Alice A".into());
        account.headers = vec![("X-Ticket".into(), "4711".into())];
    });
    let bob = lab.registered("bob");
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    let peer = lab.calls(bob)[0].peer().clone();
    assert_eq!(
        (peer.uri.as_str(), peer.name.as_deref()),
        ("sip:alice@10.0.0.250", Some("Alice A"))
    );
    let invite = lab.user_agent(bob).newest_invite().expect("it rings").clone();
    assert_eq!(invite.header("X-Ticket").as_deref(), Some("4711"));
    assert_eq!(invite.max_forwards(), Ok(Some(69)));
    assert_eq!(
        invite.to().map(|to| to.uri.to_string()).as_deref(),
        Ok("sip:bob@10.0.0.250")
    );
    assert!(invite.vias().count() == 1, "the caller's Via stays behind");
}

#[test]
fn a_caller_hears_that_it_rings() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ringing));
}

#[test]
fn phones_without_a_codec_in_common_understand_each_other() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |account| account.codecs = vec![Codec::Pcmu]);
    let bob = lab.registered_with("bob", |account| account.codecs = vec![Codec::Pcma]);
    lab.establish(alice, bob);
    lab.assert_they_talk(alice, bob);
}

#[test]
fn phones_that_prefer_different_codecs_are_given_one_so_that_nothing_is_transcoded() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |account| account.codecs = vec![Codec::Pcmu, Codec::Pcma]);
    let bob = lab.registered_with("bob", |account| account.codecs = vec![Codec::Pcma]);
    lab.establish(alice, bob);
    lab.relayed.clear();
    lab.pass(Duration::from_millis(500));
    let types: std::collections::BTreeSet<u8> = lab
        .relayed
        .iter()
        .filter(|(.., bytes)| !(192..=223).contains(&bytes[1]))
        .map(|(.., bytes)| bytes[1] & 0x7f)
        .collect();
    assert_eq!(types.into_iter().collect::<Vec<_>>(), [8]);
    lab.assert_they_talk(alice, bob);
}

#[test]
fn a_packet_leaves_in_the_moment_in_which_it_came() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.pass(Duration::from_millis(100));
    lab.relayed.clear();
    lab.pass(Duration::from_secs(1));
    let audio = lab
        .relayed
        .iter()
        .filter(|(.., bytes)| bytes.len() == 172)
        .count();
    assert!((98..=102).contains(&audio), "{audio} packets");
}

#[test]
fn audio_is_taken_from_where_the_call_is_and_from_nowhere_else() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.assert_they_talk(alice, bob);
    let answer = lab.last_received(alice, "SIP/2.0 200");
    let port = rtp_port(&String::from_utf8_lossy(&answer.body()));
    let intruder = "10.0.0.99:4000".parse().expect("an address");
    lab.relayed.clear();
    for sequence in 0..50 {
        lab.say_media(intruder, port, rtp(sequence, 0x55));
        lab.pass(Duration::from_millis(20));
    }
    let injected = lab
        .relayed
        .iter()
        .filter(|(.., bytes)| bytes.ends_with(&[0x55; 160]));
    assert_eq!(injected.count(), 0, "nobody hears the intruder");
    let to_intruder = lab.relayed.iter().filter(|(_, to, _)| *to == intruder);
    assert_eq!(to_intruder.count(), 0, "and nobody is heard there");
    lab.assert_they_talk(alice, bob);
}

#[test]
fn digits_cross_as_events_between_phones_that_number_them_alike() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.fleet(alice, |fleet, now, id| {
        fleet.dtmf(now, id, None, "12#*", None, None)
    })
    .expect("events were agreed on");
    lab.until(|lab| lab.calls(bob)[0].received_dtmf() == "12#*");
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.calls(bob)[0].received_dtmf(), "12#*");
}

#[test]
fn digits_cross_by_info() {
    let mut lab = Lab::new();
    let alice = lab.phone_with("alice", |account| account.dtmf = callwright_ua::DtmfMode::Info);
    let bob = lab.registered("bob");
    lab.establish(alice, bob);
    lab.fleet(alice, |fleet, now, id| {
        fleet.dtmf(now, id, None, "90", None, None)
    })
    .expect("INFO goes always");
    lab.until(|lab| lab.calls(bob)[0].received_dtmf() == "90");
}

#[test]
fn a_refusal_passes_with_its_status() {
    for (status, reason) in [
        (486, "Busy Here"),
        (603, "Decline"),
        (480, "Temporarily Unavailable"),
        (404, "Not Found"),
    ] {
        let mut lab = Lab::new();
        let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
        lab.dial(alice, "bob");
        lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
        lab.fleet(bob, |fleet, now, id| {
            fleet.reject(now, id, None, status, None, None)
        })
        .expect("it rings");
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
        assert_eq!(lab.ended(alice), (Some(status), format!("{status} {reason}")));
        assert_eq!(lab.ends(), [EndCause::Failed(status)]);
        lab.assert_nothing_left();
    }
}

#[test]
fn a_caller_that_gives_up_stops_the_ringing() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.hangup(alice);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    assert_eq!(lab.ended(bob).1, "cancelled by the caller");
    assert_eq!(lab.ends(), [EndCause::Abandoned]);
    lab.assert_nothing_left();
}

#[test]
fn nobody_answers_in_time() {
    let mut lab = Lab::with(|config| config.ring_timeout = Duration::from_secs(20));
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.pass(Duration::from_millis(19_900));
    assert_eq!(lab.phase(bob), Some(Phase::Ringing));
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.phase(bob), Some(Phase::Ended));
    assert_eq!(lab.ended(alice).0, Some(480));
    assert_eq!(lab.ends(), [EndCause::TimedOut]);
    lab.assert_nothing_left();
}

#[test]
fn unknown_users_and_absent_ones_are_told_apart_where_there_are_no_passwords() {
    let mut lab = Lab::with(|config| config.auth = Auth::None);
    let alice = lab.phone("alice");
    for (target, status) in [("mallory", 404), ("bob", 480), ("sip:bob@10.0.0.250", 480)] {
        lab.dial(alice, target);
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
        assert_eq!(lab.ended(alice).0, Some(status), "{target}");
    }
    lab.assert_nothing_left();
}

#[test]
fn an_answer_that_cannot_be_stored_is_none() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.store.broken = true;
    lab.accept(bob);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    assert_eq!(lab.ended(alice).0, Some(503));
    lab.assert_nothing_left();
}

#[test]
fn the_caller_hears_of_an_answer_when_it_is_stored_and_not_before() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.store.delay = Duration::from_millis(500);
    lab.accept(bob);
    lab.pass(Duration::from_millis(490));
    assert_eq!(lab.phase(alice), Some(Phase::Ringing));
    lab.pass(Duration::from_millis(20));
    assert_eq!(lab.phase(alice), Some(Phase::Established));
    let answered = lab.facts.iter().rev().find_map(|fact| {
        if let Fact::CallAnswered { caller, callee, .. } = fact {
            Some((caller.as_str(), callee.as_str()))
        } else {
            None
        }
    });
    assert_eq!(answered, Some(("sip:alice@10.0.0.250", "sip:bob@10.0.0.250")));
}

#[test]
fn a_caller_that_gives_up_while_the_answer_is_stored_ends_the_callee_too() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.store.delay = Duration::from_millis(500);
    lab.accept(bob);
    lab.pass(Duration::from_millis(100));
    lab.hangup(alice);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.ends(), [EndCause::Abandoned]);
    lab.assert_nothing_left();
}

#[test]
fn calls_beyond_the_limit_are_refused_and_counted() {
    let mut lab = Lab::with(|config| config.limits.calls = 1);
    let (alice, bob, carol) = (lab.phone("alice"), lab.registered("bob"), lab.phone("carol"));
    lab.establish(alice, bob);
    lab.dial(carol, "bob");
    lab.until(|lab| lab.phase(carol) == Some(Phase::Ended));
    assert_eq!(lab.ended(carol).0, Some(503));
    assert_eq!(lab.machine.counters().over_limit, 1);
}

#[test]
fn without_ports_for_either_leg_there_is_no_call() {
    for ports in [0, 1] {
        let mut lab = Lab::new();
        let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
        lab.ports_left = ports;
        lab.dial(alice, "bob");
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
        assert_eq!(lab.ended(alice).0, Some(503), "{ports} pairs");
        assert_eq!(lab.phase(bob), None);
        lab.assert_nothing_left();
    }
}

/// The record of the first call, from the facts that were stored.
fn record(lab: &Lab) -> (Option<String>, Option<String>, Option<String>) {
    let mut records = Records::default();
    let stored = lab.facts.iter().filter(|fact| !lab.awaited.contains(fact));
    for fact in stored {
        records.apply(fact);
    }
    let record = records.get(CallKey(1)).expect("one is kept");
    (record.caller.clone(), record.dialled.clone(), record.cause())
}

#[test]
fn the_record_of_a_call_that_nobody_answers_names_who_called_whom() {
    let parties = |cause: &str| {
        let address = |user: &str| Some(format!("sip:{user}@10.0.0.250"));
        (address("alice"), address("bob"), Some(cause.to_owned()))
    };
    // Given up, refused, not answered, and answered while nothing can be stored.
    for cause in ["abandoned", "failed(486)", "timed_out", "failed(503)"] {
        let mut lab = Lab::new();
        let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
        lab.dial(alice, "bob");
        lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
        match cause {
            "abandoned" => lab.hangup(alice),
            "failed(486)" => lab.refuse(bob, 486),
            "timed_out" => lab.pass(Duration::from_secs(61)),
            _ => {
                lab.store.broken = true;
                lab.accept(bob);
            }
        }
        lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
        lab.pass(Duration::from_secs(1));
        assert_eq!(record(&lab), parties(cause));
    }
}

#[test]
fn the_end_of_a_call_that_was_answered_says_nothing_again() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.hangup(bob);
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended));
    let ended = lab.facts.last().expect("the call ended");
    assert!(
        matches!(ended, Fact::CallEnded { parties: None, .. }),
        "{ended:?}"
    );
}
