//! What is in a capture, for a person.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use callwright_capture::analysis::{
    Analysis, Call, Delay, Finding, Outcome, Ratio, Registration, Severity, Side, Stream,
};

/// Findings of one severity that are listed.
const FINDINGS: usize = 50;
/// Calls, streams and registrations that are listed.
const ROWS: usize = 200;

pub(super) const BOLD: &str = "\x1b[1m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const RED: &str = "\x1b[31m";
pub(super) const GREEN: &str = "\x1b[32m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

pub(super) fn paint(style: &str, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{RESET}")
}

/// A text of somebody else's without what a terminal would obey.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.replace(char::is_control, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The file and its verdict.
pub(super) fn heading(path: &Path, analysis: &Analysis) -> String {
    let count = |severity| {
        analysis
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => paint(GREEN, "nothing wrong"),
        (0, warnings) => paint(YELLOW, plural(warnings, "warning")),
        (errors, 0) => paint(RED, plural(errors, "error")),
        (errors, warnings) => paint(
            RED,
            format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
        ),
    };
    format!("{}  {verdict}\n", paint(BOLD, path.display()))
}

/// What the capture holds, and the metrics.
pub(super) fn overview(analysis: &Analysis) -> String {
    let capture = &analysis.capture;
    let by = capture
        .application
        .as_ref()
        .map_or_else(String::new, |application| format!(" by {}", plain(application)));
    let mut text = format!(
        "  {}{by}, {}, {:.1} s: {}, {} of RTP, {} of RTCP\n",
        capture.format,
        plural(capture.packets as usize, "packet"),
        capture.duration_ms / 1_000.0,
        plural(capture.sip_messages as usize, "SIP message"),
        plural(capture.rtp_packets as usize, "packet"),
        plural(capture.rtcp_packets as usize, "packet"),
    );
    let of = |outcome| {
        analysis
            .calls
            .iter()
            .filter(|call| call.outcome == outcome)
            .count()
    };
    let outcomes = [
        Outcome::Completed,
        Outcome::Up,
        Outcome::Refused,
        Outcome::Cancelled,
        Outcome::Unanswered,
    ];
    let outcomes: Vec<String> = outcomes
        .into_iter()
        .filter(|outcome| of(*outcome) > 0)
        .map(|outcome| format!("{} {}", of(outcome), outcome.name()))
        .collect();
    if !analysis.calls.is_empty() {
        let legs: usize = analysis.calls.iter().map(|call| call.legs.len()).sum();
        let _ = writeln!(
            text,
            "  {} ({}), {}",
            plural(analysis.calls.len(), "call"),
            outcomes.join(", "),
            plural(legs, "leg")
        );
    }
    text.push_str(&metrics(analysis));
    text
}

fn metrics(analysis: &Analysis) -> String {
    let metrics = &analysis.metrics;
    let mut text = String::new();
    let delays = [
        ("Registration Request Delay", metrics.registration_request_delay),
        ("Session Request Delay", metrics.session_request_delay),
        (
            "failed Session Request Delay",
            metrics.failed_session_request_delay,
        ),
        ("Session Disconnect Delay", metrics.session_disconnect_delay),
        ("Session Duration Time", metrics.session_duration_time),
    ];
    let ratios = [
        (
            "Ineffective Registration Attempts",
            metrics.ineffective_registration_attempts,
        ),
        ("Session Establishment Ratio", metrics.session_establishment_ratio),
        (
            "Session Establishment Effectiveness Ratio",
            metrics.session_establishment_effectiveness_ratio,
        ),
        (
            "Ineffective Session Attempts",
            metrics.ineffective_session_attempts,
        ),
        ("Session Completion Ratio", metrics.session_completion_ratio),
    ];
    for (name, delay) in delays.iter().filter(|(_, delay)| delay.count > 0) {
        let _ = writeln!(text, "  {name:<42} {}", delay_text(delay));
    }
    for (name, ratio) in ratios {
        if let Ratio {
            count,
            of,
            percent: Some(percent),
        } = ratio
        {
            let _ = writeln!(text, "  {name:<42} {percent:.1} % ({count} of {of})");
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{}\n{text}", paint(BOLD, "RFC 6076"))
    }
}

fn delay_text(delay: &Delay) -> String {
    format!(
        "{} on average, {} at most ({})",
        span(delay.mean_ms),
        span(delay.max_ms),
        delay.count
    )
}

/// The calls, a line each, with their streams.
pub(super) fn calls(analysis: &Analysis, chosen: &[&Call]) -> String {
    if chosen.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(BOLD, "calls"));
    for call in chosen.iter().take(ROWS) {
        let status = call.status.map_or_else(String::new, |status| {
            format!(" {status} {}", plain(call.reason.as_deref().unwrap_or_default()))
        });
        let mark = match call.outcome {
            Outcome::Completed | Outcome::Up => GREEN,
            Outcome::Cancelled => YELLOW,
            Outcome::Refused | Outcome::Unanswered => RED,
        };
        let what = match call.outcome {
            Outcome::Completed => format!(
                "{} by {}",
                span(call.talk_ms().unwrap_or_default()),
                call.ended_by.map_or("nobody", |by| by.name())
            ),
            Outcome::Up | Outcome::Cancelled | Outcome::Unanswered => String::new(),
            Outcome::Refused => status,
        };
        let by = call
            .answered_by
            .as_ref()
            .filter(|by| **by != call.callee)
            .map_or_else(String::new, |by| format!(" ({})", plain(by)));
        let _ = writeln!(
            text,
            "  {:>4}  {}  {} → {}{by}  {} {}",
            call.number,
            paint(DIM, format!("{:>9.3}", call.started.as_secs_f64())),
            plain(&call.caller),
            plain(&call.callee),
            paint(mark, call.outcome.name()),
            what.trim_start()
        );
        for join in &call.joins {
            let leg = &call.legs[join.leg];
            let guess = if join.is_guess { "guessed: " } else { "" };
            let _ = writeln!(
                text,
                "        {}",
                paint(
                    DIM,
                    format!(
                        "leg {} to {} {}: {guess}{}",
                        join.leg + 1,
                        plain(&leg.callee),
                        leg.outcome.name(),
                        plain(&join.because)
                    )
                )
            );
        }
        for stream in analysis.streams_of(call) {
            let _ = writeln!(text, "        {}", stream_text(stream));
        }
        for side in [Side::Caller, Side::Callee] {
            let digits = call.digits_of(side);
            if !digits.is_empty() {
                let _ = writeln!(text, "        digits of the {} {digits}", side.name());
            }
        }
    }
    if chosen.len() > ROWS {
        let _ = writeln!(text, "  … {} more", chosen.len() - ROWS);
    }
    text
}

fn stream_text(stream: &Stream) -> String {
    let quality = &stream.quality;
    let who = stream.from.map_or("RTP", Side::name);
    let leg = stream
        .leg
        .filter(|leg| *leg > 0)
        .map_or_else(String::new, |leg| format!(" of leg {}", leg + 1));
    let mut text = format!(
        "{who}{leg} {} → {} {}: {} in {}, {:.1} % lost",
        stream.source,
        stream.destination,
        plain(stream.codec().unwrap_or("of an unknown codec")),
        plural(quality.packets as usize, "packet"),
        span(stream.duration_ms()),
        quality.loss_percent
    );
    if let (Some(mean), Some(max)) = (quality.jitter_mean_ms, quality.jitter_max_ms) {
        let _ = write!(text, ", jitter {mean:.1} ms (max {max:.1})");
    }
    if let Some(level) = &stream.level {
        let _ = write!(text, ", {:.0} dBm0", level.mean_dbm0);
    }
    if let Some(mos) = quality.mos {
        let _ = write!(text, ", MOS {mos:.2}");
    }
    if stream.encrypted {
        text += ", encrypted";
    }
    text
}

/// Registrations, and streams that belong to no call.
pub(super) fn rest(analysis: &Analysis) -> String {
    let mut text = String::new();
    if !analysis.registrations.is_empty() {
        let _ = writeln!(text, "\n{}", paint(BOLD, "registrations"));
        for registration in analysis.registrations.iter().take(ROWS) {
            let _ = writeln!(text, "  {}", registration_text(registration));
        }
        if analysis.registrations.len() > ROWS {
            let _ = writeln!(text, "  … {} more", analysis.registrations.len() - ROWS);
        }
    }
    let alone: Vec<&Stream> = analysis
        .streams
        .iter()
        .filter(|stream| stream.call.is_none())
        .collect();
    if !alone.is_empty() {
        let _ = writeln!(text, "\n{}", paint(BOLD, "streams of no call"));
        for stream in alone.iter().take(ROWS) {
            let _ = writeln!(text, "  {}", stream_text(stream));
        }
        if alone.len() > ROWS {
            let _ = writeln!(text, "  … {} more", alone.len() - ROWS);
        }
    }
    text
}

fn registration_text(registration: &Registration) -> String {
    let succeeded = registration
        .attempts
        .iter()
        .filter(|attempt| attempt.succeeded())
        .count();
    let last = registration
        .attempts
        .iter()
        .rev()
        .find(|attempt| attempt.status.is_some());
    let answer = match last {
        Some(attempt) => format!(
            "{} {}",
            attempt.status.unwrap_or_default(),
            plain(attempt.reason.as_deref().unwrap_or_default())
        ),
        None => "no response".to_owned(),
    };
    let state = match last {
        Some(attempt) if attempt.succeeded() && attempt.unregisters => paint(DIM, "unregistered"),
        Some(attempt) if attempt.succeeded() => paint(GREEN, "registered"),
        Some(_) | None => paint(RED, format!("not registered ({answer})")),
    };
    format!(
        "{} at {}: {state}, {succeeded} of {} succeeded",
        plain(&registration.aor),
        registration.server,
        plural(registration.attempts.len(), "attempt")
    )
}

/// What is wrong, the worst first; about some calls only where they are given.
pub(super) fn findings(analysis: &Analysis, about: Option<&[&Call]>) -> String {
    let is_about = |finding: &&Finding| {
        about.is_none_or(|calls| calls.iter().any(|call| super::is_about(finding, call)))
    };
    let mut text = String::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        let found: Vec<&Finding> = analysis
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .filter(is_about)
            .collect();
        for finding in found.iter().take(FINDINGS) {
            text += &finding_text(finding);
        }
        if found.len() > FINDINGS {
            let _ = writeln!(
                text,
                "  … {} more of severity {severity} (--json has all)",
                found.len() - FINDINGS
            );
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\n{}\n{text}", paint(BOLD, "findings"))
    }
}

fn finding_text(finding: &Finding) -> String {
    let style = match finding.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        Severity::Note => DIM,
    };
    let call = finding
        .call
        .map_or_else(String::new, |call| format!("call {}: ", call + 1));
    let packets: Vec<String> = finding.packets.iter().take(5).map(u64::to_string).collect();
    let packets = match packets.len() {
        0 => String::new(),
        1 => format!(", packet {}", packets[0]),
        _ => format!(", packets {}", packets.join(" ")),
    };
    let times = if finding.count > 1 {
        format!(", {} times", finding.count)
    } else {
        String::new()
    };
    format!(
        "  {} {}  {call}{}  {}\n",
        paint(style, format!("{:<7}", finding.severity.name())),
        paint(CYAN, finding.kind),
        plain(&finding.message),
        paint(DIM, format!("({}{packets}{times})", finding.source))
    )
}

/// A time in the unit that suits it.
pub(super) fn span(ms: f64) -> String {
    if ms < 1_000.0 {
        format!("{ms:.1} ms")
    } else if ms < 120_000.0 {
        format!("{:.1} s", ms / 1_000.0)
    } else {
        let seconds = (ms / 1_000.0).round() as u64;
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 {
        format!("1 {what}")
    } else {
        format!("{count} {what}s")
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_peer_does_not_write_to_the_terminal() {
        assert_eq!(
            plain("Busy \u{1b}[31mHere\r\n"),
            "Busy \u{fffd}[31mHere\u{fffd}\u{fffd}"
        );
        assert_eq!(plain("Gebühren → €"), "Gebühren → €");
    }
}
