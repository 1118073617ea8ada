//! What a REGISTER does to the bindings of its user (RFC 3261 §10.3, RFC 3327 §5.3, RFC 5626 §6).

use std::time::Duration;

use callwright_sip_message::header::{Contact, Path};
use callwright_sip_message::{Message, Uri};
use callwright_wire::{Flow, Time};

use crate::fact::Binding;

/// What bounds bindings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) min_expires: Duration,
    pub(crate) max_expires: Duration,
    pub(crate) default_expires: Duration,
    pub(crate) bindings: usize,
    pub(crate) path_values: usize,
}

/// What a REGISTER asks for, read once.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) asked: Asked,
    path: Vec<Uri>,
    flow: Flow,
    call_id: String,
    cseq: u32,
}

/// What is to become of the bindings.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Nothing: the sender wants to know them.
    Query,
    /// `Contact: *`: they are all removed.
    RemoveAll,
    /// These are added, renewed, or (with no time) removed.
    Change(Vec<Wanted>),
}

/// One contact of a REGISTER.
#[derive(Debug)]
pub(crate) struct Wanted {
    contact: Uri,
    q_thousandths: u16,
    expires: Duration,
    instance: Option<(String, u32)>,
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpdateError {
    /// The peer's fault: a header field that cannot be read, or contradicts another.
    #[error("{0}")]
    Broken(&'static str),
    /// A binding shorter than allowed.
    #[error("Interval Too Brief")]
    TooBrief,
    /// RFC 3261 §10.3, 7: an older REGISTER of the same sender came after a newer one.
    #[error("Out of Order")]
    OutOfOrder,
    /// More values of Path than are kept.
    #[error("Too Many Path Values")]
    PathTooLong,
    /// More bindings than a user may have.
    #[error("Too Many Bindings")]
    TooManyBindings,
}

impl Update {
    pub(crate) fn read(message: &Message, flow: Flow, rules: &Rules) -> Result<Update, UpdateError> {
        let call_id = message
            .call_id()
            .map_err(|_| UpdateError::Broken("Broken Call-ID"))?;
        let cseq = message.cseq().map_err(|_| UpdateError::Broken("Broken CSeq"))?;
        let path: Result<Vec<_>, _> = message.typed_all::<Path>().collect();
        let path = path.map_err(|_| UpdateError::Broken("Broken Path"))?;
        if path.len() > rules.path_values {
            return Err(UpdateError::PathTooLong);
        }
        Ok(Update {
            asked: Asked::read(message, rules)?,
            path: path.into_iter().map(|Path(address)| address.uri).collect(),
            flow,
            call_id: call_id.to_string(),
            cseq: cseq.number,
        })
    }

    /// The bindings after it: new ones first.
    pub(crate) fn apply(
        self,
        now: Time,
        before: &[Binding],
        rules: &Rules,
    ) -> Result<Vec<Binding>, UpdateError> {
        let mut bindings: Vec<_> = before.iter().filter(|b| b.expires > now).cloned().collect();
        // RFC 3261 §10.3, 6 and 7: a REGISTER that was overtaken is not carried out, not even in part.
        let overtaken = |binding: &Binding| binding.call_id == self.call_id && self.cseq <= binding.cseq;
        match self.asked {
            Asked::Query => {}
            Asked::RemoveAll => {
                if bindings.iter().any(overtaken) {
                    return Err(UpdateError::OutOfOrder);
                }
                bindings.clear();
            }
            Asked::Change(ref wanted) => {
                for contact in wanted {
                    let mut replaced = bindings.iter().filter(|binding| contact.replaces(binding));
                    if replaced.any(overtaken) {
                        return Err(UpdateError::OutOfOrder);
                    }
                    bindings.retain(|binding| !contact.replaces(binding));
                }
                let kept = wanted.iter().filter(|contact| !contact.expires.is_zero());
                let new = kept.map(|contact| Binding {
                    contact: contact.contact.clone(),
                    q_thousandths: contact.q_thousandths,
                    expires: now + contact.expires,
                    path: self.path.clone(),
                    flow: self.flow,
                    call_id: self.call_id.clone(),
                    cseq: self.cseq,
                    instance: contact.instance.clone(),
                });
                bindings.splice(0..0, new.collect::<Vec<_>>());
            }
        }
        if bindings.len() > rules.bindings {
            return Err(UpdateError::TooManyBindings);
        }
        Ok(bindings)
    }
}

impl Asked {
    fn read(message: &Message, rules: &Rules) -> Result<Asked, UpdateError> {
        let contacts: Result<Vec<_>, _> = message.contacts().collect();
        let contacts = contacts.map_err(|_| UpdateError::Broken("Broken Contact"))?;
        // RFC 3261 §10.2.1.1: a malformed Expires counts as 3600.
        let header = message.expires().unwrap_or(Some(3_600));
        if contacts.is_empty() {
            return Ok(Asked::Query);
        }
        if contacts.contains(&Contact::Star) {
            // RFC 3261 §10.3, 6: alone, and with `Expires: 0`.
            return if contacts.len() == 1 && header == Some(0) {
                Ok(Asked::RemoveAll)
            } else {
                Err(UpdateError::Broken("Contact * Needs Expires 0"))
            };
        }
        let mut wanted: Vec<Wanted> = Vec::new();
        for contact in contacts {
            let contact = Wanted::read(&contact, header, rules)?;
            if !contact.contact.is_sip() {
                return Err(UpdateError::Broken("Contact Is No SIP URI"));
            }
            // The same contact twice: the last one counts.
            wanted.retain(|other| !other.is_same(&contact));
            wanted.push(contact);
        }
        Ok(Asked::Change(wanted))
    }
}

impl Wanted {
    fn read(contact: &Contact, header: Option<u32>, rules: &Rules) -> Result<Wanted, UpdateError> {
        let broken = UpdateError::Broken("Broken Contact");
        let address = contact.address().ok_or(broken)?;
        let expires = match contact.expires().or(header) {
            Some(seconds) => Duration::from_secs(seconds.into()),
            None => rules.default_expires,
        };
        if !expires.is_zero() && expires < rules.min_expires {
            return Err(UpdateError::TooBrief);
        }
        let params = &address.params;
        let reg_id = params.value("reg-id").and_then(|value| value.parse().ok());
        Ok(Wanted {
            contact: address.uri.clone(),
            q_thousandths: contact.q_thousandths().unwrap_or(1_000),
            expires: expires.min(rules.max_expires),
            // RFC 5626 §6: only both together.
            instance: params
                .unquoted("+sip.instance")
                .zip(reg_id)
                .map(|(instance, reg_id)| (instance.into_owned(), reg_id)),
        })
    }

    /// RFC 5626 §6: a device is known by instance and reg-id; RFC 3261 §10.3, 7: else contacts are compared as URIs.
    fn replaces(&self, binding: &Binding) -> bool {
        match (&self.instance, &binding.instance) {
            (Some(new), Some(old)) => new == old,
            _ => self.contact.equivalent(&binding.contact),
        }
    }

    fn is_same(&self, other: &Wanted) -> bool {
        match (&self.instance, &other.instance) {
            (Some(one), Some(two)) => one == two,
            _ => self.contact.equivalent(&other.contact),
        }
    }
}
