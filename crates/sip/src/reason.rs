//! `Reason` of a message (RFC 3326).

use callwright_sip_message::Message;

use crate::command::Reason;

/// The first Reason of a message.
pub(crate) fn of(message: &Message) -> Option<Reason> {
    let reason = message.reasons().find_map(Result::ok)?;
    Some(Reason {
        protocol: reason.protocol.to_string(),
        cause: reason.cause(),
        text: reason.text().map(|text| text.into_owned()),
    })
}
