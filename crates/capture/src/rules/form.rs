//! What a message shows by itself.

use callwright_sip_message::{FrameError, HeaderName, Message, Method, Problem, SmolStr, Transport};

use super::heard::{Heard, Passage, describe};
use super::ledger::{Blame, Ledger};
use super::rule::Rule;

/// A datagram or a message of a stream; `behind` are the bytes of a datagram after the body that was announced.
pub(crate) fn check_message(ledger: &mut Ledger, message: &Message, passage: &Passage, behind: usize) {
    let problems = message.validate().err();
    let problems = problems.as_ref().map_or(&[][..], |found| found.problems());
    // Two of the problems have rules of their own.
    let illegal = problems
        .iter()
        .find(|problem| !matches!(problem, Problem::Truncated { .. } | Problem::CSeqMethod { .. }));
    ledger.check(Rule::Legal, illegal.is_none(), || {
        let detail = illegal.map(Problem::to_string).unwrap_or_default();
        blame(message, passage, detail, "RFC 3261 §7")
    });
    check_length(ledger, message, passage, behind, problems);
    let mixed = problems
        .iter()
        .find(|problem| matches!(problem, Problem::CSeqMethod { .. }));
    if let Some(problem) = mixed {
        ledger.check(Rule::CSeq, false, || {
            blame(message, passage, problem.to_string(), "RFC 3261 §8.1.1.5")
        });
    }
}

fn check_length(
    ledger: &mut Ledger,
    message: &Message,
    passage: &Passage,
    behind: usize,
    problems: &[Problem],
) {
    let truncated = problems
        .iter()
        .find(|problem| matches!(problem, Problem::Truncated { .. }));
    let announced = message.has_header(HeaderName::ContentLength);
    if !announced && !passage.reliable {
        return;
    }
    let wrong = match truncated {
        Some(problem) => Some(problem.to_string()),
        None if !announced => Some("a message on a stream has no Content-Length".to_owned()),
        None if behind > 0 => Some(format!(
            "{behind} bytes stand behind the body that Content-Length announces"
        )),
        None => None,
    };
    ledger.check(Rule::ContentLength, wrong.is_none(), || {
        blame(message, passage, wrong.unwrap_or_default(), "RFC 3261 §18.3")
    });
}

/// A stream on which no message can be found any more.
pub(crate) fn blame_stream(ledger: &mut Ledger, error: &FrameError, passage: &Passage) {
    let message = match error {
        FrameError::ContentLength(message) => describe(message, passage),
        _ => format!("a stream, {} → {}", passage.source, passage.destination),
    };
    ledger.check(Rule::ContentLength, false, || Blame {
        at: passage.time,
        party: passage.party,
        message,
        detail: error.to_string(),
        call_id: None,
        reference: "RFC 3261 §18.3",
    });
}

/// A datagram that looks like SIP and is not.
pub(crate) fn blame_datagram(ledger: &mut Ledger, detail: String, passage: &Passage) {
    ledger.check(Rule::Legal, false, || Blame {
        at: passage.time,
        party: passage.party,
        message: format!("a datagram, {} → {}", passage.source, passage.destination),
        detail,
        call_id: None,
        reference: "RFC 3261 §7",
    });
}

/// The head of a request.
pub(crate) fn check_request(ledger: &mut Ledger, heard: &Heard<'_>) {
    let present = heard.message.has_header(HeaderName::MaxForwards);
    ledger.check(Rule::MaxForwards, present, || {
        heard.blame("the request has no Max-Forwards", "RFC 3261 §8.1.1.6")
    });
    check_via(ledger, heard);
    ledger.check(Rule::Tags, heard.from_tag.is_some(), || {
        heard.blame("From has no tag", "RFC 3261 §8.1.1.3")
    });
    // RFC 3261 §8.1.1.8, RFC 6665 §8.3.2 (SUBSCRIBE), RFC 3515 §2.2 (REFER)
    if matches!(heard.method, Method::Invite | Method::Subscribe | Method::Refer) {
        check_contact(ledger, heard);
    }
}

/// What a response needs whatever its request was.
pub(crate) fn check_response(ledger: &mut Ledger, heard: &Heard<'_>, status: u16) {
    if status > 100 {
        ledger.check(Rule::Tags, heard.to_tag.is_some(), || {
            heard.blame("To has no tag", "RFC 3261 §8.2.6.2")
        });
    }
    if (200..300).contains(&status) && matches!(heard.method, Method::Invite | Method::Subscribe) {
        check_contact(ledger, heard);
    }
}

fn check_contact(ledger: &mut Ledger, heard: &Heard<'_>) {
    let present = heard.message.has_header(HeaderName::Contact);
    ledger.check(Rule::Contact, present, || {
        heard.blame("there is no Contact", "RFC 3261 §8.1.1.8, §12.1.1")
    });
}

fn check_via(ledger: &mut Ledger, heard: &Heard<'_>) {
    ledger.subject(Rule::Via);
    let Heard { via, passage, .. } = heard;
    let (Some(ip), Transport::Udp | Transport::Tcp | Transport::Tls) = (via.host.ip(), &via.transport) else {
        ledger.excuse(Rule::Via);
        return;
    };
    let carried = match (passage.reliable, passage.secure) {
        (false, _) => Transport::Udp,
        (true, false) => Transport::Tcp,
        (true, true) => Transport::Tls,
    };
    // RFC 3261 §18.1.1: on a stream the port is that of the listener.
    let placed =
        ip == passage.source.ip() && (passage.reliable || via.port_or_default() == passage.source.port());
    ledger.judge(Rule::Via, via.transport == carried && placed, || {
        heard.blame(
            format!(
                "the topmost Via says {} {}:{}, it was sent over {carried} from {}",
                via.transport,
                via.host,
                via.port_or_default(),
                passage.source
            ),
            "RFC 3261 §18.1.1",
        )
    });
}

fn blame(message: &Message, passage: &Passage, detail: String, reference: &'static str) -> Blame {
    Blame {
        at: passage.time,
        party: passage.party,
        message: describe(message, passage),
        detail,
        call_id: message.header(HeaderName::CallId).map(SmolStr::new),
        reference,
    }
}
