//! The IPv6 torture messages of RFC 5118, each with what must become of it and why.

mod torture;

use std::net::IpAddr;

use callwright_sip_message::{Host, Problem};
use torture::{Outcome, check, held};

const DIRECTORY: &str = "rfc5118";

/// Name, outcome, section and reason.
const TABLE: &[(&str, Outcome, &str)] = &[
    ("ipv6-good", Outcome::Accepted, "§4.1 valid"),
    (
        "ipv6-bad",
        Outcome::Refused(400),
        "§4.2 an address without brackets in the request-URI",
    ),
    (
        "port-ambiguous",
        Outcome::Accepted,
        "§4.3 valid, but what was meant as the port belongs to the address",
    ),
    ("port-unambiguous", Outcome::Accepted, "§4.4 valid"),
    (
        "via-received-param-with-delim",
        Outcome::Accepted,
        "§4.5 brackets in received are tolerated",
    ),
    ("via-received-param-no-delim", Outcome::Accepted, "§4.5 valid"),
    (
        "ipv6-in-sdp",
        Outcome::Refused(400),
        "§4.6 meant to be valid, but its Content-Length, as published, is 17 bytes too large",
    ),
    (
        "mult-ip-in-header",
        Outcome::Accepted,
        "§4.7 valid: both families in Via",
    ),
    (
        "mult-ip-in-sdp",
        Outcome::Accepted,
        "§4.8 valid; its Content-Length, as published, cuts off 8 bytes of the body",
    ),
    (
        "ipv4-mapped-ipv6",
        Outcome::Accepted,
        "§4.9 valid; its Content-Length, as published, cuts off 9 bytes of the body",
    ),
    (
        "ipv6-bug-abnf-3-colons",
        Outcome::Accepted,
        "§4.10 must be tolerated",
    ),
    ("ipv6-correct-abnf-2-colons", Outcome::Accepted, "§4.10 valid"),
];

#[test]
fn every_message_has_its_outcome() {
    check(DIRECTORY, TABLE);
}

#[test]
fn a_port_is_what_follows_the_bracket() {
    let ambiguous = held(DIRECTORY, "port-ambiguous").request_uri().expect("a URI");
    assert_eq!(
        (ambiguous.host().to_string().as_str(), ambiguous.port()),
        ("[2001:db8::10:5070]", None)
    );
    let clear = held(DIRECTORY, "port-unambiguous").request_uri().expect("a URI");
    assert_eq!(
        (clear.host().to_string().as_str(), clear.port()),
        ("[2001:db8::10]", Some(5070))
    );
}

#[test]
fn received_is_read_with_and_without_brackets() {
    let address: IpAddr = "2001:db8::9:255".parse().expect("an address");
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        assert_eq!(
            held(DIRECTORY, name).via().expect("a Via").received(),
            Some(address),
            "{name}"
        );
    }
}

#[test]
fn three_colons_are_the_same_address_as_two() {
    let host = |name: &str| held(DIRECTORY, name).request_uri().expect("a URI").host().clone();
    assert_eq!(host("ipv6-bug-abnf-3-colons"), host("ipv6-correct-abnf-2-colons"));
    assert!(
        ":::1".parse::<Host>().is_err() && "[:::1]".parse::<Host>().is_err(),
        "only before an IPv4 address"
    );
}

#[test]
fn mapped_addresses_keep_their_form() {
    let via = held(DIRECTORY, "ipv4-mapped-ipv6").via().expect("a Via");
    assert_eq!(
        (via.host.to_string().as_str(), via.port),
        ("[::ffff:192.0.2.10]", Some(19823))
    );
}

#[test]
fn the_wrong_content_length_is_all_that_is_wrong_with_ipv6_in_sdp() {
    let violations = held(DIRECTORY, "ipv6-in-sdp")
        .validate()
        .expect_err("a violation");
    assert_eq!(
        violations.problems(),
        [Problem::Truncated {
            announced: 268,
            actual: 251
        }]
    );
}
