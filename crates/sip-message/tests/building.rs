//! Messages built and read back.

use bytes::Bytes;
use callwright_sip_message::{
    BuildError, Builder, CSeq, Frame, Framer, HeaderName, Limits, Message, Method, NameAddr, Transport, Uri,
    Via,
};

fn invite() -> Builder {
    let uri: Uri = "sip:bob@example.com".parse().expect("a URI");
    let via = Via::new(
        Transport::Udp,
        "192.0.2.1".parse().expect("a host"),
        Some(5060),
        "z9hG4bKa",
    );
    Builder::request(Method::Invite, &uri)
        .header(HeaderName::Via, via)
        .header(HeaderName::MaxForwards, 70)
        .header(
            HeaderName::From,
            NameAddr::new(uri.clone()).with_display("Alice A.").with_tag("a1"),
        )
        .header(HeaderName::To, NameAddr::new(uri))
        .header(HeaderName::CallId, "abc@192.0.2.1")
        .header(HeaderName::CSeq, CSeq::new(1, Method::Invite))
}

#[test]
fn a_built_message_equals_the_parsed_one() {
    let built = invite().body("application/sdp", "v=0\r\n").finish();
    let parsed = Message::parse(built.raw().clone(), &Limits::default()).expect("it parses");
    assert_eq!(built, parsed);
    for message in [&built, &parsed] {
        assert_eq!(message.validate(), Ok(()));
        assert_eq!(message.method(), Some(Method::Invite));
        assert_eq!(message.from_tag().as_deref(), Some("a1"));
        assert_eq!(message.header("l").as_deref(), Some("5"));
        assert_eq!(message.via().expect("a Via").branch(), Some("z9hG4bKa"));
        assert_eq!(message.body(), "v=0\r\n");
    }
}

#[test]
fn a_response_copies_what_the_rfc_says() {
    let request = invite()
        .header(HeaderName::RecordRoute, "<sip:p.example.com;lr>")
        .finish();
    let response = Builder::response_to(&request, 180, "Ringing")
        .to_tag("b2")
        .finish();
    assert_eq!(response.status(), Some(180));
    assert_eq!(response.to_tag().as_deref(), Some("b2"));
    assert_eq!(response.method(), Some(Method::Invite));
    assert!(response.has_header(HeaderName::RecordRoute));
    assert_eq!(response.validate(), Ok(()));
}

#[test]
fn a_line_end_in_a_value_is_refused_and_never_sent() {
    let builder = invite().header(HeaderName::Subject, "a\r\nX-Evil: 1");
    assert!(matches!(
        builder.clone().try_finish(),
        Err(BuildError::Injection { .. })
    ));
    assert!(!builder.finish().has_header("X-Evil"));
}

#[test]
fn a_stream_is_cut_into_messages_and_keep_alives() {
    let first = invite().body("text/plain", "hello").finish();
    let mut stream = first.raw().to_vec();
    stream.extend_from_slice(b"\r\n\r\n");
    stream.extend_from_slice(first.raw());
    let mut framer = Framer::new(Limits::default());
    let mut frames = Vec::new();
    for bytes in stream.chunks(4) {
        framer.push(Bytes::copy_from_slice(bytes));
        while let Some(frame) = framer.next() {
            frames.push(frame.expect("a frame"));
        }
    }
    frames.retain(|frame| *frame != Frame::Pong);
    assert_eq!(
        frames,
        [Frame::Message(first.clone()), Frame::Ping, Frame::Message(first)]
    );
}

#[test]
fn a_name_that_is_no_token_is_refused_and_never_sent() {
    let uri: Uri = "sip:bob@example.com".parse().expect("a URI");
    let method = Builder::request(Method::from("A B\r\nX: y"), &uri);
    assert!(matches!(
        method.clone().try_finish(),
        Err(BuildError::Name { .. })
    ));
    assert_eq!(method.finish().method(), Some(Method::from("A-B--X--y")));
    let header = invite().header("X:\r\nY", 1);
    assert!(matches!(
        header.clone().try_finish(),
        Err(BuildError::Name { .. })
    ));
    assert!(header.finish().has_header("X---Y"));
}

#[test]
fn fields_are_placed_replaced_and_removed() {
    let built = invite()
        .push_front("v", "SIP/2.0/UDP top;branch=z9hG4bKb")
        .header(HeaderName::Route, "<sip:a;lr>")
        .header(HeaderName::Route, "<sip:b;lr>")
        .finish();
    assert_eq!(built.via().expect("a Via").branch(), Some("z9hG4bKb"));
    let edited = built
        .to_builder()
        .remove_first(HeaderName::Via)
        .set("Route", "<sip:c;lr>")
        .set("Max-Forwards", 69)
        .finish();
    assert_eq!(edited.vias().count(), 1);
    assert_eq!(edited.headers("route").collect::<Vec<_>>(), ["<sip:c;lr>"]);
    assert_eq!(edited.max_forwards(), Ok(Some(69)));
    assert_eq!(edited.to_builder().remove("Route").finish().routes().count(), 0);
}

#[test]
fn another_request_uri_leaves_the_version() {
    let uri = "sip:somebody.else@a.much.longer.example.com"
        .parse()
        .expect("a literal");
    let message = invite().request_uri(&uri).finish();
    assert_eq!(message.validate(), Ok(()));
    let parsed = Message::parse(message.raw().clone(), &Limits::default()).expect("a message");
    assert_eq!(parsed.validate(), Ok(()));
    assert_eq!(parsed.request_uri(), Ok(uri));
}
