//! Descriptions from the wire: RFC 8866, with RFC 3551, 3605, 4733 and 5761.

use callwright_sdp::{
    DefectKind, Direction, MAX_BODY_BYTES, MAX_DEFECTS, MediaKind, Protocol, SdpError, Session,
};

const HEAD: &str =
    "v=0\r\no=alice 2890844526 7 IN IP4 host.example\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

fn parse(rest: &str) -> Session {
    Session::parse(format!("{HEAD}{rest}").as_bytes()).expect("a description")
}

fn defects(session: &Session) -> Vec<DefectKind> {
    session.defects.iter().map(|defect| defect.kind).collect()
}

#[test]
fn an_offer_of_a_phone_is_read_whole() {
    let session = parse(
        "m=audio 49170 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:30\r\na=maxptime:60\r\na=rtcp:53020\r\na=ssrc:1 cname:x\r\n",
    );
    assert_eq!(session.defects, []);
    assert_eq!(session.origin.session_id, "2890844526");
    assert_eq!(session.origin.version, 7);
    let media = &session.media[0];
    assert_eq!(
        (&media.kind, &media.protocol, media.port),
        (&MediaKind::Audio, &Protocol::RtpAvp, 49170)
    );
    let formats: Vec<_> = media
        .formats
        .iter()
        .map(|format| (format.payload_type, format.to_string()))
        .collect();
    assert_eq!(
        formats,
        [
            (8, "PCMA/8000".into()),
            (0, "PCMU/8000".into()),
            (96, "telephone-event/8000".into())
        ]
    );
    assert_eq!((media.ptime_ms, media.max_ptime_ms), (Some(30), Some(60)));
    assert_eq!(session.rtp_address(0), "192.0.2.1:49170".parse().ok());
    assert_eq!(session.rtcp_address(0), "192.0.2.1:53020".parse().ok());
    assert_eq!(media.attributes[0].to_string(), "ssrc:1 cname:x");
}

#[test]
fn the_raw_body_is_kept() {
    let body = format!("{HEAD}i=what nobody asked for\r\nm=audio 0 RTP/AVP 0\r\n");
    let session = Session::parse(body.as_bytes()).expect("a description");
    assert_eq!(session.raw, body.as_bytes());
}

#[test]
fn a_bare_line_feed_ends_a_line_too() {
    let session = Session::parse(HEAD.replace('\r', "").as_bytes()).expect("a description");
    assert_eq!(
        session.connection.and_then(|connection| connection.ip()),
        "192.0.2.1".parse().ok()
    );
}

#[test]
fn the_address_of_the_media_goes_before_that_of_the_session() {
    let session = parse("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\nm=audio 4002 RTP/AVP 0\r\n");
    assert_eq!(session.rtp_address(0), "[2001:db8::7]:4000".parse().ok());
    assert_eq!(session.rtp_address(1), "192.0.2.1:4002".parse().ok());
}

#[test]
fn a_host_name_and_a_missing_address_are_no_place_to_send_to() {
    let session = parse("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 pbx.example\r\n");
    assert_eq!(session.rtp_address(0), None);
    let session = Session::parse(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n").expect("a description");
    assert_eq!(session.rtp_address(0), None);
    assert_eq!(defects(&session), [DefectKind::NoOrigin]);
}

#[test]
fn direction_is_inherited_from_the_session() {
    let session = parse("a=recvonly\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\na=inactive\r\n");
    assert_eq!(session.media[0].direction, Direction::RecvOnly);
    assert_eq!(session.media[1].direction, Direction::Inactive);
    assert_eq!(
        parse("m=audio 4000 RTP/AVP 0\r\n").media[0].direction,
        Direction::SendRecv
    );
}

#[test]
fn port_zero_is_rejected_and_goes_nowhere() {
    let session = parse("m=audio 0 RTP/AVP 0\r\n");
    assert!(session.media[0].rejected());
    assert_eq!(session.rtp_address(0), None);
}

#[test]
fn the_old_hold_is_seen() {
    assert!(parse("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n").held_by_address(0));
    assert!(parse("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::\r\n").held_by_address(0));
    assert!(!parse("m=audio 4000 RTP/AVP 0\r\n").held_by_address(0));
}

#[test]
fn rfc3605_rtcp_may_have_an_address_of_its_own() {
    let session = parse("m=audio 4000 RTP/AVP 0\r\na=rtcp:53020 IN IP6 2001:db8::1\r\n");
    assert_eq!(session.rtcp_address(0), "[2001:db8::1]:53020".parse().ok());
}

#[test]
fn rfc5761_mux_puts_rtcp_on_the_rtp_port() {
    let session = parse("m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n");
    assert_eq!(session.rtcp_address(0), "192.0.2.1:4000".parse().ok());
    assert_eq!(session.rtcp_address_without_mux(0), "192.0.2.1:4001".parse().ok());
}

#[test]
fn the_last_port_has_no_next_one() {
    assert_eq!(parse("m=audio 65535 RTP/AVP 0\r\n").rtcp_address(0), None);
}

#[test]
fn rfc4733_events_are_read_from_the_parameters() {
    let events = |fmtp: &str| {
        parse(&format!(
            "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n{fmtp}"
        ))
        .media[0]
            .formats[0]
            .events()
    };
    let listed = events("a=fmtp:101 0-11,16,66-67,x,9-\r\n");
    assert!(listed.contains(0) && listed.contains(11) && listed.contains(16) && listed.contains(67));
    assert!(!listed.contains(12) && !listed.contains(68) && !listed.contains(255));
    let default = events("");
    assert!(default.contains(15) && !default.contains(16));
}

#[test]
fn formats_of_other_protocols_are_words() {
    let session = parse("m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n");
    assert_eq!(session.media[0].other_formats, ["t38"]);
    assert_eq!(session.media[0].protocol, Protocol::Other("udptl".into()));
    assert_eq!(session.defects, []);
}

#[test]
fn a_broken_attribute_does_not_spoil_the_rest() {
    let session = parse(
        "m=audio 4000 RTP/AVP 0 101 300 x 0\r\na=rtpmap:101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:soon\r\na=ptime:20\r\na=crypto:1 X\r\na=sendonly\r\na=sendrecv\r\n",
    );
    let media = &session.media[0];
    assert_eq!(media.formats[1].encoding, "telephone-event");
    assert_eq!(media.ptime_ms, Some(20));
    assert_eq!(media.direction, Direction::SendOnly);
    assert_eq!(media.other_formats, ["300", "x"]);
    use DefectKind::{BadFormat, BrokenAttribute, RepeatedAttribute};
    let expected = [
        BadFormat,
        BadFormat,
        BadFormat,
        RepeatedAttribute,
        BrokenAttribute,
        BrokenAttribute,
        BrokenAttribute,
    ];
    assert_eq!(defects(&session), expected);
}

#[test]
fn lines_that_are_none_are_passed_over() {
    let body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\no=- 2 2 IN IP4 192.0.2.2\r\nhello\r\ni=\xff\xfe\r\nb=nonsense\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=x\0y\r\nc=IN IP4 192.0.2.9\r\n";
    let session = Session::parse(body).expect("a description");
    assert_eq!(session.origin.session_id, "1");
    assert_eq!(session.rtp_address(0), "192.0.2.9:4000".parse().ok());
    use DefectKind::{NotALine, Refused};
    assert_eq!(
        defects(&session),
        [NotALine, NotALine, NotALine, Refused, Refused]
    );
}

#[test]
fn what_is_no_description_is_an_error_that_names_the_line() {
    assert_eq!(Session::parse(b""), Err(SdpError::NoVersion));
    assert_eq!(Session::parse(b"v=1\r\n"), Err(SdpError::NoVersion));
    assert_eq!(Session::parse(b"{\"sdp\": true}"), Err(SdpError::NoVersion));
    let refused = Session::parse(format!("{HEAD}m=audio 70000 RTP/AVP 0\r\n").as_bytes());
    assert_eq!(
        refused,
        Err(SdpError::Media {
            line: 6,
            text: "m=audio 70000 RTP/AVP 0".into()
        })
    );
}

#[test]
fn limits_hold() {
    let long = vec![b'a'; MAX_BODY_BYTES + 1];
    assert_eq!(
        Session::parse(&long),
        Err(SdpError::TooLong {
            bytes: MAX_BODY_BYTES + 1
        })
    );
    let many = format!("{HEAD}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(65));
    assert_eq!(Session::parse(many.as_bytes()), Err(SdpError::TooManyMedia));
    let broken = format!("{HEAD}{}", "t=never\r\n".repeat(MAX_DEFECTS + 1));
    assert!(matches!(
        Session::parse(broken.as_bytes()),
        Err(SdpError::TooManyDefects { .. })
    ));
    let broken = format!("{HEAD}{}", "broken\r\n".repeat(MAX_DEFECTS + 1));
    assert!(matches!(
        Session::parse(broken.as_bytes()),
        Err(SdpError::TooManyDefects { .. })
    ));
}
