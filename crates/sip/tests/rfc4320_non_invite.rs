//! Non-INVITE transactions that do not make things worse: RFC 4320.

mod support;

use callwright_sip::core::RespondError;
use callwright_sip_message::{Builder, Message};
use support::core::{incoming, udp, udp_and_tcp};

const BRANCH: &str = "z9hG4bKpeer4";

fn answer(request: &Message, status: u16) -> Message {
    Builder::response_to(request, status, "Reason").finish()
}

#[test]
fn a_server_says_100_when_timer_e_of_the_client_reaches_t2() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    peer.expect_silence(3_499);
    peer.wait(1);
    let trying = peer.expect("SIP/2.0 100 Trying\r\n");
    peer.send(incoming("OPTIONS", BRANCH));
    assert_eq!(peer.expect("SIP/2.0 100"), trying);
    peer.respond(id, &options, 200);
    peer.expect("SIP/2.0 200");
}

#[test]
fn no_provisional_response_over_udp_and_none_but_100_at_all() {
    let mut peer = udp_and_tcp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    for status in [100, 180, 183] {
        let refused = peer.node.respond(peer.now, id, answer(&options, status), None);
        assert_eq!(refused, Err(RespondError::ProvisionalToNonInvite));
    }
    let connection = peer.connect(callwright_wire::Transport::Tcp);
    peer.write(
        connection,
        incoming("OPTIONS", "z9hG4bKtcp").replace("/UDP", "/TCP"),
    );
    let (id, options) = peer.expect_request();
    let refused = peer.node.respond(peer.now, id, answer(&options, 183), None);
    assert_eq!(refused, Err(RespondError::ProvisionalToNonInvite));
    peer.expect_nothing();
    peer.respond(id, &options, 100);
    peer.expect("SIP/2.0 100");
}

#[test]
fn no_408_ever() {
    let mut peer = udp();
    peer.send(incoming("OPTIONS", BRANCH));
    let (id, options) = peer.expect_request();
    let refused = peer.node.respond(peer.now, id, answer(&options, 408), None);
    assert_eq!(refused, Err(RespondError::TimeoutToNonInvite));
    peer.drain();
    peer.expect_nothing();
    peer.respond(id, &options, 500);
    peer.expect("SIP/2.0 500");
}
