//! Requests, sent for the first time and again.

use callwright_sip_message::Method;
use callwright_wire::Time;

use super::judgement::{excuse_dialogs, excuse_transaction};
use super::{Due, MAGIC_COOKIE, Signalling};
use crate::rules::config::RulesConfig;
use crate::rules::heard::Heard;
use crate::rules::ledger::Ledger;
use crate::rules::offer;
use crate::rules::parties::Parties;
use crate::rules::rule::Rule;
use crate::rules::transaction::{Key, Transaction};

impl Signalling {
    pub(super) fn request(
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
        if call.is_too_crowded(config.max_per_call) {
            for number in call.invites.drain(..).chain([number]) {
                if let Some(transaction) = self.transactions.at_mut(number) {
                    transaction.excused = true;
                }
            }
            return;
        }
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
}

pub(super) fn check_branch(ledger: &mut Ledger, heard: &Heard<'_>) {
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
