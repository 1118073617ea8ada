//! §2.13 and §2.14: a proxy lets no call through that is on a list, and so may the callee itself.

use callwright_sip::Event;
use callwright_sip::command::{Account, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::EndCause;
use callwright_sip_message::{Builder, Message};

use crate::parties::{ALICE, BOB, LATENCY, World};
use crate::script::header;
use crate::strangers::Stranger;

const REASON: &str = "Screening Failure";

/// A refusal in words of the proxy's own.
fn screens_out(world: &mut World, proxy: Stranger, invite: &Message) {
    let refusal = Builder::response_to(invite, 403, REASON).to_tag("proxy").finish();
    proxy.replies(world, &refusal);
    let ack = proxy.takes(world, "ACK ");
    assert_eq!(ack.to_tag().as_deref(), Some("proxy"));
}

/// The 403 that ended Alice's call.
fn refusal(world: &mut World, alice: CallId) -> Message {
    world.expect(ALICE, |event| match event {
        Event::Ended {
            call,
            cause: EndCause::Response(message),
        } if *call == alice => Some(message.clone()),
        _ => None,
    })
}

/// Alice proves who she is, and that is what she is refused for.
fn screened_after_a_challenge(realm: &str) {
    let mut world = World::of(["alice", "bob"]);
    let proxy = world.stranger("proxy", "10.0.0.11:5060");
    let account = Account {
        realm: None,
        username: "alice".to_owned(),
        password: "secret".into(),
    };
    world.equip(ALICE, |identity| {
        identity.routes = vec![proxy.route()];
        identity.accounts = vec![account];
    });
    let alice = world.call(ALICE, BOB);
    let first = proxy.takes(&mut world, "INVITE ");
    let challenge = format!("Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n1\", algorithm=MD5");
    proxy.answers(&mut world, &first, 407, &challenge, None);
    proxy.takes(&mut world, "ACK ");
    let second = proxy.takes(&mut world, "INVITE ");
    let credentials = header(&second, "Proxy-Authorization");
    assert!(credentials.contains("username=\"alice\"") && credentials.contains(realm));
    screens_out(&mut world, proxy, &second);
    let refusal = refusal(&mut world, alice);
    assert_eq!(
        (refusal.status(), refusal.reason_phrase().as_deref()),
        (Some(403), Some(REASON))
    );
    proxy.takes_nothing(&mut world);
    assert_eq!(
        world.flow(),
        [
            "alice INVITE proxy",
            "proxy 407 alice",
            "alice ACK proxy",
            "alice INVITE proxy",
            "proxy 403 alice",
            "alice ACK proxy",
        ]
    );
    world.assert_clean();
}

#[test]
fn a_call_that_the_callee_s_proxy_screens_out_ends_with_its_reason() {
    // §2.13.
    screened_after_a_challenge("biloxi");
}

#[test]
fn a_call_that_the_caller_s_proxy_screens_out_ends_with_its_reason() {
    // §2.14: to the caller it looks the same.
    screened_after_a_challenge("atlanta");
}

#[test]
fn a_callee_screens_by_who_calls() {
    // §2.13 without a proxy: From tells who it is, and nothing rings.
    let mut world = World::of(["alice", "bob"]);
    let alice = world.call(ALICE, BOB);
    world.run(LATENCY);
    let incoming = world.incoming(BOB);
    assert_eq!(incoming.message.from().expect("From").uri, world.uri_of(ALICE));
    let reject = Reject {
        reason: Some(REASON.to_owned()),
        ..Reject::new(403)
    };
    world.act(BOB, |node, now| {
        node.reject(now, incoming.call, reject, None).expect("refuses")
    });
    world.run(2 * LATENCY);
    let refusal = refusal(&mut world, alice);
    assert_eq!(refusal.reason_phrase().as_deref(), Some(REASON));
    assert_eq!(
        world.flow(),
        ["alice INVITE bob", "bob 403 alice", "alice ACK bob"]
    );
    world.assert_clean();
}
