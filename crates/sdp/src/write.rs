//! Writing a description: the few lines that [`Session`] has fields for.

use std::fmt::{self, Write as _};

use crate::media::Media;
use crate::session::{Attribute, Bandwidth, Connection, Session};

impl Session {
    /// The description as it goes on the wire, lines ended by CR LF, in the order of RFC 8866 §5. NUL, CR and LF inside a
    /// field are left out, so that no field can add a line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Lines(Vec::with_capacity(512));
        let origin = &self.origin;
        out.line('v', "0");
        out.line(
            'o',
            format_args!(
                "{} {} {} {}",
                or_dash(&origin.username),
                origin.session_id,
                origin.version,
                origin.address
            ),
        );
        // RFC 8866 §5.3: not empty, `-` where there is no name.
        out.line('s', or_dash(&self.name));
        out.connection(self.connection.as_ref());
        out.bandwidths(&self.bandwidths);
        for (start, stop) in &self.times {
            out.line('t', format_args!("{start} {stop}"));
        }
        if self.times.is_empty() {
            out.line('t', "0 0");
        }
        out.attributes(&self.attributes);
        for media in &self.media {
            out.media(media);
        }
        // It is kept as long as the call.
        out.0.shrink_to_fit();
        out.0
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Lines of a description.
struct Lines(Vec<u8>);

impl fmt::Write for Lines {
    /// Without what ends a line (RFC 8866 §5).
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let ends_a_line = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
        for part in text.as_bytes().split(ends_a_line) {
            self.0.extend_from_slice(part);
        }
        Ok(())
    }
}

impl Lines {
    fn line(&mut self, kind: char, value: impl fmt::Display) {
        let written = write!(self, "{kind}={value}");
        debug_assert!(written.is_ok(), "a vector takes every byte");
        self.0.extend_from_slice(b"\r\n");
    }

    fn attribute(&mut self, name: &str, value: impl fmt::Display) {
        self.line('a', format_args!("{name}:{value}"));
    }

    fn connection(&mut self, connection: Option<&Connection>) {
        if let Some(connection) = connection {
            self.line('c', connection);
        }
    }

    fn bandwidths(&mut self, bandwidths: &[Bandwidth]) {
        for Bandwidth { kind, value } in bandwidths {
            self.line('b', format_args!("{kind}:{value}"));
        }
    }

    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            self.line('a', attribute);
        }
    }

    fn media(&mut self, media: &Media) {
        self.line('m', MediaLine(media));
        self.connection(media.connection.as_ref());
        self.bandwidths(&media.bandwidths);
        for format in &media.formats {
            if !format.encoding.is_empty() {
                self.attribute("rtpmap", format_args!("{} {format}", format.payload_type));
            }
            if let Some(parameters) = &format.fmtp {
                self.attribute("fmtp", format_args!("{} {parameters}", format.payload_type));
            }
        }
        if let Some(milliseconds) = media.ptime_ms {
            self.attribute("ptime", milliseconds);
        }
        if let Some(milliseconds) = media.max_ptime_ms {
            self.attribute("maxptime", milliseconds);
        }
        if let Some(rtcp) = &media.rtcp {
            match &rtcp.connection {
                Some(connection) => self.attribute("rtcp", format_args!("{} {connection}", rtcp.port)),
                None => self.attribute("rtcp", rtcp.port),
            }
        }
        if media.rtcp_mux {
            self.line('a', "rtcp-mux");
        }
        for crypto in &media.crypto {
            self.attribute("crypto", crypto);
        }
        self.line('a', media.direction.as_str());
        self.attributes(&media.attributes);
    }
}

/// The value of `m=`: RFC 8866 §5.14.
struct MediaLine<'a>(&'a Media);

impl fmt::Display for MediaLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let media = self.0;
        write!(f, "{} {}", media.kind.as_str(), media.port)?;
        if let Some(ports) = media.port_count {
            write!(f, "/{ports}")?;
        }
        write!(f, " {}", media.protocol.as_str())?;
        if media.formats.is_empty() && media.other_formats.is_empty() {
            // Without the space the line could not be read again.
            f.write_str(" ")?;
        }
        for format in &media.formats {
            write!(f, " {}", format.payload_type)?;
        }
        for format in &media.other_formats {
            write!(f, " {format}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Display for Attribute {
    /// The line without `a=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}:{value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for Connection {
    /// The value of `c=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.network, self.address_type, self.address)
    }
}
