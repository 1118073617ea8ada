//! `Replaces` (RFC 3891).

use callwright_sip_message::header;

use crate::command::Replaces;

/// Reads the value of a Replaces header field, or of the URI header parameter of that name, already unescaped.
pub(crate) fn parse(value: &str) -> Option<Replaces> {
    value.parse::<header::Replaces>().ok().map(|replaces| Replaces {
        call_id: replaces.call_id.to_string(),
        to_tag: replaces.to_tag().to_owned(),
        from_tag: replaces.from_tag().to_owned(),
        early_only: replaces.is_early_only(),
    })
}
