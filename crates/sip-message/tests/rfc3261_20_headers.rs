//! Headers of RFC 3261 §20 and its extensions, as peers send them.

use bytes::Bytes;
use callwright_sip_message::body::{MessageCounts, MessageSummary, Sipfrag};
use callwright_sip_message::header::{
    Accept, Allow, AuthenticationInfo, Diversion, Event, RAck, Reason, ReferSub, ReferTo, Replaces, Require,
    RetryAfter, SessionExpires, SubscriptionState, Supported, Warning,
};
use callwright_sip_message::{
    Contact, HeaderError, HeaderName, Limits, Message, Method, NameAddr, Transport, Via,
};

/// A message with these header lines.
fn message(lines: &str) -> Message {
    let text = format!(
        "OPTIONS sip:a@b SIP/2.0\r\n{}\r\n\r\n",
        lines.replace('\n', "\r\n")
    );
    Message::parse(Bytes::from(text), &Limits::default()).expect("it parses")
}

#[test]
fn names_are_found_in_any_spelling_and_compact() {
    let message = message("v: SIP/2.0/UDP h\nx-custom: 1\nX-CUSTOM: 2\nK: timer\nSUPPORTED: 100rel");
    assert_eq!(message.header("Via").as_deref(), Some("SIP/2.0/UDP h"));
    let custom: Vec<_> = message.headers("X-Custom").collect();
    assert_eq!(custom, ["1", "2"]);
    assert!(message.supports("timer") && message.supports("100rel") && !message.supports("path"));
    let names: Vec<_> = message.all_headers().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["v", "x-custom", "X-CUSTOM", "K", "SUPPORTED"]);
    assert_eq!(HeaderName::from("x"), HeaderName::SessionExpires);
    assert_eq!(
        HeaderName::from("www-authenticate").to_string(),
        "WWW-Authenticate"
    );
}

#[test]
fn commas_in_quotes_and_brackets_do_not_separate() {
    let message = message("Contact: \"a, b\" <sip:x@y?a=1,2>;q=0.5 , <sip:z@y>,,\nm: sip:c@d;expires=60");
    let contacts: Vec<_> = message.contacts().map(|c| c.expect("a Contact")).collect();
    assert_eq!(contacts.len(), 3);
    assert_eq!(contacts[0].q_thousandths(), Some(500));
    assert_eq!(
        contacts[0].address().and_then(|a| a.display.as_deref()),
        Some("a, b")
    );
    assert_eq!(contacts[2].expires(), Some(60));
    assert_eq!("*".parse(), Ok(Contact::Star));
}

#[test]
fn a_broken_header_spoils_only_itself() {
    let message = message("From: <sip:a@b;tag=1\nTo: <sip:c@d>\nno colon here\nCSeq: x INVITE");
    assert!(matches!(
        message.from(),
        Err(HeaderError::Malformed {
            name: HeaderName::From,
            ..
        })
    ));
    assert!(message.to().is_ok());
    assert_eq!(
        message.call_id(),
        Err(HeaderError::Missing {
            name: HeaderName::CallId
        })
    );
    let error = message.cseq().expect_err("malformed").to_string();
    assert_eq!(
        error,
        "the CSeq header is malformed: expected a number below 2^32 at byte 0"
    );
}

#[test]
fn rport_is_absent_asked_for_or_filled_in() {
    let via = |text: &str| text.parse::<Via>().expect("a Via");
    assert_eq!(via("SIP/2.0/UDP h;branch=z9hG4bKa").rport(), None);
    let mut asked = via("SIP/2.0/udp h:5062;RPORT;branch=z9hG4bKa");
    assert_eq!(
        (asked.rport(), &asked.transport, asked.port_or_default()),
        (Some(None), &Transport::Udp, 5062)
    );
    asked.set_rport(Some(40000));
    asked.set_received([192, 0, 2, 1].into());
    assert_eq!(
        asked.to_string(),
        "SIP/2.0/UDP h:5062;RPORT=40000;branch=z9hG4bKa;received=192.0.2.1"
    );
    assert_eq!(
        via("SIP / 2.0 / TLS [::1] : 99 ; branch = x").to_string(),
        "SIP/2.0/TLS [::1]:99;branch=x"
    );
    assert_eq!(via("SIP/2.0/TLS h").port_or_default(), 5061);
}

#[test]
fn several_challenges_are_told_apart() {
    let lines = "WWW-Authenticate: Digest realm=\"a, b\", nonce=\"n\\\"1\", qop=\"auth,auth-int\", algorithm=SHA-256, Basic realm=\"c\"\n\
                 WWW-Authenticate: broken=\n\
                 WWW-Authenticate: DIGEST realm=\"d\",stale=TRUE , nonce=\"2\"";
    let challenges = message(lines).challenges(HeaderName::WwwAuthenticate);
    assert_eq!(challenges.len(), 4);
    let first = challenges[0].as_ref().expect("a challenge");
    assert!(first.is_digest());
    assert_eq!(first.value("Realm"), Some("a, b"));
    assert_eq!(first.value("nonce"), Some("n\"1"));
    assert_eq!(first.value("qop"), Some("auth,auth-int"));
    assert_eq!(challenges[1].as_ref().map(|c| c.scheme()), Ok("Basic"));
    assert!(challenges[2].is_err());
    assert_eq!(challenges[3].as_ref().map(|c| c.value("stale")), Ok(Some("TRUE")));
    let text = "Digest realm=\"a\", nonce=\"n\", qop=auth, nc=00000001";
    let credentials = message(&format!("Authorization: {text}")).credentials(HeaderName::Authorization);
    assert_eq!(
        credentials[0].as_ref().map(ToString::to_string),
        Ok(text.to_owned())
    );
    let info: AuthenticationInfo = "nextnonce=\"47364c23\", qop=auth"
        .parse()
        .expect("Authentication-Info");
    assert_eq!(info.0.value("nextnonce"), Some("47364c23"));
}

#[test]
fn lists_of_tokens_join_their_fields() {
    let message = message(
        "Allow: INVITE, ACK\nAllow: foo\nRequire: 100rel\nAccept: application/sdp;level=1, text/*;q=0.5, text/html;q=0",
    );
    let allow = message.typed::<Allow>().expect("good").expect("there");
    assert_eq!(
        allow.0,
        [Method::Invite, Method::Ack, Method::Other("foo".into())]
    );
    assert!(message.requires("100REL"));
    let accept = message.typed::<Accept>().expect("good").expect("there");
    assert!(accept.allows("application", "SDP") && accept.allows("text", "plain"));
    assert!(!accept.allows("text", "html") && !accept.allows("image", "png"));
    assert_eq!(message.typed::<Supported>(), Ok(None));
    assert_eq!("".parse(), Ok(Require::default()));
}

#[test]
fn headers_of_the_extensions_are_read() {
    let refer: ReferTo =
        "<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE>"
            .parse()
            .expect("Refer-To");
    let (_, replaces) = refer.0.uri.header_pairs().next().expect("a URI header");
    let replaces: Replaces = replaces.parse().expect("Replaces");
    assert_eq!(
        (replaces.call_id.as_str(), replaces.to_tag(), replaces.from_tag()),
        ("12345@192.168.118.3", "12345", "5FFE")
    );
    assert!("a@b;to-tag=1".parse::<Replaces>().is_err());
    let reason: Reason = "Q.850 ;cause=16 ;text=\"Terminated\"".parse().expect("Reason");
    assert_eq!(
        (reason.cause(), reason.text().as_deref()),
        (Some(16), Some("Terminated"))
    );
    let expires: SessionExpires = "4000;refresher=uac".parse().expect("Session-Expires");
    assert_eq!((expires.seconds, expires.refresher()), (4000, Some("uac")));
    let rack: RAck = "776656 1 INVITE".parse().expect("RAck");
    assert_eq!((rack.rseq, rack.cseq, rack.method), (776656, 1, Method::Invite));
    let state: SubscriptionState = "terminated;reason=noresource;retry-after=5"
        .parse()
        .expect("Subscription-State");
    assert!(state.is_terminated());
    assert_eq!(
        (state.reason(), state.retry_after()),
        (Some("noresource"), Some(5))
    );
    let event: Event = "refer;id=93809824".parse().expect("Event");
    assert_eq!((event.package.as_str(), event.id()), ("refer", Some("93809824")));
    assert_eq!("False".parse(), Ok(ReferSub::new(false)));
    let diversion: Diversion = "\"B\" <sip:b@x>;reason=user-busy;counter=1"
        .parse()
        .expect("Diversion");
    assert_eq!(diversion.reason().as_deref(), Some("user-busy"));
    let retry: RetryAfter = "18000 (I'm (really) busy);duration=3600"
        .parse()
        .expect("Retry-After");
    assert_eq!(
        (retry.seconds, retry.params.value("duration")),
        (18000, Some("3600"))
    );
    let warning: Warning = "307 isi.edu \"Session parameter 'foo' not understood\""
        .parse()
        .expect("Warning");
    assert_eq!((warning.code, warning.agent.as_str()), (307, "isi.edu"));
}

#[test]
fn display_names_are_plain_text() {
    let address: NameAddr = "\"A \\\"quoted\\\" one\"<sip:a@b;x=1>;tag=t"
        .parse()
        .expect("an address");
    assert_eq!(address.display.as_deref(), Some("A \"quoted\" one"));
    assert_eq!(
        address.to_string(),
        "\"A \\\"quoted\\\" one\" <sip:a@b;x=1>;tag=t"
    );
    let bare: NameAddr = "sip:a@b;tag=t".parse().expect("an address");
    assert_eq!(
        (bare.tag(), bare.to_string().as_str()),
        (Some("t"), "<sip:a@b>;tag=t")
    );
    let latin1 = [
        b"OPTIONS sip:a@b SIP/2.0\r\nFrom: \"Andr\xe9\" <sip:a@b>;tag=1\r\nTo: <sip:\xe9>\r\n\r\n".as_slice(),
    ]
    .concat();
    let message = Message::parse(Bytes::from(latin1), &Limits::default()).expect("it parses");
    assert_eq!(
        message.from().expect("From").display.as_deref(),
        Some("Andr\u{fffd}")
    );
    assert_eq!(
        message.header_bytes(HeaderName::From),
        Some(b"\"Andr\xe9\" <sip:a@b>;tag=1".as_slice())
    );
}

#[test]
fn message_summaries_are_read() {
    let text = "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\nFax-Message: 1/0\r\n";
    let summary: MessageSummary = text.parse().expect("a summary");
    assert!(summary.waiting);
    assert_eq!(
        summary.voice(),
        Some(MessageCounts {
            new: 2,
            old: 8,
            urgent: Some((0, 2))
        })
    );
    assert_eq!(summary.to_string(), text);
    assert!(
        "Voice-Message: 2/8\r\n".parse::<MessageSummary>().is_err(),
        "Messages-Waiting is mandatory"
    );
}

#[test]
fn fragments_may_be_a_status_line_or_headers_alone() {
    let parse = |text: &'static str| Sipfrag::parse(&Bytes::from_static(text.as_bytes()), &Limits::default());
    let ringing = parse("SIP/2.0 180 Ringing").expect("a fragment");
    assert_eq!(
        (ringing.status(), ringing.reason_phrase().as_deref()),
        (Some(180), Some("Ringing"))
    );
    let headers = parse("From: <sip:a@b>\r\nTo: <sip:c@d>").expect("a fragment");
    assert_eq!(
        (headers.status(), headers.request(), headers.headers().count()),
        (None, None, 2)
    );
    let request = parse("INVITE sip:a@b SIP/2.0\r\n\r\n").expect("a fragment");
    assert_eq!(request.request().map(|(method, _)| method), Some(Method::Invite));
    assert!(parse("nothing of the kind").is_err());
    assert_eq!(
        Sipfrag::status_line(200, "OK\r\nX: y"),
        "SIP/2.0 200 OK  X: y\r\n"
    );
}
