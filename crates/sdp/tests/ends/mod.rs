//! Both ends of an exchange, for the tests of offer and answer.

use callwright_sdp::Session;
use callwright_sdp::negotiation::{Capabilities, LocalMedia, OfferAnswer};

pub(crate) fn alice() -> OfferAnswer {
    alice_with(Capabilities::default())
}

pub(crate) fn alice_with(capabilities: Capabilities) -> OfferAnswer {
    OfferAnswer::new(capabilities, LocalMedia::new([192, 0, 2, 1].into(), 4000), 11)
}

pub(crate) fn bob() -> OfferAnswer {
    bob_with(Capabilities::default())
}

pub(crate) fn bob_with(capabilities: Capabilities) -> OfferAnswer {
    OfferAnswer::new(capabilities, LocalMedia::new([192, 0, 2, 2].into(), 5000), 22)
}

/// A description by the peer with `media` lines, each ended by a line feed.
pub(crate) fn description(media: &str) -> Session {
    description_version(1, media)
}

pub(crate) fn description_version(version: u64, media: &str) -> Session {
    let body = format!("v=0\no=peer 5 {version} IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n{media}");
    Session::parse(body.as_bytes()).expect("a description")
}
