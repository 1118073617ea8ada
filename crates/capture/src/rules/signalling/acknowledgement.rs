//! ACK, of a 2xx and of any other final response.

use callwright_sip_message::SmolStr;

use super::Signalling;
use super::request::check_branch;
use crate::rules::heard::Heard;
use crate::rules::ledger::Ledger;
use crate::rules::offer;
use crate::rules::rule::Rule;
use crate::rules::transaction::{Final, Transaction};

impl Signalling {
    pub(super) fn acknowledge(&mut self, heard: &Heard<'_>, exempt: bool, ledger: &mut Ledger) {
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
        if call.is_crowded {
            return;
        }
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
