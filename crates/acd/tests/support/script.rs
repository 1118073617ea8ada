//! A peer that is no engine: it says what a story has it say, and keeps what it hears.

use std::net::SocketAddr;

use callwright_sip::digest::{Algorithm, Proof, Qop, Secret};
use callwright_sip_message::Challenge;

/// A message that a scripted peer received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) from: SocketAddr,
    pub(crate) text: String,
}

impl Received {
    /// The value of the first header field of that name.
    pub(crate) fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.headers(name).next()
    }

    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").skip(1).filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn status(&self) -> u16 {
        let word = self.text.split(' ').nth(1).unwrap_or_default();
        word.parse().unwrap_or_default()
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The tag of its To.
    pub(crate) fn to_tag(&self) -> &str {
        let to = self.header("To").unwrap_or_default();
        to.split_once(";tag=").map_or("", |(_, tag)| tag)
    }

    /// Its Contact, without brackets.
    pub(crate) fn target(&self) -> &str {
        let contact = self.header("Contact").unwrap_or_default();
        contact
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap_or_default()
    }

    /// A response to this request: status line, tag of the To (none for a request within a dialog), further header
    /// fields, body.
    pub(crate) fn reply(&self, status: &str, tag: &str, fields: &[&str], body: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in self.headers("Via") {
            text += &format!("Via: {via}\r\n");
        }
        for name in ["From", "Call-ID", "CSeq"] {
            text += &format!("{name}: {}\r\n", self.header(name).unwrap_or_default());
        }
        let to = self.header("To").unwrap_or_default();
        if tag.is_empty() || to.contains(";tag=") {
            text += &format!("To: {to}\r\n");
        } else {
            text += &format!("To: {to};tag={tag}\r\n");
        }
        finish(text, fields, body)
    }

    /// The challenge of this response for an algorithm.
    pub(crate) fn challenge(&self, algorithm: &str) -> Challenge {
        self.headers("WWW-Authenticate")
            .flat_map(|value| Challenge::parse_all(value).expect("a challenge"))
            .find(|challenge| challenge.value("algorithm") == Some(algorithm))
            .expect("a challenge for that algorithm")
    }
}

fn finish(mut text: String, fields: &[&str], body: &str) -> String {
    for field in fields {
        text += &format!("{field}\r\n");
    }
    if !body.is_empty() && !fields.iter().any(|field| field.starts_with("Content-Type")) {
        text += "Content-Type: application/sdp\r\n";
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

/// A request of a scripted peer, outside a dialog or (with a tag in `to`) in one.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    /// From and To without brackets, each with its tag.
    pub(crate) from: (&'a str, &'a str),
    pub(crate) to: (&'a str, &'a str),
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
}

impl Request<'_> {
    pub(crate) fn write(&self, at: SocketAddr, fields: &[&str], body: &str) -> String {
        let Request {
            method,
            uri,
            from,
            to,
            call_id,
            cseq,
        } = self;
        let tag = if to.1.is_empty() {
            String::new()
        } else {
            format!(";tag={}", to.1)
        };
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call_id}{cseq}{method};rport\r\n\
             From: <{}>;tag={}\r\nTo: <{}>{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n",
            from.0, from.1, to.0,
        );
        if !fields.iter().any(|field| field.starts_with("Max-Forwards")) {
            text += "Max-Forwards: 70\r\n";
        }
        finish(text, fields, body)
    }
}

/// Credentials for a challenge, as a header line.
pub(crate) fn credentials(
    challenge: &Challenge,
    algorithm: Algorithm,
    user: (&str, &str),
    request: (&str, &str),
    count: u32,
) -> String {
    let (username, password) = user;
    let (method, uri) = request;
    let value = |name| challenge.value(name).expect("a parameter");
    let proof = Proof {
        algorithm,
        username,
        realm: value("realm"),
        nonce: value("nonce"),
        qop: Some((Qop::Auth, count, "c0ffee")),
        cnonce: "c0ffee",
        method,
        uri,
        body: b"",
    };
    let response = proof.response(&Secret::Password(password.into()));
    format!(
        "Authorization: Digest username=\"{username}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", \
         algorithm={algorithm}, cnonce=\"c0ffee\", qop=auth, nc={count:08x}",
        value("realm"),
        value("nonce"),
        response.expect("a password fits every algorithm"),
    )
}

/// The same as in RFC 2069: without `qop`, and so without a count that would tell a replay.
pub(crate) fn credentials_without_count(
    challenge: &Challenge,
    user: (&str, &str),
    request: (&str, &str),
) -> String {
    let value = |name| challenge.value(name).expect("a parameter");
    let proof = Proof {
        algorithm: Algorithm::Md5,
        username: user.0,
        realm: value("realm"),
        nonce: value("nonce"),
        qop: None,
        cnonce: "",
        method: request.0,
        uri: request.1,
        body: b"",
    };
    let response = proof.response(&Secret::Password(user.1.into()));
    format!(
        "Authorization: Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{}\"",
        user.0,
        value("realm"),
        value("nonce"),
        request.1,
        response.expect("a password fits every algorithm"),
    )
}

/// An offer or answer of audio in PCMU at this address.
pub(crate) fn sdp(version: u32, ip: &str, port: u16, more: &str) -> String {
    format!(
        "v=0\r\no=- 7 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n{more}"
    )
}

/// The port for RTP that a description names.
pub(crate) fn rtp_port(body: &str) -> u16 {
    let line = body.lines().find_map(|line| line.strip_prefix("m=audio "));
    let port = line.and_then(|line| line.split(' ').next());
    port.and_then(|port| port.parse().ok()).expect("an m line")
}

/// An RTP packet of PCMU whose every sample is `fill`.
pub(crate) fn rtp(sequence: u16, fill: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(0xbadc_0ffe_u32.to_be_bytes());
    packet.extend([fill; 160]);
    packet
}
