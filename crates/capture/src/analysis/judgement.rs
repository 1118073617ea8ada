//! Findings about calls, registrations, streams and the capture itself.

use callwright_media::detect::SILENCE_DBM0;
use callwright_wire::Time;

use super::analyzer::Malformed;
use super::call::{Call, Leg, Outcome, Side};
use super::config::AnalysisConfig;
use super::finding::{Finding, FindingKind, Severity};
use super::joins::Group;
use super::legs::{EVIDENCE, LegState, Legs};
use super::protocol::Protocol;
use super::registration::Registration;
use super::report::{StreamFacts, is_open_challenge};
use super::stream::{FoundBy, Stream};
use super::summary::Summary;
use crate::rules::{Rule, Violation};

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

fn judge_leg(found: &mut Vec<Finding>, evidence: &Evidence<'_>, about: About, leg: &Leg, state: &LegState) {
    let config = evidence.config;
    let age_ms = |since: Time| (evidence.last - since).as_secs_f64() * 1_000.0;
    let mut add = |kind, at, packets, message| found.push(finding(kind, about, at, packets, message));
    let first = vec![state.first_packet];
    let line = |last: &super::legs::Answer| format!("{} {}", last.status, last.reason);
    match leg.outcome {
        Outcome::Refused => {
            if let Some(last) = &state.last_final {
                let kind = match last.status {
                    // What a user, or the lack of one, says: SEER (RFC 6076 §4.7) and those that mean the same.
                    300..=399 | 404 | 410 | 480 | 484 | 486 | 487 | 488 | 600 | 603 | 604 | 607 => {
                        FindingKind::CallRefused
                    }
                    _ => FindingKind::CallFailed,
                };
                let message = format!("the call to {} ended with {}", leg.dialled, line(last));
                add(kind, last.at, vec![state.first_packet, last.packet], message);
            }
        }
        // One that was sent just before the end may still be answered.
        Outcome::Unanswered if state.responded.is_none() && age_ms(state.started) >= ANSWER_MS => {
            let message = format!(
                "INVITE {} got no response in {:.1} s, sent {} times",
                leg.dialled,
                age_ms(state.started).min(TIMEOUT_MS) / 1_000.0,
                state.again + 1
            );
            add(FindingKind::CallUnanswered, state.started, first, message);
        }
        Outcome::Unanswered if age_ms(state.last) > TIMEOUT_MS => {
            let message = format!("INVITE {} never got a final response", leg.dialled);
            add(FindingKind::CallUnanswered, state.started, first, message);
        }
        Outcome::Up => {
            let message = format!("the call to {} was still up when the capture ended", leg.dialled);
            add(FindingKind::NoBye, evidence.last, first, message);
        }
        Outcome::Unanswered | Outcome::Cancelled | Outcome::Completed => {}
    }
    if let Some(answer) = &state.answered
        && !state.acknowledged
        && !state.begun_before
        && (leg.outcome == Outcome::Completed || age_ms(answer.at) > 1_000.0)
    {
        let message = format!("{} to INVITE was not acknowledged", line(answer));
        add(FindingKind::NoAck, answer.at, vec![answer.packet], message);
    }
    if leg.outcome == Outcome::Completed && leg.session_disconnect_delay_ms.is_none() {
        judge_bye(found, about, state, age_ms);
    }
    let mut slow = |kind, delay: Option<f64>, limit: std::time::Duration, at, packets, what: &str| {
        let limit_ms = limit.as_secs_f64() * 1_000.0;
        if let Some(delay) = delay.filter(|delay| *delay > limit_ms) {
            let message = format!(
                "{what} {:.2} s, more than {:.2} s",
                delay / 1_000.0,
                limit.as_secs_f64()
            );
            found.push(finding(kind, about, at, packets, message));
        }
    };
    let first = vec![state.first_packet];
    slow(
        FindingKind::SlowSetup,
        leg.session_request_delay_ms,
        config.slow_setup,
        state.started,
        first,
        "the caller waited for the first sign of life",
    );
    if let Some(bye) = state.byes.first() {
        slow(
            FindingKind::SlowDisconnect,
            leg.session_disconnect_delay_ms,
            config.slow_disconnect,
            bye.at,
            vec![bye.packet],
            "the answer to BYE took",
        );
    }
    if state.again > 0 {
        let message = format!("{} of {} messages were sent again", state.again, state.messages);
        let mut one = finding(
            FindingKind::Retransmissions,
            about,
            state.started,
            state.again_packets.clone(),
            message,
        );
        one.count = state.again;
        found.push(one);
    }
    judge_audio(found, evidence, about, leg, state);
}

fn judge_bye(found: &mut Vec<Finding>, about: About, state: &LegState, age_ms: impl Fn(Time) -> f64) {
    let Some(bye) = state.byes.last() else { return };
    let (message, packets) = match &bye.answer {
        Some(answer) => (
            format!("BYE was answered by {} {}", answer.status, answer.reason),
            vec![bye.packet, answer.packet],
        ),
        None if age_ms(bye.at) > 500.0 => ("BYE was not answered".to_owned(), vec![bye.packet]),
        // The capture ends too early to tell.
        None => return,
    };
    found.push(finding(
        FindingKind::DisconnectFailed,
        about,
        bye.at,
        packets,
        message,
    ));
}

/// Whether each side that may send does, and is heard.
fn judge_audio(found: &mut Vec<Finding>, evidence: &Evidence<'_>, about: About, leg: &Leg, state: &LegState) {
    let Some(answered) = leg.answered else { return };
    let until = leg.ended.unwrap_or(evidence.last);
    let up = until - answered;
    if up < evidence.config.audio_expected {
        return;
    }
    let streams = || leg.streams.iter().map(|place| &evidence.streams[*place]);
    // A call whose media pass elsewhere says nothing; no RTP at all in the capture means that nobody captured it.
    if evidence.streams.is_empty() {
        return;
    }
    let audio: Vec<_> = leg.media.iter().filter(|line| line.kind == "audio").collect();
    let packets = state
        .answered
        .iter()
        .map(|answer| answer.packet)
        .collect::<Vec<_>>();
    let mut missing = Vec::new();
    for side in [Side::Caller, Side::Callee] {
        let may_send = audio.iter().any(|line| match side {
            Side::Caller => line.caller_sends,
            Side::Callee => line.callee_sends,
        });
        if !may_send {
            continue;
        }
        let mut theirs = streams().filter(|stream| stream.from == Some(side)).peekable();
        if theirs.peek().is_none() {
            missing.push(side);
            continue;
        }
        let levels: Vec<_> = theirs.filter_map(|stream| stream.level.as_ref()).collect();
        if !levels.is_empty() && levels.iter().all(|level| level.max_dbm0 <= SILENCE_DBM0) {
            let loudest = levels.iter().map(|level| level.max_dbm0).fold(f64::MIN, f64::max);
            let message = format!(
                "the {} sent audio of at most {loudest:.0} dBm0 for {:.1} s",
                side.name(),
                up.as_secs_f64()
            );
            found.push(finding(
                FindingKind::Silence,
                about,
                answered,
                packets.clone(),
                message,
            ));
        }
    }
    let seconds = up.as_secs_f64();
    match missing.as_slice() {
        [] => {}
        [one] => {
            let message = format!(
                "the call was up for {seconds:.1} s, and no RTP of the {} is there",
                one.name()
            );
            found.push(finding(
                FindingKind::OneWayAudio,
                about,
                answered,
                packets,
                message,
            ));
        }
        _ => {
            let message = format!("the call was up for {seconds:.1} s, and no RTP of either side is there");
            found.push(finding(
                FindingKind::MissingAudio,
                about,
                answered,
                packets,
                message,
            ));
        }
    }
}

fn judge_stream(
    found: &mut Vec<Finding>,
    evidence: &Evidence<'_>,
    place: usize,
    stream: &Stream,
    facts: &StreamFacts,
) {
    let config = evidence.config;
    let about = About {
        call: stream.call,
        leg: stream.leg,
        stream: Some(place),
        ..About::default()
    };
    let way = format!("{} → {}", stream.source, stream.destination);
    let quality = &stream.quality;
    let mut add = |kind: FindingKind, count: u64, packets: &[u64], message: String| {
        let mut one = finding(kind, about, stream.started, packets.to_vec(), message);
        one.count = count;
        found.push(one);
    };
    if stream.found_by == FoundBy::Looks {
        let message = format!(
            "{way}: {} packets that no session description speaks of",
            quality.packets
        );
        add(FindingKind::UndescribedStream, 1, &[stream.first_packet], message);
    }
    if quality.loss_percent >= config.loss_percent {
        let message = format!(
            "{way}: {:.1} % of {} packets are missing",
            quality.loss_percent, quality.expected
        );
        let missing = (quality.loss_percent * quality.expected as f64 / 100.0).round() as u64;
        add(FindingKind::Loss, missing, &facts.loss_packets, message);
    }
    if let Some(jitter) = quality
        .jitter_mean_ms
        .filter(|jitter| *jitter >= config.jitter_ms)
    {
        let max = quality.jitter_max_ms.unwrap_or(jitter);
        let message = format!("{way}: interarrival jitter {jitter:.1} ms on average, {max:.1} ms at most");
        add(FindingKind::Jitter, 1, &[stream.first_packet], message);
    }
    if quality.duplicates > 0 {
        let message = format!("{way}: {} packets came again", quality.duplicates);
        add(
            FindingKind::Duplicates,
            quality.duplicates,
            &facts.duplicate_packets,
            message,
        );
    }
    if quality.out_of_order > 0 {
        let message = format!("{way}: {} packets were overtaken", quality.out_of_order);
        add(
            FindingKind::OutOfOrder,
            quality.out_of_order,
            &facts.late_packets,
            message,
        );
    }
    if quality.gap_count > 0 {
        let longest = quality.gaps.first().map_or(0.0, |gap| gap.length_ms);
        let message = format!(
            "{way}: {} times without a packet, {longest:.0} ms at most",
            quality.gap_count
        );
        let packets: Vec<u64> = quality.gaps.iter().map(|gap| gap.packet).collect();
        add(FindingKind::Gap, quality.gap_count, &packets, message);
    }
    if let Some(mos) = quality.mos.filter(|mos| *mos < config.low_mos) {
        let message = format!("{way}: mean opinion score {mos:.2}");
        add(FindingKind::LowQuality, 1, &[stream.first_packet], message);
    }
    if let Some(ppm) = quality
        .clock_skew_ppm
        .filter(|ppm| ppm.abs() >= config.clock_skew_ppm)
    {
        let message = format!("{way}: its clock runs {ppm:+.0} parts per million beside that of the capture");
        add(FindingKind::ClockSkew, 1, &[stream.first_packet], message);
    }
    for (payload_type, packet) in &facts.unannounced {
        let message = format!(
            "{way}: {} did not announce payload type {payload_type}",
            stream.destination
        );
        add(FindingKind::PayloadTypeUnknown, 1, &[*packet], message);
    }
    if let Some(rtcp) = &stream.rtcp
        && rtcp.loss_percent_max >= config.loss_percent.max(quality.loss_percent + 1.0)
    {
        let message = format!(
            "{way}: its receiver reports up to {:.1} % lost between two reports, here {:.1} % are missing",
            rtcp.loss_percent_max, quality.loss_percent
        );
        add(FindingKind::RemoteLoss, 1, &[stream.first_packet], message);
    }
    judge_codec(found, evidence, about, stream, facts, &way);
}

/// The codec is one that was agreed on, and that of the other direction.
fn judge_codec(
    found: &mut Vec<Finding>,
    evidence: &Evidence<'_>,
    about: About,
    stream: &Stream,
    facts: &StreamFacts,
    way: &str,
) {
    let (Some(call), Some(leg), Some(codec)) = (stream.call, stream.leg, stream.codec()) else {
        return;
    };
    if !facts.is_audio {
        return;
    }
    let leg = &evidence.calls[call].legs[leg];
    let agreed: Vec<&String> = leg.media.iter().flat_map(|line| &line.answered).collect();
    let is = |other: &str| other.eq_ignore_ascii_case(codec);
    let add = |found: &mut Vec<Finding>, message| {
        let packets = vec![stream.first_packet];
        found.push(finding(
            FindingKind::CodecMismatch,
            about,
            stream.started,
            packets,
            message,
        ));
    };
    if leg.answered.is_some() && !agreed.is_empty() && !agreed.iter().any(|other| is(other)) {
        let agreed: Vec<&str> = agreed.iter().map(|format| format.as_str()).collect();
        add(
            found,
            format!(
                "{way}: {codec} is not among those agreed on ({})",
                agreed.join(", ")
            ),
        );
        return;
    }
    // Told once, by the caller's stream.
    let other = leg
        .streams
        .iter()
        .map(|place| &evidence.streams[*place])
        .find(|other| {
            other.from == Some(Side::Callee) && other.ended >= stream.started && other.started <= stream.ended
        });
    if stream.from == Some(Side::Caller)
        && let Some(other) = other.and_then(Stream::codec).filter(|other| !is(other))
    {
        add(
            found,
            format!("{way}: the caller sends {codec}, the callee {other}"),
        );
    }
}

fn judge_registration(
    found: &mut Vec<Finding>,
    evidence: &Evidence<'_>,
    place: usize,
    registration: &Registration,
) {
    let about = About {
        registration: Some(place),
        ..About::default()
    };
    let mut failed: Option<Finding> = None;
    for attempt in &registration.attempts {
        let age_ms = (evidence.last - attempt.at).as_secs_f64() * 1_000.0;
        let limit = evidence.config.slow_registration;
        if let Some(delay) = attempt.registration_request_delay_ms
            && attempt.succeeded()
            && delay > limit.as_secs_f64() * 1_000.0
        {
            let message = format!(
                "{} was registered after {:.2} s, more than {:.2} s",
                registration.aor,
                delay / 1_000.0,
                limit.as_secs_f64()
            );
            let packets = vec![attempt.packet];
            found.push(finding(
                FindingKind::SlowRegistration,
                about,
                attempt.at,
                packets,
                message,
            ));
        }
        let message = match (attempt.status, &attempt.reason) {
            (Some(..300), _) => continue,
            (Some(status), reason) if is_open_challenge(attempt) => {
                if age_ms < TIMEOUT_MS {
                    continue;
                }
                let reason = reason.as_deref().unwrap_or_default();
                format!(
                    "{}: {status} {reason}, and no credentials followed",
                    registration.aor
                )
            }
            (Some(status), reason) => {
                format!(
                    "{}: {status} {}",
                    registration.aor,
                    reason.as_deref().unwrap_or_default()
                )
            }
            (None, _) if age_ms < TIMEOUT_MS => continue,
            (None, _) => format!("{}: no response", registration.aor),
        };
        match &mut failed {
            Some(before) => {
                before.count += 1;
                if before.packets.len() < EVIDENCE {
                    before.packets.push(attempt.packet);
                }
            }
            None => {
                let packets = [Some(attempt.packet), attempt.answer_packet];
                let packets = packets.into_iter().flatten().collect();
                failed = Some(finding(
                    FindingKind::RegistrationFailed,
                    about,
                    attempt.at,
                    packets,
                    message,
                ));
            }
        }
    }
    found.extend(failed);
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
