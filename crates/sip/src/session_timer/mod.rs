//! Session timers (RFC 4028): what is agreed, by whom a session is refreshed, and when it runs out.

use std::time::Duration;

use callwright_sip_message::Message;
use callwright_sip_message::header::{MinSe, SessionExpires};

use crate::command::{Refresher, SessionTimer};

/// The least interval that anybody may ask for (RFC 4028 §5).
pub(crate) const LEAST_INTERVAL: Duration = Duration::from_secs(90);

/// What a request or response says about the session timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Session-Expires, in seconds.
    pub(crate) interval: Option<u32>,
    /// Its refresher parameter.
    pub(crate) refresher: Option<Refresher>,
    /// Min-SE, in seconds.
    pub(crate) min: Option<u32>,
    /// `Supported: timer`.
    pub(crate) supported: bool,
}

impl Asked {
    pub(crate) fn by(message: &Message) -> Asked {
        let expires = message.typed::<SessionExpires>().ok().flatten();
        let refresher = expires.as_ref().and_then(|expires| match expires.refresher() {
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) | None => None,
        });
        Asked {
            interval: expires.map(|expires| expires.seconds),
            refresher,
            min: message.typed::<MinSe>().ok().flatten().map(|min| min.seconds),
            supported: message.supports("timer"),
        }
    }

    /// `Err` with our minimum, for a 422, when the interval is below it (RFC 4028 §9).
    pub(crate) fn refuse_below(&self, min: Duration) -> Result<(), u32> {
        let min = whole_seconds(min.max(LEAST_INTERVAL));
        match self.interval {
            // A peer that knows no 422 cannot raise its interval: it is the proxy's that stands there, and it is taken.
            Some(interval) if interval < min && self.supported => Err(min),
            Some(_) | None => Ok(()),
        }
    }
}

/// The timer of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The interval in seconds.
    pub(crate) interval: u32,
    /// True when this side refreshes.
    pub(crate) local: bool,
}

impl Agreed {
    /// What we agree to as the server of a request (RFC 4028 §9); `None`: no timer.
    pub(crate) fn as_server(asked: Asked, wish: Option<SessionTimer>) -> Option<Agreed> {
        let floor = asked.min.unwrap_or(0).max(whole_seconds(LEAST_INTERVAL));
        let wished = wish.map(|wish| whole_seconds(wish.interval));
        let interval = match (asked.interval, wished) {
            // The server may shorten the interval, never below Min-SE, and never lengthen it.
            (Some(asked), Some(wished)) => asked.min(wished.max(floor)),
            (Some(asked), None) => asked,
            (None, Some(wished)) => wished.max(floor),
            (None, None) => return None,
        };
        // RFC 4028 table 2: a client without support never refreshes, and its wish stands where it has one.
        let refresher = if asked.supported {
            asked
                .refresher
                .or(wish.and_then(|wish| wish.refresher))
                .unwrap_or(Refresher::Uac)
        } else {
            Refresher::Uas
        };
        Some(Agreed {
            interval,
            local: refresher == Refresher::Uas,
        })
    }

    /// What the 2xx to our request agreed to (RFC 4028 §7.2).
    pub(crate) fn as_client(answer: Asked) -> Option<Agreed> {
        let interval = answer.interval?;
        Some(Agreed {
            interval,
            local: answer.refresher != Some(Refresher::Uas),
        })
    }

    /// The refresher parameter, from the view of a transaction in which this side is the client or the server.
    pub(crate) fn refresher(&self, client: bool) -> &'static str {
        if self.local == client { "uac" } else { "uas" }
    }

    /// When the refresher refreshes: half the interval (RFC 4028 §7.2).
    pub(crate) fn refresh_after(&self) -> Duration {
        Duration::from_secs(u64::from(self.interval)) / 2
    }

    /// When the session has run out for the side that does not refresh: the interval less the smaller of 32 s and a third
    /// of it (RFC 4028 §10).
    pub(crate) fn expire_after(&self) -> Duration {
        let interval = Duration::from_secs(u64::from(self.interval));
        interval - (interval / 3).min(Duration::from_secs(32))
    }
}

/// Whole seconds for the wire, rounded up.
pub(crate) fn whole_seconds(span: Duration) -> u32 {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// The value of Session-Expires.
pub(crate) fn written(interval: u32, refresher: Option<Refresher>) -> String {
    let expires = SessionExpires::new(interval);
    match refresher {
        Some(Refresher::Uac) => expires.with_refresher("uac").to_string(),
        Some(Refresher::Uas) => expires.with_refresher("uas").to_string(),
        None => expires.to_string(),
    }
}
