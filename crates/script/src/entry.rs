//! The table of the language: each function once, with its documentation.

use rhai::{Engine, FuncRegistration, RhaiNativeFunc, Variant};

/// What a function is about: a chapter of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Scenarios, waiting, variables.
    TopLevel,
    /// Agents and what they do.
    Agents,
    /// What agents say about themselves.
    Getters,
    /// Single calls of an agent.
    Calls,
    /// SIP messages.
    Messages,
    /// Tones, files, listening.
    Audio,
    /// Assertions and matchers.
    Assertions,
    /// HTTP requests.
    Http,
    /// Mock servers.
    MockServers,
    /// Conditions of the network.
    Network,
}

impl Section {
    /// All sections, in the order of the reference.
    pub const ALL: [Section; 10] = [
        Section::TopLevel,
        Section::Agents,
        Section::Getters,
        Section::Calls,
        Section::Messages,
        Section::Audio,
        Section::Assertions,
        Section::Http,
        Section::MockServers,
        Section::Network,
    ];

    /// The title of the chapter.
    pub const fn title(self) -> &'static str {
        match self {
            Section::TopLevel => "Top level",
            Section::Agents => "Agents: verbs",
            Section::Getters => "Agents: getters",
            Section::Calls => "Calls",
            Section::Messages => "SIP messages",
            Section::Audio => "Audio",
            Section::Assertions => "Assertions and matchers",
            Section::Http => "HTTP",
            Section::MockServers => "HTTP mock servers",
            Section::Network => "Network",
        }
    }
}

/// How a thing is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `name(…)`, or `first.name(…)`.
    Function,
    /// `first.name`.
    Getter,
    /// `name`.
    Constant,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type; several are separated by `|`, and none means any.
    pub kind: String,
}

impl Parameter {
    /// Whether it takes any value.
    pub(crate) fn is_any(&self) -> bool {
        self.kind.is_empty() || self.kind == "?"
    }
}

/// One thing that scripts can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its chapter.
    pub section: Section,
    /// How it is used.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its parameters; of a getter the object alone.
    pub parameters: Vec<Parameter>,
    /// What it gives; `()` for nothing.
    pub returns: String,
    /// What it does, in Markdown.
    pub doc: String,
}

impl Entry {
    /// Reads `name(a: A, b: B) -> R`, `get name(a: A) -> R` or `const NAME: R`.
    fn read(section: Section, signature: &str, doc: &str) -> Entry {
        let (kind, rest) = match (signature.strip_prefix("get "), signature.strip_prefix("const ")) {
            (Some(rest), _) => (Kind::Getter, rest),
            (_, Some(rest)) => (Kind::Constant, rest),
            _ => (Kind::Function, signature),
        };
        let entry = |name: &str, parameters, returns: &str| Entry {
            section,
            kind,
            name: name.to_owned(),
            parameters,
            returns: returns.to_owned(),
            doc: doc.trim().to_owned(),
        };
        let pair = |text: &str| {
            let (name, kind) = text.split_once(':').unwrap_or((text, ""));
            Parameter {
                name: name.trim().to_owned(),
                kind: kind.trim().to_owned(),
            }
        };
        let Some((name, rest)) = rest.split_once('(') else {
            let constant = pair(rest);
            return entry(&constant.name, Vec::new(), &constant.kind);
        };
        let (parameters, returns) = rest
            .rsplit_once(") -> ")
            .unwrap_or((rest.trim_end_matches(')'), "()"));
        let parameters = parameters
            .split(',')
            .filter(|text| !text.trim().is_empty())
            .map(pair)
            .collect();
        entry(name, parameters, returns)
    }

    /// `name(a: A, b: B) -> R`; of a getter `a.name -> R`.
    pub fn signature(&self) -> String {
        let returns = if self.returns == "()" {
            String::new()
        } else {
            format!(" -> {}", self.returns)
        };
        match self.kind {
            Kind::Constant => format!("{}: {}", self.name, self.returns),
            Kind::Getter => {
                let object = self
                    .parameters
                    .first()
                    .map_or("", |parameter| parameter.name.as_str());
                format!("{object}.{}{returns}", self.name)
            }
            Kind::Function => {
                let parameters: Vec<String> = self.parameters.iter().map(Parameter::to_string).collect();
                format!("{}({}){returns}", self.name, parameters.join(", "))
            }
        }
    }
}

impl std::fmt::Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.kind.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}: {}", self.name, self.kind)
        }
    }
}

/// The engine and the table, while both are filled.
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) entries: Vec<Entry>,
    section: Section,
}

impl Api {
    pub(crate) fn new(engine: Engine) -> Self {
        Api {
            engine,
            entries: Vec::new(),
            section: Section::TopLevel,
        }
    }

    /// What is added from now on belongs to this chapter.
    pub(crate) fn section(&mut self, section: Section) -> &mut Self {
        self.section = section;
        self
    }

    /// Adds a function or a getter: its signature, its documentation, and what it does.
    pub(crate) fn add<A: 'static, const N: usize, const X: bool, R: Variant + Clone, const F: bool>(
        &mut self,
        signature: &str,
        doc: &str,
        function: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) -> &mut Self {
        let entry = Entry::read(self.section, signature, doc);
        let registration = match entry.kind {
            Kind::Getter => FuncRegistration::new_getter(&entry.name),
            Kind::Function | Kind::Constant => FuncRegistration::new(&entry.name),
        };
        let mut info: Vec<String> = entry.parameters.iter().map(Parameter::to_string).collect();
        info.push(entry.returns.clone());
        registration
            .in_global_namespace()
            .with_params_info(info)
            .with_comments(entry.doc.lines().map(|line| format!("/// {line}")))
            .register_into_engine(&mut self.engine, function);
        self.entries.push(entry);
        self
    }

    /// Adds something to the table that the engine has already.
    pub(crate) fn describe(&mut self, signature: &str, doc: &str) -> &mut Self {
        self.entries.push(Entry::read(self.section, signature, doc));
        self
    }
}
