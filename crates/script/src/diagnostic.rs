//! What is wrong with a script, shown in its source.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use callwright_scenario::{Fault, Position};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It may work.
    Warning,
}

/// Something that is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub at: Position,
    /// How many characters are meant, from there on; 0 for the place alone.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What the reader can do.
    pub hints: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn error(at: Position, length: usize, message: String) -> Self {
        Diagnostic {
            severity: Severity::Error,
            at,
            length,
            message,
            hints: Vec::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// `path:line:column: error: …`, and below it the line of the source with the place marked.
    pub fn render(&self, source: Option<&str>, colour: bool) -> String {
        let (word, level) = match self.severity {
            Severity::Error => ("error", Level::ERROR),
            Severity::Warning => ("warning", Level::WARNING),
        };
        let mut text = format!("{}: {word}: {}\n", self.at, self.message);
        let lines = source
            .map(|source| source.lines().collect::<Vec<_>>())
            .unwrap_or_default();
        let line = usize::try_from(self.at.line)
            .ok()
            .and_then(|line| lines.get(line.checked_sub(1)?));
        if let Some(line) = line {
            let span = self.span(line);
            let snippet = Snippet::source(*line)
                .line_start(self.at.line as usize)
                .annotation(AnnotationKind::Primary.span(span));
            let group = Group::with_level(level).element(snippet);
            let renderer = if colour {
                Renderer::styled()
            } else {
                Renderer::plain()
            };
            text.push_str(renderer.render(&[group]).trim_end_matches('\n'));
            text.push('\n');
        }
        for hint in &self.hints {
            text.push_str(&format!("  = {hint}\n"));
        }
        text
    }

    /// The bytes of the line that are meant.
    fn span(&self, line: &str) -> std::ops::Range<usize> {
        let column = usize::try_from(self.at.column).unwrap_or(0).saturating_sub(1);
        let byte = |column: usize| {
            line.char_indices()
                .nth(column)
                .map_or(line.len(), |(byte, _)| byte)
        };
        let length = if self.length == 0 {
            word_at(line, byte(column))
        } else {
            self.length
        };
        byte(column)..byte(column + length.max(1)).max(byte(column))
    }
}

/// How many characters the word at a place has.
fn word_at(line: &str, byte: usize) -> usize {
    line[byte..]
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .count()
}

impl From<&Fault> for Diagnostic {
    fn from(fault: &Fault) -> Self {
        let parts = fault.parts();
        Diagnostic {
            severity: Severity::Error,
            at: parts.at.clone().unwrap_or_else(|| Position::file("")),
            length: 0,
            message: parts.message.clone(),
            hints: parts.hints.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_marked_in_its_line() {
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            at: Position::new("a.rhai", 2, 1),
            length: 0,
            message: "unknown function `asert`; did you mean `assert`?".to_owned(),
            hints: vec!["it is there".to_owned()],
        };
        insta::assert_snapshot!(diagnostic.render(Some("let a = 1;\nasert(a);\n"), false), @r"
        a.rhai:2:1: error: unknown function `asert`; did you mean `assert`?
          |
        2 | asert(a);
          | ^^^^^
          = it is there
        ");
    }
}
