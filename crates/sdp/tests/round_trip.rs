//! What is written reads as the same again, and nothing read can cause a panic.

use callwright_sdp::{
    Attribute, Bandwidth, Connection, Crypto, CryptoSuite, Direction, Format, Media, MediaKind, Origin,
    Protocol, RtcpAddress, Session,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._-]{1,12}"
}

fn connection() -> impl Strategy<Value = Connection> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(Connection::new),
        token().prop_map(|host| Connection {
            address: host.into(),
            ..Connection::default()
        }),
    ]
}

fn attribute() -> impl Strategy<Value = Attribute> {
    // The prefix keeps clear of the attributes that have fields.
    ("x-[a-z]{1,8}", option::of("[ -~]{0,20}")).prop_map(|(name, value)| Attribute {
        name: name.into(),
        value: value.map(Into::into),
    })
}

fn formats() -> impl Strategy<Value = Vec<Format>> {
    let format = (
        token(),
        1..=192_000u32,
        1..=8u8,
        option::of("[!-~]{1,4}( [!-~]{1,4}){0,2}"),
    );
    btree_map(0..=127u8, format, 1..5).prop_map(|formats| {
        let format =
            |(payload_type, (encoding, clock_rate, channels, fmtp)): (u8, (String, _, _, Option<String>))| {
                Format {
                    payload_type,
                    encoding: encoding.into(),
                    clock_rate,
                    channels,
                    fmtp: fmtp.map(Into::into),
                }
            };
        formats.into_iter().map(format).collect()
    })
}

fn crypto() -> impl Strategy<Value = Crypto> {
    let suite = prop_oneof![
        Just(CryptoSuite::AesCm128HmacSha1_80),
        Just(CryptoSuite::AesCm128HmacSha1_32),
        "X_[A-Z]{1,8}".prop_map(CryptoSuite::Other),
    ];
    (
        0..1_000_000_000u32,
        suite,
        vec(any::<u8>(), 30),
        vec(token(), 0..3),
    )
        .prop_map(|(tag, suite, key, session_params)| Crypto {
            session_params,
            ..Crypto::new(tag, suite, &key)
        })
}

fn direction() -> impl Strategy<Value = Direction> {
    (any::<bool>(), any::<bool>()).prop_map(|(sends, receives)| Direction::new(sends, receives))
}

fn media() -> impl Strategy<Value = Media> {
    let protocol = prop_oneof![
        Just(Protocol::RtpAvp),
        Just(Protocol::RtpSavp),
        Just(Protocol::UdpTlsRtpSavpf)
    ];
    let times = (option::of(1..1000u32), option::of(1..1000u32));
    let rtcp = option::of((any::<u16>(), option::of(connection())));
    (
        (
            any::<u16>(),
            option::of(1..9u16),
            protocol,
            formats(),
            option::of(connection()),
        ),
        (direction(), times, rtcp, any::<bool>()),
        (vec(crypto(), 0..3), vec(attribute(), 0..4)),
    )
        .prop_map(
            |((port, port_count, protocol, formats, connection), (direction, times, rtcp, mux), rest)| {
                Media {
                    port_count,
                    formats,
                    connection,
                    direction,
                    ptime_ms: times.0,
                    max_ptime_ms: times.1,
                    rtcp: rtcp.map(|(port, connection)| RtcpAddress { port, connection }),
                    rtcp_mux: mux,
                    crypto: rest.0,
                    attributes: rest.1,
                    ..Media::new(MediaKind::Audio, port, protocol)
                }
            },
        )
}

fn session() -> impl Strategy<Value = Session> {
    let origin = (token(), "[0-9]{1,20}", any::<u64>(), connection());
    let bandwidth = (token(), any::<u64>()).prop_map(|(kind, value)| Bandwidth { kind, value });
    (
        origin,
        "[!-~]{1,10}",
        option::of(connection()),
        vec(bandwidth, 0..3),
        vec((any::<u64>(), any::<u64>()), 1..3),
        vec(attribute(), 0..3),
        vec(media(), 0..4),
    )
        .prop_map(
            |(origin, name, connection, bandwidths, times, attributes, media)| Session {
                origin: Origin {
                    username: origin.0.into(),
                    session_id: origin.1.into(),
                    version: origin.2,
                    address: origin.3,
                },
                name: name.into(),
                connection,
                bandwidths,
                times,
                attributes,
                media,
                ..Session::default()
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_reads_as_the_same(session in session()) {
        let bytes = session.to_bytes();
        let read = Session::parse(&bytes).expect("what was written can be read");
        prop_assert_eq!(&read, &session);
        prop_assert_eq!(read.defects, []);
        prop_assert_eq!(&read.raw, &bytes);
    }

    #[test]
    fn a_damaged_description_is_read_or_refused_and_then_stable(
        session in session(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = session.to_bytes();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(read) = Session::parse(&bytes) {
            let again = Session::parse(&read.to_bytes()).expect("what was written can be read");
            prop_assert_eq!(again, read);
        }
    }

    #[test]
    fn shuffled_pieces_of_descriptions_are_read_or_refused_and_then_stable(
        pieces in vec(prop::sample::select(PIECES), 0..20),
    ) {
        let body = format!("v=0\r\n{}", pieces.concat());
        if let Ok(read) = Session::parse(body.as_bytes()) {
            let again = Session::parse(&read.to_bytes()).expect("what was written can be read");
            prop_assert_eq!(again, read);
        }
    }

    #[test]
    fn garbage_never_panics(body in vec(any::<u8>(), 0..400)) {
        let _ = Session::parse(&body);
        let _ = Session::parse(&[b"v=0\n", body.as_slice()].concat());
    }
}

const PIECES: &[&str] = &[
    "o=- 1 1 IN IP4 h\r\n",
    "s=\r\n",
    "s= \r\n",
    "c=IN IP4 0.0.0.0\r\n",
    "c=in ip6 ::/3\r\n",
    "t=1 2\r\n",
    "r=7d 1h 0\r\n",
    "b=AS:64\r\n",
    "b=AS:\r\n",
    "m=audio 4000 RTP/AVP 0 8 101\r\n",
    "m=audio 0 RTP/AVP\r\n",
    "m=audio 9/2 RTP/SAVP \r\n",
    "m=  0  \r\n",
    "m=image 5 udptl t38\r\n",
    "a=rtpmap:0 PCMU/8000/1\r\n",
    "a=rtpmap:0 x\r\n",
    "a=rtpmap:101  telephone-event/8000 \r\n",
    "a=rtpmap:+8 PCMA/8000\r\n",
    "a=fmtp:101 0-15\r\n",
    "a=fmtp:101 \r\n",
    "a=fmtp:t38 x\r\n",
    "a=ptime:20\r\n",
    "a=ptime: 20 \r\n",
    "a=ptime\r\n",
    "a=rtcp:1\r\n",
    "a=rtcp:1 IN\r\n",
    "a=rtcp-mux\r\n",
    "a=rtcp-mux:1\r\n",
    "a=sendonly\r\n",
    "a=recvonly:1\r\n",
    "a=\r\n",
    "a=:\r\n",
    "a= :x\r\n",
    "a=crypto:01 A inline:x\r\n",
    "a=crypto:1\r\n",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:a;b  WSH=64\r\n",
    "x=y\r\n",
    "\r\n",
    "k=prompt\r\n",
];
