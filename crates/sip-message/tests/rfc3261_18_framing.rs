//! Where messages begin and end: RFC 3261 §18.3, RFC 5626 §4.4.1; limits; what is no SIP at all.

use bytes::Bytes;
use callwright_sip_message::{
    Datagram, Frame, FrameError, Framer, LimitExceeded, Limits, Message, ParseError, Problem, StartLine,
    classify,
};

fn options(headers: &str, body: &str) -> String {
    format!("OPTIONS sip:a@b SIP/2.0\r\n{headers}\r\n{body}")
}

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).expect("it parses")
}

fn problems(text: &str) -> Vec<Problem> {
    parse(text).validate().expect_err("problems").problems().to_vec()
}

#[test]
fn a_datagram_ends_where_content_length_says_or_where_it_ends() {
    assert_eq!(parse(&options("Content-Length: 2\r\n", "body")).body(), "bo");
    assert_eq!(parse(&options("", "body")).body(), "body");
    let short = options("Content-Length: 9\r\n", "body");
    assert_eq!(parse(&short).body(), "body");
    assert!(problems(&short).contains(&Problem::Truncated {
        announced: 9,
        actual: 4
    }));
    let led = parse(&format!("\r\n\r\n{}", options("", "")));
    assert!(led.raw().starts_with(b"OPTIONS"));
}

#[test]
fn bare_line_feeds_and_a_missing_end_are_held_and_reported() {
    let bare = "OPTIONS sip:a@b SIP/2.0\nX: 1\n\nbody";
    assert_eq!(parse(bare).body(), "body");
    assert!(problems(bare).contains(&Problem::BareLineFeed));
    let unended = "OPTIONS sip:a@b SIP/2.0\r\nX: 1\r\n";
    assert_eq!(parse(unended).header("x").as_deref(), Some("1"));
    assert!(problems(unended).contains(&Problem::Unterminated));
}

#[test]
fn what_is_no_message_is_refused() {
    let error =
        |text: &'static str| Message::parse(Bytes::from_static(text.as_bytes()), &Limits::default()).err();
    assert_eq!(error(""), Some(ParseError::Empty));
    assert_eq!(error("\r\n\r\n"), Some(ParseError::Empty));
    assert_eq!(error("GET / HTTP/1.1\r\n\r\n"), Some(ParseError::StartLine));
    assert_eq!(error("OPTIONS SIP/2.0\r\n\r\n"), Some(ParseError::StartLine));
    assert_eq!(error("SIP/2.0 99 x\r\n\r\n"), Some(ParseError::StatusCode));
    assert_eq!(error("SIP/2.0 20O OK\r\n\r\n"), Some(ParseError::StatusCode));
    let raw = Message::from_raw(Bytes::from_static(b"nonsense"));
    assert_eq!(
        (raw.start(), raw.is_request(), raw.status()),
        (StartLine::Neither, false, None)
    );
}

#[test]
fn every_limit_says_its_name() {
    let limits = Limits {
        message: 500,
        head: 400,
        start_line: 60,
        headers: 5,
        header: 100,
        vias: 2,
        params: 3,
        body: 50,
    };
    let exceeded = |text: &str| match Message::parse(Bytes::copy_from_slice(text.as_bytes()), &limits) {
        Err(ParseError::Limit(LimitExceeded { name, .. })) => name,
        other => panic!("{other:?} for {text}"),
    };
    assert_eq!(
        exceeded(&format!("OPTIONS sip:{}@b SIP/2.0\r\n\r\n", "a".repeat(60))),
        "start_line"
    );
    assert_eq!(exceeded(&options(&"X: 1\r\n".repeat(6), "")), "headers");
    assert_eq!(
        exceeded(&options(&format!("X: {}\r\n", "a".repeat(100)), "")),
        "header"
    );
    assert_eq!(
        exceeded(&options(&format!("X: {}\r\n", "a\r\n ".repeat(30)), "")),
        "header"
    );
    assert_eq!(
        exceeded(&options(&format!("X: {}\r\n", "a".repeat(90)).repeat(5), "")),
        "head"
    );
    assert_eq!(
        exceeded(&options(&"Via: SIP/2.0/UDP h\r\n".repeat(3), "")),
        "vias"
    );
    assert_eq!(exceeded(&options("X: a;b;c;d;e\r\n", "")), "params");
    assert_eq!(exceeded(&options("", &"a".repeat(51))), "body");
    let limits = Limits {
        message: 60,
        ..limits
    };
    let long = Message::parse(Bytes::from(options("", &"a".repeat(40))), &limits);
    assert_eq!(
        long.err(),
        Some(ParseError::Limit(LimitExceeded {
            name: "message",
            max: 60
        }))
    );
}

#[test]
fn a_stream_gives_the_same_messages_however_it_is_cut() {
    let first = options("l: 4\r\nX: 1\r\n", "body");
    let second = options("Content-Length: 0\r\n", "");
    let stream = format!("\r\n\r\n{first}{second}\r\n{first}");
    for size in 1..stream.len() {
        let mut framer = Framer::new(Limits::default());
        let mut messages = Vec::new();
        for chunk in stream.as_bytes().chunks(size) {
            framer.push(chunk);
            while let Some(frame) = framer.next() {
                if let Frame::Message(message) = frame.expect("a frame") {
                    messages.push(message);
                }
            }
        }
        assert_eq!(
            messages,
            [parse(&first), parse(&second), parse(&first)],
            "cut by {size}"
        );
        assert_eq!(framer.buffered(), 0);
    }
}

#[test]
fn a_ping_wants_an_answer_and_a_pong_is_one() {
    let mut framer = Framer::new(Limits::default());
    framer.push(b"\r\n\r\n\r\n");
    assert_eq!(framer.next(), Some(Ok(Frame::Ping)));
    assert_eq!(framer.next(), Some(Ok(Frame::Pong)));
    assert_eq!(framer.next(), None);
    // The second half of a ping comes late.
    framer.push(b"\r\n");
    assert_eq!(framer.next(), Some(Ok(Frame::Ping)));
}

#[test]
fn a_stream_that_cannot_be_framed_fails_for_good() {
    let fail = |bytes: &str| {
        let mut framer = Framer::new(Limits {
            head: 100,
            body: 100,
            ..Limits::default()
        });
        framer.push(bytes);
        let error = framer.next().expect("an outcome").expect_err("an error");
        framer.push(options("l: 0\r\n", ""));
        assert_eq!((framer.next(), framer.buffered()), (None, 0));
        error
    };
    let limit = |name, max| FrameError::Parse(ParseError::Limit(LimitExceeded { name, max }));
    assert_eq!(
        fail("GET / HTTP/1.1\r\n\r\n"),
        FrameError::Parse(ParseError::StartLine)
    );
    assert_eq!(fail(&"a".repeat(101)), limit("head", 100));
    assert_eq!(fail(&options("l: 101\r\n", "")), limit("body", 100));
    assert!(
        matches!(fail(&options("X: 1\r\n", "")), FrameError::ContentLength(_)),
        "RFC 3261 §20.14"
    );
    assert!(matches!(
        fail(&options("l: -1\r\n", "")),
        FrameError::ContentLength(_)
    ));
}

#[test]
fn datagrams_are_told_apart_by_their_first_bytes() {
    assert_eq!(classify(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"), Datagram::Sip);
    assert_eq!(classify(b"\r\nsip/2.0 200 OK\r\n\r\n"), Datagram::Sip);
    for keep_alive in [b"".as_slice(), b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b" "] {
        assert_eq!(classify(keep_alive), Datagram::KeepAlive, "{keep_alive:?}");
    }
    let binding_request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42], [7; 12].as_slice()].concat();
    assert_eq!(classify(&binding_request), Datagram::Stun);
    let classic = [&[0, 1, 0, 0], [7; 16].as_slice()].concat();
    assert_eq!(classify(&classic), Datagram::Stun);
    assert_eq!(classify(&binding_request[..19]), Datagram::Garbage);
    assert_eq!(classify(b"jaK"), Datagram::Garbage);
    assert_eq!(classify(b"GET / HTTP/1.1\r\nX: SIP/2.0\r\n"), Datagram::Garbage);
}

#[test]
fn a_start_line_as_long_as_the_parser_takes_is_one_of_sip() {
    let line = |length: usize| {
        let fixed = "OPTIONS sip:@b SIP/2.0".len();
        format!(
            "OPTIONS sip:{}@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n",
            "x".repeat(length - fixed)
        )
    };
    let longest = line(Limits::default().start_line);
    assert_eq!(classify(longest.as_bytes()), Datagram::Sip);
    assert!(Message::parse(longest.into(), &Limits::default()).is_ok());
}
