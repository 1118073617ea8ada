//! REGISTER (RFC 3261 §10.3): who may, what changes, and the answer when that is stored.

use callwright_sip::command::{Headers, Response};
use callwright_sip::endpoint::IncomingId;
use callwright_sip_message::{Contact, HeaderName, Message, NameAddr};
use callwright_wire::{Flow, Time};

use crate::config::Auth;
use crate::denial::Asker;
use crate::fact::{Binding, Fact};
use crate::journal::Due;
use crate::machine::{Alarm, Machine};
use crate::registrar::{Asked, Registering, Rules, Storing, Update, UpdateError, UserKey};

impl Machine {
    /// A REGISTER.
    pub(crate) fn on_register(&mut self, now: Time, request: IncomingId, message: Message, flow: Flow) {
        if !self.serves_durably() {
            let headers = vec![self.retry_after()];
            return self.respond(now, request, 503, headers);
        }
        let Ok(to) = message.to() else {
            return self.respond(now, request, 400, Headers::new());
        };
        // RFC 3261 §10.3, 1: a registrar for another domain would be asked further; here nobody is.
        if message.request_uri().is_ok_and(|uri| !self.is_ours(&uri)) {
            return self.respond(now, request, 404, Headers::new());
        }
        // §10.3, 3 to 5: first who it is, then whether it may, and then whether there is such a user: to somebody who proves
        // nothing an unknown user looks like any other.
        if self.config.auth != Auth::None {
            match self.prove(now, &message, flow) {
                Ok(user) if to.uri.user_unescaped().as_deref() == Some(&user) => {}
                Ok(_) => return self.respond(now, request, 403, Headers::new()),
                Err(unproven) => return self.deny(now, Asker::Request(request), flow, unproven.into()),
            }
        }
        let Some(user) = self.user_at(&to.uri) else {
            return self.respond(now, request, 404, Headers::new());
        };
        let registering = Registering {
            request,
            message,
            flow,
        };
        let limit = self.config.limits.waiting_registers;
        let account = self.registrar.account_mut(user);
        match account.storing {
            Storing::Settled => self.register(now, user, registering),
            Storing::Storing { .. } if account.waiting.len() < limit => {
                account.waiting.push_back(registering)
            }
            Storing::Storing { .. } => self.respond_over_limit(now, registering.request),
        }
    }

    fn register(&mut self, now: Time, user: UserKey, registering: Registering) {
        let rules = self.rules();
        let read = Update::read(&registering.message, registering.flow, &rules);
        let update = match read {
            Ok(update) => update,
            Err(error) => return self.refuse_register(now, registering.request, error),
        };
        if matches!(update.asked, Asked::Query) {
            return self.confirm_register(now, user, &registering);
        }
        let account = self.registrar.account_mut(user);
        match update.apply(now, &account.bindings, &rules) {
            Ok(bindings) => {
                let fact = Fact::Bindings {
                    user: account.user.name.clone(),
                    bindings: bindings.clone(),
                };
                account.storing = Storing::Storing {
                    request: registering,
                    bindings,
                };
                self.persist(now, Due::Register(user), fact);
            }
            Err(error) => self.refuse_register(now, registering.request, error),
        }
    }

    /// The store has spoken about the bindings of a user.
    pub(crate) fn on_bindings_stored(&mut self, now: Time, user: UserKey, stored: bool) {
        let account = self.registrar.account_mut(user);
        match std::mem::replace(&mut account.storing, Storing::Settled) {
            Storing::Settled => {}
            Storing::Storing { request, bindings } if stored => {
                self.bind(user, bindings);
                self.on_reachable(now, user);
                self.confirm_register(now, user, &request);
                // A connection may have closed meanwhile.
                self.drop_cut_off(now, user);
            }
            Storing::Storing { request, .. } => {
                let headers = vec![self.retry_after()];
                self.respond(now, request.request, 503, headers);
            }
        }
        while matches!(self.registrar.account(user).storing, Storing::Settled) {
            let Some(next) = self.registrar.account_mut(user).waiting.pop_front() else {
                return;
            };
            self.register(now, user, next);
        }
    }

    /// 200 with all bindings (RFC 3261 §10.3, 8; RFC 3327 §5.3).
    fn confirm_register(&mut self, now: Time, user: UserKey, registering: &Registering) {
        let message = &registering.message;
        let account = self.registrar.account(user);
        let mut headers: Headers = account
            .bound(now)
            .map(|binding| (HeaderName::Contact, contact_of(binding, now)))
            .collect();
        // RFC 3327 §5.3: so that the user agent sees which way was taken.
        let path = message.headers(HeaderName::Path);
        headers.extend(path.map(|value| (HeaderName::Path, value.into_owned())));
        headers.push((HeaderName::Supported, "path, outbound".to_owned()));
        // RFC 5626 §6: said where it was done.
        let call_id = message.call_id().ok();
        let own = |binding: &Binding| call_id.as_ref().is_some_and(|id| id.as_str() == binding.call_id);
        if message.supports("outbound") && account.bound(now).any(|b| b.instance.is_some() && own(b)) {
            headers.push((HeaderName::Require, "outbound".to_owned()));
        }
        self.respond(now, registering.request, 200, headers);
    }

    fn refuse_register(&mut self, now: Time, request: IncomingId, error: UpdateError) {
        let (status, headers) = match error {
            UpdateError::Broken(_) => (400, Headers::new()),
            UpdateError::TooBrief => {
                let seconds = self.config.min_expires.as_secs();
                (423, vec![(HeaderName::MinExpires, seconds.to_string())])
            }
            UpdateError::OutOfOrder => (500, Headers::new()),
            UpdateError::PathTooLong => {
                self.counters.over_limit += 1;
                (413, Headers::new())
            }
            UpdateError::TooManyBindings => return self.respond_over_limit(now, request),
        };
        let response = Response {
            reason: Some(error.to_string()),
            headers,
            ..Response::new(status)
        };
        self.respond_with(now, request, response);
    }

    fn rules(&self) -> Rules {
        Rules {
            min_expires: self.config.min_expires,
            max_expires: self.config.max_expires,
            default_expires: self.config.default_expires,
            bindings: self.config.limits.bindings_per_user,
            path_values: self.config.limits.path_values,
        }
    }

    /// Puts these bindings of a user in force: connections that they need stay open.
    pub(crate) fn bind(&mut self, user: UserKey, bindings: Vec<Binding>) {
        let flows = self.registrar.bind(user, bindings);
        for flow in flows.needed {
            self.endpoint.keep_open(&flow, true);
        }
        for flow in flows.unneeded {
            self.endpoint.keep_open(&flow, false);
        }
        self.watch_bindings(user);
    }

    /// A connection is gone, and with it who could be reached by it alone (RFC 5626 §5.3).
    pub(crate) fn on_flow_closed(&mut self, now: Time, flow: Flow) {
        for user in self.registrar.bound_over(&flow) {
            self.drop_cut_off(now, user);
        }
    }

    /// Forgets the bindings of a user whose connection is gone. The store is told; nobody waits for it.
    fn drop_cut_off(&mut self, now: Time, user: UserKey) {
        let account = self.registrar.account(user);
        let reached = |binding: &&Binding| !binding.needs_flow() || self.endpoint.has_flow(&binding.flow);
        let bindings: Vec<_> = account.bindings.iter().filter(reached).cloned().collect();
        if bindings.len() < account.bindings.len() {
            self.change_bindings(now, user, bindings);
        }
    }

    /// Changes the bindings of a user without being asked to.
    fn change_bindings(&mut self, now: Time, user: UserKey, bindings: Vec<Binding>) {
        self.bind(user, bindings);
        let account = self.registrar.account(user);
        // A change under way was computed from those before, and its fact comes after.
        if matches!(account.storing, Storing::Settled) {
            let fact = Fact::Bindings {
                user: account.user.name.clone(),
                bindings: account.bindings.clone(),
            };
            self.persist(now, Due::Nothing, fact);
        }
        self.on_reachable(now, user);
    }

    /// Waits for the next binding of a user to run out.
    fn watch_bindings(&mut self, user: UserKey) {
        match self.registrar.account(user).next_expiry() {
            Some(at) => self.alarms.set(Alarm::BindingExpires(user), at),
            None => self.alarms.clear(Alarm::BindingExpires(user)),
        }
    }

    /// Forgets the bindings of a user that have run out. The store is told; nobody waits for it.
    pub(crate) fn expire_bindings(&mut self, now: Time, user: UserKey) {
        let account = self.registrar.account(user);
        let bindings = account.bound(now).cloned().collect();
        self.change_bindings(now, user, bindings);
    }
}

/// A binding as Contact tells it: what is left of it, rounded up.
fn contact_of(binding: &Binding, now: Time) -> String {
    let left = binding.expires.since(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let mut address = NameAddr::new(binding.contact.clone());
    address.params.set("expires", seconds);
    if binding.q_thousandths < 1_000 {
        address
            .params
            .set("q", format_args!("0.{:03}", binding.q_thousandths));
    }
    if let Some((instance, reg_id)) = &binding.instance {
        address
            .params
            .set("+sip.instance", format_args!("\"{instance}\""));
        address.params.set("reg-id", reg_id);
    }
    Contact::Address(address).to_string()
}
