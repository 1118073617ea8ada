//! Offer and answer: RFC 3264 §5 to §8, with the states of RFC 6337.

mod ends;

use callwright_sdp::negotiation::{
    Capabilities, Irregularity, LocalMedia, NegotiationError, Refusal, RtcpMux, State,
};
use callwright_sdp::{Direction, Format, MediaKind, Session};
use ends::{alice, alice_with, bob, bob_with, description, description_version};

const PLAIN: &str = "m=audio 6000 RTP/AVP 0\n";

fn status(error: &NegotiationError) -> (Option<u16>, Option<u16>) {
    (error.status(), error.warning().map(|warning| warning.code))
}

#[test]
fn two_ends_agree() {
    let (mut alice, mut bob) = (alice(), bob());
    let offer = alice.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(alice.state(), State::LocalOffer);
    bob.receive_offer(offer).expect("an offer that can be taken");
    assert_eq!(bob.state(), State::RemoteOffer);
    let (answer, at_bob) = bob.create_answer(Direction::SendRecv).expect("an answer");
    let at_alice = alice
        .receive_answer(answer)
        .expect("an answer by rule")
        .expect("a stream");
    let at_bob = at_bob.expect("a stream");
    assert_eq!((alice.state(), bob.state()), (State::Stable, State::Stable));
    assert_eq!(at_alice.remote_rtp, "192.0.2.2:5000".parse().ok());
    assert_eq!(at_alice.remote_rtcp, "192.0.2.2:5001".parse().ok());
    assert_eq!(at_bob.remote_rtp, "192.0.2.1:4000".parse().ok());
    for end in [&at_alice, &at_bob] {
        assert_eq!((&end.send, end.ptime_ms), (&Format::pcmu(), 20));
        assert_eq!(
            (end.telephone_event_send, end.telephone_event_receive),
            (Some(101), Some(101))
        );
        assert_eq!(end.receive_codec(8), Some(&Format::pcma()));
        assert!(end.sends() && end.receives() && !end.held_by_peer());
        assert_eq!(end.irregularities, []);
    }
}

#[test]
fn the_written_offer_is_what_a_person_would_write() {
    let offer = alice().create_offer(Direction::SendRecv).expect("an offer");
    let expected = "v=0\no=- 11 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\na=ptime:20\na=sendrecv\n";
    assert_eq!(offer.to_string(), expected.replace('\n', "\r\n"));
}

#[test]
fn the_answer_uses_payload_types_and_order_of_the_offer() {
    let mut bob = bob();
    bob.receive_offer(description(
        "m=audio 6000 RTP/AVP 96 18 8 97 0\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/8000\n",
    ))
    .expect("an offer that can be taken");
    let (answer, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
    let numbers: Vec<_> = answer.media[0]
        .formats
        .iter()
        .map(|format| format.payload_type)
        .collect();
    assert_eq!(numbers, [8, 97, 0]);
    let negotiated = negotiated.expect("a stream");
    assert_eq!(negotiated.send, Format::pcma());
    assert_eq!(
        (
            negotiated.telephone_event_send,
            negotiated.telephone_event_receive
        ),
        (Some(97), Some(97))
    );
}

#[test]
fn each_end_sends_with_the_number_that_the_other_gave() {
    let mut alice = alice();
    alice.create_offer(Direction::SendRecv).expect("an offer");
    let answer = description(
        "m=audio 6000 RTP/AVP 98 8\na=rtpmap:98 TELEPHONE-EVENT/8000\na=ptime:40\na=maxptime:30\n",
    );
    let negotiated = alice
        .receive_answer(answer)
        .expect("an answer by rule")
        .expect("a stream");
    assert_eq!(negotiated.send, Format::pcma());
    assert_eq!(
        (
            negotiated.telephone_event_send,
            negotiated.telephone_event_receive
        ),
        (Some(98), Some(101))
    );
    assert_eq!(negotiated.ptime_ms, 30);
    assert!(
        negotiated.receive_codec(0).is_some(),
        "the peer may send what was offered until told otherwise"
    );
}

#[test]
fn an_answer_without_telephone_event_leaves_nothing_to_send_digits_with() {
    let mut alice = alice();
    alice.create_offer(Direction::SendRecv).expect("an offer");
    let negotiated = alice
        .receive_answer(description(PLAIN))
        .expect("an answer by rule")
        .expect("a stream");
    assert_eq!(
        (
            negotiated.telephone_event_send,
            negotiated.telephone_event_receive
        ),
        (None, Some(101))
    );
}

#[test]
fn media_that_is_not_known_is_rejected_in_its_place() {
    let mut bob = bob();
    bob.receive_offer(description(
        "m=video 7000 RTP/AVP 99\na=rtpmap:99 H264/90000\nm=audio 6000 RTP/AVP 0\nm=image 7002 udptl t38\nm=audio 6002 RTP/AVP 8\n",
    ))
    .expect("an offer that can be taken");
    let (answer, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
    let lines: Vec<_> = answer
        .to_string()
        .lines()
        .filter(|line| line.starts_with("m="))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 99",
            "m=audio 5000 RTP/AVP 0",
            "m=image 0 udptl t38",
            "m=audio 0 RTP/AVP 8"
        ]
    );
    assert_eq!(negotiated.map(|negotiated| negotiated.index), Some(1));
}

#[test]
fn the_answer_repeats_the_times_of_the_offer() {
    let mut bob = bob();
    let mut offer = description(PLAIN);
    offer.times = vec![(3_034_423_619, 3_042_462_419)];
    bob.receive_offer(offer.clone())
        .expect("an offer that can be taken");
    assert_eq!(
        bob.create_answer(Direction::SendRecv).expect("an answer").0.times,
        offer.times
    );
}

#[test]
fn rtcp_mux_needs_both() {
    for (offers, accepts, agreed) in [
        (RtcpMux::Offer, RtcpMux::Offer, true),
        (RtcpMux::Offer, RtcpMux::Accept, true),
        (RtcpMux::Offer, RtcpMux::Never, false),
        (RtcpMux::Accept, RtcpMux::Offer, false),
        (RtcpMux::Never, RtcpMux::Offer, false),
    ] {
        let with = |rtcp_mux| Capabilities {
            rtcp_mux,
            ..Capabilities::default()
        };
        let (mut alice, mut bob) = (alice_with(with(offers)), bob_with(with(accepts)));
        bob.receive_offer(alice.create_offer(Direction::SendRecv).expect("an offer"))
            .expect("taken");
        let (answer, at_bob) = bob.create_answer(Direction::SendRecv).expect("an answer");
        let at_alice = alice.receive_answer(answer).expect("by rule").expect("a stream");
        let at_bob = at_bob.expect("a stream");
        assert_eq!((at_alice.rtcp_mux, at_bob.rtcp_mux), (agreed, agreed));
        let port = if agreed { 5000 } else { 5001 };
        assert_eq!(at_alice.remote_rtcp.map(|address| address.port()), Some(port));
        // Who accepted it offers it itself in the next exchange.
        let again = bob.create_offer(Direction::SendRecv).expect("an offer");
        assert_eq!(again.media[0].rtcp_mux, agreed);
    }
}

#[test]
fn rfc3605_a_port_elsewhere_is_told() {
    let mut alice = alice();
    alice.set_local_media(LocalMedia {
        rtcp_port: Some(4007),
        ..LocalMedia::new([192, 0, 2, 1].into(), 4000)
    });
    let offer = alice.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(offer.rtcp_address(0), "192.0.2.1:4007".parse().ok());
    assert!(offer.to_string().contains("a=rtcp:4007\r\n"));
}

#[test]
fn what_cannot_be_accepted_is_refused_with_status_and_warning() {
    let refused = |media: &str| {
        let mut bob = bob();
        let error = bob
            .receive_offer(description(media))
            .expect_err("nothing to accept");
        assert_eq!(bob.state(), State::Stable);
        (status(&error), error)
    };
    let expect = |media, warning, refusal| {
        assert_eq!(
            refused(media),
            ((Some(488), Some(warning)), NegotiationError::Refused(refusal))
        );
    };
    expect("m=audio 6000 RTP/AVP 18\n", 305, Refusal::NoCommonCodec);
    expect(
        "m=audio 6000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000\n",
        305,
        Refusal::NoCommonCodec,
    );
    expect("m=video 6000 RTP/AVP 99\n", 304, Refusal::NoAudio);
    expect(
        "m=audio 6000 RTP/AVP 0\nc=IN IP4 name.example\n",
        301,
        Refusal::NoAddress,
    );
    expect("m=audio 6000 RTP/SAVP 0\n", 302, Refusal::EncryptionNotSupported);
    let dtls = "UDP/TLS/RTP/SAVPF";
    expect(
        &format!("m=audio 6000 {dtls} 0\n"),
        302,
        Refusal::Transport(dtls.into()),
    );
}

#[test]
fn an_offer_with_nothing_in_use_is_answered_with_nothing_in_use() {
    for media in ["", "m=audio 0 RTP/AVP 0\n"] {
        let mut bob = bob();
        bob.receive_offer(description(media))
            .expect("an offer that can be taken");
        let (answer, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
        assert_eq!(negotiated, None);
        assert!(answer.media.iter().all(|media| media.rejected()));
        assert_eq!(
            answer.media.len(),
            bob.remote_description().map_or(9, |remote| remote.media.len())
        );
    }
}

#[test]
fn an_answer_without_an_offer_is_an_error_value() {
    let mut alice = alice();
    let error = alice
        .receive_answer(description(PLAIN))
        .expect_err("no offer is out");
    assert_eq!(error, NegotiationError::UnexpectedAnswer { state: State::Stable });
    assert_eq!(status(&error), (None, None));
    alice.create_offer(Direction::SendRecv).expect("an offer");
    alice
        .receive_answer(description(PLAIN))
        .expect("an answer by rule");
    alice
        .receive_answer(description(PLAIN))
        .expect_err("the second answer to one offer");
    assert_eq!(
        alice.create_answer(Direction::SendRecv),
        Err(NegotiationError::NoOffer { state: State::Stable })
    );
}

#[test]
fn offers_that_cross_are_refused_with_491_and_a_second_one_with_500() {
    let mut alice = alice();
    alice.create_offer(Direction::SendRecv).expect("an offer");
    let glare = alice.receive_offer(description(PLAIN)).expect_err("glare");
    assert_eq!((glare.status(), alice.state()), (Some(491), State::LocalOffer));
    assert_eq!(
        alice.create_offer(Direction::SendRecv),
        Err(NegotiationError::NotStable {
            state: State::LocalOffer
        })
    );
    assert_eq!(
        alice.create_answer(Direction::SendRecv),
        Err(NegotiationError::NoOffer {
            state: State::LocalOffer
        })
    );
    alice
        .receive_answer(description(PLAIN))
        .expect("our offer is still out");
    alice
        .receive_offer(description_version(2, PLAIN))
        .expect("an offer that can be taken");
    let second = alice
        .receive_offer(description_version(3, PLAIN))
        .expect_err("one at a time");
    assert_eq!((second.status(), alice.state()), (Some(500), State::RemoteOffer));
}

#[test]
fn an_answer_that_breaks_a_rule_leaves_the_offer_out() {
    let mut alice = alice();
    alice.create_offer(Direction::SendRecv).expect("an offer");
    let mut refuse = |media: &str| {
        let error = alice
            .receive_answer(description(media))
            .expect_err("a rule is broken");
        assert_eq!((error.status(), alice.state()), (None, State::LocalOffer));
        error
    };
    let two = "m=audio 6000 RTP/AVP 0\nm=audio 6002 RTP/AVP 0\n";
    assert_eq!(
        refuse(two),
        NegotiationError::AnswerMediaCount {
            offered: 1,
            answered: 2
        }
    );
    assert_eq!(
        refuse(""),
        NegotiationError::AnswerMediaCount {
            offered: 1,
            answered: 0
        }
    );
    assert_eq!(
        refuse("m=video 6000 RTP/AVP 0\n"),
        NegotiationError::AnswerMediaKind { index: 0 }
    );
    assert_eq!(
        refuse("m=audio 6000 RTP/AVP 18\n"),
        NegotiationError::AnswerFormats { index: 0 }
    );
    assert_eq!(
        refuse("m=audio 6000 RTP/AVP 0\nc=IN IP4 h.example\n"),
        NegotiationError::AnswerAddress { index: 0 }
    );
    let savp = NegotiationError::AnswerProtocol {
        index: 0,
        answered: "RTP/SAVP".into(),
    };
    assert_eq!(refuse("m=audio 6000 RTP/SAVP 0\n"), savp);
    alice
        .receive_answer(description(PLAIN))
        .expect("a better answer")
        .expect("a stream");
}

#[test]
fn an_answer_may_reject_the_stream() {
    let mut alice = alice();
    alice.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(
        alice.receive_answer(description("m=audio 0 RTP/AVP 0\n")),
        Ok(None)
    );
    assert_eq!((alice.state(), alice.negotiated()), (State::Stable, None));
    // RFC 3264 §8.1: the slot can be used again.
    let again = alice.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(again.media.len(), 1);
}

#[test]
fn section_8_the_version_goes_up_only_when_something_changed() {
    let (mut alice, mut bob) = (alice(), bob());
    let versions = |alice: &mut callwright_sdp::negotiation::OfferAnswer,
                    bob: &mut callwright_sdp::negotiation::OfferAnswer,
                    direction| {
        let offer = alice.create_offer(direction).expect("an offer");
        bob.receive_offer(offer.clone()).expect("taken");
        let (answer, _) = bob.create_answer(Direction::SendRecv).expect("an answer");
        let agreed = alice
            .receive_answer(answer.clone())
            .expect("by rule")
            .expect("a stream");
        assert_eq!(agreed.irregularities, []);
        (offer.origin.version, answer.origin.version)
    };
    use Direction::{SendOnly, SendRecv};
    assert_eq!(versions(&mut alice, &mut bob, SendRecv), (1, 1));
    assert_eq!(
        versions(&mut alice, &mut bob, SendRecv),
        (1, 1),
        "a session refresh"
    );
    assert_eq!(versions(&mut alice, &mut bob, SendOnly), (2, 2), "hold");
    assert_eq!(versions(&mut alice, &mut bob, SendRecv), (3, 3), "resume");
    // The roles change: bob's offer asks with his own wish, alice's answer is as before.
    assert_eq!(versions(&mut bob, &mut alice, SendRecv).1, 3);
}

#[test]
fn a_refused_offer_changes_nothing_but_its_version_is_used_up() {
    let (mut alice, mut bob) = (alice(), bob());
    bob.receive_offer(alice.create_offer(Direction::SendRecv).expect("an offer"))
        .expect("taken");
    alice
        .receive_answer(bob.create_answer(Direction::SendRecv).expect("an answer").0)
        .expect("by rule");
    let before = alice.negotiated().cloned();
    assert_eq!(
        alice
            .create_offer(Direction::Inactive)
            .expect("an offer")
            .origin
            .version,
        2
    );
    alice.rollback();
    assert_eq!(
        (alice.state(), alice.negotiated()),
        (State::Stable, before.as_ref())
    );
    assert_eq!(
        alice
            .create_offer(Direction::SendRecv)
            .expect("an offer")
            .origin
            .version,
        3
    );
}

#[test]
fn a_later_offer_may_not_drop_streams() {
    let mut bob = bob();
    bob.receive_offer(description("m=audio 6000 RTP/AVP 0\nm=video 0 RTP/AVP 99\n"))
        .expect("taken");
    bob.create_answer(Direction::SendRecv).expect("an answer");
    let before = bob.negotiated().cloned();
    let fewer = bob
        .receive_offer(description_version(2, PLAIN))
        .expect_err("one stream is gone");
    assert_eq!(
        fewer,
        NegotiationError::MediaRemoved {
            before: 2,
            offered: 1
        }
    );
    assert_eq!(status(&fewer), (Some(488), Some(399)));
    assert_eq!(bob.negotiated(), before.as_ref());
}

#[test]
fn section_8_3_3_a_stream_may_become_one_of_another_kind() {
    let mut bob = bob();
    bob.receive_offer(description("m=audio 6000 RTP/AVP 0\nm=video 0 RTP/AVP 99\n"))
        .expect("taken");
    bob.create_answer(Direction::SendRecv).expect("an answer");
    let before = bob.negotiated().cloned();
    // Nothing is left that this end has: refused as any such offer, and the agreement holds.
    let fax = bob
        .receive_offer(description_version(
            2,
            "m=image 6000 udptl t38\nm=video 0 RTP/AVP 99\n",
        ))
        .expect_err("audio became a fax");
    assert_eq!(fax, NegotiationError::Refused(Refusal::NoAudio));
    assert_eq!(status(&fax), (Some(488), Some(304)));
    assert_eq!(bob.negotiated(), before.as_ref());
    // The audio moved to another slot.
    let moved = "m=video 6000 RTP/AVP 99\nm=audio 7000 RTP/AVP 0\n";
    bob.receive_offer(description_version(2, moved)).expect("taken");
    let (answer, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
    assert_eq!((answer.media[0].port, answer.media[1].port), (0, 5000));
    assert_eq!(
        (&answer.media[0].kind, &answer.media[1].kind),
        (&MediaKind::Video, &MediaKind::Audio)
    );
    assert_eq!(negotiated.map(|negotiated| negotiated.index), Some(1));
    let offer = bob.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!((offer.media[0].port, offer.media[1].port), (0, 5000));
}

#[test]
fn a_later_offer_of_ours_keeps_all_slots_and_all_numbers() {
    let mut bob = bob();
    bob.receive_offer(description(
        "m=video 7000 RTP/AVP 101\na=rtpmap:101 H264/90000\nm=audio 6000 RTP/AVP 8 97 101\na=rtpmap:97 telephone-event/8000\na=rtpmap:101 speex/8000\n",
    ))
    .expect("taken");
    bob.create_answer(Direction::SendRecv).expect("an answer");
    let offer = bob.create_offer(Direction::SendOnly).expect("an offer");
    let formats: Vec<_> = offer.media[1].formats.iter().map(ToString::to_string).collect();
    assert_eq!(
        formats,
        ["PCMA/8000", "PCMU/8000", "telephone-event/8000"],
        "the codec in use stays first"
    );
    // RFC 3264 §8.3.2: 97 is telephone-event for the life of the session, though our own choice would be 101.
    assert_eq!(offer.media[1].formats[2].payload_type, 97);
    assert_eq!((offer.media[0].port, offer.media[1].port), (0, 5000));
}

#[test]
fn a_number_that_the_peer_uses_for_something_else_is_not_taken() {
    let mut bob = bob();
    bob.receive_offer(description(
        "m=audio 6000 RTP/AVP 8 101 96\na=rtpmap:101 speex/8000\na=rtpmap:96 iLBC/8000\n",
    ))
    .expect("taken");
    bob.create_answer(Direction::SendRecv).expect("an answer");
    let offer = bob.create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(offer.media[0].formats[2], Format::telephone_event(97));
}

#[test]
fn a_change_under_the_same_version_is_noted() {
    let mut bob = bob();
    bob.receive_offer(description(PLAIN)).expect("taken");
    bob.create_answer(Direction::SendRecv).expect("an answer");
    bob.receive_offer(description("m=audio 6000 RTP/AVP 0\na=sendonly\n"))
        .expect("taken");
    let (_, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
    assert_eq!(
        negotiated.expect("a stream").irregularities,
        [Irregularity::VersionNotIncremented]
    );
}

#[test]
fn a_packet_time_that_no_datagram_can_hold_is_bounded() {
    for (asked, used) in [
        ("", 20),
        ("a=ptime:1\n", 10),
        ("a=ptime:4000000000\n", 120),
        ("a=maxptime:10\n", 10),
    ] {
        let mut bob = bob();
        bob.receive_offer(description(&format!("{PLAIN}{asked}")))
            .expect("taken");
        let (_, negotiated) = bob.create_answer(Direction::SendRecv).expect("an answer");
        assert_eq!(
            negotiated.map(|negotiated| negotiated.ptime_ms),
            Some(used),
            "{asked}"
        );
    }
}

#[test]
fn without_codecs_nothing_is_offered() {
    let mut alice = alice_with(Capabilities {
        codecs: Vec::new(),
        ..Capabilities::default()
    });
    assert_eq!(
        alice.create_offer(Direction::SendRecv),
        Err(NegotiationError::NoCodecs)
    );
}

#[test]
fn forked_answers_are_taken_by_clones() {
    let mut first = alice();
    first.create_offer(Direction::SendRecv).expect("an offer");
    let mut second = first.clone();
    first
        .receive_answer(description("m=audio 6000 RTP/AVP 0\n"))
        .expect("by rule");
    second
        .receive_answer(description("m=audio 7000 RTP/AVP 8\n"))
        .expect("by rule");
    let port = |end: &callwright_sdp::negotiation::OfferAnswer| {
        end.negotiated()
            .and_then(|negotiated| negotiated.remote_rtp)
            .map(|address| address.port())
    };
    assert_eq!((port(&first), port(&second)), (Some(6000), Some(7000)));
}

#[test]
fn descriptions_survive_the_wire() {
    let offer = alice().create_offer(Direction::SendRecv).expect("an offer");
    assert_eq!(Session::parse(&offer.to_bytes()).as_ref(), Ok(&*offer));
}
