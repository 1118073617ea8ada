//! The B2BUA (RFC 7092): calls of two legs, each a dialog of its own, with audio bridged between them.
//!
//! | what | where |
//! | --- | --- |
//! | an INVITE arrives | [`arrival`] |
//! | contacts ring, and one answers | [`hunt`] |
//! | ports, and what the plane is told | [`media`] |
//! | hold, re-INVITE, UPDATE | [`change`] |
//! | BYE, CANCEL, failures | [`ending`] |
//! | REFER | [`transfer`] |
//! | what is recorded | [`recording`] |
//! | a call comes to a queue, and what becomes of it there | [`queue`] |
//! | it is presented to agents | [`presentation`] |
//! | the machine itself talks to a caller | [`speech`] |
//! | how they look at a moment | [`census`] |
//! | an agent dials a feature code | [`code`] |
//! | INFO, MESSAGE, OPTIONS | [`request`] |

mod arrival;
mod call;
mod census;
mod change;
mod code;
mod ending;
mod hunt;
mod leg;
mod media;
mod presentation;
mod queue;
mod recording;
mod request;
mod speech;
mod talk;
mod transfer;

use std::collections::BTreeMap;

use callwright_sip::endpoint::{CallId, RequestId};

use crate::fact::CallKey;

pub(crate) use call::{Call, Hunt, Queued, Refusal, Service, Stage};
pub(crate) use leg::{Leg, LegKey, Media, Part};
pub(crate) use recording::Recordings;
use request::Relayed;

/// All calls, and what they consist of.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    calls: BTreeMap<CallKey, Call>,
    legs: BTreeMap<LegKey, Leg>,
    by_sip: BTreeMap<CallId, LegKey>,
    /// Whose legs were that are over, and whose phones have not answered the BYE.
    parting: BTreeMap<CallId, Part>,
    /// Requests that were sent on, and who waits for the answer.
    relayed: BTreeMap<RequestId, Relayed>,
    /// MESSAGEs that went to all contacts of a user.
    pages: request::Pages,
    calls_so_far: u64,
    legs_so_far: u64,
}

impl Switch {
    /// No calls; the first will have this number.
    pub(crate) fn new(first_call: u64) -> Switch {
        Switch {
            calls_so_far: first_call.saturating_sub(1),
            ..Switch::default()
        }
    }

    /// All calls, the oldest first.
    pub(crate) fn all_calls(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.calls.iter().map(|(key, call)| (*key, call))
    }

    /// Where the calls stand whose caller was answered, by this machine or with a callee.
    pub(crate) fn answered_calls(&self) -> Vec<(CallKey, Stage)> {
        let answered = self.all_calls().filter(|(_, call)| call.caller_answered);
        answered.map(|(key, call)| (key, call.stage)).collect()
    }

    /// How many calls there are.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many legs there are.
    pub(crate) fn legs(&self) -> usize {
        self.legs.len()
    }

    fn call_keys(&self) -> Vec<CallKey> {
        self.calls.keys().copied().collect()
    }

    fn leg_keys(&self) -> Vec<LegKey> {
        self.legs.keys().copied().collect()
    }

    /// Nobody waits any more for the answer to a request that was sent on.
    fn forget_requests(&mut self) {
        self.parting.clear();
        self.relayed.clear();
        self.pages.clear();
    }

    fn next_call(&mut self) -> CallKey {
        self.calls_so_far += 1;
        CallKey(self.calls_so_far)
    }

    fn next_leg(&mut self) -> LegKey {
        self.legs_so_far += 1;
        LegKey(self.legs_so_far)
    }

    pub(crate) fn call(&self, key: CallKey) -> Option<&Call> {
        self.calls.get(&key)
    }

    fn call_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.calls.get_mut(&key)
    }

    fn leg(&self, key: LegKey) -> Option<&Leg> {
        self.legs.get(&key)
    }

    fn leg_mut(&mut self, key: LegKey) -> Option<&mut Leg> {
        self.legs.get_mut(&key)
    }

    /// The leg of a SIP call, and the call that it is part of.
    fn find(&self, sip: CallId) -> Option<(LegKey, CallKey)> {
        let leg = *self.by_sip.get(&sip)?;
        Some((leg, self.legs.get(&leg)?.call))
    }

    /// The caller of a call, who talks with it, and who rings for it.
    pub(crate) fn legs_of(&self, call: CallKey) -> Vec<LegKey> {
        let Some(call) = self.calls.get(&call) else {
            return Vec::new();
        };
        let rings = call.hunt.iter().flat_map(|hunt| hunt.legs.iter().copied());
        [Some(call.caller), call.partner(call.caller)]
            .into_iter()
            .flatten()
            .chain(rings)
            .collect()
    }

    pub(crate) fn sip_of(&self, leg: LegKey) -> Option<CallId> {
        self.legs.get(&leg)?.sip
    }

    /// The leg at the other end of an answered call.
    fn partner(&self, leg: LegKey) -> Option<LegKey> {
        let call = self.calls.get(&self.legs.get(&leg)?.call)?;
        call.partner(leg)
    }

    fn add_leg(&mut self, leg: Leg) {
        if let Some(sip) = leg.sip {
            self.by_sip.insert(sip, leg.key);
        }
        self.legs.insert(leg.key, leg);
    }

    /// Takes a leg away; the call goes with the last one.
    fn remove_leg(&mut self, key: LegKey) -> Option<Leg> {
        let leg = self.legs.remove(&key)?;
        if let Some(sip) = leg.sip {
            self.by_sip.remove(&sip);
        }
        if let Some(call) = self.calls.get_mut(&leg.call) {
            call.legs -= 1;
            if call.legs == 0 {
                self.calls.remove(&leg.call);
            }
        }
        Some(leg)
    }
}
