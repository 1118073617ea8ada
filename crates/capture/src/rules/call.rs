//! What messages with one Call-ID have in common: tags, CSeq, dialogs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use callwright_sip_message::{HeaderName, Method, SmolStr, Uri};
use callwright_wire::Time;

use super::heard::Heard;
use super::ledger::{Blame, Ledger};
use super::rule::Rule;

/// So many addresses of one side of a dialog are remembered.
const CONTACTS: usize = 64;

/// Everything with one Call-ID: a call, a registration, a subscription.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) parties: BTreeSet<u32>,
    /// A party is exempt, or crashed, or was cut off.
    pub(crate) excused: bool,
    /// The INVITE transactions, by number.
    pub(crate) invites: Vec<u64>,
    pub(crate) dialogs: Vec<Dialog>,
    /// Of each side, by its tag.
    pub(crate) sides: BTreeMap<SmolStr, Side>,
    /// The last request from each tag to each other one, and to none.
    numbers: BTreeMap<(SmolStr, Option<SmolStr>), Last>,
    /// Began with a request inside a dialog: what was before is not known.
    pub(crate) begun_before: bool,
    /// It has more of something than any honest one: nothing more of it is remembered.
    pub(crate) is_crowded: bool,
}

/// One side of the dialogs of a call.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) description: Option<Description>,
    /// The transaction of the last offer that this side made in a request.
    pub(crate) offered: Option<u64>,
}

/// The last description that a side sent.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) session: callwright_sdp::Session,
    pub(crate) body: Bytes,
}

/// The last request of a side.
#[derive(Debug)]
struct Last {
    number: u32,
    method: Method,
    destination: SocketAddr,
    reliable: bool,
}

/// A dialog of an INVITE, seen from the wire.
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) caller: SmolStr,
    pub(crate) callee: SmolStr,
    /// Every Contact that each side gave: which of them the other one knows by now cannot be seen.
    caller_contacts: Vec<String>,
    callee_contacts: Vec<String>,
    /// Record-Route of the response that made it.
    record_route: Vec<String>,
    /// The hops of a response do not agree on Record-Route, or a route is none of a loose router.
    unclear_route: bool,
    pub(crate) confirmed: Option<Time>,
    pub(crate) ended: bool,
    /// The caller sent a request inside of it since it was confirmed, so he heard of that.
    pub(crate) used_by_caller: bool,
    /// The 2xx, for the report.
    pub(crate) made_by: Option<Blame>,
}

impl std::fmt::Debug for Blame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Dialog {
    fn of(&self, from: &str, to: &str) -> bool {
        self.caller == from && self.callee == to || self.caller == to && self.callee == from
    }
}

impl Call {
    /// Whether it has more of something than may be; then it is excused from now on.
    pub(crate) fn is_too_crowded(&mut self, limit: usize) -> bool {
        let most = [
            self.dialogs.len(),
            self.invites.len(),
            self.sides.len() / 2,
            self.numbers.len() / 2,
        ];
        if most.into_iter().any(|count| count >= limit) {
            self.is_crowded = true;
            self.excused = true;
            self.begun_before = true;
        }
        self.is_crowded
    }

    /// The dialog between two tags.
    pub(crate) fn dialog_mut(&mut self, from: &str, to: &str) -> Option<&mut Dialog> {
        self.dialogs.iter_mut().find(|dialog| dialog.of(from, to))
    }

    /// RFC 3261 §12.2.1.1: "MUST contain strictly monotonically increasing and contiguous CSeq sequence numbers (increasing-by-one)"
    /// but for requests that are given up; so rising is what is asked.
    pub(crate) fn check_number(&mut self, ledger: &mut Ledger, heard: &Heard<'_>) {
        let Some(tag) = &heard.from_tag else { return };
        if matches!(heard.method, Method::Ack | Method::Cancel) {
            return;
        }
        ledger.subject(Rule::CSeq);
        if heard.vias != 1 {
            ledger.excuse(Rule::CSeq);
            return;
        }
        let number = heard.cseq.number;
        let last = Last {
            number,
            method: heard.method.clone(),
            destination: heard.passage.destination,
            reliable: heard.passage.reliable,
        };
        let ends = (tag.clone(), heard.to_tag.clone());
        // RFC 3261 §12.1.2: the numbers of a dialog go on from that of the request that made it.
        let before = self
            .numbers
            .get(&ends)
            .or_else(|| self.numbers.get(&(tag.clone(), None)));
        let rises = before.is_none_or(|before| {
            // RFC 3263 §4.3, RFC 3261 §18.1.1: the same request is tried at the next address, or over another transport.
            let elsewhere = before.destination != last.destination || before.reliable != last.reliable;
            number > before.number || number == before.number && before.method == heard.method && elsewhere
        });
        ledger.judge(Rule::CSeq, rises, || {
            let before = before.map_or(0, |before| before.number);
            heard.blame(
                format!("CSeq {number} follows {before} of the same side"),
                "RFC 3261 §12.2.1.1",
            )
        });
        if rises {
            self.numbers.insert(ends, last);
        }
    }

    /// A request with a tag in To.
    pub(crate) fn check_inside(&mut self, ledger: &mut Ledger, heard: &Heard<'_>) {
        let (Some(from), Some(to)) = (heard.from_tag.clone(), heard.to_tag.clone()) else {
            return;
        };
        ledger.subject(Rule::Tags);
        // RFC 6665 §4.4.1: NOTIFY may come before the response that tells its tag, and dialogs of subscriptions are not kept.
        let own_dialogs = matches!(heard.method, Method::Notify | Method::Subscribe | Method::Refer);
        if self.begun_before || own_dialogs && self.dialog_mut(&from, &to).is_none() {
            ledger.excuse(Rule::Tags);
            return;
        }
        let known = self.dialog_mut(&from, &to).is_some();
        ledger.judge(Rule::Tags, known, || {
            heard.blame(
                format!("no dialog of this call has the tags {from} (From) and {to} (To)"),
                "RFC 3261 §12.2.1.1",
            )
        });
        if heard.vias == 1 && heard.method != Method::Cancel {
            self.check_route(ledger, heard, &from, &to);
        }
        let Some(dialog) = self.dialog_mut(&from, &to) else {
            return;
        };
        // In an early dialog there are PRACK and UPDATE.
        dialog.used_by_caller |= dialog.confirmed.is_some()
            && dialog.caller == from
            && !matches!(
                heard.method,
                Method::Ack | Method::Prack | Method::Update | Method::Cancel
            );
        match heard.method {
            Method::Bye => dialog.ended = true,
            // RFC 3261 §12.2.1.2, RFC 3311 §5.1: target refresh requests.
            Method::Invite | Method::Update => dialog.add_contact(heard, &from),
            _ => {}
        }
    }

    fn check_route(&mut self, ledger: &mut Ledger, heard: &Heard<'_>, from: &str, to: &str) {
        let Some(dialog) = self.dialogs.iter().find(|dialog| dialog.of(from, to)) else {
            return;
        };
        ledger.subject(Rule::RouteSet);
        let by_caller = dialog.caller == from;
        let contacts = if by_caller {
            &dialog.callee_contacts
        } else {
            &dialog.caller_contacts
        };
        if dialog.unclear_route || contacts.is_empty() {
            ledger.excuse(Rule::RouteSet);
            return;
        }
        // RFC 3261 §12.1.2: the caller's Route set is the Record-Route in reverse order.
        let mut expected = dialog.record_route.clone();
        if by_caller {
            expected.reverse();
        }
        let routes = heard.uris(HeaderName::Route);
        let target = heard.request_uri();
        let reached = target
            .as_ref()
            .is_some_and(|target| contacts.iter().any(|contact| is_same(target, contact)));
        ledger.judge(Rule::RouteSet, routes == expected && reached, || {
            let detail = if routes == expected {
                format!("the remote target is {}", contacts.join(" or "))
            } else {
                format!(
                    "Route is [{}], expected [{}]",
                    routes.join(", "),
                    expected.join(", ")
                )
            };
            heard.blame(detail, "RFC 3261 §12.2.1.1")
        });
    }

    /// A response to INVITE with a tag that makes a dialog, or is in one.
    pub(crate) fn respond(&mut self, heard: &Heard<'_>, invite: &callwright_sip_message::Message) {
        let (Some(from), Some(to), Some(status)) = (&heard.from_tag, &heard.to_tag, heard.status) else {
            return;
        };
        if status <= 100 || status >= 300 {
            return;
        }
        if self.dialog_mut(from, to).is_none() {
            let contact = invite.contact().map(|contact| contact.uri.to_string());
            self.dialogs.push(Dialog {
                caller: from.clone(),
                callee: to.clone(),
                caller_contacts: contact.into_iter().collect(),
                callee_contacts: Vec::new(),
                record_route: Vec::new(),
                unclear_route: false,
                confirmed: None,
                ended: false,
                used_by_caller: false,
                made_by: None,
            });
        }
        let Some(dialog) = self.dialog_mut(from, to) else {
            return;
        };
        // In a re-INVITE the callee of the dialog may be the one who calls.
        let by_callee = dialog.callee == *to;
        if by_callee && dialog.confirmed.is_none() {
            dialog.learn_route(heard, status >= 200);
        }
        dialog.add_contact(heard, to);
        if status >= 200 && dialog.confirmed.is_none() {
            dialog.confirmed = Some(heard.passage.time);
            dialog.made_by = Some(heard.blame("", "RFC 3261 §15"));
        }
    }
}

impl Dialog {
    fn learn_route(&mut self, heard: &Heard<'_>, success: bool) {
        let routes = heard.uris(HeaderName::RecordRoute);
        let again = !self.record_route.is_empty() || !self.callee_contacts.is_empty();
        if again
            && success
            && routes != self.record_route
            && !routes.is_empty()
            && !self.record_route.is_empty()
        {
            self.unclear_route = true;
        }
        let loose = |uri: &String| uri.parse::<Uri>().is_ok_and(|uri| uri.params().contains("lr"));
        self.unclear_route |= !routes.iter().all(loose);
        // RFC 3261 §12.1.1: the 2xx tells; a provisional response may leave it out.
        if success || self.record_route.is_empty() {
            self.record_route = routes;
        }
    }

    /// The sender has this tag.
    pub(crate) fn add_contact(&mut self, heard: &Heard<'_>, tag: &str) {
        let contacts = if self.caller == tag {
            &mut self.caller_contacts
        } else {
            &mut self.callee_contacts
        };
        if let Some(contact) = heard.contact()
            && !contacts.contains(&contact)
        {
            if contacts.len() >= CONTACTS {
                contacts.remove(0);
                self.unclear_route = true;
            }
            contacts.push(contact);
        }
    }
}

fn is_same(target: &Uri, contact: &str) -> bool {
    target.to_string() == contact
        || contact
            .parse::<Uri>()
            .is_ok_and(|contact| contact.equivalent(target))
}

/// All calls that are remembered, in the order in which they began.
#[derive(Debug)]
pub(crate) struct Calls {
    by_id: BTreeMap<SmolStr, (u64, Call)>,
    order: BTreeMap<u64, SmolStr>,
    next: u64,
    limit: usize,
}

impl Calls {
    pub(crate) fn new(limit: usize) -> Self {
        Calls {
            by_id: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
            limit,
        }
    }

    pub(crate) fn find_mut(&mut self, id: &SmolStr) -> Option<&mut Call> {
        self.by_id.get_mut(id).map(|(_, call)| call)
    }

    /// The call with this Call-ID, which may begin now.
    pub(crate) fn enter(&mut self, id: &SmolStr) -> (&mut Call, Option<Call>) {
        let mut oldest = None;
        if !self.by_id.contains_key(id) {
            if self.by_id.len() >= self.limit {
                let first = self.order.pop_first();
                oldest = first
                    .and_then(|(_, id)| self.by_id.remove(&id))
                    .map(|(_, call)| call);
            }
            self.order.insert(self.next, id.clone());
        }
        let next = &mut self.next;
        let (_, call) = self.by_id.entry(id.clone()).or_insert_with(|| {
            *next += 1;
            (*next - 1, Call::default())
        });
        (call, oldest)
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.by_id.values_mut().map(|(_, call)| call)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Call) -> bool) {
        let order = &mut self.order;
        self.by_id.retain(|_, (number, call)| {
            let kept = keep(call);
            if !kept {
                order.remove(number);
            }
            kept
        });
    }
}
