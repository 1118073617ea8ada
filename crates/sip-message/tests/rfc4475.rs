//! The torture messages of RFC 4475, byte for byte as in its appendix A, each with what must become of it and why.

mod torture;

use callwright_sip_message::{
    Contact, HeaderName, Host, Method, ParseError, Problem, Scheme, Transport, Uri,
};
use torture::{Outcome, check, held};

const DIRECTORY: &str = "rfc4475";

/// Name, outcome, section and reason.
const TABLE: &[(&str, Outcome, &str)] = &[
    (
        "wsinv",
        Outcome::Accepted,
        "§3.1.1.1 valid: folding, blanks, compact names, odd order",
    ),
    (
        "intmeth",
        Outcome::Accepted,
        "§3.1.1.2 valid: every character that the grammar allows",
    ),
    ("esc01", Outcome::Accepted, "§3.1.1.3 valid: escapes in URIs"),
    (
        "escnull",
        Outcome::Accepted,
        "§3.1.1.4 valid: escaped NUL in URIs",
    ),
    (
        "esc02",
        Outcome::Accepted,
        "§3.1.1.5 valid: % in tokens is no escape",
    ),
    (
        "lwsdisp",
        Outcome::Accepted,
        "§3.1.1.6 valid: no blank between display name and <",
    ),
    ("longreq", Outcome::Accepted, "§3.1.1.7 valid: long values"),
    (
        "dblreq",
        Outcome::Accepted,
        "§3.1.1.8 valid: what follows the body is cut off",
    ),
    (
        "semiuri",
        Outcome::Accepted,
        "§3.1.1.9 valid: semicolon in the user",
    ),
    (
        "transports",
        Outcome::Accepted,
        "§3.1.1.10 valid: unknown transports",
    ),
    ("mpart01", Outcome::Accepted, "§3.1.1.11 valid: binary body"),
    (
        "unreason",
        Outcome::Accepted,
        "§3.1.1.12 valid: UTF-8 in the reason phrase",
    ),
    (
        "noreason",
        Outcome::Accepted,
        "§3.1.1.13 valid: empty reason phrase",
    ),
    (
        "badinv01",
        Outcome::Refused(400),
        "§3.1.2.1 a Via element of separators alone",
    ),
    (
        "clerr",
        Outcome::Refused(400),
        "§3.1.2.2 body shorter than Content-Length",
    ),
    ("ncl", Outcome::Refused(400), "§3.1.2.3 negative Content-Length"),
    (
        "scalar02",
        Outcome::Refused(400),
        "§3.1.2.4 CSeq and Max-Forwards too large",
    ),
    (
        "scalarlg",
        Outcome::Refused(400),
        "§3.1.2.5 a response with a CSeq too large: to be dropped",
    ),
    (
        "quotbal",
        Outcome::Refused(400),
        "§3.1.2.6 quoted string without end",
    ),
    (
        "ltgtruri",
        Outcome::Refused(400),
        "§3.1.2.7 angle brackets around the request-URI",
    ),
    (
        "lwsruri",
        Outcome::Refused(400),
        "§3.1.2.8 blank in the request-URI",
    ),
    (
        "lwsstart",
        Outcome::Refused(400),
        "§3.1.2.9 several blanks in the request line",
    ),
    (
        "trws",
        Outcome::Refused(400),
        "§3.1.2.10 blanks at the end of the request line",
    ),
    (
        "escruri",
        Outcome::Refused(400),
        "§3.1.2.11 headers in the request-URI",
    ),
    (
        "baddate",
        Outcome::Accepted,
        "§3.1.2.12 a Date not in GMT: may be ignored, as any header that is not needed (RFC 3261 §8.2)",
    ),
    (
        "regbadct",
        Outcome::Refused(400),
        "§3.1.2.13 URI headers without angle brackets",
    ),
    (
        "badaspec",
        Outcome::Refused(400),
        "§3.1.2.14 blanks within angle brackets",
    ),
    (
        "baddn",
        Outcome::Refused(400),
        "§3.1.2.15 comma in a display name without quotes",
    ),
    ("badvers", Outcome::Refused(505), "§3.1.2.16 version 7.0"),
    (
        "mismatch01",
        Outcome::Refused(400),
        "§3.1.2.17 CSeq of another method",
    ),
    (
        "mismatch02",
        Outcome::Refused(400),
        "§3.1.2.18 CSeq of another method, that of the request unknown: 400 or 501",
    ),
    (
        "bigcode",
        Outcome::Unparsed(ParseError::StatusCode),
        "§3.1.2.19 status of ten digits: a response to be dropped",
    ),
    (
        "badbranch",
        Outcome::Accepted,
        "§3.2.1 the branch is a cookie alone: a matter of transactions, not of syntax",
    ),
    ("insuf", Outcome::Refused(400), "§3.3.1 no Call-ID, From and To"),
    (
        "unkscm",
        Outcome::Refused(416),
        "§3.3.2 unknown scheme of the request-URI",
    ),
    (
        "novelsc",
        Outcome::Refused(416),
        "§3.3.3 scheme of another protocol",
    ),
    (
        "unksm2",
        Outcome::Accepted,
        "§3.3.4 unknown schemes in To, From and Contact: a matter of the registrar",
    ),
    (
        "bext01",
        Outcome::Accepted,
        "§3.3.5 unknown extensions in Require: 420 is the user agent's answer",
    ),
    (
        "invut",
        Outcome::Accepted,
        "§3.3.6 unknown body type: 415 is the user agent's answer",
    ),
    (
        "regaut01",
        Outcome::Accepted,
        "§3.3.7 unknown authentication scheme: a matter of the registrar",
    ),
    (
        "multi01",
        Outcome::Refused(400),
        "§3.3.8 several From, To, Call-ID, CSeq, Max-Forwards",
    ),
    ("mcl01", Outcome::Refused(400), "§3.3.9 two Content-Length"),
    (
        "bcast",
        Outcome::Accepted,
        "§3.3.10 the second Via has a broadcast address: the topmost decides who takes the response",
    ),
    (
        "zeromf",
        Outcome::Accepted,
        "§3.3.11 Max-Forwards 0: a user agent answers, only a proxy would refuse",
    ),
    (
        "cparam01",
        Outcome::Accepted,
        "§3.3.12 unknown Contact parameter outside the URI",
    ),
    (
        "cparam02",
        Outcome::Accepted,
        "§3.3.13 unknown URI parameter in Contact",
    ),
    ("regescrt", Outcome::Accepted, "§3.3.14 URI headers in Contact"),
    (
        "sdp01",
        Outcome::Accepted,
        "§3.3.15 Accept without SDP: 406 is the user agent's answer",
    ),
    (
        "inv2543",
        Outcome::Accepted,
        "§3.3.16 an INVITE of RFC 2543: no branch, no tag, no Content-Length, no Max-Forwards",
    ),
];

#[test]
fn every_message_has_its_outcome() {
    assert_eq!(TABLE.len(), 49);
    check(DIRECTORY, TABLE);
}

#[test]
fn wsinv_is_read_through_its_folding() {
    let message = held(DIRECTORY, "wsinv");
    assert_eq!(message.validate(), Ok(()));
    assert_eq!(message.to_tag().as_deref(), Some("1918181833n"));
    let from = message.from().expect("From");
    assert_eq!(from.display.as_deref(), Some(r#"J Rosenberg \""#));
    assert_eq!(from.tag(), Some("98asjd8"));
    assert_eq!(message.max_forwards(), Ok(Some(68)));
    let cseq = message.cseq().expect("CSeq");
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    let vias: Vec<_> = message.vias().map(|via| via.expect("a Via")).collect();
    let branches: Vec<_> = vias.iter().map(|via| via.branch()).collect();
    assert_eq!(
        branches,
        [Some("390skdjuw"), Some("z9hG4bK9ikj8"), Some("z9hG4bK30239")]
    );
    assert_eq!(vias[1].transport, Transport::Tcp);
    assert_eq!(message.header("subject").as_deref(), Some(""));
    let folded = message.header("newfangledheader");
    assert_eq!(
        folded.as_deref(),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(
        message.header("UnknownHeaderWithUnusualValue").as_deref(),
        Some(";;,,;;,;")
    );
    let contact = message.contacts().next().expect("a Contact").expect("a good one");
    assert_eq!(contact.q_thousandths(), Some(330));
    let route = message.routes().next().expect("a Route").expect("a good one");
    assert!(route.uri.is_loose_router());
    assert!(
        message
            .request_uri()
            .expect("a URI")
            .params()
            .contains("unknownparam")
    );
}

#[test]
fn intmeth_keeps_every_character() {
    let message = held(DIRECTORY, "intmeth");
    let method = Method::from("!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(message.method(), Some(method.clone()));
    assert_eq!(message.cseq().expect("CSeq").method, method);
    let uri = message.request_uri().expect("a URI");
    assert_eq!(
        uri.user(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(
        message.to().expect("To").display.as_deref(),
        Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
    );
    assert_eq!(message.from_tag().as_deref(), Some("_token~1'+`*%!-."));
    assert_eq!(
        message.header("extensionHeader-!.%*+_`'~").as_deref(),
        Some("\u{feff}大停電")
    );
}

#[test]
fn escapes_are_resolved_on_demand_alone() {
    let message = held(DIRECTORY, "esc01");
    assert_eq!(
        message.request_uri().expect("a URI").user_unescaped().as_deref(),
        Some("sips:user@example.com")
    );
    let to: Uri = "sip:user@example.com".parse().expect("a URI");
    assert!(message.to().expect("To").uri.equivalent(&to));
    let contact = message.contact().expect("a Contact");
    assert_eq!(contact.uri.params().value("n%61me"), Some("v%61lue%25%34%31"));
    let message = held(DIRECTORY, "escnull");
    let users: Vec<_> = message
        .contacts()
        .map(|c| c.expect("a Contact").into_address().expect("an address").uri)
        .collect();
    assert_eq!(users[0].user_unescaped().as_deref(), Some("\0"));
    assert!(!users[0].equivalent(&users[1]));
    let message = held(DIRECTORY, "esc02");
    assert_eq!(message.contacts().count(), 2, "C%6Fntact is not Contact");
    assert_eq!(message.method(), Some(Method::from("RE%47IST%45R")));
}

#[test]
fn dblreq_ends_where_content_length_says() {
    let message = held(DIRECTORY, "dblreq");
    assert!(message.body().is_empty());
    assert!(message.raw().ends_with(b"Content-Length: 0\r\n\r\n"));
}

#[test]
fn semiuri_and_cparam_put_parameters_where_they_belong() {
    let uri = held(DIRECTORY, "semiuri").request_uri().expect("a URI");
    assert_eq!(uri.user(), Some("user;par=u%40example.net"));
    assert!(uri.params().is_empty());
    let outside = held(DIRECTORY, "cparam01").contact().expect("a Contact");
    assert!(outside.params.contains("unknownparam") && outside.uri.params().is_empty());
    let inside = held(DIRECTORY, "cparam02").contact().expect("a Contact");
    assert!(inside.params.is_empty() && inside.uri.params().contains("unknownparam"));
}

#[test]
fn mpart01_keeps_its_binary_body() {
    let body = held(DIRECTORY, "mpart01").body();
    assert_eq!(body.len(), 553);
    assert!(body.windows(4).any(|window| window == [0x30, 0x82, 0x01, 0x52]));
}

#[test]
fn responses_keep_unusual_reasons() {
    let reason = "= 2**3 * 5**2 но сто девяносто девять - простое";
    assert_eq!(
        held(DIRECTORY, "unreason").reason_phrase().as_deref(),
        Some(reason)
    );
    let message = held(DIRECTORY, "noreason");
    assert_eq!(
        (message.status(), message.reason_phrase().as_deref()),
        (Some(100), Some(""))
    );
}

#[test]
fn transports_may_be_unknown() {
    let vias = held(DIRECTORY, "transports");
    let transports: Vec<_> = vias.vias().map(|via| via.expect("a Via").transport).collect();
    let unknown = Transport::Other("UNKNOWN".into());
    assert_eq!(
        transports,
        [
            Transport::Udp,
            Transport::Sctp,
            Transport::Tls,
            unknown,
            Transport::Tcp
        ]
    );
}

#[test]
fn a_refusal_names_what_is_wrong() {
    let problems = |name: &str| {
        held(DIRECTORY, name)
            .validate()
            .expect_err("problems")
            .problems()
            .to_vec()
    };
    assert_eq!(
        problems("clerr"),
        [Problem::Truncated {
            announced: 9999,
            actual: 154
        }]
    );
    let missing = [HeaderName::From, HeaderName::To, HeaderName::CallId].map(Problem::Missing);
    assert_eq!(problems("insuf"), missing);
    assert_eq!(problems("mcl01"), [Problem::Repeated(HeaderName::ContentLength)]);
    assert_eq!(problems("escruri"), [Problem::RequestUriHeaders]);
    assert_eq!(
        problems("novelsc"),
        [Problem::Scheme {
            scheme: "soap.beep".to_owned()
        }]
    );
    let repeated = [
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::MaxForwards,
    ];
    assert_eq!(problems("multi01"), repeated.map(Problem::Repeated));
}

#[test]
fn what_the_user_agent_must_judge_can_be_read() {
    assert!(held(DIRECTORY, "bext01").requires("nothingSupportsThis"));
    assert!(held(DIRECTORY, "invut").has_content_type("application/unknownformat"));
    let credentials = held(DIRECTORY, "regaut01").credentials(HeaderName::Authorization);
    assert_eq!(
        credentials[0].as_ref().expect("credentials").scheme(),
        "NoOneKnowsThisScheme"
    );
    assert_eq!(held(DIRECTORY, "zeromf").max_forwards(), Ok(Some(0)));
    let to = held(DIRECTORY, "unksm2").to().expect("To");
    assert_eq!(
        (to.uri.scheme(), to.uri.user()),
        (&Scheme::Other("isbn".into()), Some("2983792873"))
    );
    assert_eq!(to.uri.host(), &Host::Name("".into()));
    let contact = held(DIRECTORY, "regescrt").contact().expect("a Contact");
    let headers: Vec<_> = contact.uri.header_pairs().collect();
    assert_eq!(headers, [("Route".into(), "<sip:sip.example.com>".into())]);
    let vast = held(DIRECTORY, "scalar02")
        .contacts()
        .next()
        .expect("a Contact")
        .expect("a good one");
    assert_eq!(vast.expires(), Some(3600), "RFC 3261 §10.2.1.1");
    assert!(matches!(vast, Contact::Address(_)));
}
