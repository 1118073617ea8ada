//! The verdict on certificates.

/// What the TLS listeners of a host show, as far as a client looks at it. No certificate exists in a simulated world.
///
/// A client that does not verify accepts any; nobody can answer in a simulated world who should not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// It is trusted, and carries every name that is asked for.
    #[default]
    Valid,
    /// It is trusted, and carries these names alone. `*.` at the beginning of one stands for a single label.
    ValidFor {
        /// The names.
        names: Vec<String>,
    },
    /// It is not trusted.
    Invalid {
        /// What a client says about it, as in `certificate expired`.
        detail: String,
    },
}

impl Certificate {
    /// Why a client that verifies refuses it, if it does.
    pub(crate) fn refusal(&self, server_name: &str) -> Option<String> {
        match self {
            Certificate::Valid => None,
            Certificate::Invalid { detail } => Some(detail.clone()),
            Certificate::ValidFor { names } if names.iter().any(|name| matches(name, server_name)) => None,
            Certificate::ValidFor { names } => Some(format!(
                "certificate not valid for name {server_name:?}; it is valid for {}",
                names.join(", ")
            )),
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(parent), Some((label, rest))) => !label.is_empty() && rest.eq_ignore_ascii_case(parent),
        (Some(_), None) => false,
        (None, _) => pattern.eq_ignore_ascii_case(name),
    }
}
