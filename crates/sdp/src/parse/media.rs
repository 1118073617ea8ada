//! One `m=` line and the attributes under it.

use sdp_types as lines;

use super::{Defect, DefectKind, attributes, bandwidths, broken, connection, defect};
use crate::crypto::Crypto;
use crate::format::Format;
use crate::media::{Direction, Media, MediaKind, Protocol, RtcpAddress};
use crate::session::{Attribute, Connection};

pub(super) fn media(read: &lines::Media, default_direction: Direction, defects: &mut Vec<Defect>) -> Media {
    let mut media = Media::new(
        MediaKind::from(read.media.as_str()),
        read.port,
        Protocol::from(read.proto.as_str()),
    );
    media.port_count = read.num_ports;
    media.connection = read.connections.first().map(connection);
    media.bandwidths = bandwidths(&read.bandwidths);
    for word in read.fmt.split_ascii_whitespace() {
        match payload_type(word) {
            Some(number) if media.protocol.is_rtp() && media.format(number).is_none() => {
                media.formats.push(Format::new(number, "", 0));
            }
            Some(_) if media.protocol.is_rtp() => defects.push(defect(DefectKind::BadFormat, word)),
            _ => {
                if media.protocol.is_rtp() {
                    defects.push(defect(DefectKind::BadFormat, word));
                }
                media.other_formats.push(word.into());
            }
        }
    }
    let mut attributes = attributes(&read.attributes);
    media.direction = take_direction(&mut attributes, defects).unwrap_or(default_direction);
    for attribute in attributes {
        take_attribute(&mut media, attribute, defects);
    }
    // RFC 3551 §6: the static types need no `a=rtpmap`.
    for format in media
        .formats
        .iter_mut()
        .filter(|format| format.encoding.is_empty())
    {
        if let Some(fixed) = Format::fixed(format.payload_type) {
            *format = Format {
                fmtp: format.fmtp.take(),
                ..fixed
            };
        }
    }
    media
}

/// Puts an attribute where it belongs: into its field, or among the others.
fn take_attribute(media: &mut Media, attribute: Attribute, defects: &mut Vec<Defect>) {
    let value = attribute.value.as_deref().unwrap_or_default();
    let taken = match attribute.name.as_str() {
        "rtpmap" => match parse_rtpmap(value) {
            Some(parsed) => match find_format(media, parsed.payload_type) {
                Some(format) if format.encoding.is_empty() => {
                    *format = Format {
                        fmtp: format.fmtp.take(),
                        ..parsed
                    };
                    Taken::Field
                }
                Some(_) => Taken::Repeated,
                None => Taken::Other,
            },
            None => Taken::Broken,
        },
        "fmtp" => match parse_fmtp(value) {
            Some((number, parameters)) => match find_format(media, number) {
                Some(format) => fill(&mut format.fmtp, Some(parameters.into())),
                None => Taken::Other,
            },
            // Formats of other protocols are words.
            None if !media.protocol.is_rtp() => Taken::Other,
            None => Taken::Broken,
        },
        "ptime" => fill(&mut media.ptime_ms, parse_milliseconds(value)),
        "maxptime" => fill(&mut media.max_ptime_ms, parse_milliseconds(value)),
        "rtcp" => fill(&mut media.rtcp, parse_rtcp(value)),
        "rtcp-mux" if attribute.value.is_none() => {
            media.rtcp_mux = true;
            Taken::Field
        }
        "crypto" => match Crypto::parse(value) {
            Some(crypto) => {
                media.crypto.push(crypto);
                Taken::Field
            }
            None => Taken::Broken,
        },
        _ => Taken::Other,
    };
    match taken {
        Taken::Field => {}
        Taken::Repeated => defects.push(broken(DefectKind::RepeatedAttribute, &attribute)),
        Taken::Other => media.attributes.push(attribute),
        Taken::Broken => {
            defects.push(broken(DefectKind::BrokenAttribute, &attribute));
            media.attributes.push(attribute);
        }
    }
}

enum Taken {
    Field,
    Repeated,
    Other,
    Broken,
}

fn fill<T>(field: &mut Option<T>, value: Option<T>) -> Taken {
    match (&field, value) {
        (_, None) => Taken::Broken,
        (Some(_), Some(_)) => Taken::Repeated,
        (None, value) => {
            *field = value;
            Taken::Field
        }
    }
}

fn find_format(media: &mut Media, payload_type: u8) -> Option<&mut Format> {
    media
        .formats
        .iter_mut()
        .find(|format| format.payload_type == payload_type)
}

/// Takes all direction attributes out; the first counts.
pub(super) fn take_direction(
    attributes: &mut Vec<Attribute>,
    defects: &mut Vec<Defect>,
) -> Option<Direction> {
    let mut found = None;
    attributes.retain(|attribute| {
        let Some(direction) =
            Direction::from_attribute(&attribute.name).filter(|_| attribute.value.is_none())
        else {
            return true;
        };
        if found.is_some() {
            defects.push(broken(DefectKind::RepeatedAttribute, attribute));
        }
        found = found.or(Some(direction));
        false
    });
    found
}

fn payload_type(word: &str) -> Option<u8> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|number| digits && *number < 128)
}

/// `<payload type> <encoding name>/<clock rate>[/<channels>]`: RFC 8866 §6.6.
fn parse_rtpmap(value: &str) -> Option<Format> {
    let (number, rest) = value.split_once(' ')?;
    let mut parts = rest.trim().split('/');
    let encoding = parts
        .next()
        .filter(|name| !name.is_empty() && !name.contains(char::is_whitespace))?;
    let clock_rate = parts.next()?.parse().ok().filter(|rate| *rate > 0)?;
    let channels = match parts.next() {
        Some(channels) => channels.parse().ok().filter(|channels| *channels > 0)?,
        None => 1,
    };
    Some(Format {
        channels,
        ..Format::new(payload_type(number)?, encoding, clock_rate)
    })
}

fn parse_fmtp(value: &str) -> Option<(u8, &str)> {
    let (number, parameters) = value.split_once(' ')?;
    Some((
        payload_type(number)?,
        Some(parameters.trim()).filter(|parameters| !parameters.is_empty())?,
    ))
}

fn parse_milliseconds(value: &str) -> Option<u32> {
    value.trim().parse().ok().filter(|milliseconds| *milliseconds > 0)
}

/// `<port> [<nettype> <addrtype> <address>]`: RFC 3605 §2.1.
fn parse_rtcp(value: &str) -> Option<RtcpAddress> {
    let mut words = value.split_ascii_whitespace();
    let port = words.next()?.parse().ok()?;
    let connection = match (words.next(), words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some(network), Some(address_type), Some(address), None) => Some(Connection {
            network: network.into(),
            address_type: address_type.into(),
            address: address.into(),
        }),
        _ => return None,
    };
    Some(RtcpAddress { port, connection })
}
