//! Whom a verb is about.

use callwright_sip_message::Uri;

use crate::{Agent, Fault};

/// Whom to call, or to transfer to.
#[derive(Clone, Debug)]
pub enum Target {
    /// An agent: its address-of-record.
    Agent(Agent),
    /// A `sip:`, `sips:` or `tel:` URI, `user@host`, or a bare name or number in the agent's own domain.
    Text(String),
}

impl Target {
    /// The URI, for an agent in `domain`.
    ///
    /// # Errors
    /// When the text cannot be made one.
    pub(crate) fn uri(&self, domain: &str) -> Result<String, Fault> {
        let text = match self {
            Target::Agent(agent) => return Ok(agent.aor().to_owned()),
            Target::Text(text) => text.trim(),
        };
        if let Some(scheme) = foreign_scheme(text) {
            return Err(Fault::verb(format!(
                "{text:?} is no target: {scheme}: cannot be called; a target is a sip:, sips: or tel: URI, user@host, or a \
                 name or number in the own domain"
            )));
        }
        let uri = if has_scheme(text) {
            text.to_owned()
        } else if text.contains('@') {
            format!("sip:{text}")
        } else if let Some(uri) = bare(text, domain) {
            uri.to_string()
        } else {
            format!("sip:{text}@{domain}")
        };
        if text.is_empty() {
            return Err(Fault::verb("the target is empty"));
        }
        uri.parse::<Uri>()
            .map(|_| uri.clone())
            .map_err(|error| Fault::verb(format!("{text:?} is no target: as {uri} it is no URI ({error})")))
    }
}

/// A name or a number in a domain, escaped where it must be (RFC 3261 §19.1.2): `*21#` has a `#` that no URI can have.
/// Blanks and brackets of a number are for the eye; those of a name are not guessed about.
fn bare(text: &str, domain: &str) -> Option<Uri> {
    let is_number = text.chars().any(|c| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || "+*#-. ()".contains(c));
    let name = if is_number {
        text.replace([' ', '(', ')'], "")
    } else {
        text.to_owned()
    };
    if name.contains(char::is_whitespace) {
        return None;
    }
    let domain: Uri = format!("sip:{domain}").parse().ok()?;
    Some(domain.with_user(&name))
}

fn has_scheme(text: &str) -> bool {
    ["sip:", "sips:", "tel:"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// The scheme of a URI that no telephone calls. With an `@`, what stands before a colon may be a user with a password; a
/// port may follow a name.
fn foreign_scheme(text: &str) -> Option<&str> {
    const ADDRESSES: [&str; 8] = ["mailto", "xmpp", "im", "pres", "h323", "callto", "skype", "sms"];
    let (scheme, rest) = text.split_once(':').filter(|_| !has_scheme(text))?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let is_port = !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit());
    let known = ADDRESSES.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_scheme && (rest.starts_with("//") || known || !(is_port || text.contains('@')))).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_in_the_own_domain() {
        let uri = |text: &str| Target::Text(text.to_owned()).uri("example.com:5080");
        assert_eq!(uri("bob").unwrap(), "sip:bob@example.com:5080");
        assert_eq!(uri("+4930").unwrap(), "sip:+4930@example.com:5080");
        assert_eq!(uri("+49 (30) 12-3").unwrap(), "sip:+493012-3@example.com:5080");
        assert_eq!(uri("*21*99#").unwrap(), "sip:*21*99%23@example.com:5080");
        assert_eq!(uri("bob@example.org").unwrap(), "sip:bob@example.org");
        assert_eq!(uri("SIPS:bob@example.org").unwrap(), "SIPS:bob@example.org");
        assert_eq!(uri("tel:+4930").unwrap(), "tel:+4930");
        assert_eq!(
            uri("bob:secret@example.org").unwrap(),
            "sip:bob:secret@example.org"
        );
        for foreign in [
            "http://x",
            "https://a@b/c",
            "mailto:bob@example.org",
            "urn:service:sos",
            "XMPP:a@b",
        ] {
            let error = uri(foreign).unwrap_err().to_string();
            assert!(error.contains("cannot be called"), "{foreign}: {error}");
        }
        assert!(uri("").is_err());
        assert!(uri("bob smith").is_err());
    }
}
