//! Responses.

use callwright_sip_message::{HeaderName, Method};

use super::{Due, Signalling};
use crate::rules::config::RulesConfig;
use crate::rules::heard::Heard;
use crate::rules::ledger::Ledger;
use crate::rules::offer;
use crate::rules::rule::Rule;
use crate::rules::transaction::{Final, Transaction};

impl Signalling {
    pub(super) fn response(
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
            let is_new =
                transaction.finals.len() < config.max_per_call && finish(transaction, heard, status, ledger);
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
        if call.is_too_crowded(config.max_per_call) {
            return;
        }
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
