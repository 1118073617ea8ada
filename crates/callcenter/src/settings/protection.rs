//! `[protection]`: what one source may ask for.

use callwright_acd::{Config, Protection, Rate};
use serde::Deserialize;

use super::text::Span;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protected {
    invites: Option<RateOrOff>,
    others: Option<RateOrOff>,
    calls: Option<usize>,
    slow_after: Option<u32>,
    unanswered: Option<u32>,
    slow: Option<Span>,
    ban_after: Option<u32>,
    ban: Option<Span>,
    window: Option<Span>,
}

/// A rate, or `false`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a rate such as { per_second = 100, burst = 1000 }, or false"
)]
enum RateOrOff {
    Rate(Requests),
    Off(bool),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requests {
    per_second: u32,
    burst: u32,
}

impl RateOrOff {
    /// `true` is the rate without a file.
    fn rate(self, usual: Option<Rate>) -> Option<Rate> {
        match self {
            RateOrOff::Rate(Requests { per_second, burst }) => Some(Rate { per_second, burst }),
            RateOrOff::Off(true) => usual,
            RateOrOff::Off(false) => None,
        }
    }
}

impl Protected {
    pub(super) fn put_into(self, config: &mut Config) {
        let usual = Protection::default();
        let span = |span: Option<Span>, usual| span.map_or(usual, |Span(span)| span);
        config.protection = Protection {
            invites: self
                .invites
                .map_or(usual.invites, |rate| rate.rate(usual.invites)),
            others: self.others.map_or(usual.others, |rate| rate.rate(usual.others)),
            calls: self.calls.unwrap_or(usual.calls),
            slow_after: self.slow_after.unwrap_or(usual.slow_after),
            unanswered: self.unanswered.unwrap_or(usual.unanswered),
            slow: span(self.slow, usual.slow),
            ban_after: self.ban_after.unwrap_or(usual.ban_after),
            ban: span(self.ban, usual.ban),
            window: span(self.window, usual.window),
        };
    }
}
