//! Offers and answers (RFC 3264), and where they are carried (RFC 3261 §13.2.1, RFC 3262 §5, RFC 3311 §5.1).

use callwright_sdp::Session;
use callwright_sip_message::{Method, SmolStr};

use super::call::{Call, Description};
use super::config::RulesConfig;
use super::heard::Heard;
use super::ledger::Ledger;
use super::rule::Rule;
use super::transaction::{Transaction, Transactions};

/// A request that is sent for the first time.
pub(crate) fn request(
    call: &mut Call,
    transactions: &mut Transactions,
    number: u64,
    heard: &Heard<'_>,
    config: &RulesConfig,
    ledger: &mut Ledger,
) {
    if !matches!(heard.method, Method::Invite | Method::Update | Method::Prack) {
        return;
    }
    let (Some(session), Some(tag)) = (&heard.description, heard.from_tag.clone()) else {
        return;
    };
    check_version(call, &tag, heard, session, ledger);
    let lines = session.media.len();
    // RFC 3262 §5: PRACK has the answer where the offer came in a reliable provisional response.
    if heard.method == Method::Prack && take_late_answer(call, transactions, heard, lines, ledger) {
        return;
    }
    check_only_offer(call, transactions, &tag, number, heard, config, ledger);
    if let Some(transaction) = transactions.at_mut(number) {
        transaction.exchange.offer = Some(lines);
    }
}

/// A response.
pub(crate) fn response(
    call: &mut Call,
    transaction: &mut Transaction,
    heard: &Heard<'_>,
    status: u16,
    ledger: &mut Ledger,
) {
    if status >= 300 || !matches!(heard.method, Method::Invite | Method::Update | Method::Prack) {
        return;
    }
    if transaction.exchange.said.as_ref() == Some(&heard.message.body()) {
        return;
    }
    let (Some(session), Some(tag)) = (&heard.description, heard.to_tag.clone()) else {
        return;
    };
    transaction.exchange.said = Some(heard.message.body());
    check_version(call, &tag, heard, session, ledger);
    match transaction.exchange.offer {
        Some(offered) => check_lines(ledger, heard, offered, session.media.len()),
        None if heard.method == Method::Invite => {
            transaction.exchange.late_offer = Some(session.media.len());
        }
        None => {}
    }
}

/// An ACK of a 2xx.
pub(crate) fn acknowledge(
    call: &mut Call,
    transactions: &mut Transactions,
    heard: &Heard<'_>,
    ledger: &mut Ledger,
) {
    let (Some(session), Some(tag)) = (&heard.description, heard.from_tag.clone()) else {
        return;
    };
    // Of a retransmission nothing new is learned: its description is the last one, or one before it.
    if take_late_answer(call, transactions, heard, session.media.len(), ledger) {
        check_version(call, &tag, heard, session, ledger);
    }
}

/// The answer to an offer that came in a response to INVITE; false when none is open.
fn take_late_answer(
    call: &Call,
    transactions: &mut Transactions,
    heard: &Heard<'_>,
    lines: usize,
    ledger: &mut Ledger,
) -> bool {
    for number in call.invites.iter().rev() {
        let Some(invite) = transactions.at_mut(*number) else {
            continue;
        };
        // PRACK has a CSeq of its own.
        let its = heard.method == Method::Prack || invite.cseq == heard.cseq.number;
        if invite.from_tag == heard.from_tag
            && its
            && let Some(offered) = invite.exchange.late_offer.take()
        {
            check_lines(ledger, heard, offered, lines);
            return true;
        }
    }
    false
}

fn check_lines(ledger: &mut Ledger, heard: &Heard<'_>, offered: usize, answered: usize) {
    ledger.check(Rule::AnswerLines, offered == answered, || {
        heard.blame(
            format!("the offer has {offered} m= lines, the answer {answered}"),
            "RFC 3264 §6",
        )
    });
}

/// RFC 3264 §4: no new offer before the last one was answered or rejected.
fn check_only_offer(
    call: &mut Call,
    transactions: &Transactions,
    tag: &SmolStr,
    number: u64,
    heard: &Heard<'_>,
    config: &RulesConfig,
    ledger: &mut Ledger,
) {
    let side = call.sides.entry(tag.clone()).or_default();
    let before = side.offered.replace(number);
    let before = before.and_then(|number| transactions.at(number));
    let open = before.is_some_and(|before| {
        let given_up = before.cancelled.is_some()
            || !before.progressed && heard.passage.time >= before.passage.time + config.timeout();
        // The next address is tried with the same request (RFC 3263 §4.3).
        let same = before.cseq == heard.cseq.number && before.method == heard.method;
        before.exchange.said.is_none() && before.finals.is_empty() && !given_up && !same
    });
    ledger.check(Rule::OneOffer, !open, || {
        let open = before.map_or_else(String::new, |before| {
            format!(
                "the offer in {} with CSeq {} is not answered yet",
                before.method, before.cseq
            )
        });
        heard.blame(open, "RFC 3264 §4")
    });
}

/// RFC 3264 §8: "the o= line of the new SDP MUST be identical to that in the previous SDP, except that the version in the origin
/// field MUST increment by one from the previous SDP. If the version in the origin line does not increment, the SDP MUST be
/// identical to the SDP with that version number."
fn check_version(call: &mut Call, tag: &SmolStr, heard: &Heard<'_>, session: &Session, ledger: &mut Ledger) {
    if heard.vias != 1 {
        return;
    }
    let side = call.sides.entry(tag.clone()).or_default();
    if let Some(before) = &side.description {
        let (old, new) = (&before.session.origin, &session.origin);
        let wrong =
            if old.session_id != new.session_id || old.username != new.username || old.address != new.address
            {
                Some("the o= line of this side changed beyond its version".to_owned())
            } else if new.version == old.version && before.body != heard.message.body() {
                Some(format!(
                    "the description changed, and its version is still {}",
                    old.version
                ))
            } else if new.version != old.version && new.version != old.version.wrapping_add(1) {
                Some(format!("version {} follows {}", new.version, old.version))
            } else {
                None
            };
        ledger.check(Rule::SdpVersion, wrong.is_none(), || {
            heard.blame(wrong.unwrap_or_default(), "RFC 3264 §8")
        });
    }
    side.description = Some(Description {
        session: session.clone(),
        body: heard.message.body(),
    });
}
