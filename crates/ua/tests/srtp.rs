//! Encrypted media with SDES keys (RFC 4568): offered and required.

mod support;

use std::time::Duration;

use callwright_ua::{Account, Audio, ListenFor, MediaEncryption, Phase};
use support::script::sdp;
use support::{Lab, Phone};

fn with(encryption: MediaEncryption) -> impl FnOnce(&mut Account) {
    move |account| account.media_encryption = encryption
}

fn pair(lab: &mut Lab, a: MediaEncryption, b: MediaEncryption) -> (Phone, Phone) {
    (lab.phone_with("alice", with(a)), lab.phone_with("bob", with(b)))
}

/// True when `b` hears what `a` sends.
fn hears(lab: &mut Lab, a: Phone, b: Phone) -> bool {
    let tone = Audio::Tones { hz: vec![440.0] };
    lab.fleet(a, |fleet, now, id| fleet.send_audio(now, id, None, tone))
        .unwrap();
    let what = ListenFor::Tone { hz: 440.0 };
    let listener = lab
        .fleet(b, |fleet, now, id| fleet.listen(now, id, None, what))
        .unwrap();
    lab.pass(Duration::from_millis(500));
    lab.peek(b, |fleet, id| fleet.heard(id, listener)).unwrap().done
}

#[test]
fn two_that_encrypt_hear_each_other() {
    for (a, b) in [
        (MediaEncryption::Offered, MediaEncryption::Offered),
        (MediaEncryption::Required, MediaEncryption::Required),
        (
            MediaEncryption::RequiredWithFeedback,
            MediaEncryption::RequiredWithFeedback,
        ),
        (MediaEncryption::Required, MediaEncryption::Offered),
    ] {
        let mut lab = Lab::new();
        let (alice, bob) = pair(&mut lab, a, b);
        lab.establish(alice, bob);
        assert!(hears(&mut lab, alice, bob), "{a:?} to {b:?}");
        assert!(hears(&mut lab, bob, alice), "{b:?} to {a:?}");
    }
}

#[test]
fn keys_that_are_only_offered_make_no_call_fail() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab, MediaEncryption::Offered, MediaEncryption::None);
    lab.establish(a, b);
    assert!(hears(&mut lab, a, b));
}

#[test]
fn a_callee_that_requires_keys_refuses_an_offer_without_any_before_it_rings() {
    for required in [MediaEncryption::Required, MediaEncryption::RequiredWithFeedback] {
        let mut lab = Lab::new();
        let (a, b) = pair(&mut lab, MediaEncryption::None, required);
        lab.dial(a, b);
        lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
        assert_eq!(
            lab.user_agent(a).last_end().unwrap().status,
            Some(488),
            "{required:?}"
        );
    }
}

#[test]
fn a_caller_that_requires_keys_is_refused_by_a_callee_without_any() {
    let mut lab = Lab::new();
    let (a, b) = pair(&mut lab, MediaEncryption::Required, MediaEncryption::None);
    lab.dial(a, b);
    lab.until(|lab| lab.phase(a) == Some(Phase::Ended));
    assert_eq!(lab.user_agent(a).last_end().unwrap().status, Some(488));
}

#[test]
fn a_call_with_required_keys_refuses_to_go_on_in_the_clear() {
    let mut lab = Lab::new();
    let peer = lab.domain();
    let a = lab.phone_with("alice", with(MediaEncryption::Required));
    lab.fleet(a, |fleet, now, id| fleet.dial(now, id, "bob", &[], None))
        .unwrap();
    let invite = lab.expect(peer, "INVITE");
    assert!(invite.body().contains("RTP/SAVP"), "{}", invite.text);
    let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let fields = ["Contact: <sip:10.0.0.250>"];
    let answer = sdp(1, "10.0.0.250", 4000, key).replace("RTP/AVP", "RTP/SAVP");
    lab.say(peer, invite.from, invite.reply("200 OK", "p", &fields, &answer));
    lab.expect(peer, "ACK");
    let clear = sdp(2, "10.0.0.250", 4000, "");
    lab.say(
        peer,
        invite.from,
        invite.request_back("INVITE", 1, "p", &fields, &clear),
    );
    lab.expect(peer, "SIP/2.0 488");
    assert_eq!(lab.phase(a), Some(Phase::Established));
}
