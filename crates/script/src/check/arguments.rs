//! Arguments that are literals: keys, durations, files, variables, names of scenarios.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callwright_scenario::agent::KEYS;
use callwright_scenario::environment::Environment;
use callwright_scenario::mock::PathPattern;
use callwright_scenario::network::{self, KEYS as CONDITIONS};
use callwright_scenario::phone::PhoneSpec;
use callwright_scenario::{Settings, Value, nearest, span};
use rhai::{AST, Expr, Position, Stmt};

use super::names::Known;
use super::walk::{Argument, Called, Walked};
use super::{env_file, position};
use crate::api::{HTTP_OPTIONS, SCENARIO_OPTIONS, registration};
use crate::convert::to_dynamic;
use crate::diagnostic::{Diagnostic, Severity};
use crate::language;

pub(super) struct Arguments<'a> {
    pub(super) walked: &'a Walked,
    pub(super) known: &'a Known<'a>,
    pub(super) folder: &'a Path,
    pub(super) environment: &'a mut Environment,
    pub(super) settings: &'a Settings,
    pub(super) found: Vec<Diagnostic>,
}

/// Functions that take a duration, and its place among the arguments; the object of a method counts as the first.
const DURATIONS: [(&str, usize); 7] = [
    ("advance", 0),
    ("await_until", 1),
    ("default_timeout", 0),
    ("wait", 0),
    ("verify_audio", 2),
    ("verify_silence", 1),
    ("dtmf", 2),
];

const SEND_OPTIONS: [&str; 3] = ["headers", "body", "content_type"];

/// What of the language is a function of something, and is called as a function or a method: its arguments are checked
/// where the object is certain; where it is not, it may be a map of the script.
impl Arguments<'_> {
    pub(super) fn check(&mut self, ast: &AST) {
        let walked = self.walked;
        // What `load_env` loads counts for all `env`.
        for call in walked.calls.iter().filter(|call| call.name == "load_env") {
            self.load_env(call);
        }
        for call in &walked.calls {
            if !self.is_ours(call) {
                continue;
            }
            let before = self.found.len();
            self.durations(call);
            self.call(call);
            if call.is_method && call.object.is_none() {
                for found in &mut self.found[before..] {
                    found.severity = Severity::Warning;
                }
            }
        }
        self.twins(ast);
    }

    /// Whether a call can only mean the function of the language, as far as that is known.
    fn is_ours(&self, call: &Called) -> bool {
        if self.known.has(&call.name) {
            return false;
        }
        match call.object {
            Some(object) => language::members_of(object).any(|member| member == call.name),
            None => !call.is_method || !self.known.is_key(&call.name),
        }
    }

    fn call(&mut self, call: &Called) {
        match (call.name.as_str(), call.arguments.as_slice()) {
            ("agent", [name, Argument::Map(keys)]) => self.agent(call, name, keys),
            ("scenario", [name, rest @ ..]) | ("scenario_each", [name, _, rest @ ..]) => {
                self.scenario_options(name, rest);
            }
            ("http", [_, _, rest @ ..]) => self.option_keys(rest, &HTTP_OPTIONS, "option"),
            ("network", [Argument::Map(keys)] | [_, _, Argument::Map(keys)]) => self.network(keys),
            ("mock_server", rest) => self.option_keys(rest, &["port"], "key"),
            ("send", [_, rest @ ..]) if call.is_method => {
                self.option_keys(rest, &SEND_OPTIONS, "option");
            }
            ("send", [_, _, rest @ ..]) => self.option_keys(rest, &SEND_OPTIONS, "option"),
            ("env", [Argument::Literal(Value::Text(name), at)]) => self.env(name, *at),
            ("file", [Argument::Literal(Value::Text(path), at)]) => self.file(path, *at),
            ("regex", [Argument::Literal(Value::Text(pattern), at)]) => {
                if let Err(fault) = PathPattern::regex(pattern) {
                    self.error(*at, 0, fault.to_string());
                }
            }
            ("dtmf", [Argument::Literal(Value::Text(digits), at), ..]) if call.is_method => {
                self.digits(digits, *at);
            }
            ("dtmf", [_, Argument::Literal(Value::Text(digits), at), ..]) => self.digits(digits, *at),
            _ => {}
        }
    }

    /// Two scenarios of one name that are both registered: other statements than those of the top level may not be
    /// reached, or not both.
    fn twins(&mut self, ast: &AST) {
        if self.known.has("scenario") {
            return;
        }
        let mut names = BTreeSet::new();
        for statement in ast.statements() {
            let call = match statement {
                Stmt::FnCall(call, _) => call,
                Stmt::Expr(expression) => match &**expression {
                    Expr::FnCall(call, _) => call,
                    _ => continue,
                },
                _ => continue,
            };
            if call.name == "scenario"
                && call.namespace.is_empty()
                && let Some(Expr::StringConstant(name, at)) = call.args.first()
                && !names.insert(name.clone())
            {
                let message = format!("there are two scenarios with the name {:?}", name.as_str());
                self.error(*at, name.chars().count() + 2, message);
            }
        }
    }

    fn error(&mut self, at: Position, length: usize, message: String) {
        let at = position(&self.walked.file, at);
        self.found.push(Diagnostic::error(at, length, message));
    }

    /// What may be right when it comes to it: a file can be made meanwhile.
    fn warning(&mut self, at: Position, length: usize, message: String) {
        let at = position(&self.walked.file, at);
        self.found.push(Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(at, length, message)
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

    /// Unknown options of scenarios, and values that cannot be meant.
    fn scenario_options(&mut self, name: &Argument, rest: &[Argument]) {
        let found = self.found.len();
        self.option_keys(rest, &SCENARIO_OPTIONS, "option");
        let (Some(Argument::Map(keys)), true) = (rest.first(), self.found.len() == found) else {
            return;
        };
        let name = match name {
            Argument::Literal(name, _) => name.text(),
            Argument::Map(_) | Argument::Unknown => "…".to_owned(),
        };
        for (key, at, value) in keys {
            let Some(value) = value else {
                continue;
            };
            let option = rhai::Map::from([(key.as_str().into(), to_dynamic(value))]);
            let place = position(&self.walked.file, *at);
            if let Err(fault) = registration(&place, name.clone(), Some(&option)) {
                self.error(*at, key.chars().count(), fault.to_string());
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

    /// Unknown conditions, and what is wrong with values that are literals.
    fn network(&mut self, keys: &[(String, Position, Option<Value>)]) {
        let found = self.found.len();
        let known: Vec<&str> = CONDITIONS.iter().map(|key| key.name).collect();
        self.option_keys(&[Argument::Map(keys.to_vec())], &known, "key");
        // What one key means may depend on another, that only a run can tell.
        let Some(values) = keys
            .iter()
            .map(|(key, _, value)| Some((key.clone(), value.clone()?)))
            .collect::<Option<BTreeMap<_, _>>>()
        else {
            return;
        };
        if self.found.len() == found
            && let Err(fault) = network::read(&Value::Map(values))
        {
            let culprit = keys
                .iter()
                .find(|(key, ..)| fault.to_string().contains(&format!(": `{key}`:")));
            if let Some((key, at, _)) = culprit {
                self.error(*at, key.chars().count(), fault.to_string());
            }
        }
    }

    fn load_env(&mut self, call: &Called) {
        let [Argument::Literal(Value::Text(path), at)] = call.arguments.as_slice() else {
            return;
        };
        match env_file(&self.folder.join(path)) {
            Ok(file) => self.environment.load(file),
            Err(error) => self.warning(*at, path.chars().count() + 2, error),
        }
    }

    fn env(&mut self, name: &str, at: Position) {
        if self.environment.lookup(name, self.settings).is_some() {
            return;
        }
        let places = self.environment.places(self.settings).join(", ");
        self.warning(
            at,
            name.chars().count() + 2,
            format!("the variable {name} is not set here"),
        );
        if let Some(found) = self.found.last_mut() {
            found.hints.push(format!("looked in {places}"));
        }
    }

    fn file(&mut self, path: &str, at: Position) {
        let full = self.folder.join(path);
        if !full.is_file() {
            self.warning(
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
