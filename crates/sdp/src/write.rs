//! Writing a description.

use std::fmt;

use sdp_types as lines;

use crate::media::Media;
use crate::session::{Attribute, Bandwidth, Connection, Session};

impl Session {
    /// The description as it goes on the wire, lines ended by CR LF, in the order of RFC 8866 §5. Control characters
    /// inside a field are left out, so that no field can add a line.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let written = self.to_lines().write(&mut out);
        debug_assert!(written.is_ok(), "a vector takes every byte");
        // It is kept as long as the call.
        out.shrink_to_fit();
        out
    }

    fn to_lines(&self) -> lines::Session {
        let origin = &self.origin;
        let mut session = lines::Session::new(
            lines::Origin {
                username: Some(origin.username.clone()),
                sess_id: origin.session_id.clone(),
                sess_version: origin.version,
                nettype: lines::NetType::from(origin.address.network.as_str()),
                addrtype: lines::AddrType::new(&origin.address.address_type),
                unicast_address: origin.address.address.clone(),
            },
            // RFC 8866 §5.3: not empty, `-` where there is no name.
            if self.name.is_empty() { "-" } else { &self.name },
        );
        session.connection = self.connection.as_ref().map(connection);
        session.bandwidths = bandwidths(&self.bandwidths);
        session.times = self
            .times
            .iter()
            .map(|(start_time, stop_time)| lines::Time {
                start_time: *start_time,
                stop_time: *stop_time,
                repeats: Vec::new(),
            })
            .collect();
        session.attributes = self.attributes.iter().map(attribute).collect();
        session.medias = self.media.iter().map(media).collect();
        session
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

fn media(from: &Media) -> lines::Media {
    let numbers = from.formats.iter().map(|format| format.payload_type.to_string());
    let fmt = numbers
        .chain(from.other_formats.iter().cloned())
        .collect::<Vec<_>>()
        .join(" ");
    let mut attributes = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        attributes.push(lines::Attribute {
            attribute: name.into(),
            value,
        });
    };
    for format in &from.formats {
        if !format.encoding.is_empty() {
            add("rtpmap", Some(format!("{} {format}", format.payload_type)));
        }
        if let Some(parameters) = &format.fmtp {
            add("fmtp", Some(format!("{} {parameters}", format.payload_type)));
        }
    }
    if let Some(milliseconds) = from.ptime_ms {
        add("ptime", Some(milliseconds.to_string()));
    }
    if let Some(milliseconds) = from.max_ptime_ms {
        add("maxptime", Some(milliseconds.to_string()));
    }
    if let Some(rtcp) = &from.rtcp {
        let address = rtcp
            .connection
            .as_ref()
            .map(|connection| format!(" {connection}"))
            .unwrap_or_default();
        add("rtcp", Some(format!("{}{address}", rtcp.port)));
    }
    if from.rtcp_mux {
        add("rtcp-mux", None);
    }
    for crypto in &from.crypto {
        add("crypto", Some(crypto.to_string()));
    }
    add(from.direction.as_str(), None);
    attributes.extend(from.attributes.iter().map(attribute));
    lines::Media {
        media: from.kind.as_str().into(),
        port: from.port,
        num_ports: from.port_count,
        proto: from.protocol.as_str().into(),
        fmt,
        media_title: None,
        connections: from.connection.iter().map(connection).collect(),
        bandwidths: bandwidths(&from.bandwidths),
        key: None,
        attributes,
    }
}

fn connection(from: &Connection) -> lines::Connection {
    lines::Connection {
        nettype: lines::NetType::from(from.network.as_str()),
        addrtype: lines::AddrType::new(&from.address_type),
        connection_address: from.address.clone(),
    }
}

fn bandwidths(from: &[Bandwidth]) -> Vec<lines::Bandwidth> {
    from.iter()
        .map(|line| lines::Bandwidth {
            bwtype: line.kind.clone(),
            bandwidth: line.value,
        })
        .collect()
}

fn attribute(from: &Attribute) -> lines::Attribute {
    lines::Attribute {
        attribute: from.name.clone(),
        value: from.value.clone(),
    }
}
