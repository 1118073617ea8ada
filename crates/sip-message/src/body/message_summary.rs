//! `application/simple-message-summary` (RFC 3842 §5.2).

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use crate::grammar::{self, SyntaxError};

/// What waits in a mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MessageSummary {
    /// `Messages-Waiting`.
    pub waiting: bool,
    /// `Message-Account`, a URI as on the wire.
    pub account: Option<SmolStr>,
    /// The counts of each message context class, as spelled: `Voice-Message`, `Fax-Message`, …
    pub counts: Vec<(SmolStr, MessageCounts)>,
}

/// Messages of one class; those marked urgent are counted in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct MessageCounts {
    /// New messages.
    pub new: u32,
    /// Old messages.
    pub old: u32,
    /// New and urgent, old and urgent.
    pub urgent: Option<(u32, u32)>,
}

impl MessageSummary {
    /// The counts of `Voice-Message`.
    pub fn voice(&self) -> Option<MessageCounts> {
        self.counts
            .iter()
            .find(|(class, _)| class.eq_ignore_ascii_case("voice-message"))
            .map(|(_, counts)| *counts)
    }
}

impl FromStr for MessageSummary {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut waiting = None;
        let mut account = None;
        let mut counts = Vec::new();
        for line in text.lines() {
            // The optional message headers follow an empty line.
            if grammar::trim(line).is_empty() {
                break;
            }
            let at = grammar::offset(text, line);
            let (name, value) = line.split_once(':').ok_or(SyntaxError {
                expected: "`name: value`",
                at,
            })?;
            let (name, value) = (grammar::trim(name), grammar::trim(value));
            if name.eq_ignore_ascii_case("messages-waiting") {
                waiting = Some(match value.to_ascii_lowercase().as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => {
                        return Err(SyntaxError {
                            expected: "`yes` or `no`",
                            at: grammar::offset(text, value),
                        });
                    }
                });
            } else if name.eq_ignore_ascii_case("message-account") {
                account = Some(SmolStr::new(value));
            } else if grammar::is_token(name) {
                let error = SyntaxError {
                    expected: "`new/old (urgent new/urgent old)`",
                    at: grammar::offset(text, value),
                };
                counts.push((SmolStr::new(name), parse_counts(value).ok_or(error)?));
            } else {
                return Err(SyntaxError {
                    expected: "a message class",
                    at,
                });
            }
        }
        let waiting = waiting.ok_or(SyntaxError {
            expected: "`Messages-Waiting`",
            at: 0,
        })?;
        Ok(MessageSummary {
            waiting,
            account,
            counts,
        })
    }
}

/// `new/old`, then perhaps `(urgent new/urgent old)`.
fn parse_counts(value: &str) -> Option<MessageCounts> {
    let (plain, urgent) = match value.split_once('(') {
        Some((plain, rest)) => (plain, Some(pair(grammar::trim(rest).strip_suffix(')')?)?)),
        None => (value, None),
    };
    let (new, old) = pair(plain)?;
    Some(MessageCounts { new, old, urgent })
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let (new, old) = text.split_once('/')?;
    Some((
        grammar::number(grammar::trim(new))?,
        grammar::number(grammar::trim(old))?,
    ))
}

impl fmt::Display for MessageSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Messages-Waiting: {}\r\n",
            if self.waiting { "yes" } else { "no" }
        )?;
        if let Some(account) = &self.account {
            write!(f, "Message-Account: {account}\r\n")?;
        }
        for (class, counts) in &self.counts {
            write!(f, "{class}: {}/{}", counts.new, counts.old)?;
            if let Some((new, old)) = counts.urgent {
                write!(f, " ({new}/{old})")?;
            }
            f.write_str("\r\n")?;
        }
        Ok(())
    }
}
