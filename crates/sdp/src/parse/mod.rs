//! Reading a description from the wire.
//!
//! The grammar of lines is that of `sdp-types`, which refuses a whole description for one bad line. Here such a line
//! is taken out, noted as a [`Defect`] and the rest read again; only a broken `v=` or `m=` ends it, because nobody
//! can answer without knowing how many media descriptions there are (RFC 3264 §6).

mod media;

use bytes::Bytes;
use sdp_types as lines;
use smol_str::SmolStr;
use thiserror::Error;

use crate::session::{Attribute, Bandwidth, Connection, Origin, Session};

/// The longest body that is read. A browser's offer with many candidates has about 10 KB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// The most media descriptions in a body.
pub const MAX_MEDIA: usize = 64;
/// The most lines that may be taken out before the body is refused as a whole.
pub const MAX_DEFECTS: usize = 32;

/// Why a body is no session description at all. The fault is the peer's; the answer to a request with such a body
/// is 400 (RFC 3261 §21.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SdpError {
    /// Longer than [`MAX_BODY_BYTES`].
    #[error("the body has {bytes} bytes, {MAX_BODY_BYTES} are the limit")]
    TooLong {
        /// Bytes in the body.
        bytes: usize,
    },
    /// The first line is not `v=0` (RFC 8866 §5.1).
    #[error("the body does not start with `v=0`")]
    NoVersion,
    /// An `m=` line that cannot be read (RFC 8866 §5.14).
    #[error("line {line} is not a media description: `{text}`")]
    Media {
        /// The line, counted from 1.
        line: usize,
        /// The line as received, shortened.
        text: String,
    },
    /// More media descriptions than [`MAX_MEDIA`].
    #[error("more than {MAX_MEDIA} media descriptions")]
    TooManyMedia,
    /// More than [`MAX_DEFECTS`] lines make no sense.
    #[error("more than {MAX_DEFECTS} lines cannot be read; the last was line {line}: `{text}`")]
    TooManyDefects {
        /// The line, counted from 1.
        line: usize,
        /// The line as received, shortened.
        text: String,
    },
}

/// Something in a description that could not be understood and was passed over. The bytes are in [`Session::raw`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// The line or the part of it, as received, shortened; of `a=crypto` and `k=` nothing that may be a key.
    pub text: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefectKind {
    /// Not `<letter>=<value>`, or it holds NUL, a bare CR or what is not UTF-8.
    NotALine,
    /// A line that does not follow its grammar, or stands twice where it may stand once.
    Refused,
    /// An attribute whose value does not follow its grammar; it is kept among the attributes.
    BrokenAttribute,
    /// An attribute that was there before; the first one counts.
    RepeatedAttribute,
    /// A format of an RTP media description that is no payload type, or stands there twice.
    BadFormat,
    /// No `o=` line (RFC 8866 §5 demands one).
    NoOrigin,
}

impl Session {
    /// Reads a session description.
    ///
    /// # Errors
    /// [`SdpError`] when the body is no session description or one of its `m=` lines cannot be read. Anything else
    /// that is wrong is passed over and noted in [`Session::defects`].
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(SdpError::TooLong { bytes: body.len() });
        }
        let mut defects = Vec::new();
        let read = read_lines(body, &mut defects)?;
        if read.medias.len() > MAX_MEDIA {
            return Err(SdpError::TooManyMedia);
        }
        let mut attributes = attributes(&read.attributes);
        // RFC 8866 §6.7: at session level the direction is the default for the media below.
        let default_direction = media::take_direction(&mut attributes, &mut defects).unwrap_or_default();
        let media = read
            .medias
            .iter()
            .map(|media| media::media(media, default_direction, &mut defects))
            .collect();
        let times: Vec<_> = read
            .times
            .iter()
            .map(|time| (time.start_time, time.stop_time))
            .collect();
        let name = if read.session_name.trim().is_empty() {
            "-"
        } else {
            &read.session_name
        };
        Ok(Session {
            origin: origin(&read.origin),
            name: name.into(),
            connection: read.connection.as_ref().map(connection),
            bandwidths: bandwidths(&read.bandwidths),
            times: if times.is_empty() { vec![(0, 0)] } else { times },
            attributes,
            media,
            defects,
            raw: Bytes::copy_from_slice(body),
        })
    }
}

/// Parses with `sdp-types`, taking out one refused line after the other.
fn read_lines(body: &[u8], defects: &mut Vec<Defect>) -> Result<lines::Session, SdpError> {
    // As `sdp-types` counts: split at LF, one CR before it belongs to the line end.
    let mut rows: Vec<&[u8]> = body
        .split(|byte| *byte == b'\n')
        .map(|row| row.strip_suffix(b"\r").unwrap_or(row))
        .collect();
    for (index, row) in rows.iter_mut().enumerate() {
        if !row.is_empty() && !is_line(row) {
            note(defects, DefectKind::NotALine, row, index)?;
            *row = b"";
        }
    }
    loop {
        let refused = match lines::Session::parse(&rows.join(&b'\n')) {
            Ok(session) => {
                let mut above_media = rows.iter().take_while(|row| row.first() != Some(&b'm'));
                if !above_media.any(|row| row.first() == Some(&b'o')) {
                    defects.push(Defect {
                        kind: DefectKind::NoOrigin,
                        text: String::new(),
                    });
                }
                return Ok(session);
            }
            Err(refused) => refused,
        };
        let Some(index) = refused_line(&refused).and_then(|line| line.checked_sub(1)) else {
            return Err(SdpError::NoVersion);
        };
        let Some(row) = rows.get_mut(index) else {
            return Err(SdpError::NoVersion);
        };
        match row.first() {
            Some(b'v') | None => return Err(SdpError::NoVersion),
            Some(b'm') => {
                return Err(SdpError::Media {
                    line: index + 1,
                    text: shortened(row),
                });
            }
            Some(_) => note(defects, DefectKind::Refused, row, index)?,
        }
        *row = b"";
    }
}

fn is_line(row: &[u8]) -> bool {
    row.get(1) == Some(&b'=')
        && row[0] != b'='
        && !row.iter().any(|byte| matches!(byte, 0 | b'\r'))
        && std::str::from_utf8(row).is_ok()
}

fn note(defects: &mut Vec<Defect>, kind: DefectKind, row: &[u8], index: usize) -> Result<(), SdpError> {
    if defects.len() >= MAX_DEFECTS {
        return Err(SdpError::TooManyDefects {
            line: index + 1,
            text: shortened(row),
        });
    }
    defects.push(Defect {
        kind,
        text: shortened(row),
    });
    Ok(())
}

/// What is shown of a line: reports and errors tell it, and no key is to get there.
fn shortened(row: &[u8]) -> String {
    let text = String::from_utf8_lossy(&row[..row.len().min(120)]).into_owned();
    let below = text.to_ascii_lowercase();
    let key = below.starts_with("k=").then_some(2);
    let key = key.or_else(|| below.find("crypto:").map(|at| at + "crypto:".len()));
    match key {
        Some(at) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The line that an error of `sdp-types` is about, counted from 1.
fn refused_line(error: &lines::ParserError) -> Option<usize> {
    use lines::ParserError as E;
    match error {
        E::InvalidLineFormat(line, _)
        | E::InvalidFieldEncoding(line, _)
        | E::InvalidFieldFormat(line, _)
        | E::MissingField(line, _)
        | E::FieldTrailingData(line, _)
        | E::InvalidVersion(line, _)
        | E::MultipleVersions(line)
        | E::MultipleOrigins(line)
        | E::MultipleSessionNames(line)
        | E::MultipleSessionDescription(line)
        | E::MultipleUris(line)
        | E::MultipleConnections(line)
        | E::MultipleTimeZones(line)
        | E::MultipleMediaTitles(line)
        | E::MultipleKeys(line)
        | E::RepeatWithoutTime(line) => Some(*line),
        _ => None,
    }
}

fn origin(read: &lines::Origin) -> Origin {
    Origin {
        username: read.username.as_deref().unwrap_or("-").into(),
        session_id: read.sess_id.as_str().into(),
        version: read.sess_version,
        address: Connection {
            network: read.nettype.as_str().into(),
            address_type: read.addrtype.as_str().into(),
            address: read.unicast_address.as_str().into(),
        },
    }
}

fn connection(read: &lines::Connection) -> Connection {
    Connection {
        network: read.nettype.as_str().into(),
        address_type: read.addrtype.as_str().into(),
        address: read.connection_address.as_str().into(),
    }
}

fn bandwidths(read: &[lines::Bandwidth]) -> Vec<Bandwidth> {
    read.iter()
        .map(|line| Bandwidth {
            kind: line.bwtype.clone(),
            value: line.bandwidth,
        })
        .collect()
}

fn attributes(read: &[lines::Attribute]) -> Vec<Attribute> {
    read.iter()
        .map(|line| Attribute {
            name: line.attribute.as_str().into(),
            value: line.value.as_deref().map(SmolStr::from),
        })
        .collect()
}

fn defect(kind: DefectKind, text: &str) -> Defect {
    Defect {
        kind,
        text: shortened(text.as_bytes()),
    }
}

fn broken(kind: DefectKind, attribute: &Attribute) -> Defect {
    defect(kind, &attribute.to_string())
}
