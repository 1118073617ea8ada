//! Transactions and calls as they go on.

mod acknowledgement;
mod judgement;
mod request;
mod response;

use std::collections::BTreeSet;

use callwright_sip_message::Method;
use callwright_wire::Time;

use super::call::Calls;
use super::config::RulesConfig;
use super::form;
use super::heard::Heard;
use super::ledger::Ledger;
use super::parties::Parties;
use super::rule::Rule;
use super::transaction::Transactions;

use judgement::{excuse_dialogs, excuse_transaction, judge_answer, judge_dialogs, judge_final};

/// RFC 3261 §8.1.1.7
const MAGIC_COOKIE: &str = "z9hG4bK";

/// What is to be judged when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The request was answered.
    Answer(u64),
    /// The final response with this place was acknowledged.
    Ack(u64, usize),
    /// Nothing more is to come.
    Forget(u64),
}

/// All of SIP.
#[derive(Debug)]
pub(crate) struct Signalling {
    pub(crate) transactions: Transactions,
    pub(crate) calls: Calls,
    agenda: BTreeSet<(Time, Due)>,
}

impl Signalling {
    pub(crate) fn new(config: &RulesConfig) -> Self {
        Signalling {
            transactions: Transactions::new(config.max_transactions),
            calls: Calls::new(config.max_calls),
            agenda: BTreeSet::new(),
        }
    }

    pub(crate) fn hear(
        &mut self,
        heard: &Heard<'_>,
        config: &RulesConfig,
        parties: &Parties,
        ledger: &mut Ledger,
    ) {
        let exempt = parties.is_exempt(heard.passage.party);
        match heard.status {
            None => {
                if !exempt {
                    form::check_request(ledger, heard);
                }
                if heard.method == Method::Ack {
                    self.acknowledge(heard, exempt, ledger);
                } else {
                    self.request(heard, exempt, config, parties, ledger);
                }
            }
            Some(status) => {
                if !exempt && !parties.is_exempt_at(heard.passage.destination) {
                    form::check_response(ledger, heard, status);
                }
                self.response(heard, status, exempt, config, ledger);
            }
        }
    }

    /// Judges what is due.
    pub(crate) fn advance(
        &mut self,
        now: Time,
        config: &RulesConfig,
        parties: &Parties,
        ledger: &mut Ledger,
    ) {
        while let Some((at, due)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            self.agenda.pop_first();
            match due {
                Due::Answer(number) => {
                    if let Some(transaction) = self.transactions.at(number) {
                        judge_answer(transaction, at, config, parties, ledger);
                        self.agenda
                            .insert((at + config.timeout() * 2, Due::Forget(number)));
                    }
                }
                Due::Ack(number, place) => self.judge_ack(number, place, at, config, parties, ledger),
                Due::Forget(number) => self.forget(number, at, config),
            }
        }
    }

    /// A transaction of which nothing more is to come is forgotten; an INVITE that still rings is not.
    fn forget(&mut self, number: u64, at: Time, config: &RulesConfig) {
        let Some(transaction) = self.transactions.at(number) else {
            return;
        };
        let recent = transaction
            .finals
            .iter()
            .any(|response| !response.settled || response.passage.time + config.timeout() * 2 > at);
        let rings = transaction.is_invite() && transaction.finals.is_empty() && transaction.progressed;
        if transaction.is_invite() && (recent || rings) {
            self.agenda
                .insert((at + config.timeout() * 2, Due::Forget(number)));
            return;
        }
        if transaction.is_invite() && transaction.finals.is_empty() {
            // Judged at the end only.
            return;
        }
        let transaction = self.transactions.remove(number);
        if let Some(transaction) = transaction
            && let Some(call) = self.calls.find_mut(&transaction.call_id)
        {
            call.invites.retain(|invite| *invite != number);
        }
    }

    /// Everything is over: judges what is still open.
    pub(crate) fn finish(&mut self, now: Time, config: &RulesConfig, parties: &Parties, ledger: &mut Ledger) {
        for (_, due) in std::mem::take(&mut self.agenda) {
            match due {
                Due::Answer(number) => {
                    if let Some(transaction) = self.transactions.at(number) {
                        judge_answer(transaction, now, config, parties, ledger);
                    }
                }
                Due::Ack(number, place) => self.judge_ack(number, place, now, config, parties, ledger),
                Due::Forget(_) => {}
            }
        }
        for (_, invite) in self.transactions.all_mut() {
            if invite.is_invite() && invite.finals.is_empty() {
                judge_final(invite, now, config, parties, ledger);
            }
            let open = invite.finals.iter_mut().filter(|response| !response.settled);
            for response in open.filter(|_| invite.method == Method::Invite) {
                response.settled = true;
                ledger.excuse(Rule::Ack);
            }
        }
        for call in self.calls.all_mut() {
            judge_dialogs(call, now, ledger);
        }
        for number in self.transactions.numbers() {
            self.transactions.remove(number);
        }
        self.calls.retain(|_| false);
    }

    /// A party crashed: nobody knows what it would have done, and what others do about it is theirs.
    pub(crate) fn forget_party(&mut self, party: u32, parties: &Parties, ledger: &mut Ledger) {
        for number in self.transactions.numbers() {
            let Some(transaction) = self.transactions.at(number) else {
                continue;
            };
            let touched = transaction.passage.party == party
                || parties.at(transaction.passage.destination) == Some(party);
            if touched && let Some(transaction) = self.transactions.remove(number) {
                excuse_transaction(ledger, &transaction);
            }
        }
        for call in self.calls.all_mut().filter(|call| call.parties.contains(&party)) {
            excuse_dialogs(ledger, call);
        }
        self.calls.retain(|call| !call.parties.contains(&party));
    }

    /// A party left: nobody answers what was sent to it, nor acknowledges in its place.
    pub(crate) fn excuse_open(&mut self, party: u32, parties: &Parties) {
        for (_, transaction) in self.transactions.all_mut() {
            let to = parties.at(transaction.passage.destination) == Some(party);
            let from = transaction.passage.party == party;
            let open = transaction.finals.iter().any(|response| !response.settled);
            transaction.excused |=
                to && transaction.finals.is_empty() || from && (open || transaction.finals.is_empty());
        }
    }

    /// The path between two parties is cut: what is under way between them need not end.
    pub(crate) fn excuse_between(&mut self, a: u32, b: u32, parties: &Parties) {
        for (_, transaction) in self.transactions.all_mut() {
            let ends = (
                transaction.passage.party,
                parties.at(transaction.passage.destination),
            );
            transaction.excused |= ends == (a, Some(b)) || ends == (b, Some(a));
        }
        for call in self.calls.all_mut() {
            call.excused |= call.parties.contains(&a) && call.parties.contains(&b);
        }
    }
}
