//! Registration (RFC 3261 §10, RFC 3327, RFC 3608): one binding of one identity, kept alive.
//!
//! ```text
//!   register ──► (REGISTER) ──2xx──► in force ──refresh──► (REGISTER) …
//!                    │                  │
//!                 failed             unregister ──► (REGISTER, Expires: 0) ──► gone
//! ```

mod binding;

use std::sync::Arc;
use std::time::Duration;

use callwright_sip_message::header::{MinExpires, RetryAfter};
use callwright_sip_message::{HeaderName, Message, Method, Uri};
use callwright_wire::{Cause, Flow, Time};

use crate::command::{Registration, RegistrationRetry};
use crate::core::{Direction, Seen, TransactionId};
use crate::dialog::Draft;
use crate::endpoint::{Endpoint, Misuse, Purpose, RegistrationId, UsageTimer};
use crate::event::{Event, Failure, RegistrationState};

/// How often a 423 is met within one attempt: each answer may ask for more, but not forever.
pub(crate) const MAX_RAISES: u8 = 3;

/// The first wait of [`RegistrationRetry::Backoff`] (RFC 5626 §4.5, "base-time-all-fail").
const BACKOFF_FIRST: Duration = Duration::from_secs(30);

/// Its longest wait (RFC 5626 §4.5, "max-time").
const BACKOFF_LONGEST: Duration = Duration::from_secs(1800);

/// How long a connection to a registrar must live after a 2xx to count as one that works.
const STEADY: Duration = Duration::from_secs(120);

/// A registration.
#[derive(Debug)]
pub(crate) struct Registered {
    wanted: Registration,
    call_id: Arc<str>,
    from: Arc<str>,
    cseq: u32,
    /// True while a REGISTER has no final response.
    pending: bool,
    /// What is still to be done when that response comes.
    next: Option<Next>,
    leaving: bool,
    failures: u32,
    /// When the first 2xx came over the present flow.
    connected_at: Time,
    /// How many connections in a row were lost soon after their 2xx.
    losses: u32,
    raises: u8,
    /// Our Contact, as it left.
    contact: Option<Uri>,
    /// The connection that the registrar reaches us by.
    flow: Option<Flow>,
    cause: Option<Cause>,
}

/// What waits for the response to a REGISTER: RFC 3261 §10.2 wants one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Again,
    Leave,
}

/// When a binding is refreshed: after 90 % of its life, yet 30 s before its end at least, yet not before half of it.
pub(crate) fn refresh_after(expires: Duration) -> Duration {
    let early = expires * 9 / 10;
    early
        .min(expires.saturating_sub(Duration::from_secs(30)))
        .max(expires / 2)
}

impl Endpoint {
    /// Registers, and refreshes by itself until `unregister`.
    ///
    /// # Errors
    ///
    /// When the identity is gone.
    pub fn register(
        &mut self,
        now: Time,
        registration: Registration,
        cause: Option<Cause>,
    ) -> Result<RegistrationId, Misuse> {
        let local = self
            .channel
            .identities
            .get(registration.identity)
            .ok_or(Misuse::Gone { what: "identity" })?;
        let aor = local.identity.aor.clone();
        let (tag, call_id) = (self.channel.tag(), self.channel.call_id());
        let from = self
            .channel
            .identities
            .get(registration.identity)
            .map(|local| local.from(&tag));
        let from = from.unwrap_or_else(|| format!("<{aor}>;tag={tag}"));
        let id = self.registrations.insert(Registered {
            wanted: registration,
            call_id,
            from: from.into(),
            cseq: 0,
            pending: false,
            next: None,
            leaving: false,
            failures: 0,
            connected_at: now,
            losses: 0,
            raises: 0,
            contact: None,
            flow: None,
            cause,
        });
        self.send_register(now, id, cause);
        self.settle(now);
        Ok(id)
    }

    /// Sends the REGISTER of a registration again, now.
    ///
    /// # Errors
    ///
    /// When the registration is over.
    pub fn reregister(
        &mut self,
        now: Time,
        registration: RegistrationId,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        self.registrations
            .get(registration)
            .ok_or(Misuse::Gone { what: "registration" })?;
        self.send_register(now, registration, cause);
        self.settle(now);
        Ok(())
    }

    /// Removes the binding. After [`RegistrationState::Unregistered`] the handle is gone.
    ///
    /// # Errors
    ///
    /// When the registration is over.
    pub fn unregister(
        &mut self,
        now: Time,
        registration: RegistrationId,
        cause: Option<Cause>,
    ) -> Result<(), Misuse> {
        let entry = self
            .registrations
            .get_mut(registration)
            .ok_or(Misuse::Gone { what: "registration" })?;
        if entry.pending && !entry.leaving {
            entry.next = Some(Next::Leave);
            return Ok(());
        }
        entry.leaving = true;
        self.send_register(now, registration, cause);
        self.settle(now);
        Ok(())
    }

    pub(crate) fn send_register(&mut self, now: Time, id: RegistrationId, cause: Option<Cause>) {
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        self.channel.timers.clear(UsageTimer::Register(id));
        if entry.pending {
            entry.next.get_or_insert(Next::Again);
            return;
        }
        let identity = entry.wanted.identity;
        let Some(local) = self.channel.identities.get(identity) else {
            self.registration_gone(id);
            return;
        };
        entry.cseq += 1;
        entry.pending = true;
        entry.cause = cause.or(entry.cause);
        let aor = local.identity.aor.clone();
        let expires = if entry.leaving {
            0
        } else {
            crate::session_timer::whole_seconds(entry.wanted.expires)
        };
        let draft = Draft {
            method: Method::Register,
            uri: entry
                .wanted
                .registrar
                .clone()
                .unwrap_or_else(|| registrar_of(&aor)),
            from: entry.from.clone(),
            to: format!("<{aor}>").into(),
            call_id: entry.call_id.clone(),
            cseq: entry.cseq,
            routes: local.identity.routes.clone().into(),
            flow: entry.flow,
            only_by_flow: false,
            contact: true,
            // RFC 3327 §5.1; RFC 3608 needs no option tag.
            headers: vec![
                (HeaderName::Expires, expires.to_string()),
                (HeaderName::Supported, "path".to_owned()),
                (HeaderName::Allow, self.channel.allow().to_owned()),
            ],
            extra: entry.wanted.headers.clone(),
            body: None,
        };
        let cause = entry.cause;
        self.channel
            .send(now, identity, Purpose::Register(id), draft, cause);
    }

    /// The response to a REGISTER; no 401 or 407 that was met.
    pub(crate) fn on_register_response(
        &mut self,
        now: Time,
        id: RegistrationId,
        message: Message,
        flow: Flow,
    ) {
        let status = message.status().unwrap_or_default();
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        if status < 200 {
            return;
        }
        entry.pending = false;
        if status == 423 && !entry.leaving && entry.raises < MAX_RAISES {
            // RFC 3261 §10.2.8: once more, with what the registrar wants.
            if let Ok(Some(MinExpires(min))) = message.typed::<MinExpires>() {
                entry.raises += 1;
                entry.wanted.expires = entry.wanted.expires.max(Duration::from_secs(min.into()));
                self.send_register(now, id, None);
                return;
            }
        }
        entry.raises = 0;
        let reason = message.reason_phrase().unwrap_or_default().into_owned();
        if entry.leaving {
            let state = RegistrationState::Unregistered {
                status: Some(status),
                reason,
            };
            self.registration_left(id, state, Some(message));
            return;
        }
        if status < 300 {
            self.on_registered(now, id, status, reason, message, flow);
        } else {
            let after = message
                .typed::<RetryAfter>()
                .ok()
                .flatten()
                .map(|after| Duration::from_secs(after.seconds.into()));
            self.on_not_registered(now, id, Some(status), reason, after, Some(message));
        }
        self.go_on(now, id);
    }

    fn on_registered(
        &mut self,
        now: Time,
        id: RegistrationId,
        status: u16,
        reason: String,
        message: Message,
        flow: Flow,
    ) {
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        entry.failures = 0;
        if entry.flow != Some(flow) {
            entry.connected_at = now;
        }
        entry.flow = Some(flow);
        let bindings = binding::all(&message, entry.contact.as_ref());
        let own = bindings
            .iter()
            .find(|binding| binding.own)
            .map(|binding| binding.expires);
        // RFC 3261 §10.2.4: the registrar says what it granted; where it lists no contact of ours, the request stands.
        let said = message
            .expires()
            .ok()
            .flatten()
            .map(|seconds| Duration::from_secs(seconds.into()));
        let expires = own.or(said).unwrap_or(entry.wanted.expires);
        let service_route: Vec<Uri> = message
            .addresses(HeaderName::ServiceRoute)
            .filter_map(Result::ok)
            .map(|route| route.uri)
            .collect();
        let identity = entry.wanted.identity;
        if let Some(local) = self.channel.identities.get_mut(identity) {
            // RFC 3608 §6.1: each 2xx replaces what was known.
            local.service_route.clone_from(&service_route);
        }
        let refresh = entry.wanted.refresh;
        self.channel.core.keep_open(&flow, true);
        if expires.is_zero() {
            self.channel.timers.clear(UsageTimer::BindingExpires(id));
        } else {
            self.channel
                .timers
                .set(UsageTimer::BindingExpires(id), now + expires);
            if refresh {
                self.channel
                    .timers
                    .set(UsageTimer::Register(id), now + refresh_after(expires));
            }
        }
        let state = RegistrationState::Registered {
            status,
            reason,
            expires,
            bindings,
            service_route,
        };
        self.channel.tell(Event::Registration {
            registration: id,
            state,
            message: Some(message),
        });
    }

    fn on_not_registered(
        &mut self,
        now: Time,
        id: RegistrationId,
        status: Option<u16>,
        reason: String,
        after: Option<Duration>,
        message: Option<Message>,
    ) {
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        let retry = match entry.wanted.retry {
            RegistrationRetry::Never => None,
            RegistrationRetry::Backoff => Some(after.unwrap_or_else(|| backoff(entry.failures))),
        };
        entry.failures = entry.failures.saturating_add(1);
        // The connection may be what failed; the next try finds its own way.
        entry.flow = None;
        if let Some(retry) = retry {
            self.channel.timers.set(UsageTimer::Register(id), now + retry);
        }
        let registered = self.channel.timers.at(UsageTimer::BindingExpires(id)).is_some();
        let state = RegistrationState::Failed {
            status,
            reason,
            registered,
            retry,
        };
        self.channel.tell(Event::Registration {
            registration: id,
            state,
            message,
        });
    }

    /// A REGISTER got no response.
    pub(crate) fn on_register_failed(&mut self, now: Time, id: RegistrationId, failure: &Failure) {
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        entry.pending = false;
        let reason = match failure {
            Failure::Timeout { timer } => format!("no response ({timer})"),
            Failure::Transport { error } => error.clone(),
            Failure::Response(_) | Failure::CallEnded => "no response".to_owned(),
        };
        if entry.leaving {
            self.registration_left(id, RegistrationState::Unregistered { status: None, reason }, None);
            return;
        }
        self.on_not_registered(now, id, None, reason, None, None);
        self.go_on(now, id);
    }

    /// Does what waited for the response.
    fn go_on(&mut self, now: Time, id: RegistrationId) {
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        match entry.next.take() {
            Some(Next::Leave) => {
                entry.leaving = true;
                self.send_register(now, id, None);
            }
            Some(Next::Again) => self.send_register(now, id, None),
            None => {}
        }
    }

    fn registration_left(&mut self, id: RegistrationId, state: RegistrationState, message: Option<Message>) {
        self.registration_gone(id);
        self.channel.tell(Event::Registration {
            registration: id,
            state,
            message,
        });
    }

    fn registration_gone(&mut self, id: RegistrationId) {
        self.channel.timers.clear(UsageTimer::Register(id));
        self.channel.timers.clear(UsageTimer::BindingExpires(id));
        let Some(entry) = self.registrations.remove(id) else {
            return;
        };
        if let Some(flow) = entry.flow {
            self.channel.core.keep_open(&flow, false);
        }
        if let Some(local) = self.channel.identities.get_mut(entry.wanted.identity) {
            local.service_route.clear();
        }
    }

    /// No refresh succeeded in time.
    pub(crate) fn binding_expired(&mut self, id: RegistrationId) {
        let state = RegistrationState::Expired;
        self.channel.tell(Event::Registration {
            registration: id,
            state,
            message: None,
        });
    }

    /// A connection is gone: the registrar cannot reach us by it any more, so the binding is made anew (RFC 5626 §4.4.1 has the
    /// same rule for its flows): at once, but where the last ones did not live long either only after a wait.
    pub(crate) fn flow_closed(&mut self, now: Time, flow: &Flow) {
        let lost: Vec<_> = self
            .registrations
            .iter()
            .filter(|(_, entry)| entry.flow.as_ref() == Some(flow) && !entry.pending && !entry.leaving)
            .map(|(id, _)| id)
            .collect();
        for id in lost {
            let Some(entry) = self.registrations.get_mut(id) else {
                continue;
            };
            entry.flow = None;
            if now.since(entry.connected_at) >= STEADY {
                entry.losses = 0;
            }
            entry.losses = entry.losses.saturating_add(1);
            match entry.losses.checked_sub(2) {
                None => self.send_register(now, id, None),
                Some(earlier) => {
                    let reason = "the registrar closes the connection after each 200".to_owned();
                    self.on_not_registered(now, id, None, reason, Some(backoff(earlier)), None);
                }
            }
        }
    }

    /// Learns our Contact from a REGISTER as it left: the core wrote it.
    pub(crate) fn note_contact(&mut self, seen: &Seen) {
        let (Direction::Out, Some(TransactionId::Client(client))) = (seen.direction, seen.transaction) else {
            return;
        };
        let Some(pending) = self.channel.pending.get(&client) else {
            return;
        };
        let Purpose::Register(id) = pending.origin.purpose else {
            return;
        };
        let Some(entry) = self.registrations.get_mut(id) else {
            return;
        };
        entry.contact = Message::from_raw(seen.bytes.clone())
            .contact()
            .map(|contact| contact.uri);
    }

    /// The next sequence number of a registration.
    pub(crate) fn register_cseq(&mut self, id: RegistrationId) -> Option<u32> {
        let entry = self.registrations.get_mut(id)?;
        entry.cseq += 1;
        Some(entry.cseq)
    }
}

/// The Request-URI of a REGISTER (RFC 3261 §10.2): the domain, without a user.
fn registrar_of(aor: &Uri) -> Uri {
    aor.clone().without_user().without_headers()
}

/// The wait after this many failures in a row.
fn backoff(failures: u32) -> Duration {
    BACKOFF_FIRST
        .saturating_mul(1 << failures.min(6))
        .min(BACKOFF_LONGEST)
}
