//! Findings about streams of RTP.

use super::{About, Evidence, finding};
use crate::analysis::call::Side;
use crate::analysis::finding::{Finding, FindingKind};
use crate::analysis::report::StreamFacts;
use crate::analysis::stream::{FoundBy, Stream};

pub(super) fn judge_stream(
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
