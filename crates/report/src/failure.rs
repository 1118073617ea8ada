//! The story of a failure: what was wrong, where, what was expected, what was there, how it changed, what was on the
//! wire, and what the reader can do.

use std::fmt::Write as _;

use callwright_events::{Failure, SipDirection, SipLine};

use crate::console::{BOLD, CYAN, DIM, GREEN, RED, YELLOW, indented, paint, span};

/// The first and the last messages shown when there are many.
const SHOWN_MESSAGES: usize = 40;
/// The first and the last values shown when there are many.
const SHOWN_VALUES: usize = 12;

/// The failure as lines of text, indented below its scenario.
pub(crate) fn render(failure: &Failure) -> String {
    let mut text = String::new();
    // `path:line:column` first, so that editors and CI find the place.
    let place = failure
        .location
        .as_ref()
        .map(|location| format!("{location}: "))
        .unwrap_or_default();
    let headline = headline(failure);
    let mut message = headline.lines();
    let _ = writeln!(
        text,
        "    {place}{}",
        paint(RED, message.next().unwrap_or("failed"))
    );
    text += &indented(&message.collect::<Vec<_>>().join("\n"), 6);
    text += &excerpt(failure);
    if let Some(expected) = &failure.expected {
        let _ = writeln!(
            text,
            "      {} {}",
            paint(BOLD, "expected"),
            paint(GREEN, expected)
        );
    }
    if let Some(actual) = &failure.actual {
        let waited = failure
            .waited_ms
            .map(|ms| paint(DIM, format!("  after waiting {}", span(ms))))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "      {}   {}{waited}",
            paint(BOLD, "actual"),
            paint(RED, actual)
        );
    } else if let Some(waited) = failure.waited_ms {
        let _ = writeln!(text, "      waited {}", span(waited));
    }
    text += &history(failure);
    for location in &failure.trace {
        let _ = writeln!(text, "      {} {location}", paint(DIM, "called from"));
    }
    text += &agents(failure);
    text += &messages(failure);
    for file in &failure.files {
        let _ = writeln!(text, "      {} {file}", paint(BOLD, "evidence"));
    }
    for hint in &failure.hints {
        let _ = writeln!(text, "      {} {}", paint(YELLOW, "hint"), hint.0);
    }
    text
}

/// The first line. What is expected and what is there follow below it, so it does not say them, too.
fn headline(failure: &Failure) -> String {
    let (Some(_), Some(actual)) = (&failure.expected, &failure.actual) else {
        return failure.message.clone();
    };
    let Some((before, rest)) = failure.message.split_once("expected ") else {
        return failure.message.clone();
    };
    if !rest.contains(actual.as_str()) {
        return failure.message.clone();
    }
    match before.trim_end().trim_end_matches(':') {
        "" => "the value is not as expected".to_owned(),
        subject => format!("{subject} is not as expected"),
    }
}

/// What each agent said of itself in the end.
fn agents(failure: &Failure) -> String {
    if failure.agents.is_empty() {
        return String::new();
    }
    let width = failure
        .agents
        .iter()
        .map(|line| line.agent.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = format!("      {}\n", paint(BOLD, "agents in the end"));
    for line in &failure.agents {
        let pad = " ".repeat(width - line.agent.chars().count());
        let _ = writeln!(
            text,
            "        {}{pad}  {}",
            paint(CYAN, &line.agent),
            line.summary
        );
    }
    text
}

fn excerpt(failure: &Failure) -> String {
    let (Some(location), Some(line)) = (&failure.location, &failure.excerpt) else {
        return String::new();
    };
    let number = location.line.to_string();
    let gutter = " ".repeat(number.len());
    let length = failure.excerpt_length.unwrap_or(1).max(1);
    let before: String = line
        .chars()
        .take(location.column.saturating_sub(1))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    format!(
        "      {}\n      {} {line}\n      {} {before}{}\n",
        paint(DIM, format!("{gutter} |")),
        paint(DIM, format!("{number} |")),
        paint(DIM, format!("{gutter} |")),
        paint(RED, "^".repeat(length)),
    )
}

fn history(failure: &Failure) -> String {
    if failure.history.len() < 2 {
        return String::new();
    }
    let total = failure.history.len();
    let mut text = format!("      {}\n", paint(BOLD, "while waiting"));
    for (index, seen) in failure.history.iter().enumerate() {
        if total > SHOWN_VALUES && index == SHOWN_VALUES / 2 {
            let _ = writeln!(
                text,
                "        {}",
                paint(DIM, format!("… {} more", total - SHOWN_VALUES))
            );
        }
        if total > SHOWN_VALUES && (SHOWN_VALUES / 2..total - SHOWN_VALUES / 2).contains(&index) {
            continue;
        }
        let _ = writeln!(
            text,
            "        {}  {}",
            paint(DIM, format!("{:>8}", span(seen.t_ms))),
            seen.value
        );
    }
    text
}

fn messages(failure: &Failure) -> String {
    let total = failure.messages.len();
    if total == 0 {
        return String::new();
    }
    let mut text = format!("      {}\n", paint(BOLD, "SIP messages"));
    if failure.messages_dropped > 0 {
        let _ = writeln!(
            text,
            "        {}",
            paint(DIM, format!("{} earlier ones dropped", failure.messages_dropped))
        );
    }
    let width = failure
        .messages
        .iter()
        .map(|line| line.agent.chars().count())
        .max()
        .unwrap_or(0);
    for (index, line) in failure.messages.iter().enumerate() {
        if total > SHOWN_MESSAGES && index == SHOWN_MESSAGES / 2 {
            let _ = writeln!(
                text,
                "        {}",
                paint(DIM, format!("… {} more", total - SHOWN_MESSAGES))
            );
        }
        if total > SHOWN_MESSAGES && (SHOWN_MESSAGES / 2..total - SHOWN_MESSAGES / 2).contains(&index) {
            continue;
        }
        text += &message(line, width);
    }
    text
}

fn message(line: &SipLine, width: usize) -> String {
    let arrow = match line.direction {
        SipDirection::Sent => "→",
        SipDirection::Received => "←",
    };
    let again = if line.retransmission {
        paint(YELLOW, " (again)")
    } else {
        String::new()
    };
    let pad = " ".repeat(width.saturating_sub(line.agent.chars().count()));
    format!(
        "        {}  {}{pad} {arrow} {:<21}  {}{again}\n",
        paint(DIM, format!("{:>8}", span(line.t_ms))),
        paint(CYAN, &line.agent),
        line.peer,
        line.summary,
    )
}
