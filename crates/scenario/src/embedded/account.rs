//! From the phone that a scenario describes to the account of a user agent.

use std::net::SocketAddr;

use callwright_media::codec::Codec;
use callwright_sip_message::Uri;
use callwright_ua as ua;

use crate::phone::{AudioCodec, DtmfMode, MediaEncryption, PhoneSpec};
use crate::world::StartError;

/// The account of a phone.
///
/// # Errors
/// A value that is none of its kind.
pub(crate) fn account(spec: PhoneSpec) -> Result<ua::Account, StartError> {
    let bad = |key: &'static str, detail: String| StartError::BadValue { key, detail };
    // The same grammar as in a URI: a name or an address, IPv6 in brackets, maybe a port.
    let aor: Uri = format!("sip:x@{}", spec.domain).parse().map_err(|error| {
        bad(
            "domain",
            format!("{:?} is not a host, or host:port: {error}", spec.domain),
        )
    })?;
    let outbound = match spec.outbound {
        Some(text) => {
            let uri = if text.contains(':') && text.starts_with("sip") {
                text.clone()
            } else {
                format!("sip:{text}")
            };
            Some(
                uri.parse()
                    .map_err(|error| bad("outbound", format!("{text:?} is not a SIP URI: {error}")))?,
            )
        }
        None => None,
    };
    let mut account = ua::Account::new(spec.username, aor.host().clone());
    account.port = aor.port();
    account.password = spec.password;
    account.auth_user = spec.auth_user;
    account.display_name = spec.display_name;
    account.transport = spec.transport;
    account.outbound = outbound;
    account.tls_verify = spec.tls_verify;
    account.local = spec.local.map(|local| match local.port {
        Some(port) => ua::LocalAddress::Socket(SocketAddr::new(local.ip, port)),
        None => ua::LocalAddress::Ip(local.ip),
    });
    account.registration_interval = spec.registration_interval;
    account.message_waiting = spec.mwi;
    account.dtmf = match spec.dtmf_mode {
        DtmfMode::Rtp => ua::DtmfMode::RtpEvent,
        DtmfMode::Info => ua::DtmfMode::Info,
        DtmfMode::Auto => ua::DtmfMode::Auto,
        DtmfMode::Inband => ua::DtmfMode::Inband,
    };
    account.media_encryption = match spec.media_encryption {
        MediaEncryption::None => ua::MediaEncryption::None,
        MediaEncryption::Srtp => ua::MediaEncryption::Offered,
        MediaEncryption::SrtpMandatory => ua::MediaEncryption::Required,
        MediaEncryption::SrtpMandatoryProfile => ua::MediaEncryption::RequiredWithFeedback,
    };
    account.codecs = spec
        .codecs
        .iter()
        .map(|codec| match codec {
            AudioCodec::Pcmu => Codec::Pcmu,
            AudioCodec::Pcma => Codec::Pcma,
        })
        .collect();
    account.headers = spec.headers;
    account.delayed_offer = spec.delayed_offer;
    account.deflect_to = match spec.deflect_to {
        Some(target) => {
            ua::resolve(&target, &account).map_err(|error| bad("deflect_to", error.to_string()))?;
            Some(target)
        }
        None => None,
    };
    account.auto_answer = spec.auto_answer;
    Ok(account)
}
