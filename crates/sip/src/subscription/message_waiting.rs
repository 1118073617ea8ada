//! Message waiting (RFC 3842).

use callwright_sip_message::{Message, body};

use crate::endpoint::{Endpoint, IdentityId, SubscriptionId};
use crate::event::{Event, MessageSummary};

impl Endpoint {
    /// Tells what a NOTIFY of `message-summary` says.
    pub(crate) fn tell_message_waiting(
        &mut self,
        subscription: Option<(SubscriptionId, IdentityId)>,
        message: Message,
    ) {
        let identity = subscription
            .map(|(_, identity)| identity)
            .or_else(|| self.identity_for(&message));
        let text = message.body();
        let Ok(summary) = String::from_utf8_lossy(&text).parse::<body::MessageSummary>() else {
            return;
        };
        let voice = summary.voice();
        let summary = MessageSummary {
            waiting: summary.waiting,
            account: summary.account.map(|account| account.to_string()),
            new: voice.map(|counts| counts.new),
            old: voice.map(|counts| counts.old),
        };
        let subscription = subscription.map(|(id, _)| id);
        self.channel.tell(Event::MessageWaiting {
            subscription,
            identity,
            summary,
            message,
        });
    }
}
