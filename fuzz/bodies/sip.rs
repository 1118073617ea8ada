//! What is done with arbitrary bytes, by the fuzz targets and by a plain test over the torture messages: nothing may panic, and
//! what is said twice must agree.

use bytes::Bytes;
use callwright_sip_message::body::{MessageSummary, Sipfrag};
use callwright_sip_message::header::{
    Accept, Allow, AllowEvents, AuthenticationInfo, ContentType, Date, Diversion, Event, Expires,
    MaxForwards, MinExpires, MinSe, PAssertedIdentity, Path, ProxyRequire, RAck, RSeq, Reason, RecordRoute,
    ReferSub, ReferTo, ReferredBy, Replaces, Require, RetryAfter, Route, ServiceRoute, SessionExpires,
    SubscriptionState, Supported, Timestamp, Unsupported, Warning,
};
use callwright_sip_message::{
    Builder, CSeq, CallId, Contact, Datagram, Frame, Framer, Header, HeaderName, Limits, Message, Method,
    NameAddr, Uri, Via, classify,
};

/// A datagram taken for a message.
pub(crate) fn message(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    // The raw path holds anything, unchanged.
    assert_eq!(Message::from_raw(bytes.clone()).raw(), &bytes);
    if let Ok(text) = std::str::from_utf8(data) {
        values(text);
    }
    let Ok(message) = Message::parse(bytes, &Limits::default()) else {
        return;
    };
    read_everything(&message);
    let again = Message::parse(message.raw().clone(), &Limits::default()).expect("a message parses twice");
    assert_eq!(again.raw(), message.raw());
    assert_eq!(headers(&again), headers(&message));
    rebuild(&message);
    if message.is_request() {
        let response = Builder::response_to(&message, 180, "Ringing")
            .to_tag("t")
            .finish();
        assert_eq!(response.vias().count(), message.vias().count());
        // A lone CR is copied as a blank.
        let call_id = |message: &Message| {
            message
                .header(HeaderName::CallId)
                .map(|text| text.replace('\r', " ").trim().to_owned())
        };
        assert_eq!(call_id(&response), call_id(&message));
        read_everything(&response);
    }
    let _ = Sipfrag::parse(message.raw(), &Limits::default());
}

/// A byte stream: the same messages come out however it is cut.
pub(crate) fn framing(data: &[u8]) {
    let limits = Limits {
        message: 4096,
        head: 2048,
        body: 2048,
        ..Limits::default()
    };
    let whole = frames(&limits, std::iter::once(data));
    let bytewise = frames(&limits, data.chunks(1));
    assert_eq!(whole, bytewise);
    let size = data.first().map_or(7, |b| usize::from(*b) + 1);
    assert_eq!(whole, frames(&limits, data.chunks(size)));
}

/// Whatever comes to a SIP port.
pub(crate) fn datagram(data: &[u8]) {
    match classify(data) {
        Datagram::Sip => message(data),
        Datagram::KeepAlive | Datagram::Stun | Datagram::Garbage => {
            // What is called garbage has no message in it that would be lost.
            let message = Message::parse(Bytes::copy_from_slice(data), &Limits::default());
            assert!(message.is_err(), "a message was classified as something else");
        }
    }
}

/// The messages of a stream, and whether it failed. Keep-alives are left out: half a ping looks like a pong.
fn frames<'a>(limits: &Limits, chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, bool) {
    let mut framer = Framer::new(*limits);
    let mut messages = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            match frame {
                Ok(Frame::Message(message)) => messages.push(message),
                Ok(Frame::Ping | Frame::Pong) => {}
                Err(_) => return (messages, true),
            }
        }
        assert!(
            framer.buffered() <= limits.head + limits.body,
            "the framer keeps more than one message"
        );
    }
    (messages, false)
}

fn headers(message: &Message) -> Vec<(String, String)> {
    message
        .all_headers()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn rebuild(message: &Message) {
    let built = message.to_builder().finish();
    let parsed = Message::parse(built.raw().clone(), &Limits::NONE).expect("what is built parses");
    assert_eq!(parsed.raw(), built.raw());
    assert_eq!(headers(&parsed), headers(&built));
    assert_eq!(parsed.start(), built.start());
    assert_eq!(parsed.body(), built.body());
}

fn read_everything(message: &Message) {
    let _ = (
        message.start(),
        message.request_uri(),
        message.method(),
        message.validate(),
        message.head(),
        message.body(),
    );
    let _ = (
        message.from(),
        message.to(),
        message.call_id(),
        message.cseq(),
        message.content_type(),
    );
    let _ = (
        message.vias().count(),
        message.contacts().count(),
        message.routes().count(),
    );
    let _ = message.challenges(HeaderName::WwwAuthenticate);
    let _ = message.credentials(HeaderName::Authorization);
    for (name, value) in message.all_headers() {
        assert!(name.is_empty() || message.has_header(name.as_ref()) || name.contains('\u{fffd}'));
        values(&value);
    }
}

/// What can be parsed from a text is printed as something that parses to the same.
fn values(text: &str) {
    round_trip::<Uri>(text);
    round_trip::<NameAddr>(text);
    round_trip::<MessageSummary>(text);
    header::<Via>(text);
    header::<Contact>(text);
    header::<CSeq>(text);
    header::<CallId>(text);
    header::<Accept>(text);
    header::<Allow>(text);
    header::<AllowEvents>(text);
    header::<AuthenticationInfo>(text);
    header::<ContentType>(text);
    header::<Date>(text);
    header::<Diversion>(text);
    header::<Event>(text);
    header::<Expires>(text);
    header::<MaxForwards>(text);
    header::<MinExpires>(text);
    header::<MinSe>(text);
    header::<PAssertedIdentity>(text);
    header::<Path>(text);
    header::<ProxyRequire>(text);
    header::<RAck>(text);
    header::<RSeq>(text);
    header::<Reason>(text);
    header::<RecordRoute>(text);
    header::<ReferSub>(text);
    header::<ReferTo>(text);
    header::<ReferredBy>(text);
    header::<Replaces>(text);
    header::<Require>(text);
    header::<RetryAfter>(text);
    header::<Route>(text);
    header::<ServiceRoute>(text);
    header::<SessionExpires>(text);
    header::<SubscriptionState>(text);
    header::<Supported>(text);
    header::<Timestamp>(text);
    header::<Unsupported>(text);
    header::<Warning>(text);
    schemes(text);
    assert_eq!(Method::from(text).as_str(), text);
}

fn schemes(text: &str) {
    use callwright_sip_message::{Challenge, Credentials};
    if let Ok(challenges) = Challenge::parse_all(text) {
        let printed: Vec<_> = challenges.iter().map(ToString::to_string).collect();
        assert_eq!(Challenge::parse_all(&printed.join(", ")), Ok(challenges));
    }
    round_trip::<Challenge>(text);
    round_trip::<Credentials>(text);
}

fn header<T: Header + PartialEq + std::fmt::Debug>(text: &str) {
    round_trip::<T>(text);
}

fn round_trip<T>(text: &str)
where
    T: std::str::FromStr<Err = callwright_sip_message::SyntaxError>
        + std::fmt::Display
        + PartialEq
        + std::fmt::Debug,
{
    match text.parse::<T>() {
        Ok(value) => assert_eq!(
            value.to_string().parse::<T>().as_ref(),
            Ok(&value),
            "printed as {value}"
        ),
        Err(error) => assert!(
            error.at <= text.len(),
            "{error} in a text of {} bytes",
            text.len()
        ),
    }
}
