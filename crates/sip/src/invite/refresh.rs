//! How this side refreshes a session (RFC 4028 §7.4).

use std::time::Duration;

use callwright_sip_message::header::{MinSe, RetryAfter};
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::Time;

use super::call::{Call, Phase};
use super::queue::Operation;
use crate::dialog::Draft;
use crate::endpoint::{Channel, UsageTimer};

/// How soon a refused refresh is tried again at the earliest: a peer that refuses each one shall not be asked at the speed of the
/// round trip.
const REFRESH_AGAIN: Duration = Duration::from_secs(2);

impl Call {
    /// RFC 4028 §7.4: each request that refreshes the target says the interval again.
    pub(super) fn with_session_timer(&self, draft: Draft) -> Draft {
        match self.session.timer {
            Some(agreed) if !matches!(self.phase, Phase::Calling(_) | Phase::Ringing(_)) => {
                let value = format!("{};refresher={}", agreed.interval, agreed.refresher(true));
                let draft = draft.with(HeaderName::SessionExpires, value);
                if self.session.min > 0 {
                    draft.with(HeaderName::MinSe, self.session.min)
                } else {
                    draft
                }
            }
            Some(_) | None => draft,
        }
    }

    /// Refreshes the session (RFC 4028 §7.4): by UPDATE where the peer allows it, else by a re-INVITE that offers what is agreed.
    pub(crate) fn refresh_session(&mut self, channel: &mut Channel, now: Time) {
        // A full queue means a dead peer; then the expiration ends the session.
        let _full = self.perform(channel, now, Operation::Refresh, None);
    }

    /// A refresh was refused: it is tried again while the session lives, which the peer's refusal has not ended
    /// (RFC 3261 §14.1). When: as the peer says, else after half of the time that is left.
    pub(super) fn refresh_again(
        &mut self,
        channel: &mut Channel,
        now: Time,
        draft: &Draft,
        refusal: &Message,
    ) {
        let timer = UsageTimer::SessionRefresh(self.id);
        let Some(agreed) = self.session.timer.as_mut().filter(|agreed| agreed.local) else {
            return;
        };
        if channel.timers.at(timer).is_some() {
            // It was no refresh: that is still to come.
            return;
        }
        let expires = channel.timers.at(UsageTimer::SessionExpires(self.id));
        let left = expires.map_or(Duration::ZERO, |at| at.since(now));
        let after = refusal.typed::<RetryAfter>().ok().flatten();
        let wait = match refusal.status() {
            Some(422) => {
                // RFC 4028 §7.3, §7.4.
                let min = refusal.typed::<MinSe>().ok().flatten();
                self.session.min = min.map_or(0, |min| min.seconds);
                agreed.interval = agreed.interval.max(self.session.min);
                Duration::ZERO
            }
            Some(405 | 501) if draft.method == Method::Update => {
                self.session.peer_updates = false;
                Duration::ZERO
            }
            _ => after.map_or(left / 2, |after| Duration::from_secs(after.seconds.into())),
        };
        channel.timers.set(timer, now + wait.max(REFRESH_AGAIN));
    }
}
