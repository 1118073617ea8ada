//! 2xx to an INVITE that come when nobody waits for them any more: RFC 3261 §13.2.2.4, RFC 6026 §8.

use callwright_sip::EndpointConfig;
use callwright_sip::command::Hangup;
use callwright_sip_message::{Builder, HeaderName, Message};
use callwright_wire::{ConnectionError, Node, Transport};

use crate::parties::{ALICE, BOB, World, uri};
use crate::script::Script;
use crate::support::Exit;

/// 64·T1.
const TIMEOUT: u64 = 32_000;

/// A call that nobody answered in time.
fn given_up(script: &mut Script) -> Message {
    let (call, invite) = script.call();
    script.peer.wait(TIMEOUT);
    assert_eq!(script.ended(call), "timeout Timer B");
    script.peer.sent.clear();
    invite
}

/// The party with this tag answers: its ACK, and the BYE with this number.
#[track_caller]
fn is_hung_up(script: &mut Script, invite: &Message, tag: &str, number: u32) {
    script.answer(invite, tag, "");
    let ack = script.expect("ACK sip:bob@10.0.0.2 ");
    let invited = invite.cseq().expect("CSeq").number;
    assert_eq!(ack.cseq().expect("CSeq").number, invited);
    let bye = script.expect("BYE sip:bob@10.0.0.2 ");
    assert_eq!(bye.cseq().expect("CSeq").number, number);
    for ours in [&ack, &bye] {
        assert_eq!(ours.to_tag().as_deref(), Some(tag));
        for name in [HeaderName::From, HeaderName::CallId] {
            assert_eq!(ours.header(name.clone()), invite.header(name));
        }
        assert_eq!(ours.validate(), Ok(()));
    }
    script.respond(&bye, 200, "", "", None);
    script.peer.expect_nothing();
}

/// The same answer again is acknowledged, and no more.
#[track_caller]
fn is_acknowledged(script: &mut Script, invite: &Message, tag: &str) {
    script.answer(invite, tag, "");
    assert_eq!(script.expect("ACK ").to_tag().as_deref(), Some(tag));
    script.peer.expect_nothing();
}

#[test]
fn an_answer_after_timer_b_is_acknowledged_and_hung_up_once() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    is_hung_up(&mut script, &invite, "bob", 2);
    is_acknowledged(&mut script, &invite, "bob");
    is_hung_up(&mut script, &invite, "mobile", 2);
    script.peer.wait(20_000);
    is_acknowledged(&mut script, &invite, "bob");
    script.assert_clean();
}

#[test]
fn it_is_sent_along_the_proxies_that_stay_on_the_way() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    let through = "Record-Route: <sip:10.0.0.9;lr>\r\nRecord-Route: <sip:10.0.0.8;lr>\r\n";
    script.answer(&invite, "bob", through);
    for method in ["ACK ", "BYE "] {
        assert_eq!(
            script.peer.sent[0].to,
            Exit::Datagram("10.0.0.8:5060".parse().expect("a literal"))
        );
        let ours = script.expect(method);
        let routes = crate::strangers::routes(&ours, HeaderName::Route);
        assert_eq!(routes, ["sip:10.0.0.8;lr", "sip:10.0.0.9;lr"]);
    }
}

#[test]
fn an_answer_to_no_invite_of_ours_moves_nothing() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    let ok = Builder::response_to(&invite, 200, "OK")
        .to_tag("bob")
        .header(HeaderName::Contact, "<sip:mallory@10.6.6.6>")
        .finish();
    let call_id = ok.call_id().expect("Call-ID").as_str().to_owned();
    let tag = ok.from_tag().expect("a tag").to_string();
    let branch = ok.via().expect("a Via").branch().expect("a branch").to_owned();
    let text = ok.to_string();
    for (was, is) in [
        (call_id.as_str(), "other"),
        (tag.as_str(), "other"),
        (branch.as_str(), "z9hG4bKother"),
        ("CSeq: 1 ", "CSeq: 2 "),
        ("Via: ", "Via: SIP/2.0/UDP 10.6.6.6;branch=z9hG4bK1\r\nVia: "),
    ] {
        assert!(text.contains(was), "{text}");
        script.peer.send(text.replace(was, is));
        script.peer.expect_nothing();
    }
    is_hung_up(&mut script, &invite, "bob", 2);
    script.assert_clean();
}

#[test]
fn our_requests_say_what_the_invite_said_of_us() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    let from = invite.header(HeaderName::From).expect("From");
    let tag = invite.from_tag().expect("a tag").to_string();
    let text = script.answer(&invite, "bob", "").to_string();
    script.expect("ACK ");
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    let other = text
        .replace(&*from, &format!("<sip:chief@bank.example>;tag={tag}"))
        .replace("tag=bob", "tag=mobile");
    assert!(other.contains("bank.example"), "{other}");
    script.peer.send(other);
    for method in ["ACK ", "BYE "] {
        assert_eq!(script.expect(method).header(HeaderName::From), Some(from.clone()));
    }
}

#[test]
fn who_answers_with_ever_new_tags_gets_nothing_any_more() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    let limit = EndpointConfig::default().max_forks;
    for number in 0..limit {
        is_hung_up(&mut script, &invite, &format!("bob{number}"), 2);
    }
    script.answer(&invite, "mobile", "");
    script.peer.expect_nothing();
    is_acknowledged(&mut script, &invite, "bob0");
    script.assert_clean();
}

#[test]
fn a_tag_of_unusual_length_gets_nothing() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    script.answer(&invite, &"b".repeat(300), "");
    script.peer.expect_nothing();
    is_hung_up(&mut script, &invite, "bob", 2);
    script.assert_clean();
}

#[test]
fn it_is_forgotten_after_64_t1() {
    let mut script = Script::new();
    let invite = given_up(&mut script);
    // Forgotten with others, once a second.
    script.peer.wait(TIMEOUT - 1);
    is_hung_up(&mut script, &invite, "bob", 2);
    script.peer.wait(TIMEOUT);
    script.answer(&invite, "bob", "");
    script.answer(&invite, "mobile", "");
    script.peer.expect_nothing();
    script.assert_clean();
}

#[test]
fn beyond_the_limit_the_oldest_is_forgotten() {
    let mut script = Script::with(EndpointConfig {
        max_given_up: 2,
        ..EndpointConfig::default()
    });
    let calls: Vec<_> = (0..3).map(|_| script.call()).collect();
    script.peer.wait(TIMEOUT);
    script.peer.sent.clear();
    for (call, _) in &calls {
        assert_eq!(script.ended(*call), "timeout Timer B");
    }
    let [oldest, second, third] = [0, 1, 2].map(|place| calls[place].1.clone());
    script.answer(&oldest, "bob", "");
    script.peer.expect_nothing();
    is_hung_up(&mut script, &second, "bob", 2);
    is_hung_up(&mut script, &third, "bob", 2);
    script.assert_clean();
}

#[test]
fn no_memory_at_all_is_a_choice() {
    let mut script = Script::with(EndpointConfig {
        max_given_up: 0,
        ..EndpointConfig::default()
    });
    let invite = given_up(&mut script);
    assert_eq!(script.peer.node.residue().timers, 0);
    script.answer(&invite, "bob", "");
    script.peer.expect_nothing();
    script.assert_clean();
}

#[test]
fn after_a_cancel_in_vain_the_bye_counts_on_from_the_early_dialog() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    let reliable = "Contact: <sip:bob@10.0.0.2>\r\nRequire: 100rel\r\nRSeq: 1";
    script.respond(&invite, 180, "bob", reliable, None);
    let prack = script.expect("PRACK ");
    script.respond(&prack, 200, "", "", None);
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let cancel = script.expect("CANCEL ");
    script.respond(&cancel, 200, "", "", None);
    script.peer.wait(TIMEOUT);
    assert_eq!(script.ended(call), "timeout CANCEL wait");
    is_hung_up(&mut script, &invite, "bob", 3);
    is_acknowledged(&mut script, &invite, "bob");
    is_hung_up(&mut script, &invite, "mobile", 2);
    script.assert_clean();
}

#[test]
fn an_early_dialog_that_was_left_by_bye_gets_no_second_one() {
    let mut script = Script::new();
    let (call, invite) = script.call();
    script.respond(&invite, 180, "bob", "Contact: <sip:bob@10.0.0.2>", None);
    script.act(|node, now| node.bye(now, call, Hangup::default(), None).expect("it is early"));
    let bye = script.expect("BYE ");
    script.respond(&bye, 200, "", "", None);
    script.peer.wait(TIMEOUT);
    let cancel = script.expect("CANCEL ");
    script.respond(&cancel, 200, "", "", None);
    script.peer.wait(TIMEOUT);
    script.ended(call);
    is_acknowledged(&mut script, &invite, "bob");
    script.assert_clean();
}

#[test]
fn an_answer_of_another_fork_after_timer_m_leaves_the_call_alone() {
    let mut script = Script::new();
    let (call, invite) = script.established();
    script.peer.wait(TIMEOUT);
    assert_eq!(
        script.peer.node.residue().timers,
        0,
        "a call that went well leaves no memory"
    );
    for tag in ["bob", "mobile"] {
        script.answer(&invite, tag, "");
        script.peer.expect_nothing();
    }
    assert!(script.peer.node.call_id(call).is_some());
    script.act(|node, now| node.hangup(now, call, Hangup::default(), None).expect("hangs up"));
    let bye = script.expect("BYE ");
    assert_eq!(bye.to_tag().as_deref(), Some("bob"));
    script.respond(&bye, 200, "", "", None);
    script.assert_clean();
}

#[test]
fn a_server_that_was_left_and_answers_is_hung_up_while_the_next_one_is_asked() {
    // RFC 3263 §4.3: the INVITE went on after Timer B.
    let mut script = Script::new();
    script.peer.know_two_servers();
    let invitation = callwright_sip::command::Invite {
        target: uri("sip:bob@example.com;transport=udp"),
        ..script.invitation()
    };
    let (call, first) = script.place(invitation);
    script.peer.wait(TIMEOUT);
    script
        .peer
        .sent
        .retain(|sent| sent.to == Exit::Datagram("10.0.0.3:5060".parse().expect("a literal")));
    let second = script.expect("INVITE ");
    script.peer.sent.clear();
    is_hung_up(&mut script, &first, "slow", 2);
    is_acknowledged(&mut script, &first, "slow");
    script.answer(&second, "bob", "");
    assert_eq!(script.expect("ACK ").to_tag().as_deref(), Some("bob"));
    is_acknowledged(&mut script, &second, "bob");
    assert!(script.peer.node.call_id(call).is_some());
}

#[test]
fn an_invite_that_never_left_is_not_remembered() {
    let mut script = Script::new();
    let invitation = callwright_sip::command::Invite {
        target: uri("sip:bob@10.0.0.2;transport=tcp"),
        ..script.invitation()
    };
    let local = script.peer.local;
    script.act(|node, now| node.listen(now, Transport::Tcp, local));
    let call = script.act(|node, now| node.invite(now, invitation, None).expect("the call is placed"));
    script.peer.refuse(ConnectionError::Refused);
    assert!(script.ended(call).starts_with("transport "));
    assert_eq!(script.peer.node.residue().timers, 0);
}

#[test]
fn both_sides_know_the_end_when_the_answer_was_too_slow() {
    // Every response of bob's is lost for longer than alice waits.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.lose("bob", 1_000);
    world.run(2 * crate::parties::LATENCY);
    let bob = world.incoming(BOB).call;
    world.run(30_000);
    world.answer(BOB, bob);
    world.run(5_000);
    assert_eq!(world.ended(ALICE, alice), "timeout Timer B");
    world.heal();
    world.run(10_000);
    assert_eq!(world.ended(BOB, bob), "remote bye");
    assert_eq!(
        world
            .flow()
            .iter()
            .filter(|line| **line == "alice BYE bob")
            .count(),
        1
    );
    world.assert_clean();
}
