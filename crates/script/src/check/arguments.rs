//! Arguments that are literals: keys, durations, files, variables, names of scenarios.

use std::collections::BTreeMap;
use std::path::Path;

use callwright_scenario::agent::KEYS;
use callwright_scenario::environment::Environment;
use callwright_scenario::mock::PathPattern;
use callwright_scenario::phone::PhoneSpec;
use callwright_scenario::{Settings, Value, nearest, span};
use rhai::Position;

use super::walk::{Argument, Called, Walked};
use super::{env_file, position};
use crate::api::{HTTP_OPTIONS, SCENARIO_OPTIONS};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) struct Arguments<'a> {
    pub(super) walked: &'a Walked,
    pub(super) folder: &'a Path,
    pub(super) environment: &'a mut Environment,
    pub(super) settings: &'a Settings,
    pub(super) found: Vec<Diagnostic>,
}

/// Functions that take a duration, and its place among the arguments; the object of a method counts as the first.
const DURATIONS: [(&str, usize); 6] = [
    ("await_until", 1),
    ("default_timeout", 0),
    ("wait", 0),
    ("verify_audio", 2),
    ("verify_silence", 1),
    ("dtmf", 2),
];

impl Arguments<'_> {
    pub(super) fn check(&mut self) {
        let walked = self.walked;
        // What `load_env` loads counts for all `env`.
        for call in walked.calls.iter().filter(|call| call.name == "load_env") {
            self.load_env(call);
        }
        let mut names = BTreeMap::new();
        for call in &walked.calls {
            self.durations(call);
            match (call.name.as_str(), call.arguments.as_slice()) {
                ("agent", [name, Argument::Map(keys)]) => self.agent(call, name, keys),
                ("scenario", [Argument::Literal(Value::Text(name), at), rest @ ..]) => {
                    if names.insert(name.clone(), *at).is_some() {
                        self.error(
                            *at,
                            name.chars().count() + 2,
                            format!("there are two scenarios with the name {name:?}"),
                        );
                    }
                    self.option_keys(rest, &SCENARIO_OPTIONS, "option");
                }
                ("scenario_each", [_, _, rest @ ..]) => self.option_keys(rest, &SCENARIO_OPTIONS, "option"),
                ("http", [_, _, rest @ ..]) => self.option_keys(rest, &HTTP_OPTIONS, "option"),
                ("mock_server", rest) => self.option_keys(rest, &["port"], "key"),
                ("send", [_, rest @ ..]) => {
                    self.option_keys(rest, &["headers", "body", "content_type"], "option")
                }
                ("env", [Argument::Literal(Value::Text(name), at)]) => self.env(name, *at),
                ("file", [Argument::Literal(Value::Text(path), at)]) => self.file(path, *at),
                ("regex", [Argument::Literal(Value::Text(pattern), at)]) => {
                    if let Err(fault) = PathPattern::regex(pattern) {
                        self.error(*at, 0, fault.to_string());
                    }
                }
                ("dtmf", [Argument::Literal(Value::Text(digits), at), ..]) => self.digits(digits, *at),
                _ => {}
            }
        }
    }

    fn error(&mut self, at: Position, length: usize, message: String) {
        self.found.push(Diagnostic {
            severity: Severity::Error,
            at: position(&self.walked.file, at),
            length,
            message,
            hints: Vec::new(),
        });
    }

    fn durations(&mut self, call: &Called) {
        let Some((_, place)) = DURATIONS.iter().find(|(name, _)| *name == call.name) else {
            return;
        };
        let place = if call.is_method {
            place.checked_sub(1)
        } else {
            Some(*place)
        };
        if let Some(Argument::Literal(Value::Text(text), at)) =
            place.and_then(|place| call.arguments.get(place))
            && let Err(error) = span::parse(text)
        {
            self.error(*at, text.chars().count() + 2, error.to_string());
        }
    }

    /// The keys of a map that is the next argument.
    fn option_keys(&mut self, arguments: &[Argument], known: &[&str], what: &str) {
        let Some(Argument::Map(keys)) = arguments.first() else {
            return;
        };
        for (key, at, _) in keys {
            if !known.contains(&key.as_str()) {
                let near = nearest::question(key, known.iter().copied());
                self.error(*at, key.chars().count(), format!("unknown {what} `{key}`{near}"));
            }
        }
    }

    /// Unknown and missing keys, and what is wrong with values that are literals.
    fn agent(&mut self, call: &Called, name: &Argument, keys: &[(String, Position, Option<Value>)]) {
        let found = self.found.len();
        let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        self.option_keys(&[Argument::Map(keys.to_vec())], &known, "key");
        if self.found.len() > found {
            return;
        }
        let name = match name {
            Argument::Literal(name, _) => name.text(),
            Argument::Map(_) | Argument::Unknown => "…".to_owned(),
        };
        let mut config = BTreeMap::new();
        for (key, _, value) in keys {
            // A value that only a run can tell stands for itself where one is required.
            let stand_in = matches!(key.as_str(), "username" | "domain").then(|| Value::from("x"));
            if let Some(value) = value.clone().or(stand_in) {
                config.insert(key.clone(), value);
            }
        }
        if let Err(fault) = PhoneSpec::read(&name, &Value::Map(config)) {
            let culprit = keys
                .iter()
                .find(|(key, ..)| fault.to_string().contains(&format!("`{key}`")));
            let (at, length) = culprit.map_or((call.at, 5), |(key, at, _)| (*at, key.chars().count()));
            self.error(at, length, fault.to_string());
        }
    }

    fn load_env(&mut self, call: &Called) {
        let [Argument::Literal(Value::Text(path), at)] = call.arguments.as_slice() else {
            return;
        };
        match env_file(&self.folder.join(path)) {
            Ok(file) => self.environment.load(file),
            Err(error) => self.error(*at, path.chars().count() + 2, error),
        }
    }

    fn env(&mut self, name: &str, at: Position) {
        if self.environment.lookup(name, self.settings).is_some() {
            return;
        }
        let places = self.environment.places(self.settings).join(", ");
        self.found.push(Diagnostic {
            severity: Severity::Warning,
            at: position(&self.walked.file, at),
            length: name.chars().count() + 2,
            message: format!("the variable {name} is not set here"),
            hints: vec![format!("looked in {places}")],
        });
    }

    fn file(&mut self, path: &str, at: Position) {
        let full = self.folder.join(path);
        if !full.is_file() {
            self.error(
                at,
                path.chars().count() + 2,
                format!("there is no file {}", full.display()),
            );
        }
    }

    fn digits(&mut self, digits: &str, at: Position) {
        let wrong = digits
            .chars()
            .find(|c| !c.is_whitespace() && !"0123456789*#ABCDabcd".contains(*c));
        if let Some(wrong) = wrong {
            let message = format!("dtmf: {wrong:?} is no digit; digits are 0-9 * # A-D");
            self.error(at, digits.chars().count() + 2, message);
        }
    }
}
