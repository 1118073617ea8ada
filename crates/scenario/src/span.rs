//! Spans of time, as scenarios write them: `"250ms"`, `"1.5s"`, `"2m"`, `"1h"`.

use std::time::Duration;

/// Why a text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// A number alone.
    #[error("{text:?} has no unit; write \"{text}s\" for seconds, or use ms, m or h")]
    NoUnit {
        /// The text.
        text: String,
    },
    /// Anything else.
    #[error("{text:?} is not a duration; write it as \"250ms\", \"1.5s\", \"2m\" or \"1h\"")]
    NotASpan {
        /// The text.
        text: String,
    },
}

/// Reads a span.
///
/// # Errors
/// When it is not a number with one of the units `ms`, `s`, `m`, `h`.
pub fn parse(text: &str) -> Result<Duration, SpanError> {
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let not_a_span = || SpanError::NotASpan {
        text: text.to_owned(),
    };
    let amount: f64 = number.parse().map_err(|_| not_a_span())?;
    let seconds = match unit.trim() {
        "ms" => amount / 1000.0,
        "s" => amount,
        "m" => amount * 60.0,
        "h" => amount * 3600.0,
        "" => {
            return Err(SpanError::NoUnit {
                text: trimmed.to_owned(),
            });
        }
        _ => return Err(not_a_span()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| not_a_span())
}

/// A span for people: `250 ms`, `5 s`, `1.5 s`.
pub fn text(span: Duration) -> String {
    let millis = span.as_millis();
    if millis < 1000 {
        format!("{millis} ms")
    } else {
        let seconds = format!("{:.2}", span.as_secs_f64());
        format!("{} s", seconds.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert!(parse("10").unwrap_err().to_string().contains("no unit"));
        for wrong in ["", "s", "-1s", "1 day", "1.2.3s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
