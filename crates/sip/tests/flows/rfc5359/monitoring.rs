//! §2.16 and §2.17: call pickup and automatic redial, by what another telephone tells of its dialogs (RFC 4235).

use std::time::Duration;

use callwright_sip::Event;
use callwright_sip::command::{Answer, Hangup, Invite, Progress, Subscribe};
use callwright_sip::endpoint::SubscriptionId;
use callwright_sip::event::SubscriptionState;
use callwright_sip_message::Message;

use super::{DIALOG_INFO, dialog_info, dialog_of_caller, monitor, notify, read_dialog_info};
use crate::parties::{ALICE, ANSWER, BOB, CAROL, LATENCY, OFFER, World, sdp};
use crate::script::{Script, header};
use crate::strangers::Stranger;

/// A party subscribes to the dialogs of somebody, who accepts that.
fn subscribe(world: &mut World, who: usize, whose: Stranger) -> (SubscriptionId, Message) {
    let wanted = Subscribe {
        identity: world.parties[who].identity,
        target: whose.uri(),
        event: "dialog".to_owned(),
        accept: DIALOG_INFO.to_owned(),
        expires: Duration::from_secs(600),
        headers: vec![],
    };
    let id = world.act(who, |node, now| {
        node.subscribe(now, wanted, None).expect("subscribes")
    });
    let subscribe = whose.takes(world, "SUBSCRIBE sip:bob@10.0.0.9 ");
    assert_eq!(header(&subscribe, "Event"), "dialog");
    assert_eq!(header(&subscribe, "Accept"), DIALOG_INFO);
    assert_eq!(header(&subscribe, "Expires"), "600");
    whose.answers(
        world,
        &subscribe,
        200,
        &format!("{}Expires: 600", whose.contact()),
        None,
    );
    (id, subscribe)
}

fn notified(world: &mut World, who: usize) -> Message {
    world.expect(who, |event| match event {
        Event::Notify { message, .. } => Some(message.clone()),
        _ => None,
    })
}

/// A call with an offer.
fn invitation(world: &World, who: usize, whose: Stranger) -> Invite {
    Invite {
        offer: Some(sdp(OFFER)),
        ..Invite::new(world.parties[who].identity, whose.uri())
    }
}

#[test]
fn a_colleague_picks_up_a_call_that_rings_elsewhere() {
    // §2.16: Bill asks Bob's telephone which dialog rings there, and takes it as long as it is early.
    const BILL: usize = 1;
    let mut world = World::with([("alice", super::EndpointConfig::default()), ("bill", monitor())]);
    let bob = world.stranger("bob", "10.0.0.9:5060");
    let invite = invitation(&world, ALICE, bob);
    let alice = world.place(ALICE, invite);
    let ringing = bob.takes(&mut world, "INVITE ");
    let progress = bob.answers(&mut world, &ringing, 180, &bob.contact(), None);
    let (_, asked) = subscribe(&mut world, BILL, bob);
    let dialog = dialog_of_caller(&progress, true);
    let body = dialog_info(&dialog, "early");
    notify(&mut world, bob, &asked, 1, "terminated;reason=noresource", &body);
    let replaces = read_dialog_info(&notified(&mut world, BILL), true);
    assert_eq!(replaces, dialog);
    let invite = Invite {
        replaces: Some(replaces),
        ..world.invitation(BILL, ALICE)
    };
    let bill = world.place(BILL, invite);
    world.run(LATENCY);
    let picked = world.incoming(ALICE);
    assert_eq!(picked.replaces, Some(alice));
    assert!(header(&picked.message, "Replaces").ends_with(";early-only"));
    world.answer(ALICE, picked.call);
    let cancel = bob.takes(&mut world, "CANCEL ");
    assert_eq!(
        cancel.via().expect("Via").branch(),
        ringing.via().expect("Via").branch()
    );
    bob.answers(&mut world, &cancel, 200, "", None);
    bob.answers(&mut world, &ringing, 487, "", None);
    bob.takes(&mut world, "ACK ");
    assert_eq!(world.ended(ALICE, alice), "cancelled");
    world.hangup(BILL, bill);
    world.run(2 * LATENCY);
    assert_eq!(world.ended(ALICE, picked.call), "remote bye");
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 180 alice",
            "bill SUBSCRIBE bob",
            "bob 200 bill",
            "bob NOTIFY bill",
            "bill 200 bob",
            "bill INVITE alice",
            "alice 200 bill",
            "alice CANCEL bob",
            "bill ACK alice",
            "bob 200 alice",
            "bob 487 alice",
            "alice ACK bob",
            "bill BYE alice",
            "alice 200 bill",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_pickup_comes_too_late_when_the_callee_has_answered() {
    // §2.16: that is what `early-only` is for.
    let mut world = World::of(["alice", "bob", "carol"]);
    let (_, _) = world.connected(ALICE, BOB);
    let replaces = dialog_of_caller(&world.received(ALICE, "SIP/2.0 200"), true);
    world.forget();
    let invite = Invite {
        replaces: Some(replaces),
        ..world.invitation(CAROL, ALICE)
    };
    let carol = world.place(CAROL, invite);
    world.run(3 * LATENCY);
    assert_eq!(world.ended(CAROL, carol), "response 486");
    assert_eq!(
        world.flow(),
        ["carol INVITE alice", "alice 486 carol", "carol ACK alice"]
    );
}

#[test]
fn a_call_is_picked_up_while_it_rings_elsewhere() {
    // §2.16: Bob rings, and Carol takes the call of Alice by Replaces with early-only.
    let mut world = World::of(["alice", "bob", "carol"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let bob = world.incoming(BOB).call;
    world.act(BOB, |node, now| {
        node.progress(now, bob, Progress::new(180), None).expect("rings")
    });
    world.run(LATENCY);
    let ringing = world.received(ALICE, "SIP/2.0 180");
    let tag = |name: &str| {
        let value = ringing.header(name).expect("From and To").into_owned();
        value.split_once("tag=").expect("a tag").1.to_owned()
    };
    let replaces = callwright_sip::command::Replaces {
        call_id: ringing.call_id().expect("Call-ID").to_string(),
        to_tag: tag("From"),
        from_tag: tag("To"),
        early_only: true,
    };
    let invite = Invite {
        replaces: Some(replaces),
        ..world.invitation(CAROL, ALICE)
    };
    world.place(CAROL, invite);
    world.run(LATENCY);
    let picked = world.incoming(ALICE);
    assert_eq!(picked.replaces, Some(alice));
    world.act(ALICE, |node, now| {
        let answer = Answer {
            description: Some(sdp(ANSWER)),
            ..Answer::default()
        };
        node.answer(now, picked.call, answer, None).expect("answers");
    });
    world.run(4 * LATENCY);
    assert_eq!(world.ended(BOB, bob), "cancelled by the caller");
    assert_eq!(world.ended(ALICE, alice), "cancelled");
    world.act(ALICE, |node, now| {
        node.hangup(now, picked.call, Hangup::default(), None)
            .expect("hangs up")
    });
    world.assert_clean();
}

#[test]
fn a_busy_callee_is_called_again_when_it_is_free() {
    // §2.17.
    let mut world = World::with([("alice", monitor())]);
    let bob = world.stranger("bob", "10.0.0.9:5060");
    let invite = invitation(&world, ALICE, bob);
    let first = world.place(ALICE, invite);
    let refused = bob.takes(&mut world, "INVITE ");
    bob.answers(&mut world, &refused, 486, "", None);
    bob.takes(&mut world, "ACK ");
    assert_eq!(world.ended(ALICE, first), "response 486");

    let (id, asked) = subscribe(&mut world, ALICE, bob);
    let dialog = callwright_sip::command::Replaces {
        call_id: "of-somebody".to_owned(),
        to_tag: "somebody".to_owned(),
        from_tag: "bob".to_owned(),
        early_only: false,
    };
    let busy = dialog_info(&dialog, "confirmed");
    notify(&mut world, bob, &asked, 1, "active;expires=600", &busy);
    let told = notified(&mut world, ALICE);
    assert!(String::from_utf8_lossy(&told.body()).contains("<state>confirmed</state>"));
    world.run(60_000);
    let free = dialog_info(&dialog, "terminated");
    notify(&mut world, bob, &asked, 2, "active;expires=540", &free);
    let told = notified(&mut world, ALICE);
    assert!(String::from_utf8_lossy(&told.body()).contains("<state>terminated</state>"));

    let invite = invitation(&world, ALICE, bob);
    let second = world.place(ALICE, invite);
    let taken = bob.takes(&mut world, "INVITE ");
    assert_ne!(taken.call_id(), refused.call_id());
    bob.answers(&mut world, &taken, 180, &bob.contact(), None);
    bob.answers(&mut world, &taken, 200, &bob.contact(), Some(ANSWER));
    bob.takes(&mut world, "ACK ");
    world.act(ALICE, |node, now| {
        node.unsubscribe(now, id, None).expect("unsubscribes")
    });
    let last = bob.takes(&mut world, "SUBSCRIBE sip:bob@10.0.0.9 ");
    assert_eq!(header(&last, "Expires"), "0");
    assert_eq!(last.call_id(), asked.call_id());
    assert_eq!(last.to_tag().as_deref(), Some("bob"));
    bob.answers(
        &mut world,
        &last,
        200,
        &format!("{}Expires: 0", bob.contact()),
        None,
    );
    notify(&mut world, bob, &asked, 3, "terminated;reason=timeout", "");
    let over = world.expect(ALICE, |event| match event {
        Event::Subscription {
            state: SubscriptionState::Terminated { retry, .. },
            ..
        } => Some(*retry),
        _ => None,
    });
    assert_eq!(over, None);
    assert_eq!(
        world.flow(),
        [
            "alice INVITE bob",
            "bob 486 alice",
            "alice ACK bob",
            "alice SUBSCRIBE bob",
            "bob 200 alice",
            "bob NOTIFY alice",
            "alice 200 bob",
            "bob NOTIFY alice",
            "alice 200 bob",
            "alice INVITE bob",
            "bob 180 alice",
            "bob 200 alice",
            "alice ACK bob",
            "alice SUBSCRIBE bob",
            "bob 200 alice",
            "bob NOTIFY alice",
            "alice 200 bob",
        ]
    );
    world.hangup(ALICE, second);
    let bye = bob.takes(&mut world, "BYE ");
    bob.answers(&mut world, &bye, 200, "", None);
    world.assert_clean();
}

/// A SUBSCRIBE to dialogs by an endpoint with its usual configuration, answered with 200.
fn subscribed(script: &mut Script, expires: u64) -> Message {
    let wanted = Subscribe {
        identity: script.identity,
        target: crate::parties::uri("sip:bob@10.0.0.2"),
        event: "dialog".to_owned(),
        accept: DIALOG_INFO.to_owned(),
        expires: Duration::from_secs(expires),
        headers: vec![],
    };
    script.act(|node, now| node.subscribe(now, wanted, None).expect("subscribes"));
    let subscribe = script.expect("SUBSCRIBE ");
    let more = format!("Expires: {expires}\r\nContact: <sip:bob@10.0.0.2>");
    script.respond(&subscribe, 200, "bob", &more, None);
    subscribe
}

#[test]
fn a_notify_may_carry_what_its_subscribe_accepted() {
    let mut script = Script::new();
    let subscribe = subscribed(&mut script, 600);
    let more = "Event: dialog\r\nContact: <sip:bob@10.0.0.2>\r\nSubscription-State: active;expires=600";
    script.in_dialog(
        &subscribe,
        "NOTIFY",
        1,
        more,
        Some((DIALOG_INFO, "<dialog-info/>")),
    );
    script.expect("SIP/2.0 200");
}

#[test]
fn a_state_that_is_asked_for_once_is_not_asked_for_again() {
    // RFC 6665 §4.4.3: Expires of 0 fetches, and the NOTIFY ends with the reason `timeout`.
    let mut script = Script::new();
    let subscribe = subscribed(&mut script, 0);
    let more =
        "Event: dialog\r\nContact: <sip:bob@10.0.0.2>\r\nSubscription-State: terminated;reason=timeout";
    script.in_dialog(&subscribe, "NOTIFY", 1, more, None);
    script.expect("SIP/2.0 200");
    script.peer.expect_silence(60_000);
}
