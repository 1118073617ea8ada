//! The life of a call, from both sides.

mod support;

use std::time::Duration;

use callwright_ua::{ArmedResponse, Audio, Call, Change, Done, Ended, ListenFor, Phase, VerbError};
use callwright_wire::Residue;
use support::Lab;
use support::script::sdp;

fn tone(hz: f64) -> Audio {
    Audio::Tones { hz: vec![hz] }
}

#[test]
fn an_answered_call_is_established_on_both_sides_and_ends_on_both() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    assert_eq!(lab.hangup(a), Ok(Done::default()));
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended) && lab.phase(b) == Some(Phase::Ended));
    assert_eq!(lab.reason(a), "hung up");
    assert_eq!(lab.reason(b), "the peer hung up");
}

#[test]
fn nothing_is_left_of_a_call_when_its_transactions_are_over() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    let before = lab.user_agent(a).calls().len();
    lab.establish(a, b);
    lab.hangup(a).unwrap();
    lab.pass(Duration::from_secs(64));
    assert_eq!(before, 0);
    for phone in [a, b] {
        let residue = lab.fleet(phone, |fleet, _, _| callwright_wire::Node::residue(fleet));
        assert_eq!(
            Residue {
                sockets: 0,
                connections: 0,
                ..residue
            },
            Residue::default()
        );
    }
}

#[test]
fn the_callee_sees_who_calls() {
    let mut lab = Lab::new();
    let a = lab.phone_with("alice", |account| account.display_name = Some("Alice A".into()));
    let b = lab.phone("bob");
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    let peer = lab.user_agent(b).calls()[0].peer().clone();
    assert_eq!(peer.uri, "sip:alice@10.0.0.250");
    assert_eq!(peer.name.as_deref(), Some("Alice A"));
}

#[test]
fn a_call_that_is_rejected_ends_with_the_status() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    lab.hangup(b).unwrap();
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    let busy = Ended {
        status: Some(486),
        reason: "486 Busy Here".into(),
    };
    assert_eq!(lab.user_agent(a).last_end(), Some(&busy));
    assert_eq!(lab.user_agent(b).last_end(), Some(&busy));
}

#[test]
fn a_call_that_is_rejected_in_own_words_ends_with_them_on_both_sides() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    lab.fleet(b, |fleet, now, id| {
        fleet.reject(now, id, None, 480, Some("Out To Lunch".into()), None)
    })
    .unwrap();
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.reason(a), "480 Out To Lunch");
    assert_eq!(lab.reason(b), "480 Out To Lunch");
    let armed = ArmedResponse {
        status: 486,
        reason: "Go Away".into(),
        headers: Vec::new(),
    };
    lab.fleet(b, |fleet, now, id| fleet.respond_incoming(now, id, armed))
        .unwrap();
    lab.dial(a, b);
    lab.until(|lab| lab.reason(a) == "486 Go Away");
    assert_eq!(lab.reason(b), "486 Go Away");
    assert_eq!(lab.user_agent(b).last_end().unwrap().status, Some(486));
}

#[test]
fn a_listener_of_one_call_hears_nothing_of_another() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.establish(a, b);
    lab.establish(c, b);
    let keys: Vec<_> = lab.user_agent(b).calls().iter().map(Call::key).collect();
    lab.fleet(c, |fleet, now, id| fleet.send_audio(now, id, None, tone(880.0)))
        .unwrap();
    let what = ListenFor::Tone { hz: 880.0 };
    let mut listen = |call| {
        lab.fleet(b, |fleet, now, id| fleet.listen(now, id, call, what))
            .unwrap()
    };
    let (first, second, any) = (listen(Some(keys[0])), listen(Some(keys[1])), listen(None));
    lab.pass(Duration::from_millis(500));
    let heard = |listener| lab.peek(b, |fleet, id| fleet.heard(id, listener)).unwrap();
    assert!(!heard(first).done);
    assert!(heard(second).done && heard(any).done);
    assert_eq!(
        heard(first).packets + heard(second).packets,
        heard(any).packets,
        "each counts its own"
    );
    let playing: Vec<_> = lab.user_agent(c).calls().iter().map(Call::playing).collect();
    assert_eq!(playing, [&tone(880.0)]);
}

#[test]
fn what_was_heard_before_the_packets_stopped_is_not_heard_now() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lab.pass(Duration::from_millis(500));
    let span = Duration::from_millis(200);
    let now = |lab: &mut Lab| {
        lab.fleet(b, |fleet, now, id| fleet.audio_now(now, id, None, span))
            .len()
    };
    assert_eq!(now(&mut lab), 1_600);
    lab.fleet(a, |fleet, now, id| fleet.remove(now, id));
    lab.pass(Duration::from_millis(500));
    assert_eq!(now(&mut lab), 0);
    let recent = lab.peek(b, |fleet, id| fleet.recent_audio(id, None, span));
    assert_eq!(recent.len(), 1_600);
}

#[test]
fn recordings_of_two_calls_are_told_apart() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.phone("alice"), lab.phone("bob"), lab.phone("carol"));
    lab.fleet(b, |fleet, now, id| fleet.record(now, id)).unwrap();
    lab.establish(a, b);
    lab.establish(c, b);
    lab.pass(Duration::from_secs(2));
    let keys: Vec<_> = lab.user_agent(b).calls().iter().map(Call::key).collect();
    let changes = lab.changes(b);
    for key in keys {
        let samples: usize = changes
            .iter()
            .map(|change| match change {
                Change::Recorded { call, samples } if *call == key => samples.len() / 2,
                _ => 0,
            })
            .sum();
        assert!((12_000..=18_000).contains(&samples), "{samples}");
    }
}

#[test]
fn a_call_that_is_cancelled_stops_ringing() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.dial(a, b);
    lab.until(|lab| lab.phase(b) == Some(Phase::Ringing));
    lab.hangup(a).unwrap();
    lab.until(|lab| lab.phase(b) == Some(Phase::Ended) && lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.reason(b), "cancelled by the caller");
}

#[test]
fn a_peer_that_never_answers_ends_in_timer_b() {
    let mut lab = Lab::new();
    let a = lab.phone("alice");
    lab.fleet(a, |fleet, now, id| {
        fleet.dial(now, id, "sip:nobody@10.0.0.99:5060", &[], None)
    })
    .unwrap();
    lab.pass(Duration::from_millis(31_900));
    assert_ne!(lab.phase(a), Some(Phase::Ended));
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.phase(a), Some(Phase::Ended));
    assert!(lab.reason(a).contains("Timer B"), "{}", lab.reason(a));
    assert_eq!(lab.user_agent(a).last_end().unwrap().status, None);
}

#[test]
fn each_side_hears_the_tone_of_the_other_and_not_its_own() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.fleet(a, |fleet, now, id| fleet.send_audio(now, id, None, tone(440.0)))
        .unwrap();
    lab.fleet(b, |fleet, now, id| fleet.send_audio(now, id, None, tone(880.0)))
        .unwrap();
    lab.establish(a, b);
    let other = lab
        .fleet(a, |fleet, now, id| {
            fleet.listen(now, id, None, ListenFor::Tone { hz: 880.0 })
        })
        .unwrap();
    let own = lab
        .fleet(a, |fleet, now, id| {
            fleet.listen(now, id, None, ListenFor::Tone { hz: 440.0 })
        })
        .unwrap();
    lab.pass(Duration::from_millis(500));
    assert!(lab.peek(a, |fleet, id| fleet.heard(id, other)).unwrap().done);
    let heard = lab.peek(a, |fleet, id| fleet.heard(id, own)).unwrap();
    assert!(!heard.done);
    assert!(heard.packets > 20);
}

#[test]
fn digits_arrive_once_and_in_order() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| fleet.dtmf(now, id, None, "12#*", None, None))
        .unwrap();
    lab.until(|lab| lab.user_agent(b).calls()[0].received_dtmf().len() == 4);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.user_agent(b).calls()[0].received_dtmf(), "12#*");
}

#[test]
fn digits_by_info_arrive_once_and_in_order() {
    let mut lab = Lab::new();
    let a = lab.phone_with("alice", |account| account.dtmf = callwright_ua::DtmfMode::Info);
    let b = lab.phone("bob");
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| fleet.dtmf(now, id, None, "12#*", None, None))
        .unwrap();
    lab.until(|lab| lab.user_agent(b).calls()[0].received_dtmf() == "12#*");
}

#[test]
fn a_call_is_held_and_resumed() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| fleet.hold(now, id, None, None))
        .unwrap();
    lab.until(|lab| lab.phase(a) == Some(Phase::Held) && lab.phase(b) == Some(Phase::Held));
    lab.fleet(a, |fleet, now, id| fleet.resume(now, id, None, None))
        .unwrap();
    lab.until(|lab| lab.phase(a) == Some(Phase::Established) && lab.phase(b) == Some(Phase::Established));
}

#[test]
fn hold_and_resume_at_once_are_carried_out_in_order() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| fleet.hold(now, id, None, None))
        .unwrap();
    lab.fleet(a, |fleet, now, id| fleet.resume(now, id, None, None))
        .unwrap();
    lab.pass(Duration::from_secs(5));
    assert_eq!(lab.phase(a), Some(Phase::Established));
    assert_eq!(lab.phase(b), Some(Phase::Established));
}

#[test]
fn verbs_without_their_call_are_refused() {
    let mut lab = Lab::new();
    let a = lab.phone("alice");
    let refused = |wanted| Err(VerbError::NoCall { wanted });
    assert_eq!(
        lab.fleet(a, |fleet, now, id| fleet.accept(now, id, None, None)),
        refused("incoming call that rings")
    );
    assert_eq!(
        lab.fleet(a, |fleet, now, id| fleet.hold(now, id, None, None)),
        refused("established call")
    );
    assert_eq!(
        lab.fleet(a, |fleet, now, id| fleet.dtmf(now, id, None, "1", None, None)),
        refused("established call")
    );
    assert_eq!(
        lab.fleet(a, |fleet, now, id| fleet.update(now, id, None, None)),
        refused("established call")
    );
    assert_eq!(
        lab.fleet(a, |fleet, now, id| fleet.bye(now, id, None, None)),
        refused("call with a dialog to end")
    );
    assert!(lab.hangup(a).unwrap().note.is_some());
}

#[test]
fn bye_ends_a_call_that_rings_without_cancelling_it() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    let bye = |lab: &mut Lab, phone| lab.fleet(phone, |fleet, now, id| fleet.bye(now, id, None, None));
    lab.dial(a, b);
    assert!(bye(&mut lab, a).is_err(), "nobody rings yet");
    lab.until(|lab| lab.phase(a) == Some(Phase::Ringing));
    assert!(bye(&mut lab, b).is_err(), "a callee answers or rejects");
    bye(&mut lab, a).unwrap();
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended) && lab.phase(b) == Some(Phase::Ended));
    assert_eq!(lab.reason(a), "hung up");
    assert_eq!(lab.reason(b), "the peer hung up");
    lab.establish(a, b);
    bye(&mut lab, b).unwrap();
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
}

#[test]
fn the_offer_of_a_call_can_come_late() {
    let mut lab = Lab::new();
    let a = lab.phone_with("alice", |account| account.delayed_offer = true);
    let peer = lab.domain();
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    assert_eq!(invite.body(), "");
    // RFC 3262 §5: an offer in a reliable provisional response is answered in its PRACK.
    let reliable = ["Contact: <sip:10.0.0.250>", "Require: 100rel", "RSeq: 1"];
    let offer = sdp(1, "10.0.0.250", 4000, "");
    lab.say(
        peer,
        invite.from,
        invite.reply("183 Session Progress", "p", &reliable, &offer),
    );
    let prack = lab.expect(peer, "PRACK");
    assert!(prack.body().contains("m=audio"), "{}", prack.text);
    lab.say(peer, invite.from, prack.reply("200 OK", "p", &[], ""));
    lab.until(|lab| lab.phase(a) == Some(Phase::Early));
    lab.say(peer, invite.from, invite.reply("200 OK", "p", &reliable[..1], ""));
    lab.expect(peer, "ACK");
    assert_eq!(lab.phase(a), Some(Phase::Established));
}

#[test]
fn update_offers_the_session_as_it_is() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| {
        fleet.update(now, id, None, None).unwrap();
        // This one waits for its turn.
        fleet.hold(now, id, None, None).unwrap();
    });
    lab.until(|lab| lab.phase(b) == Some(Phase::Held));
    let sent = |method: &str| {
        let start = format!("{method} ");
        let trace = lab.user_agent(b).trace();
        trace
            .messages()
            .filter(|message| message.bytes.starts_with(start.as_bytes()))
            .count()
    };
    assert_eq!((sent("UPDATE"), sent("INVITE")), (1, 2));
}

#[test]
fn closing_ends_the_call_and_says_so() {
    let mut lab = Lab::new();
    let (a, b) = (lab.phone("alice"), lab.phone("bob"));
    lab.establish(a, b);
    lab.fleet(a, |fleet, now, id| fleet.close(now, id, None));
    lab.until(|lab| lab.user_agent(a).is_closed() && lab.phase(b) == Some(Phase::Ended));
    assert_eq!(
        lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None)),
        Err(VerbError::Closing)
    );
}
