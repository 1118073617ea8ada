//! Transactions and calls as they go on.

use std::collections::BTreeSet;

use callwright_sip_message::{HeaderName, Method, SmolStr};
use callwright_wire::Time;

use super::call::{Call, Calls};
use super::config::RulesConfig;
use super::form;
use super::heard::Heard;
use super::ledger::Ledger;
use super::offer;
use super::parties::Parties;
use super::rule::Rule;
use super::transaction::{Final, Key, Transaction, Transactions};

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
                if !exempt {
                    form::check_response(ledger, heard, status);
                }
                self.response(heard, status, exempt, config, ledger);
            }
        }
    }

    fn request(
        &mut self,
        heard: &Heard<'_>,
        exempt: bool,
        config: &RulesConfig,
        parties: &Parties,
        ledger: &mut Ledger,
    ) {
        let key = (heard.branch.clone(), heard.method == Method::Cancel);
        if let Some(number) = self.transactions.find(&key)
            && let Some(known) = self.transactions.at_mut(number)
        {
            let same = known.call_id == heard.call_id
                && known.cseq == heard.cseq.number
                && known.method == heard.method;
            if same {
                repeat(known, heard, exempt, config, ledger);
                return;
            }
            if !exempt {
                ledger.check(Rule::Branch, false, || {
                    heard.blame(
                        format!(
                            "the branch belongs to {} with CSeq {} of Call-ID {}",
                            known.method, known.cseq, known.call_id
                        ),
                        "RFC 3261 §8.1.1.7",
                    )
                });
            }
        } else if !exempt {
            check_branch(ledger, heard);
        }
        self.begin(heard, exempt, config, parties, ledger, &key);
    }

    fn begin(
        &mut self,
        heard: &Heard<'_>,
        exempt: bool,
        config: &RulesConfig,
        parties: &Parties,
        ledger: &mut Ledger,
        key: &Key,
    ) {
        let now = heard.passage.time;
        let receiver = parties.at(heard.passage.destination);
        let excused = exempt
            || receiver.is_some_and(|party| parties.is_exempt(party))
            || parties.is_cut(heard.passage.party, receiver);
        let transaction = Transaction::start(heard, config.t1, excused);
        if heard.method == Method::Cancel {
            self.cancel(heard, exempt, ledger, key);
        }
        ledger.subject(Rule::TransactionEnd);
        if heard.method == Method::Invite {
            ledger.subject(Rule::InviteFinal);
        }
        let (number, oldest) = self.transactions.add(transaction);
        if let Some(oldest) = oldest {
            excuse_transaction(ledger, &oldest);
        }
        let timeout = config.timeout() + config.transit;
        self.agenda.insert((now + timeout, Due::Answer(number)));

        let (call, forgotten) = self.calls.enter(&heard.call_id);
        if let Some(forgotten) = forgotten {
            excuse_dialogs(ledger, &forgotten);
        }
        let is_new = call.parties.is_empty();
        call.parties.insert(heard.passage.party);
        call.parties.extend(receiver);
        call.excused |= excused;
        call.begun_before |= is_new && heard.to_tag.is_some();
        if heard.method == Method::Invite {
            call.invites.push(number);
        }
        if exempt || heard.method == Method::Cancel {
            return;
        }
        if !excused {
            call.check_number(ledger, heard);
            call.check_inside(ledger, heard);
        } else if heard.method == Method::Bye
            && let (Some(from), Some(to)) = (&heard.from_tag, &heard.to_tag)
            && let Some(dialog) = call.dialog_mut(from, to)
        {
            dialog.ended = true;
        }
        offer::request(call, &mut self.transactions, number, heard, config, ledger);
    }

    /// RFC 3261 §9.1: Request-URI, Call-ID, To, CSeq number and From are those of the request, and so is the topmost Via.
    fn cancel(&mut self, heard: &Heard<'_>, exempt: bool, ledger: &mut Ledger, key: &Key) {
        let invite = self.transactions.find(&(key.0.clone(), false));
        let invite = invite.and_then(|number| self.transactions.at_mut(number));
        let Some(invite) = invite.filter(|invite| invite.is_invite() && invite.call_id == heard.call_id)
        else {
            // One that was cancelled on a call that began before is not known.
            if !exempt
                && self
                    .calls
                    .find_mut(&heard.call_id)
                    .is_some_and(|call| !call.begun_before)
            {
                ledger.check(Rule::Branch, false, || {
                    heard.blame(
                        "no INVITE of this call has the branch of this CANCEL",
                        "RFC 3261 §9.1",
                    )
                });
            }
            return;
        };
        invite.cancelled.get_or_insert(heard.passage.time);
        let number = invite.cseq;
        if !exempt {
            ledger.check(Rule::CSeq, number == heard.cseq.number, || {
                heard.blame(format!("the INVITE has CSeq number {number}"), "RFC 3261 §9.1")
            });
        }
    }

    fn response(
        &mut self,
        heard: &Heard<'_>,
        status: u16,
        exempt: bool,
        config: &RulesConfig,
        ledger: &mut Ledger,
    ) {
        let key = (heard.branch.clone(), heard.cseq.method == Method::Cancel);
        let number = self.transactions.find(&key);
        let Some((number, transaction)) =
            number.and_then(|number| Some((number, self.transactions.at_mut(number)?)))
        else {
            return;
        };
        transaction.excused |= exempt;
        if !transaction.excused {
            check_echo(ledger, heard, transaction);
        }
        let now = heard.passage.time;
        if status < 200 {
            transaction.progressed = true;
            if heard.passage.arrives {
                transaction.provisional.get_or_insert(now);
            }
        } else {
            if heard.passage.arrives {
                transaction.answered.get_or_insert(now);
            }
            let is_new = finish(transaction, heard, status, ledger);
            let place = is_new.then(|| transaction.finals.len() - 1);
            if transaction.is_invite() {
                let place = place.or_else(|| same_final(transaction, heard, status));
                if let Some(place) = place
                    && let Some(known) = transaction.finals.get_mut(place)
                {
                    if is_new && !known.settled {
                        ledger.subject(Rule::Ack);
                    }
                    if heard.passage.arrives && known.arrived.is_none() && !known.settled {
                        known.arrived = Some(now);
                        let due = now + config.timeout();
                        self.agenda.insert((due, Due::Ack(number, place)));
                    }
                }
            }
        }
        let Some(call) = self.calls.find_mut(&heard.call_id) else {
            return;
        };
        call.parties.insert(heard.passage.party);
        call.excused |= exempt;
        if heard.method == Method::Invite {
            let known = call
                .dialogs
                .iter()
                .filter(|dialog| dialog.confirmed.is_some())
                .count();
            call.respond(heard, &transaction.message);
            let confirmed = call
                .dialogs
                .iter()
                .filter(|dialog| dialog.confirmed.is_some())
                .count();
            (known..confirmed).for_each(|_| ledger.subject(Rule::DialogEnd));
        }
        // RFC 5057 §5.1: these responses to a request inside of it end the dialog.
        if matches!(status, 408 | 481)
            && let (Some(from), Some(to)) = (&heard.from_tag, &transaction.to_tag)
            && let Some(dialog) = call.dialog_mut(from, to)
        {
            dialog.ended = true;
        }
        // RFC 3311 §5.2: the 2xx to UPDATE has a Contact, too.
        if (200..300).contains(&status)
            && heard.method == Method::Update
            && let (Some(from), Some(to)) = (&heard.from_tag, &heard.to_tag)
            && let Some(dialog) = call.dialog_mut(from, to)
        {
            dialog.add_contact(heard, to);
        }
        if !exempt {
            offer::response(call, transaction, heard, status, ledger);
        }
    }

    fn acknowledge(&mut self, heard: &Heard<'_>, exempt: bool, ledger: &mut Ledger) {
        let same_branch = self.transactions.find(&(heard.branch.clone(), false));
        if let Some(invite) = same_branch
            .and_then(|number| self.transactions.at_mut(number))
            .filter(|invite| invite.is_invite() && invite.call_id == heard.call_id)
        {
            acknowledge_failure(invite, heard, exempt, ledger);
            return;
        }
        if !exempt {
            check_branch(ledger, heard);
        }
        let Some(call) = self.calls.find_mut(&heard.call_id) else {
            return;
        };
        let mut found = false;
        let mut of_dialog = None;
        for number in &call.invites {
            let Some(invite) = self.transactions.at_mut(*number) else {
                continue;
            };
            if invite.from_tag != heard.from_tag {
                continue;
            }
            let cseq = invite.cseq;
            let excused = invite.excused;
            let acknowledged = invite
                .finals
                .iter_mut()
                .find(|response| response.tag == heard.to_tag);
            let Some(success) = acknowledged else { continue };
            if !success.is_success() {
                if cseq == heard.cseq.number && !success.settled && !exempt && !excused {
                    success.settled = true;
                    ledger.judge(Rule::Ack, false, || {
                        heard.blame(
                            "the ACK of a response that is no 2xx has another branch than its INVITE",
                            "RFC 3261 §17.1.1.3",
                        )
                    });
                    return;
                }
                continue;
            }
            if cseq != heard.cseq.number {
                of_dialog = Some((*number, cseq));
                continue;
            }
            found = true;
            if !success.settled {
                success.settled = true;
                if exempt || excused {
                    ledger.excuse(Rule::Ack);
                } else {
                    ledger.judge(Rule::Ack, true, || heard.blame("", "RFC 3261 §13.2.2.4"));
                }
            }
        }
        if exempt {
            return;
        }
        if let (false, Some((number, cseq))) = (found, of_dialog) {
            ledger.check(Rule::CSeq, false, || {
                heard.blame(
                    format!("the INVITE that this acknowledges has CSeq number {cseq}"),
                    "RFC 3261 §13.2.2.4",
                )
            });
            let invite = self.transactions.at_mut(number);
            let successes = invite.into_iter().flat_map(|invite| &mut invite.finals);
            for success in successes.filter(|response| !response.settled) {
                // It was acknowledged, if wrongly: one fault is reported once.
                success.settled = true;
                ledger.excuse(Rule::Ack);
            }
        } else if found {
            ledger.check(Rule::CSeq, true, || heard.blame("", ""));
        }
        if !call.excused {
            call.check_inside(ledger, heard);
        }
        offer::acknowledge(call, &mut self.transactions, heard, ledger);
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
                Due::Ack(number, place) => {
                    if let Some(transaction) = self.transactions.at_mut(number) {
                        judge_ack(transaction, place, at, config, parties, ledger);
                    }
                }
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
                Due::Ack(number, place) => {
                    if let Some(transaction) = self.transactions.at_mut(number) {
                        judge_ack(transaction, place, now, config, parties, ledger);
                    }
                }
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

fn check_branch(ledger: &mut Ledger, heard: &Heard<'_>) {
    let right = heard.branch.len() > MAGIC_COOKIE.len() && heard.branch.starts_with(MAGIC_COOKIE);
    ledger.check(Rule::Branch, right, || {
        heard.blame(
            format!(
                "the branch {:?} does not begin with z9hG4bK",
                heard.branch.as_str()
            ),
            "RFC 3261 §8.1.1.7",
        )
    });
}

/// The same request once more.
fn repeat(
    transaction: &mut Transaction,
    heard: &Heard<'_>,
    exempt: bool,
    config: &RulesConfig,
    ledger: &mut Ledger,
) {
    let now = heard.passage.time;
    if heard.passage.arrives {
        transaction.arrived.get_or_insert(now);
    }
    let gap = now - transaction.last;
    let interval = transaction.interval;
    transaction.last = now;
    transaction.interval = if transaction.is_invite() {
        interval * 2
    } else {
        (interval * 2).min(config.t2)
    };
    ledger.subject(Rule::Retransmission);
    if exempt || transaction.passage.destination != heard.passage.destination {
        ledger.excuse(Rule::Retransmission);
        return;
    }
    let since = |time: Option<Time>| time.is_some_and(|time| now > time + config.transit);
    let wrong = if heard.passage.reliable {
        Some("a request is sent again over a stream".to_owned())
    } else if gap + config.early < interval {
        Some(format!("it is sent again after {gap:?}, not before {interval:?}"))
    } else if !transaction.excused && since(transaction.answered) {
        Some("it is sent again although it was answered".to_owned())
    } else if !transaction.excused && transaction.is_invite() && since(transaction.provisional) {
        Some("INVITE is sent again although a provisional response came".to_owned())
    } else {
        None
    };
    ledger.judge(Rule::Retransmission, wrong.is_none(), || {
        heard.blame(wrong.unwrap_or_default(), "RFC 3261 §17.1")
    });
    if now > transaction.passage.time + config.timeout() + config.early {
        ledger.check(Rule::TransactionEnd, false, || {
            let age = now - transaction.passage.time;
            heard.blame(
                format!(
                    "it is still sent after {age:?}, its transaction ends after {:?}",
                    config.timeout()
                ),
                "RFC 3261 §17.1.1.2, §17.1.2.2",
            )
        });
    }
}

/// RFC 3261 §8.2.6.2
fn check_echo(ledger: &mut Ledger, heard: &Heard<'_>, request: &Transaction) {
    let same = |name: HeaderName| {
        let value = |message: &callwright_sip_message::Message| {
            message.header(name.clone()).map(|value| value.into_owned())
        };
        value(heard.message) == value(&request.message)
    };
    let to = |message: &callwright_sip_message::Message| {
        let to = message.to().ok()?;
        Some((to.uri, to.display))
    };
    let wrong = if !same(HeaderName::CallId) {
        Some("Call-ID")
    } else if !same(HeaderName::From) {
        Some("From")
    } else if heard.cseq.number != request.cseq || heard.cseq.method != request.method {
        Some("CSeq")
    } else if to(heard.message) != to(&request.message)
        || request.to_tag.is_some() && heard.to_tag != request.to_tag
    {
        Some("To")
    } else if heard.vias != request.vias || !same_hops(heard, request) {
        Some("Via")
    } else {
        None
    };
    ledger.check(Rule::ResponseEcho, wrong.is_none(), || {
        heard.blame(
            format!("{} is not that of the request", wrong.unwrap_or_default()),
            "RFC 3261 §8.2.6.2",
        )
    });
}

/// The same Vias but for what servers add to the topmost (RFC 3261 §18.2.1, RFC 3581 §4).
fn same_hops(heard: &Heard<'_>, request: &Transaction) -> bool {
    let (Ok(sent), got) = (request.message.via(), &heard.via) else {
        return true;
    };
    sent.host == got.host && sent.port == got.port && sent.transport == got.transport && {
        let below = |message: &callwright_sip_message::Message| -> Vec<String> {
            message
                .values(HeaderName::Via)
                .skip(1)
                .map(|value| value.into_owned())
                .collect()
        };
        heard.vias == 1 || below(heard.message) == below(&request.message)
    }
}

fn same_final(transaction: &Transaction, heard: &Heard<'_>, status: u16) -> Option<usize> {
    transaction
        .finals
        .iter()
        .position(|response| response.status == status && response.tag == heard.to_tag)
}

/// A final response; true when it is not one that was sent before.
fn finish(transaction: &mut Transaction, heard: &Heard<'_>, status: u16, ledger: &mut Ledger) -> bool {
    if same_final(transaction, heard, status).is_some() {
        return false;
    }
    let mut conflicts = false;
    if transaction.is_invite() {
        // RFC 3261 §16.7: a proxy passes on every 2xx, and one of the others.
        let forked = status < 300 && transaction.finals.iter().all(Final::is_success);
        let excused = transaction.excused;
        if transaction.finals.is_empty() {
            if excused {
                ledger.excuse(Rule::InviteFinal);
            } else {
                ledger.judge(Rule::InviteFinal, true, || heard.blame("", ""));
            }
        } else if !forked && !excused {
            conflicts = true;
            let before = transaction.finals[0].status;
            ledger.check(Rule::InviteFinal, false, || {
                heard.blame(
                    format!("{status} follows the final response {before} to the same INVITE"),
                    "RFC 3261 §17.2.1",
                )
            });
        }
    }
    transaction.finals.push(Final {
        status,
        tag: heard.to_tag.clone(),
        message: heard.message.clone(),
        passage: heard.passage,
        arrived: None,
        // One that may not be is not acknowledged either.
        settled: conflicts,
    });
    true
}

/// An ACK with the branch of its INVITE.
fn acknowledge_failure(invite: &mut Transaction, heard: &Heard<'_>, exempt: bool, ledger: &mut Ledger) {
    let success = invite.finals.iter().all(Final::is_success);
    let number = invite.cseq;
    let right_target = heard.request_uri() == invite.message.request_uri().ok();
    let tags: Vec<Option<SmolStr>> = invite
        .finals
        .iter()
        .map(|response| response.tag.clone())
        .collect();
    let right_tag = tags.contains(&heard.to_tag);
    let wrong = if success {
        Some("the ACK of a 2xx has the branch of its INVITE")
    } else if !right_target {
        Some("the Request-URI of the ACK is not that of its INVITE")
    } else if !right_tag {
        Some("To of the ACK is not that of the response")
    } else {
        None
    };
    if invite.finals.is_empty() {
        return;
    }
    if !exempt {
        ledger.check(Rule::CSeq, heard.cseq.number == number, || {
            heard.blame(
                format!("the INVITE that this acknowledges has CSeq number {number}"),
                "RFC 3261 §17.1.1.3",
            )
        });
    }
    for response in invite.finals.iter_mut().filter(|response| !response.settled) {
        response.settled = true;
        if exempt || invite.excused {
            ledger.excuse(Rule::Ack);
        } else {
            ledger.judge(Rule::Ack, wrong.is_none(), || {
                heard.blame(wrong.unwrap_or_default(), "RFC 3261 §17.1.1.3, §13.2.2.4")
            });
        }
    }
}

fn judge_answer(
    transaction: &Transaction,
    at: Time,
    config: &RulesConfig,
    parties: &Parties,
    ledger: &mut Ledger,
) {
    let answered = !transaction.finals.is_empty() || transaction.is_invite() && transaction.progressed;
    if transaction.excused {
        ledger.excuse(Rule::TransactionEnd);
    } else if answered {
        ledger.judge(Rule::TransactionEnd, true, || {
            transaction.blame_client(at, String::new(), "")
        });
    } else if is_alive(transaction, config, parties) {
        ledger.judge(Rule::TransactionEnd, false, || {
            let detail = format!(
                "it arrived, and {} never answered it",
                transaction.passage.destination
            );
            transaction.blame_client(at, detail, "RFC 3261 §17.2")
        });
    } else {
        ledger.excuse(Rule::TransactionEnd);
    }
}

/// Whether a request arrived at somebody who said something long enough after.
fn is_alive(transaction: &Transaction, config: &RulesConfig, parties: &Parties) -> bool {
    transaction
        .arrived
        .is_some_and(|arrived| parties.spoke_since(transaction.passage.destination, arrived + config.transit))
}

fn judge_final(
    invite: &Transaction,
    now: Time,
    config: &RulesConfig,
    parties: &Parties,
    ledger: &mut Ledger,
) {
    if invite.excused || !is_alive(invite, config, parties) {
        ledger.excuse(Rule::InviteFinal);
        return;
    }
    ledger.judge(Rule::InviteFinal, false, || {
        invite.blame_client(
            now,
            format!("it got no final response from {}", invite.passage.destination),
            "RFC 3261 §13.3.1",
        )
    });
}

fn judge_ack(
    transaction: &mut Transaction,
    place: usize,
    at: Time,
    config: &RulesConfig,
    parties: &Parties,
    ledger: &mut Ledger,
) {
    let started = transaction.passage.time;
    let timeout = config.timeout();
    let in_time = |time: Time, start: Time| time + config.transit <= start + timeout;
    let caller = transaction.passage.source;
    // Where the caller had given up, it has no transaction any more that could acknowledge.
    let heard_of_it = transaction
        .provisional
        .is_some_and(|provisional| in_time(provisional, started));
    let cancelled = transaction.cancelled;
    let excused = transaction.excused || transaction.vias > 1;
    let Some(response) = transaction
        .finals
        .get_mut(place)
        .filter(|response| !response.settled)
    else {
        return;
    };
    response.settled = true;
    let fair = response.arrived.is_some_and(|arrived| {
        (heard_of_it || in_time(arrived, started))
            && cancelled.is_none_or(|cancelled| in_time(arrived, cancelled))
            && parties.spoke_since(caller, arrived + config.transit)
    });
    if excused || !fair {
        ledger.excuse(Rule::Ack);
        return;
    }
    let message = super::heard::describe(&response.message, &response.passage);
    ledger.judge(Rule::Ack, false, || super::ledger::Blame {
        at,
        party: transaction.passage.party,
        message,
        detail: format!("it arrived, and {caller} sent no ACK"),
        reference: "RFC 3261 §13.2.2.4, §17.1.1.3",
    });
}

fn judge_dialogs(call: &mut Call, now: Time, ledger: &mut Ledger) {
    for dialog in &mut call.dialogs {
        if dialog.confirmed.is_none() {
            continue;
        }
        if call.excused {
            ledger.excuse(Rule::DialogEnd);
            continue;
        }
        ledger.judge(Rule::DialogEnd, dialog.ended, || {
            let mut blame = dialog.made_by.take().unwrap_or_else(|| super::ledger::Blame {
                at: now,
                party: 0,
                message: String::new(),
                detail: String::new(),
                reference: "RFC 3261 §15",
            });
            blame.at = now;
            blame.detail = "the dialog that this confirmed never ended: nobody sent BYE".to_owned();
            blame
        });
    }
}

fn excuse_dialogs(ledger: &mut Ledger, call: &Call) {
    let confirmed = call.dialogs.iter().filter(|dialog| dialog.confirmed.is_some());
    confirmed.for_each(|_| ledger.excuse(Rule::DialogEnd));
}

fn excuse_transaction(ledger: &mut Ledger, transaction: &Transaction) {
    ledger.excuse(Rule::TransactionEnd);
    if transaction.is_invite() {
        if transaction.finals.is_empty() {
            ledger.excuse(Rule::InviteFinal);
        }
        let open = transaction.finals.iter().filter(|response| !response.settled);
        open.for_each(|_| ledger.excuse(Rule::Ack));
    }
}
