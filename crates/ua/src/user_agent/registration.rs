//! Being reachable at the registrar, and message waiting.

use std::time::Duration;

use callwright_sip::command::{self, RegistrationRetry, Subscribe};
use callwright_sip::event::{MessageSummary, RegistrationState, SubscriptionState};

use crate::verb::{Done, VerbError};

use super::{Change, Context, MessagesWaiting, UserAgent};

/// How long a binding is asked for when it is not to be refreshed.
const UNREFRESHED: Duration = Duration::from_secs(3600);

/// What the registrar said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// A binding is in force now.
    pub registered: bool,
    /// The status of the last final response to REGISTER.
    pub status: Option<u16>,
    /// Its text, code first (`401 Unauthorized`), or what happened instead of a response.
    pub reason: Option<String>,
    /// How long the binding lasts, as the registrar granted it.
    pub expires: Option<Duration>,
}

impl UserAgent {
    /// Registers, or registers again now.
    ///
    /// # Errors
    ///
    /// When it is closing.
    pub(crate) fn register(&mut self, ctx: &mut Context<'_>) -> Result<Done, VerbError> {
        self.refuse_when_closing()?;
        if let Some(id) = self.registration_id
            && self.endpoint.reregister(ctx.now, id, ctx.cause).is_ok()
        {
            self.registering = true;
            return Ok(Done::QUIETLY);
        }
        let mut registration = command::Registration::new(self.identity_id());
        registration.expires = match self.account.registration_interval {
            Duration::ZERO => UNREFRESHED,
            interval => interval,
        };
        registration.refresh = !self.account.registration_interval.is_zero();
        if self.account.registration_retry {
            registration.retry = RegistrationRetry::Backoff;
        }
        self.registration_id = Some(self.endpoint.register(ctx.now, registration, ctx.cause)?);
        self.registering = true;
        Ok(Done::QUIETLY)
    }

    /// Removes the binding.
    ///
    /// # Errors
    ///
    /// When it never registered.
    pub(crate) fn unregister(&mut self, ctx: &mut Context<'_>) -> Result<Done, VerbError> {
        self.refuse_when_closing()?;
        let Some(id) = self.registration_id else {
            return Err(VerbError::NotNow(
                "there is no registration to take back: call register() first".into(),
            ));
        };
        self.endpoint.unregister(ctx.now, id, ctx.cause)?;
        Ok(Done::QUIETLY)
    }

    /// Takes the binding back because the user agent closes: also one that the registrar is just being asked for.
    pub(super) fn leave_registrar(&mut self, ctx: &mut Context<'_>) {
        if let Some(id) = self.registration_id
            && (self.registering || self.registration.registered)
        {
            self.leaving_registrar = self.endpoint.unregister(ctx.now, id, ctx.cause).is_ok();
        }
    }

    pub(super) fn handle_registration(&mut self, ctx: &mut Context<'_>, state: RegistrationState) {
        let was = self.registration.registered;
        self.registering = false;
        match state {
            RegistrationState::Registered {
                status,
                reason,
                expires,
                ..
            } => {
                self.registration = Registration {
                    registered: true,
                    status: Some(status),
                    reason: Some(told(Some(status), reason)),
                    expires: Some(expires),
                };
                if !was && !self.closing && self.account.message_waiting && self.subscription.is_none() {
                    self.subscribe_to_message_waiting(ctx);
                }
            }
            RegistrationState::Failed {
                status,
                reason,
                registered,
                ..
            } => {
                self.registration.registered = registered;
                self.registration.status = status;
                self.registration.reason = Some(told(status, reason));
                if !registered {
                    self.registration.expires = None;
                }
            }
            RegistrationState::Expired => {
                self.registration.registered = false;
                self.registration.status = None;
                self.registration.expires = None;
                self.registration.reason = Some("the binding ran out without a successful refresh".into());
            }
            RegistrationState::Unregistered { status, reason } => {
                self.registration_id = None;
                self.leaving_registrar = false;
                self.registration = Registration {
                    registered: false,
                    status,
                    reason: Some(told(status, reason)),
                    expires: None,
                };
            }
        }
        self.change(Change::Registration);
    }

    fn subscribe_to_message_waiting(&mut self, ctx: &mut Context<'_>) {
        let mailbox = self.aor();
        let subscribe = Subscribe::message_waiting(self.identity_id(), mailbox);
        self.subscription = self.endpoint.subscribe(ctx.now, subscribe, ctx.cause).ok();
    }

    pub(super) fn handle_subscription(&mut self, state: &SubscriptionState) {
        if matches!(state, SubscriptionState::Terminated { retry: None, .. }) {
            self.subscription = None;
        }
        self.change(Change::MessageWaiting);
    }

    pub(super) fn handle_message_waiting(&mut self, summary: &MessageSummary) {
        self.waiting_messages = Some(MessagesWaiting {
            waiting: summary.waiting,
            new: summary.new,
            old: summary.old,
        });
        self.change(Change::MessageWaiting);
    }
}

/// The text of a response with its code first; other texts as they are.
fn told(status: Option<u16>, text: String) -> String {
    match status {
        Some(status) => format!("{status} {text}"),
        None => text,
    }
}
