//! The non-INVITE client transaction on the wire: RFC 3261 §17.1.2.

mod support;

use callwright_sip::core::TransactionId;
use callwright_sip_message::Method;
use support::core::udp;

#[test]
fn timer_e_doubles_up_to_t2_until_timer_f_ends_it_at_32_s() {
    let mut peer = udp();
    let id = peer.request(Method::Options);
    peer.expect("OPTIONS");
    for interval in [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000] {
        peer.expect_retransmit(interval);
    }
    // 31,500 ms have passed.
    peer.wait(499);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "Timer F");
    peer.expect_nothing();
    peer.expect_settled();
}

#[test]
fn after_a_provisional_response_it_retransmits_every_t2() {
    let mut peer = udp();
    let id = peer.request(Method::Options);
    let options = peer.expect("OPTIONS");
    peer.wait(100);
    peer.reply(&options, 100);
    peer.expect_response(id, 100);
    // Timer E that runs is not touched; from then on it is T2.
    for interval in [500, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000] {
        peer.expect_retransmit(interval);
    }
    peer.wait(3_499);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_timeout(TransactionId::Client(id), "Timer F");
    peer.expect_settled();
}

#[test]
fn timer_k_absorbs_final_responses_for_t4() {
    let mut peer = udp();
    let id = peer.request(Method::Bye);
    let bye = peer.expect("BYE");
    peer.reply(&bye, 200);
    peer.expect_response(id, 200);
    peer.wait(4_999);
    peer.reply(&bye, 200);
    peer.expect_no_event();
    peer.wait(1);
    peer.expect_ended(TransactionId::Client(id));
    peer.expect_settled();
    assert_eq!(peer.node.counters().stray_responses, 0);
    assert_eq!(peer.node.counters().received_again, 1);
}

#[test]
fn a_lost_response_is_had_by_retransmission() {
    let mut peer = udp();
    let id = peer.request(Method::Register);
    let register = peer.expect("REGISTER");
    peer.expect_retransmit(500);
    peer.reply(&register, 200);
    peer.expect_response(id, 200);
    peer.expect_silence(5_000);
    peer.expect_ended(TransactionId::Client(id));
}
