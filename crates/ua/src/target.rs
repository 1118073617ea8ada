//! What a person dials, as a URI.

use callwright_sip_message::{Host, Uri};

use crate::account::Account;

/// Why a target cannot be dialled. The caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is nothing.
    #[error("the target is empty: give a number, a name, user@host or a sip: URI")]
    Empty,
    /// It looks like a URI and is none.
    #[error("{target:?} is not a URI that can be called: {why}")]
    NotAUri {
        /// What was given.
        target: String,
        /// What is wrong with it.
        why: String,
    },
    /// A scheme that SIP does not call.
    #[error("{scheme}: URIs cannot be called: use sip:, sips: or tel:")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
}

/// The URI behind a target: a `sip:`, `sips:` or `tel:` URI, `user@host`, or any bare name or number in the domain of
/// the account. A bare name is escaped where it must be (RFC 3261 §19.1.2). A number that no outbound proxy takes is
/// called in the domain of the account too.
///
/// # Errors
///
/// What is wrong with the target.
pub fn resolve(target: &str, account: &Account) -> Result<Uri, TargetError> {
    let target = target.trim();
    if target.is_empty() {
        return Err(TargetError::Empty);
    }
    let not_a_uri = |why: String| TargetError::NotAUri {
        target: target.to_owned(),
        why,
    };
    let scheme = target
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("tel") if account.outbound.is_none() => {
            target
                .parse::<Uri>()
                .map_err(|error| not_a_uri(format!("{error}")))?;
            let (_, number) = target.split_once(':').unwrap_or_default();
            Ok(telephone_number(number, account))
        }
        Some("sip" | "sips" | "tel") => target.parse().map_err(|error| not_a_uri(format!("{error}"))),
        Some(scheme) if !target.contains('@') && is_foreign(scheme) => Err(TargetError::Scheme {
            scheme: scheme.to_owned(),
        }),
        _ if target.contains('@') => format!("sip:{target}")
            .parse()
            .map_err(|error| not_a_uri(format!("{error}"))),
        _ => Ok(in_domain(target, account.domain.clone(), account.port)),
    }
}

/// Schemes that people paste by mistake; anything else with a colon may be a bare name.
fn is_foreign(scheme: &str) -> bool {
    matches!(
        scheme,
        "http" | "https" | "mailto" | "h323" | "im" | "pres" | "callto" | "skype"
    )
}

/// RFC 3261 §19.1.6: the number with its parameters is the user of a SIP URI. RFC 3966 §5.1.1: separators are for the
/// eye.
fn telephone_number(number: &str, account: &Account) -> Uri {
    let (digits, parameters) = number.split_at(number.find(';').unwrap_or(number.len()));
    let digits = digits.replace(['-', '.', '(', ')'], "");
    in_domain(
        &format!("{digits}{parameters}"),
        account.domain.clone(),
        account.port,
    )
    .with_param("user", "phone")
}

fn in_domain(name: &str, domain: Host, port: Option<u16>) -> Uri {
    Uri::sip(domain).with_user(name).with_port(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telephone_number_is_called_in_the_own_domain() {
        let mut account = Account::new("alice", "example.com".parse().expect("a host"));
        let uri = |account: &Account| resolve("tel:+49-30-12;ext=3", account).map(|uri| uri.to_string());
        assert_eq!(
            uri(&account),
            Ok("sip:+493012;ext=3@example.com;user=phone".to_owned())
        );
        account.outbound = "sip:proxy.example.com;lr".parse().ok();
        assert_eq!(uri(&account), Ok("tel:+49-30-12;ext=3".to_owned()));
    }
}
