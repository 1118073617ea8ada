//! Which stream of an offer is taken, with which formats and keys.

use crate::crypto::Crypto;
use crate::format::Format;
use crate::media::{Media, MediaKind, Protocol};
use crate::negotiation::{Capabilities, LocalMedia, NegotiationError, Refusal, SrtpPolicy};
use crate::session::Session;

/// The stream of an offer that the answer will accept.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) index: usize,
    /// What the answer lists: payload types and order of the offer (RFC 3264 §6.1).
    pub(super) formats: Vec<Format>,
    pub(super) crypto: Option<CryptoPair>,
}

/// The keys of both ends under one tag.
#[derive(Debug, Clone)]
pub(super) struct CryptoPair {
    pub(super) local: Crypto,
    pub(super) remote: Crypto,
}

/// Finds the first stream that can be accepted, `preferred` before all. `Ok(None)`: nothing is asked for, since every
/// stream is switched off.
pub(super) fn choose(
    capabilities: &Capabilities,
    local: &LocalMedia,
    offer: &Session,
    preferred: Option<usize>,
) -> Result<Option<Choice>, NegotiationError> {
    if offer.media.iter().all(Media::rejected) {
        return Ok(None);
    }
    let mut order: Vec<usize> = (0..offer.media.len()).collect();
    order.sort_by_key(|index| Some(*index) != preferred);
    let mut refusal = Refusal::NoAudio;
    for index in order.into_iter().filter(|index| !offer.media[*index].rejected()) {
        match accept(capabilities, local, offer, index) {
            Ok(choice) => return Ok(Some(choice)),
            // The reason that belongs to the first audio stream is told.
            Err(reason) if refusal == Refusal::NoAudio => refusal = reason,
            Err(_) => {}
        }
    }
    Err(NegotiationError::Refused(refusal))
}

fn accept(
    capabilities: &Capabilities,
    local: &LocalMedia,
    offer: &Session,
    index: usize,
) -> Result<Choice, Refusal> {
    let media = &offer.media[index];
    if media.kind != MediaKind::Audio {
        return Err(Refusal::NoAudio);
    }
    match media.protocol {
        Protocol::RtpAvp | Protocol::RtpAvpf | Protocol::RtpSavp | Protocol::RtpSavpf => {}
        Protocol::UdpTlsRtpSavp | Protocol::UdpTlsRtpSavpf | Protocol::Other(_) => {
            return Err(Refusal::Transport(media.protocol.as_str().into()));
        }
    }
    let crypto = accept_crypto(capabilities.srtp, local, media)?;
    if offer
        .connection_of(index)
        .and_then(|connection| connection.ip())
        .is_none()
    {
        return Err(Refusal::NoAddress);
    }
    let formats = common_formats(capabilities, media);
    if formats.is_empty() {
        return Err(Refusal::NoCommonCodec);
    }
    Ok(Choice {
        index,
        formats,
        crypto,
    })
}

fn accept_crypto(
    policy: SrtpPolicy,
    local: &LocalMedia,
    media: &Media,
) -> Result<Option<CryptoPair>, Refusal> {
    let demanded = media.protocol.is_secure();
    if policy == SrtpPolicy::Never {
        return if demanded {
            Err(Refusal::EncryptionNotSupported)
        } else {
            Ok(None)
        };
    }
    // RFC 4568 §5.1.2: the first acceptable one, answered under its tag.
    let pair = media
        .crypto
        .iter()
        .filter(|offered| offered.usable())
        .find_map(|offered| {
            let own = local.crypto.iter().find(|own| own.suite == offered.suite)?;
            let local = Crypto {
                tag: offered.tag,
                session_params: Vec::new(),
                ..own.clone()
            };
            Some(CryptoPair {
                local,
                remote: offered.clone(),
            })
        });
    match pair {
        Some(pair) => Ok(Some(pair)),
        None if demanded => Err(Refusal::NoUsableKeys),
        None if policy.is_required() => Err(Refusal::EncryptionRequired),
        None => Ok(None),
    }
}

/// The formats of the offer that this end has too, in the offer's order, with our parameters. Empty without a codec:
/// telephone-event alone carries no call.
fn common_formats(capabilities: &Capabilities, offered: &Media) -> Vec<Format> {
    let own = |format: &Format| capabilities.codecs.iter().find(|own| own.same_codec(format));
    let codecs: Vec<_> = offered
        .codecs()
        .filter_map(|format| Some((format, own(format)?)))
        .collect();
    let takes_event = |format: &Format| {
        capabilities.telephone_event.is_some()
            && format.is_telephone_event()
            && codecs
                .iter()
                .any(|(codec, _)| codec.clock_rate == format.clock_rate)
    };
    let answered = |format: &Format| {
        if takes_event(format) {
            // The rate is the offer's, the events are those that this end knows.
            return Some(Format {
                fmtp: Format::telephone_event(0).fmtp,
                ..format.clone()
            });
        }
        let (_, own) = codecs
            .iter()
            .find(|(codec, _)| codec.payload_type == format.payload_type)?;
        Some(Format {
            fmtp: own.fmtp.clone(),
            ..format.clone()
        })
    };
    if codecs.is_empty() {
        Vec::new()
    } else {
        offered.formats.iter().filter_map(answered).collect()
    }
}
