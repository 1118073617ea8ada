//! A peer that is no engine: it says what a story has it say, and keeps what it hears.

use std::net::SocketAddr;

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

    fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").skip(1).filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// Where the sender of this description wants its audio.
    pub(crate) fn audio_at(&self) -> SocketAddr {
        let line = self.body().lines().find_map(|line| line.strip_prefix("m=audio "));
        let port = line
            .and_then(|line| line.split(' ').next())
            .and_then(|port| port.parse().ok());
        SocketAddr::new(self.from.ip(), port.expect("it offers audio"))
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

    /// A request of the callee within the dialog that this INVITE made with the tag of `reply`.
    pub(crate) fn request_back(
        &self,
        method: &str,
        cseq: u32,
        tag: &str,
        fields: &[&str],
        body: &str,
    ) -> String {
        let contact = self.header("Contact").unwrap_or_default();
        let target = contact
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap_or_default();
        let local = self.header("To").unwrap_or_default();
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.250:5060;branch=z9hG4bK{tag}{cseq}{method}\r\n\
             Max-Forwards: 70\r\nFrom: {local};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n",
            self.header("From").unwrap_or_default(),
            self.header("Call-ID").unwrap_or_default(),
        );
        finish(text, fields, body)
    }
}

fn finish(mut text: String, fields: &[&str], body: &str) -> String {
    for field in fields {
        text += &format!("{field}\r\n");
    }
    if !body.is_empty() {
        text += "Content-Type: application/sdp\r\n";
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

/// An offer or answer of audio in PCMU at this address.
pub(crate) fn sdp(version: u32, ip: &str, port: u16, more: &str) -> String {
    format!(
        "v=0\r\no=- 7 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n{more}"
    )
}
