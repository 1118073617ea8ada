//! Which scenarios of a run are selected.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use super::Registration;

/// What the user wants to run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names; a scenario passes with any of them, all pass when there is none.
    pub names: Vec<NamePattern>,
    /// Tags; a scenario passes with any of them, all pass when there is none.
    pub tags: Vec<String>,
    /// Tags that exclude.
    pub exclude_tags: Vec<String>,
}

/// A pattern for names: a substring in any case, or after `re:` a regular expression.
#[derive(Clone, Debug)]
pub enum NamePattern {
    /// Lower case.
    Substring(String),
    /// As it is.
    Regex(Regex),
}

/// A pattern that is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is not a regular expression: {error}")]
pub struct PatternError {
    pattern: String,
    error: regex::Error,
}

/// One of several parts of a run, by which machines share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: usize,
    /// How many.
    pub count: usize,
}

/// A shard that is not `I/N`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no shard; write I/N with I from 1 to N, as in 1/3")]
pub struct ShardError {
    text: String,
}

impl Selection {
    /// Whether a scenario is selected, but for `only`.
    pub(super) fn passes(&self, scenario: &Registration) -> bool {
        let named = self.names.is_empty() || self.names.iter().any(|pattern| pattern.matches(&scenario.name));
        let has = |tag: &String| scenario.tags.contains(tag);
        let tagged = self.tags.is_empty() || self.tags.iter().any(has);
        named && tagged && !self.exclude_tags.iter().any(has)
    }

    /// What was asked for, for the message that nothing was found.
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.names.iter().map(|name| format!("--scenario {name}")));
        parts.extend(self.tags.iter().map(|tag| format!("--tag {tag}")));
        parts.extend(self.exclude_tags.iter().map(|tag| format!("--exclude-tag {tag}")));
        parts.join(" ")
    }
}

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            NamePattern::Substring(part) => name.to_lowercase().contains(part),
            NamePattern::Regex(regex) => regex.is_match(name),
        }
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        match text.strip_prefix("re:") {
            None => Ok(NamePattern::Substring(text.to_lowercase())),
            Some(pattern) => RegexBuilder::new(pattern)
                .build()
                .map(NamePattern::Regex)
                .map_err(|error| PatternError {
                    pattern: pattern.to_owned(),
                    error,
                }),
        }
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NamePattern::Substring(part) => write!(f, "{part:?}"),
            NamePattern::Regex(regex) => write!(f, "\"re:{regex}\""),
        }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let numbers = text.split_once('/').and_then(|(index, count)| {
            Some(Shard {
                index: index.trim().parse().ok()?,
                count: count.trim().parse().ok()?,
            })
        });
        numbers
            .filter(|shard| (1..=shard.count).contains(&shard.index))
            .ok_or_else(|| ShardError {
                text: text.to_owned(),
            })
    }
}

impl Shard {
    /// Whether the `position`th selected scenario belongs to it.
    pub(super) fn has(self, position: usize) -> bool {
        position % self.count == self.index - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    fn scenario(name: &str, tags: &[&str]) -> Registration {
        Registration {
            name: name.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            skip: None,
            only: false,
            timeout: None,
            retries: None,
            expect_fail: None,
            at: Position::file("a.rhai"),
        }
    }

    #[test]
    fn names_and_tags_select_together() {
        let selection = Selection {
            names: vec!["ANSWER".parse().unwrap(), "re:^re.*d$".parse().unwrap()],
            tags: vec!["smoke".to_owned()],
            exclude_tags: vec!["slow".to_owned()],
        };
        assert!(selection.passes(&scenario("an answered call", &["smoke"])));
        assert!(selection.passes(&scenario("rejected", &["smoke", "x"])));
        assert!(!selection.passes(&scenario("rejected call", &["smoke"])));
        assert!(!selection.passes(&scenario("answered", &[])));
        assert!(!selection.passes(&scenario("answered", &["smoke", "slow"])));
        assert!(Selection::default().passes(&scenario("x", &[])));
        assert!("re:(".parse::<NamePattern>().is_err());
    }

    #[test]
    fn shards_share_everything_once() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].map(|text| text.parse().unwrap()).into();
        for position in 0..10 {
            assert_eq!(shards.iter().filter(|shard| shard.has(position)).count(), 1);
        }
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
