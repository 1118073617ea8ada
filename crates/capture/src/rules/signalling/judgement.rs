//! What is judged when its time is over.

use callwright_wire::Time;

use super::Signalling;
use crate::rules::call::Call;
use crate::rules::config::RulesConfig;
use crate::rules::heard::describe;
use crate::rules::ledger::{Blame, Ledger};
use crate::rules::parties::Parties;
use crate::rules::rule::Rule;
use crate::rules::transaction::Transaction;

impl Signalling {
    pub(super) fn judge_ack(
        &mut self,
        number: u64,
        place: usize,
        at: Time,
        config: &RulesConfig,
        parties: &Parties,
        ledger: &mut Ledger,
    ) {
        let Some(invite) = self.transactions.at_mut(number) else {
            return;
        };
        let fair = !invite.excused && invite.vias == 1;
        let given_up = invite.given_up(config.timeout(), config.transit);
        let (caller, party) = (invite.passage.source, invite.passage.party);
        let call = self.calls.find_mut(&invite.call_id);
        let Some(response) = invite.finals.get_mut(place).filter(|response| !response.settled) else {
            return;
        };
        response.settled = true;
        // Who sends a request inside the dialog heard of it; else he must have had the time to.
        let tags = invite.from_tag.as_deref().zip(response.tag.as_deref());
        let dialog = call
            .zip(tags)
            .and_then(|(call, (from, to))| call.dialog_mut(from, to));
        let knows = dialog.as_ref().is_some_and(|dialog| dialog.used_by_caller);
        // Of a re-INVITE that crossed the BYE nobody waits for the ACK (RFC 5407 §3.2).
        let over = invite.to_tag.is_some() && dialog.is_some_and(|dialog| dialog.ended);
        let fair = fair
            && !over
            && response.arrived.is_some_and(|arrived| {
                given_up.is_none_or(|given_up| arrived + config.transit <= given_up)
                    && (knows || parties.spoke_since(&response.passage, arrived + config.transit))
            });
        if !fair {
            ledger.excuse(Rule::Ack);
            return;
        }
        let message = describe(&response.message, &response.passage);
        let call_id = &invite.call_id;
        ledger.judge(Rule::Ack, false, || Blame {
            at,
            party,
            message,
            detail: format!("it arrived, and {caller} sent no ACK"),
            call_id: Some(call_id.clone()),
            reference: "RFC 3261 §13.2.2.4, §17.1.1.3",
        });
    }
}

pub(super) fn judge_answer(
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
        .is_some_and(|arrived| parties.spoke_since(&transaction.passage, arrived + config.transit))
}

pub(super) fn judge_final(
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

pub(super) fn judge_dialogs(call: &mut Call, now: Time, ledger: &mut Ledger) {
    for dialog in &mut call.dialogs {
        if dialog.confirmed.is_none() {
            continue;
        }
        if call.excused {
            ledger.excuse(Rule::DialogEnd);
            continue;
        }
        ledger.judge(Rule::DialogEnd, dialog.ended, || {
            let mut blame = dialog.made_by.take().unwrap_or_else(|| Blame {
                at: now,
                party: 0,
                message: String::new(),
                detail: String::new(),
                call_id: None,
                reference: "RFC 3261 §15",
            });
            blame.at = now;
            blame.detail = "the dialog that this confirmed never ended: nobody sent BYE".to_owned();
            blame
        });
    }
}

pub(super) fn excuse_dialogs(ledger: &mut Ledger, call: &Call) {
    let confirmed = call.dialogs.iter().filter(|dialog| dialog.confirmed.is_some());
    confirmed.for_each(|_| ledger.excuse(Rule::DialogEnd));
}

pub(super) fn excuse_transaction(ledger: &mut Ledger, transaction: &Transaction) {
    ledger.excuse(Rule::TransactionEnd);
    if transaction.is_invite() {
        if transaction.finals.is_empty() {
            ledger.excuse(Rule::InviteFinal);
        }
        let open = transaction.finals.iter().filter(|response| !response.settled);
        open.for_each(|_| ledger.excuse(Rule::Ack));
    }
}
