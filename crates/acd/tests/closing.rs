//! The machine is closed: calls end, nothing new is taken, and nothing is left.

mod support;

use std::time::Duration;

use callwright_acd::EndCause;
use callwright_sip_message::HeaderName;
use callwright_ua::Phase;
use callwright_wire::{Node, Residue};
use support::Lab;

/// It is closed, and holds nothing: no socket, no timer, no transaction.
#[track_caller]
fn assert_closed(lab: &mut Lab) {
    lab.until(|lab| lab.closed_at.is_some());
    assert!(lab.machine.is_closed());
    assert_eq!(lab.machine.residue(), Residue::default());
    assert_eq!(lab.server_sockets(), 0);
    let load = lab.machine.load();
    assert_eq!((load.calls, load.legs, load.facts_in_flight), (0, 0, 0));
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.machine.poll_timeout(), None);
}

#[test]
fn an_idle_machine_closes_at_once_and_its_bindings_stay_stored() {
    let mut lab = Lab::new();
    lab.registered("bob");
    // The transaction of the REGISTER may go on; nobody waits for it.
    let facts = lab.facts.len();
    lab.close();
    assert_eq!(lab.closed_at, Some(lab.now()));
    assert_closed(&mut lab);
    assert_eq!(lab.facts.len(), facts);
    lab.close();
}

#[test]
fn parties_who_talk_are_hung_up_with_a_reason() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.close();
    assert_eq!(lab.closed_at, None, "both BYEs want an answer");
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    assert_closed(&mut lab);
    for phone in [alice, bob] {
        let bye = lab.last_received(phone, "BYE");
        let reason = bye.header(HeaderName::Reason);
        assert_eq!(
            reason.as_deref(),
            Some("SIP;cause=503;text=\"Server Shutting Down\"")
        );
    }
    assert_eq!(lab.ends(), [EndCause::Failed(503)]);
}

#[test]
fn who_rings_is_cancelled_and_who_waits_is_refused() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.close();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    assert_eq!(lab.ended(alice).0, Some(503));
    let refused = lab.last_received(alice, "SIP/2.0 503");
    assert_eq!(refused.header(HeaderName::RetryAfter).as_deref(), Some("5"));
    assert_eq!(lab.ended(bob).1, "cancelled by the caller: Server Shutting Down");
    assert_closed(&mut lab);
    assert_eq!(lab.ends(), [EndCause::Failed(503)]);
}

#[test]
fn an_answer_on_its_way_to_the_store_is_none() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.dial(alice, "bob");
    lab.until(|lab| lab.phase(bob) == Some(Phase::Ringing));
    lab.store.delay = Duration::from_millis(500);
    lab.accept(bob);
    lab.pass(Duration::from_millis(100));
    lab.close();
    lab.until(|lab| lab.phase(alice) == Some(Phase::Ended) && lab.phase(bob) == Some(Phase::Ended));
    assert_eq!(lab.ended(alice).0, Some(503));
    assert_closed(&mut lab);
}

#[test]
fn a_transfer_under_way_ends_for_all_three() {
    let mut lab = Lab::new();
    let (alice, bob, carol) = (lab.phone("alice"), lab.registered("bob"), lab.registered("carol"));
    lab.establish(alice, bob);
    lab.fleet(bob, |fleet, now, id| fleet.transfer(now, id, None, "carol", None))
        .expect("it talks");
    lab.until(|lab| lab.phase(carol) == Some(Phase::Ringing));
    lab.close();
    lab.until(|lab| [alice, bob, carol].map(|phone| lab.phase(phone)) == [Some(Phase::Ended); 3]);
    assert_closed(&mut lab);
}

#[test]
fn nothing_new_is_taken_while_it_closes() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    let (carol, dave) = (lab.phone("carol"), lab.phone("dave"));
    lab.establish(alice, bob);
    // Alice is gone without a word: the machine waits for her answer to its BYE.
    lab.partition = Some(alice.address());
    lab.close();
    lab.dial(carol, "bob");
    lab.register(dave);
    lab.until(|lab| lab.phase(carol) == Some(Phase::Ended));
    assert_eq!(lab.ended(carol).0, Some(503));
    lab.pass(Duration::from_millis(100));
    let refused = lab.last_received(dave, "SIP/2.0 503");
    assert_eq!(refused.header(HeaderName::RetryAfter).as_deref(), Some("5"));
    assert!(!lab.is_registered(dave));
}

#[test]
fn a_peer_or_a_store_that_says_nothing_holds_it_up_for_33_seconds() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    lab.partition = Some(alice.address());
    lab.store.stuck = true;
    let began = lab.now();
    lab.close();
    assert_closed(&mut lab);
    let took = lab.closed_at.expect("it is closed").since(began);
    assert_eq!(took, Duration::from_secs(33));
}

#[test]
fn a_peer_that_says_nothing_is_waited_for_as_long_as_its_transaction_lasts() {
    let mut lab = Lab::new();
    let (alice, bob) = (lab.phone("alice"), lab.registered("bob"));
    lab.establish(alice, bob);
    // Her ACK is there.
    lab.pass(Duration::from_millis(10));
    lab.partition = Some(alice.address());
    let began = lab.now();
    lab.close();
    assert_closed(&mut lab);
    let took = lab.closed_at.expect("it is closed").since(began);
    assert_eq!(took, Duration::from_secs(32), "Timer F");
}
