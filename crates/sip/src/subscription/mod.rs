//! The subscriber's side of events (RFC 6665 §4.1), and message waiting (RFC 3842).

mod message_waiting;

use std::sync::Arc;
use std::time::Duration;

use callwright_sip_message::header::{MinExpires, SubscriptionState as Told};
use callwright_sip_message::{HeaderName, Message, Method};
use callwright_wire::{Cause, Flow, Time};

use crate::command::{Addressing, Subscribe};
use crate::core::ServerId;
use crate::dialog::{Dialog, Draft};
use crate::endpoint::{Endpoint, IdentityId, Misuse, Owner, Purpose, Reply, SubscriptionId, UsageTimer};
use crate::event::{Event, Failure, SubscriptionState};
use crate::head::Head;
use crate::registration::{MAX_RAISES, refresh_after};

/// The wait before a subscription is asked for again that the notifier gave up without saying when
/// (RFC 6665 §4.1.3, `probation` and `giveup`).
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// A subscription of ours.
#[derive(Debug)]
pub(crate) struct Subscribed {
    wanted: Subscribe,
    /// The first SUBSCRIBE: what the dialog is made from.
    first: Arc<Draft>,
    local_tag: Arc<str>,
    dialog: Option<Dialog>,
    leaving: bool,
    /// When it was, or will be, asked for anew after the notifier ended it.
    again_at: Option<Time>,
    raises: u8,
    cause: Option<Cause>,
}

impl Endpoint {
    /// Subscribes, and refreshes by itself until `unsubscribe`.
    ///
    /// # Errors
    ///
    /// When the identity is gone.
    pub fn subscribe(
        &mut self,
        now: Time,
        subscribe: Subscribe,
        cause: Option<Cause>,
    ) -> Result<SubscriptionId, Misuse> {
        let drafted = self.channel.outside(
            subscribe.identity,
            Method::Subscribe,
            &subscribe.target,
            &Addressing::default(),
        );
        let (draft, local_tag) = drafted.ok_or(Misuse::Gone { what: "identity" })?;
        let id = self.subscriptions.insert(Subscribed {
            wanted: subscribe,
            first: Arc::new(draft),
            local_tag: local_tag.clone(),
            dialog: None,
            leaving: false,
            again_at: None,
            raises: 0,
            cause,
        });
        self.channel.owners.insert(local_tag, Owner::Subscription(id));
        self.send_subscribe(now, id, cause);
        self.settle(now);
        Ok(id)
    }

    /// Ends a subscription. After [`SubscriptionState::Terminated`] without `retry` the handle is gone.
    ///
    /// # Errors
    ///
    /// When it is over.
    pub fn unsubscribe(
        &mut self,
        now: Time,
        subscription: SubscriptionId,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        let entry = self
            .subscriptions
            .get_mut(subscription)
            .ok_or(Misuse::Gone { what: "subscription" })?;
        entry.leaving = true;
        if entry.dialog.is_none()
            && self
                .channel
                .timers
                .at(UsageTimer::Subscribe(subscription))
                .is_some()
        {
            // It only waited to be asked for again.
            self.subscription_over(subscription, "unsubscribed".to_owned(), None);
        } else {
            self.send_subscribe(now, subscription, cause);
        }
        self.settle(now);
        Ok(())
    }

    pub(crate) fn send_subscribe(&mut self, now: Time, id: SubscriptionId, cause: Option<Cause>) {
        let Some(entry) = self.subscriptions.get_mut(id) else {
            return;
        };
        self.channel.timers.clear(UsageTimer::Subscribe(id));
        let expires = if entry.leaving {
            0
        } else {
            crate::session_timer::whole_seconds(entry.wanted.expires)
        };
        let draft = match &mut entry.dialog {
            Some(dialog) => dialog.draft(Method::Subscribe),
            None => {
                let first = Arc::make_mut(&mut entry.first);
                first.cseq += 1;
                first.clone()
            }
        };
        let mut draft = draft
            .with(HeaderName::Event, &entry.wanted.event)
            .with(HeaderName::Accept, &entry.wanted.accept)
            .with(HeaderName::Expires, expires)
            .with_extra(entry.wanted.headers.clone());
        draft.contact = true;
        entry.cause = cause.or(entry.cause);
        let (identity, cause) = (entry.wanted.identity, entry.cause);
        self.channel.timers.set(
            UsageTimer::AwaitNotify(id),
            now + self.channel.config.core.timers.timeout(),
        );
        self.channel
            .send(now, identity, Purpose::Subscribe(id), draft, cause);
    }

    /// The response to a SUBSCRIBE; no 401 or 407 that was met.
    pub(crate) fn on_subscribe_response(
        &mut self,
        now: Time,
        id: SubscriptionId,
        draft: &Draft,
        message: Message,
        flow: Flow,
    ) {
        let status = message.status().unwrap_or_default();
        let Some(entry) = self.subscriptions.get_mut(id) else {
            return;
        };
        match status {
            ..200 => {}
            200..300 => {
                entry.raises = 0;
                if entry.dialog.is_none()
                    && let Ok(head) = Head::of(&message)
                {
                    let mut dialog = Dialog::as_client(draft, &entry.local_tag, &head);
                    dialog.flow = Some(flow);
                    entry.dialog = Some(dialog);
                }
                // RFC 6665 §4.1.2.1: the 2xx bounds the lifetime; the NOTIFY says the state.
                // RFC 6665 §4.4.3: one that lives for no time fetches the state, which its NOTIFY brings.
                let lives = |seconds: &u32| *seconds > 0 && !entry.leaving;
                if let Some(seconds) = message.expires().ok().flatten().filter(lives) {
                    self.live_for(now, id, Duration::from_secs(seconds.into()));
                }
            }
            423 if !entry.leaving && entry.raises < MAX_RAISES && min_expires(&message).is_some() => {
                // RFC 6665 §4.1.2.2: once more, with what the notifier wants.
                entry.raises += 1;
                let min = min_expires(&message).unwrap_or_default();
                entry.wanted.expires = entry.wanted.expires.max(min);
                self.send_subscribe(now, id, None);
            }
            300.. => {
                let reason = format!("{status} {}", message.reason_phrase().unwrap_or_default());
                // RFC 6665 §4.1.2.2: a refused refresh leaves the subscription until it runs out; only 481 ends it, and then
                // it is asked for anew.
                let refresh = entry.dialog.is_some() && !entry.leaving;
                if refresh && status != 481 {
                    self.channel.timers.clear(UsageTimer::AwaitNotify(id));
                    return;
                }
                let retry = refresh.then_some(Duration::ZERO);
                self.subscription_ended(now, id, reason, retry, Some(message));
            }
        }
    }

    /// A SUBSCRIBE got no response.
    pub(crate) fn on_subscribe_failed(&mut self, now: Time, id: SubscriptionId, failure: &Failure) {
        let reason = match failure {
            Failure::Timeout { timer } => format!("no response ({timer})"),
            Failure::Transport { error } => error.clone(),
            Failure::Response(_) | Failure::CallEnded => "no response".to_owned(),
        };
        self.subscription_ended(now, id, reason, None, None);
    }

    /// A NOTIFY to a subscription of ours. It may come before the 2xx to SUBSCRIBE (RFC 6665 §4.1.2.4).
    pub(crate) fn on_notify(
        &mut self,
        now: Time,
        id: SubscriptionId,
        server: ServerId,
        message: Message,
        flow: Flow,
    ) {
        let Ok(head) = Head::of(&message) else {
            // What is inside a dialog was not parsed as a whole before.
            self.channel
                .answer_outside(now, server, &message, &Reply::new(400));
            return;
        };
        let Some(entry) = self.subscriptions.get_mut(id) else {
            return;
        };
        let event = message.event().ok().flatten();
        let fits = event.is_some_and(|event| event.package.eq_ignore_ascii_case(&entry.wanted.event));
        let known = match &entry.dialog {
            Some(dialog) => dialog.is(&head.call_id, &entry.local_tag, &head.tag_in_from()),
            None => entry.first.call_id == head.call_id,
        };
        if !fits || !known {
            let reply = Reply::new(if known { 489 } else { 481 });
            self.channel.answer_outside(now, server, &message, &reply);
            return;
        }
        // RFC 6665 §4.4.1: the NOTIFY makes the dialog; the request's view is the server's, so From and To change places.
        let dialog = entry.dialog.get_or_insert_with(|| {
            let mut dialog = Dialog::as_server(&head, entry.local_tag.clone());
            dialog.raise_cseq(entry.first.cseq);
            dialog
        });
        dialog.flow = Some(flow);
        dialog.refresh_target(&head);
        if dialog.take_cseq(head.cseq.number).is_err() {
            self.channel
                .answer_outside(now, server, &message, &Reply::new(500));
            return;
        }
        let (leaving, identity) = (entry.leaving, entry.wanted.identity);
        let fetches = entry.wanted.expires.is_zero();
        let tag = entry.local_tag.clone();
        let reply = Reply::new(200).with_contact();
        self.channel
            .respond(now, server, &message, Some(identity), &tag, &reply, None);
        self.channel.timers.clear(UsageTimer::AwaitNotify(id));
        self.tell_notify(id, identity, message.clone());
        let Some(state) = message.typed::<Told>().ok().flatten() else {
            return;
        };
        if state.is_terminated() {
            let retry = retry_after(&state).filter(|_| !leaving && !fetches);
            let reason = state.reason().unwrap_or("terminated").to_owned();
            self.subscription_ended(now, id, reason, retry, Some(message));
            return;
        }
        if let Some(seconds) = state.expires().filter(|_| !leaving) {
            self.live_for(now, id, Duration::from_secs(seconds.into()));
        }
        let left = self
            .channel
            .timers
            .at(UsageTimer::SubscriptionExpires(id))
            .map_or(Duration::ZERO, |at| at.since(now));
        let state = if state.state.eq_ignore_ascii_case("pending") {
            SubscriptionState::Pending
        } else {
            SubscriptionState::Active { expires: left }
        };
        self.channel.tell(Event::Subscription {
            subscription: id,
            state,
            message: Some(message),
        });
    }

    fn tell_notify(&mut self, id: SubscriptionId, identity: IdentityId, message: Message) {
        let waiting = message
            .event()
            .ok()
            .flatten()
            .is_some_and(|event| event.package == "message-summary");
        if waiting && !message.body().is_empty() {
            self.tell_message_waiting(Some((id, identity)), message);
        } else {
            self.channel.tell(Event::Notify {
                subscription: id,
                message,
            });
        }
    }

    fn live_for(&mut self, now: Time, id: SubscriptionId, expires: Duration) {
        self.channel
            .timers
            .set(UsageTimer::SubscriptionExpires(id), now + expires);
        self.channel
            .timers
            .set(UsageTimer::Subscribe(id), now + refresh_after(expires));
    }

    /// No NOTIFY came after SUBSCRIBE (RFC 6665 §4.1.2.4).
    pub(crate) fn notify_missing(&mut self, now: Time, id: SubscriptionId) {
        let Some(entry) = self.subscriptions.get(id) else {
            return;
        };
        // A refresh that is not followed by a NOTIFY leaves the subscription until it runs out.
        if entry.leaving
            || self
                .channel
                .timers
                .at(UsageTimer::SubscriptionExpires(id))
                .is_none()
            || entry.dialog.is_none()
        {
            self.subscription_ended(now, id, "no NOTIFY (Timer N)".to_owned(), None, None);
        }
    }

    /// The subscription ran out.
    pub(crate) fn subscription_expired(&mut self, now: Time, id: SubscriptionId) {
        self.subscription_ended(now, id, "expired".to_owned(), None, None);
    }

    /// It is over, for now or for good.
    fn subscription_ended(
        &mut self,
        now: Time,
        id: SubscriptionId,
        reason: String,
        retry: Option<Duration>,
        message: Option<Message>,
    ) {
        let Some(retry) = retry else {
            self.subscription_over(id, reason, message);
            return;
        };
        self.clear_subscription_timers(id);
        let Some(entry) = self.subscriptions.get_mut(id) else {
            return;
        };
        let soon = entry.again_at.is_some_and(|at| now.since(at) < ASK_AGAIN);
        // A notifier that ends what it has just accepted may do so each time.
        let retry = if soon && retry.is_zero() { ASK_AGAIN } else { retry };
        entry.again_at = Some(now + retry);
        let (identity, target, old) = (
            entry.wanted.identity,
            entry.wanted.target.clone(),
            entry.local_tag.clone(),
        );
        let Some((draft, tag)) =
            self.channel
                .outside(identity, Method::Subscribe, &target, &Addressing::default())
        else {
            self.subscription_over(id, reason, message);
            return;
        };
        // A new subscription is a new dialog.
        self.channel.owners.remove(&old);
        self.channel.owners.insert(tag.clone(), Owner::Subscription(id));
        if let Some(entry) = self.subscriptions.get_mut(id) {
            entry.first = Arc::new(draft);
            entry.local_tag = tag;
            entry.dialog = None;
        }
        self.channel.timers.set(UsageTimer::Subscribe(id), now + retry);
        let state = SubscriptionState::Terminated {
            reason,
            retry: Some(retry),
        };
        self.channel.tell(Event::Subscription {
            subscription: id,
            state,
            message,
        });
    }

    fn subscription_over(&mut self, id: SubscriptionId, reason: String, message: Option<Message>) {
        self.clear_subscription_timers(id);
        let Some(entry) = self.subscriptions.remove(id) else {
            return;
        };
        self.channel.owners.remove(&entry.local_tag);
        let state = SubscriptionState::Terminated { reason, retry: None };
        self.channel.tell(Event::Subscription {
            subscription: id,
            state,
            message,
        });
    }

    fn clear_subscription_timers(&mut self, id: SubscriptionId) {
        self.channel.timers.clear(UsageTimer::Subscribe(id));
        self.channel.timers.clear(UsageTimer::SubscriptionExpires(id));
        self.channel.timers.clear(UsageTimer::AwaitNotify(id));
    }

    /// The next sequence number of a subscription.
    pub(crate) fn subscribe_cseq(&mut self, id: SubscriptionId) -> Option<u32> {
        let entry = self.subscriptions.get_mut(id)?;
        Some(match &mut entry.dialog {
            Some(dialog) => dialog.next_cseq(),
            None => {
                let first = Arc::make_mut(&mut entry.first);
                first.cseq += 1;
                first.cseq
            }
        })
    }
}

fn min_expires(message: &Message) -> Option<Duration> {
    let MinExpires(seconds) = message.typed().ok().flatten()?;
    Some(Duration::from_secs(seconds.into()))
}

/// When a subscription that the notifier ended is asked for again (RFC 6665 §4.1.3); `None`: never.
fn retry_after(state: &Told) -> Option<Duration> {
    let after = state
        .retry_after()
        .map(|seconds| Duration::from_secs(seconds.into()));
    match state.reason() {
        Some("deactivated" | "timeout") => Some(Duration::ZERO),
        Some("probation" | "giveup") => Some(after.unwrap_or(ASK_AGAIN)),
        Some("rejected" | "noresource" | "invariant") => None,
        // No reason, or an unknown one: as it says, else at once, like `deactivated`; once a minute keeps that bounded.
        Some(_) | None => Some(after.unwrap_or(ASK_AGAIN)),
    }
}
