//! Findings about calls, registrations, streams and the capture itself.

mod legs;
mod registrations;
mod streams;

use callwright_wire::Time;

use super::analyzer::Malformed;
use super::call::Call;
use super::config::AnalysisConfig;
use super::finding::{Finding, FindingKind, Severity};
use super::joins::Group;
use super::legs::{EVIDENCE, Legs};
use super::protocol::Protocol;
use super::registration::Registration;
use super::report::StreamFacts;
use super::stream::Stream;
use super::summary::Summary;
use crate::rules::{Rule, Violation};
use legs::judge_leg;
use registrations::judge_registration;
use streams::judge_stream;

/// RFC 3261 §17.1.1.2, §17.1.2.2: 64·T1. A request that is younger when the capture ends may still be answered.
const TIMEOUT_MS: f64 = 32_000.0;

/// Whoever is there says something within this time, if it is 100 (RFC 3261 §17.2.1 wants it after 200 ms).
const ANSWER_MS: f64 = 500.0;

/// Everything that findings are made from.
pub(crate) struct Evidence<'a> {
    pub(crate) config: &'a AnalysisConfig,
    pub(crate) summary: &'a mut Summary,
    pub(crate) legs: &'a Legs,
    pub(crate) groups: &'a [Group],
    /// Of each leg the call, and its place there.
    pub(crate) place_of: &'a [(usize, usize)],
    pub(crate) calls: &'a mut [Call],
    pub(crate) registrations: &'a [Registration],
    pub(crate) streams: &'a [Stream],
    pub(crate) facts: &'a [StreamFacts],
    pub(crate) protocol: &'a Protocol,
    pub(crate) malformed: &'a Malformed,
    pub(crate) last: Time,
}

/// The findings, in order of time.
pub(crate) fn judge(evidence: Evidence<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, (call, group)) in evidence.calls.iter().zip(evidence.groups).enumerate() {
        for (leg, state) in group.legs.iter().enumerate() {
            let about = About {
                call: Some(place),
                leg: Some(leg),
                ..About::default()
            };
            judge_leg(
                &mut found,
                &evidence,
                about,
                &call.legs[leg],
                &evidence.legs.all[*state],
            );
        }
    }
    for (place, stream) in evidence.streams.iter().enumerate() {
        judge_stream(&mut found, &evidence, place, stream, &evidence.facts[place]);
    }
    for (place, registration) in evidence.registrations.iter().enumerate() {
        judge_registration(&mut found, &evidence, place, registration);
    }
    judge_protocol(&mut found, &evidence);
    judge_capture(&mut found, &evidence);
    found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.packets.cmp(&b.packets)));
    if found.len() > evidence.config.max_findings {
        evidence.summary.dropped.findings += (found.len() - evidence.config.max_findings) as u64;
        found.truncate(evidence.config.max_findings);
    }
    for (place, finding) in found.iter().enumerate() {
        if let Some(call) = finding.call {
            evidence.calls[call].findings.push(place);
        }
    }
    found
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, Default)]
struct About {
    call: Option<usize>,
    leg: Option<usize>,
    stream: Option<usize>,
    registration: Option<usize>,
}

fn finding(kind: FindingKind, about: About, at: Time, packets: Vec<u64>, message: String) -> Finding {
    Finding {
        kind,
        severity: kind.severity(),
        message,
        at,
        packets,
        count: 1,
        call: about.call,
        leg: about.leg,
        stream: about.stream,
        registration: about.registration,
        source: kind.source(),
    }
}

/// Violations of one rule in one call are one finding.
fn judge_protocol(found: &mut Vec<Finding>, evidence: &Evidence<'_>) {
    let mut known: std::collections::BTreeMap<(Rule, Option<usize>), usize> =
        std::collections::BTreeMap::new();
    for (violation, packet) in &evidence.protocol.found {
        let leg = violation
            .call_id
            .as_deref()
            .and_then(|call_id| evidence.legs.of(call_id));
        let packet = packet.or_else(|| packet_at(violation, leg, evidence));
        if let Some(place) = known.get(&(violation.rule, leg)) {
            let before = &mut found[*place];
            before.count += 1;
            if let Some(packet) = packet.filter(|_| before.packets.len() < EVIDENCE) {
                before.packets.push(packet);
            }
            continue;
        }
        let place = leg.map(|leg| evidence.place_of[leg]);
        let about = About {
            call: place.map(|(call, _)| call),
            leg: place.map(|(_, leg)| leg),
            ..About::default()
        };
        let message = format!("{} [{}]", violation.detail, violation.message);
        let mut one = finding(
            FindingKind::Protocol(violation.rule),
            about,
            violation.at,
            packet.into_iter().collect(),
            message,
        );
        one.source = violation.reference;
        if matches!(violation.rule, Rule::MaxForwards | Rule::SdpVersion | Rule::Via) {
            one.severity = Severity::Note;
        }
        known.insert((violation.rule, leg), found.len());
        found.push(one);
    }
}

/// What is judged later than it was sent is found by its time.
fn packet_at(violation: &Violation, leg: Option<usize>, evidence: &Evidence<'_>) -> Option<u64> {
    let rows = &evidence.legs.all[leg?].rows;
    let row = rows.iter().rev().find(|row| row.at <= violation.at)?;
    Some(row.packet)
}

fn judge_capture(found: &mut Vec<Finding>, evidence: &Evidence<'_>) {
    let summary = &evidence.summary;
    let mut add = |kind, at, packets, count, message| {
        let mut one = finding(kind, About::default(), at, packets, message);
        one.count = count;
        found.push(one);
    };
    if let Some((at, error)) = &evidence.malformed.first {
        let packets = evidence.malformed.packets.clone();
        add(
            FindingKind::Malformed,
            *at,
            packets,
            evidence.malformed.count,
            error.clone(),
        );
    }
    if summary.tls_connections > 0 {
        let message = format!(
            "{} connections are TLS; what is said on them cannot be read (a capture made with --capture has the clear text)",
            summary.tls_connections
        );
        add(
            FindingKind::Unreadable,
            Time::ZERO,
            Vec::new(),
            summary.tls_connections,
            message,
        );
    }
    if let Some(broken) = &summary.broken {
        let message = format!("the capture {broken}; what comes before was read");
        add(
            FindingKind::Incomplete,
            evidence.last,
            Some(summary.packets)
                .filter(|last| *last > 0)
                .into_iter()
                .collect(),
            1,
            message,
        );
    }
    if summary.dropped.cut_short > 0 {
        let message = format!(
            "{} packets were cut short by whoever captured them; capture with a longer snap length (tcpdump -s 0)",
            summary.dropped.cut_short
        );
        add(
            FindingKind::Incomplete,
            Time::ZERO,
            Vec::new(),
            summary.dropped.cut_short,
            message,
        );
    }
    let dropped = summary.dropped;
    for (count, what) in [
        (dropped.fragments, "IP fragments whose packet never became whole"),
        (
            dropped.missing_stream_bytes,
            "bytes missing in TCP streams that carry SIP",
        ),
        (
            dropped.unframed_stream_bytes,
            "bytes of SIP streams that belong to no message",
        ),
        (
            dropped.connections,
            "connections more than are followed at the same time",
        ),
        (dropped.legs, "messages of calls more than are kept"),
        (
            dropped.registrations,
            "messages of registrations more than are kept",
        ),
        (dropped.streams, "packets of streams more than are kept"),
        (dropped.rows, "rows of ladders more than are kept"),
        (dropped.texts, "messages whose text is more than is kept"),
        (
            evidence.protocol.not_kept,
            "violations of protocol rules more than are kept",
        ),
    ] {
        if count > 0 {
            add(
                FindingKind::Dropped,
                evidence.last,
                Vec::new(),
                count,
                format!("{count} {what}"),
            );
        }
    }
}
