//! What is done with arbitrary bytes taken for a session description, by the fuzz target and by a plain test: nothing
//! may panic, and what is written reads as the same.

use callwright_sdp::negotiation::{Capabilities, LocalMedia, OfferAnswer, RtcpMux, SrtpPolicy};
use callwright_sdp::{Crypto, CryptoSuite, Direction, Session};

/// A body, and what both roles of offer and answer make of it.
pub(crate) fn session(data: &[u8]) {
    let Ok(session) = Session::parse(data) else {
        return;
    };
    assert_eq!(session.raw, data);
    let again = Session::parse(&session.to_bytes()).expect("what was written can be read");
    assert_eq!(again, session);
    read_everything(&session);
    for srtp in [SrtpPolicy::Never, SrtpPolicy::Offer, SrtpPolicy::Require] {
        as_offer(&session, srtp);
        as_answer(&session, srtp);
    }
}

fn read_everything(session: &Session) {
    for (index, media) in session.media.iter().enumerate() {
        let _ = (
            session.rtp_address(index),
            session.rtcp_address(index),
            session.rtcp_address_without_mux(index),
        );
        let _ = (session.held_by_address(index), media.telephone_event(8000));
        for format in &media.formats {
            let _ = format.events();
        }
        for crypto in &media.crypto {
            let _ = (crypto.keys(), crypto.usable());
        }
    }
}

fn end(srtp: SrtpPolicy) -> OfferAnswer {
    let crypto = vec![Crypto::new(1, CryptoSuite::AesCm128HmacSha1_80, &[1; 30])];
    let local = LocalMedia {
        crypto,
        ..LocalMedia::new([192, 0, 2, 1].into(), 4000)
    };
    OfferAnswer::new(
        Capabilities {
            srtp,
            rtcp_mux: RtcpMux::Offer,
            ..Capabilities::default()
        },
        local,
        1,
    )
}

/// The answer has as many media descriptions as the offer, and a later offer of ours has not fewer.
fn as_offer(offer: &Session, srtp: SrtpPolicy) {
    let mut end = end(srtp);
    if let Err(refused) = end.receive_offer(offer.clone()) {
        assert!(refused.status().is_some());
        return;
    }
    let (answer, negotiated) = end.create_answer(Direction::SendRecv).expect("an offer waits");
    assert_eq!(answer.media.len(), offer.media.len());
    let encrypted = negotiated
        .as_ref()
        .is_some_and(|stream| stream.local_crypto.is_some());
    assert!(srtp != SrtpPolicy::Require || negotiated.is_none() || encrypted);
    let later = end
        .create_offer(Direction::SendOnly)
        .expect("the machine is stable");
    assert!(later.media.len() >= offer.media.len());
    // What we write ourselves has no defect.
    for own in [answer, later] {
        let read = Session::parse(&own.to_bytes()).expect("ours can be read");
        assert_eq!(read.media.len(), own.media.len());
    }
}

fn as_answer(answer: &Session, srtp: SrtpPolicy) {
    let mut end = end(srtp);
    end.create_offer(Direction::SendRecv)
        .expect("the machine is stable");
    if let Ok(Some(negotiated)) = end.receive_answer(answer.clone()) {
        assert!(srtp != SrtpPolicy::Require || negotiated.remote_crypto.is_some());
        assert_eq!(
            negotiated.local_crypto.is_some(),
            negotiated.remote_crypto.is_some()
        );
    }
}
