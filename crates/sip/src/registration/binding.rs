//! The bindings that a registrar lists (RFC 3261 §10.2.4).

use std::time::Duration;

use callwright_sip_message::{Contact, Message, Uri};

use crate::event::Binding;

/// How many are looked at.
const MAX_BINDINGS: usize = 64;

/// The bindings in a 2xx to REGISTER; `own` is our Contact as it left.
pub(super) fn all(message: &Message, own: Option<&Uri>) -> Vec<Binding> {
    let default = message.expires().ok().flatten().unwrap_or(3600);
    let mut bindings: Vec<Binding> = message
        .contacts()
        .take(MAX_BINDINGS)
        .filter_map(Result::ok)
        .filter_map(|contact| {
            let expires = contact.expires().unwrap_or(default);
            let address = Contact::into_address(contact)?;
            Some(Binding {
                own: own.is_some_and(|own| own.equivalent(&address.uri)),
                contact: address.uri,
                expires: Duration::from_secs(expires.into()),
            })
        })
        .collect();
    if let Some(own) = own
        && !bindings.iter().any(|binding| binding.own)
    {
        for binding in &mut bindings {
            binding.own = resembles(own, &binding.contact);
        }
    }
    bindings
}

/// Registrars add and drop parameters; user, host and port are what they keep.
fn resembles(own: &Uri, listed: &Uri) -> bool {
    own.user() == listed.user() && own.host() == listed.host() && own.port() == listed.port()
}
