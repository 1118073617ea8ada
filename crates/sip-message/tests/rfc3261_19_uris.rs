//! URIs: RFC 3261 §19.1, with the examples of its comparison rules.

use callwright_sip_message::{Host, Scheme, Uri};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_examples_of_19_1_3_are_read() {
    let full = uri("sip:alice:secretword@atlanta.com:5061;transport=tcp?subject=project%20x&priority=urgent");
    assert_eq!(
        (full.user(), full.password()),
        (Some("alice"), Some("secretword"))
    );
    assert_eq!(
        (full.host(), full.port()),
        (&Host::Name("atlanta.com".into()), Some(5061))
    );
    assert_eq!(full.transport(), Some("tcp"));
    let headers: Vec<_> = full.header_pairs().collect();
    assert_eq!(
        headers,
        [
            ("subject".into(), "project x".into()),
            ("priority".into(), "urgent".into())
        ]
    );
    let phone = uri("sips:+1-212-555-1212:1234@gateway.com;user=phone");
    assert_eq!(
        (phone.scheme(), phone.user()),
        (&Scheme::Sips, Some("+1-212-555-1212"))
    );
    let gateway = uri("sip:alice;day=tuesday@atlanta.com");
    assert_eq!(gateway.user(), Some("alice;day=tuesday"));
    assert!(uri("sip:192.0.2.4").host().ip().is_some());
}

#[test]
fn the_equivalent_pairs_of_19_1_4_are_equivalent() {
    for (a, b) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(uri(a).equivalent(&uri(b)), "{a} and {b}");
        assert!(uri(b).equivalent(&uri(a)), "{b} and {a}");
    }
}

#[test]
fn the_different_pairs_of_19_1_4_are_not_equivalent() {
    for (a, b) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:carol@chicago.com", "sips:carol@chicago.com"),
        ("sip:biloxi.com", "sip:bob@biloxi.com"),
        ("sip:a%3Bb@biloxi.com", "sip:a;b@biloxi.com"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)), "{a} and {b}");
    }
}

#[test]
fn broken_uris_are_errors_that_say_where() {
    for (text, at) in [
        ("", 0),
        ("alice@atlanta.com", 0),
        ("sip:", 4),
        ("sip:@atlanta.com", 4),
        ("sip:alice@", 10),
        ("sip:alice@atlanta.com:", 22),
        ("sip:alice@atlanta.com:70000", 22),
        ("sip:alice@[::1", 10),
        ("sip:alice@atlanta.com; lr", 22),
        ("sip:a b@atlanta.com", 4),
        ("sip:a%2@atlanta.com", 4),
        ("<sip:alice@atlanta.com>", 0),
        ("tel:", 4),
    ] {
        let error = text.parse::<Uri>().expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
    }
}

#[test]
fn what_peers_send_beyond_the_grammar_is_read() {
    assert_eq!(uri("sip:*97#@pbx_1.local").user(), Some("*97#"));
    assert_eq!(uri("sip:alice@pbx;").to_string(), "sip:alice@pbx");
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(
        (tel.scheme(), tel.user()),
        (&Scheme::Tel, Some("+1-201-555-0123"))
    );
    assert_eq!(tel.params().value("phone-context"), Some("example.com"));
    assert_eq!(uri("urn:service:sos").to_string(), "urn:service:sos");
}

#[test]
fn setters_escape_what_needs_it() {
    let host: Host = "pbx.example.com".parse().expect("a host");
    let uri = Uri::sip(host)
        .with_user("a b@c")
        .with_port(Some(5070))
        .with_param("transport", "tcp")
        .with_flag("lr");
    let uri = uri.with_header("Replaces", "x@y;to-tag=1");
    assert_eq!(
        uri.to_string(),
        "sip:a%20b%40c@pbx.example.com:5070;transport=tcp;lr?Replaces=x%40y%3Bto-tag%3D1"
    );
    assert_eq!(uri.user_unescaped().as_deref(), Some("a b@c"));
    assert!(uri.is_loose_router());
}
