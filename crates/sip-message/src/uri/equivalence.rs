//! Comparison of SIP and SIPS URIs (RFC 3261 §19.1.4).

use std::borrow::Cow;

use super::{Uri, escape};
use crate::params::Params;

pub(super) fn equivalent(a: &Uri, b: &Uri) -> bool {
    if !a.is_sip() || !b.is_sip() {
        return a == b;
    }
    // "A SIP and SIPS URI are never equivalent." A port or user that is left out is not the same as the default.
    a.scheme == b.scheme
        && same_text(a.user(), b.user())
        && same_text(a.password(), b.password())
        && a.host == b.host
        && a.port == b.port
        && same_params(&a.params, &b.params)
        && same_headers(a, b)
}

/// "Comparison of the userinfo of SIP and SIPS URIs is case-sensitive", but for escapes.
fn same_text(a: Option<&str>, b: Option<&str>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b || normal(a) == normal(b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Escapes of characters outside the reserved set resolved, the others in upper case.
fn normal(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let bytes = text.as_bytes();
    let mut normal = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escape::escaped_byte(&bytes[at..]) {
            // RFC 3261 §25.1: reserved
            Some(b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',' | b'%') => {
                normal.extend(bytes[at..at + 3].iter().map(u8::to_ascii_uppercase));
                at += 3;
            }
            Some(byte) => {
                normal.push(byte);
                at += 3;
            }
            None => {
                normal.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(normal)
}

/// Parameters that must be in both or in none; any other matters only when it is in both.
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

fn same_params(a: &Params, b: &Params) -> bool {
    let (sorted_a, sorted_b) = (sorted(a), sorted(b));
    NEVER_IGNORED
        .iter()
        .all(|name| a.contains(name) == b.contains(name))
        && sorted_a.iter().all(
            |(name, value)| match sorted_b.binary_search_by(|(n, _)| n.cmp(name)) {
                Ok(at) => *value == sorted_b[at].1,
                Err(_) => true,
            },
        )
}

/// Name and value in lower case, escapes normal, one of each name.
fn sorted(params: &Params) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let lower = |text: &str| normal(text).to_ascii_lowercase();
    let mut pairs: Vec<_> = params
        .iter()
        .map(|(name, value)| (lower(name), value.map(lower)))
        .collect();
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs.dedup_by(|a, b| a.0 == b.0);
    pairs
}

/// "URI header components are never ignored": the same set, in any order.
fn same_headers(a: &Uri, b: &Uri) -> bool {
    let sorted = |uri: &Uri| {
        let mut pairs: Vec<(String, String)> = uri
            .header_pairs()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()))
            .collect();
        pairs.sort();
        pairs
    };
    sorted(a) == sorted(b)
}
