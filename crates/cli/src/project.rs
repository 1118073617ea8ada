//! `callwright.toml`: what a team shares beside its scenarios.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use callwright_scenario::nearest;
use serde::Deserialize;

use crate::servers::{Entry, EntryError, Server};

/// The name of the file.
const NAME: &str = "callwright.toml";

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Project {
    /// Where it was found.
    #[serde(skip)]
    pub(crate) path: Option<PathBuf>,
    /// Defaults of `run`.
    #[serde(default)]
    pub(crate) run: Defaults,
    /// Variables for env(…), behind every other place.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Defaults by profile: they go before those of `[run]`.
    #[serde(default)]
    pub(crate) profile: BTreeMap<String, Profile>,
    /// Servers as they are written.
    #[serde(default)]
    server: Vec<toml::Spanned<Entry>>,
    /// Servers to start before the run.
    #[serde(skip)]
    servers: Vec<Server>,
}

/// A profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Profile {
    #[serde(default)]
    pub(crate) run: Defaults,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

/// Defaults of the flags of `run`, by the same names. Without one are what is meant for one run only: `--scenario`, `--json`
/// and `--profile`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Defaults {
    pub(crate) jobs: Option<u16>,
    pub(crate) retries: Option<u32>,
    pub(crate) flaky: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) default_timeout: Option<String>,
    pub(crate) network: Option<String>,
    pub(crate) repeat: Option<u32>,
    pub(crate) fail_fast: Option<bool>,
    pub(crate) seed: Option<u64>,
    pub(crate) simulate: Option<bool>,
    #[serde(default)]
    pub(crate) tag: Vec<String>,
    #[serde(default)]
    pub(crate) exclude_tag: Vec<String>,
    #[serde(default)]
    pub(crate) env_file: Vec<PathBuf>,
    pub(crate) junit: Option<PathBuf>,
    pub(crate) capture: Option<PathBuf>,
    pub(crate) insecure_http: Option<bool>,
    pub(crate) shard: Option<String>,
    #[serde(default)]
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) logs: Option<bool>,
    pub(crate) save_audio: Option<PathBuf>,
    pub(crate) quiet: Option<bool>,
    pub(crate) verbose: Option<bool>,
    pub(crate) no_color: Option<bool>,
}

/// Why there is no project to go by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}:{line}:{column}: {message}")]
    Syntax {
        path: PathBuf,
        line: usize,
        column: usize,
        message: String,
    },
    #[error(transparent)]
    Callcenter(callwright_callcenter::SettingsError),
    #[error("there is no profile {name:?}{known}")]
    NoProfile { name: String, known: String },
}

impl Project {
    /// The file beside the first path, or in the nearest folder above it; none is fine.
    pub(crate) fn find(paths: &[PathBuf]) -> Result<Project, ProjectError> {
        let start = paths.first().map_or(Path::new("."), PathBuf::as_path);
        // Without `..`, which would lead through folders that are not above it.
        let start = std::fs::canonicalize(start).unwrap_or_else(|_| start.to_owned());
        let file = start
            .ancestors()
            .map(|folder| folder.join(NAME))
            .find(|file| file.is_file());
        match file {
            Some(file) => Project::read(&file),
            None => Ok(Project::default()),
        }
    }

    fn read(path: &Path) -> Result<Project, ProjectError> {
        let text = std::fs::read_to_string(path).map_err(|error| ProjectError::Read {
            path: path.to_owned(),
            error,
        })?;
        let wrong = |span: Option<std::ops::Range<usize>>, message: String| {
            let at = span.map_or(0, |span| span.start).min(text.len());
            let before = &text[..at];
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            ProjectError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: text[line_start..at].chars().count() + 1,
                message,
            }
        };
        let mut project: Project =
            toml::from_str(&text).map_err(|error| wrong(error.span(), explained(error.message())))?;
        // Paths in the file are relative to it.
        let folder = path.parent().unwrap_or(Path::new("."));
        let profiles = project.profile.values_mut().map(|profile| &mut profile.run);
        for run in std::iter::once(&mut project.run).chain(profiles) {
            let files = run.env_file.iter_mut();
            for file in files
                .chain(&mut run.junit)
                .chain(&mut run.capture)
                .chain(&mut run.save_audio)
            {
                *file = folder.join(&*file);
            }
        }
        for entry in std::mem::take(&mut project.server) {
            let span = entry.span();
            let server = Entry::server(entry, folder).map_err(|error| match error {
                EntryError::Wrong { span, message } => wrong(Some(span), message),
                EntryError::Settings(error) => ProjectError::Callcenter(error),
            })?;
            if project.servers.iter().any(|other| other.name == server.name) {
                let message = format!("two servers are called {}: give one another `name`", server.name);
                return Err(wrong(Some(span), message));
            }
            project.servers.push(server);
        }
        project.path = Some(path.to_owned());
        Ok(project)
    }

    /// The servers to start before the run, in the order of the file.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// With the defaults of a profile before its own.
    pub(crate) fn with_profile(mut self, name: Option<&str>) -> Result<Project, ProjectError> {
        let Some(name) = name else { return Ok(self) };
        let Some(profile) = self.profile.get(name).cloned() else {
            let names: Vec<_> = self.profile.keys().map(String::as_str).collect();
            let known = match (&self.path, names.is_empty()) {
                (None, _) => format!(": there is no {NAME} beside the scenarios or above them"),
                (Some(path), true) => format!(": {} has none", path.display()),
                (Some(path), false) => format!("; {} has {}", path.display(), names.join(", ")),
            };
            return Err(ProjectError::NoProfile {
                name: name.to_owned(),
                known,
            });
        };
        self.run = profile.run.or(self.run);
        self.env.extend(profile.env);
        Ok(self)
    }
}

/// The message of the reader of TOML, with the nearest right key where one was not known.
fn explained(message: &str) -> String {
    // As serde words it: unknown field `x`, expected one of `a`, `b`.
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next().filter(|_| message.starts_with("unknown ")) {
        Some(unknown) => format!("{message}{}", nearest::question(unknown, names)),
        None => message.to_owned(),
    }
}

impl Defaults {
    fn or(self, other: Defaults) -> Defaults {
        let either = |mine: Vec<String>, others: Vec<String>| if mine.is_empty() { others } else { mine };
        let quiet = match (self.quiet, self.verbose) {
            (None, None) => (other.quiet, other.verbose),
            mine => mine,
        };
        Defaults {
            jobs: self.jobs.or(other.jobs),
            retries: self.retries.or(other.retries),
            flaky: self.flaky.or(other.flaky),
            timeout: self.timeout.or(other.timeout),
            default_timeout: self.default_timeout.or(other.default_timeout),
            network: self.network.or(other.network),
            repeat: self.repeat.or(other.repeat),
            fail_fast: self.fail_fast.or(other.fail_fast),
            seed: self.seed.or(other.seed),
            simulate: self.simulate.or(other.simulate),
            tag: either(self.tag, other.tag),
            exclude_tag: either(self.exclude_tag, other.exclude_tag),
            // Of two files the later one wins: the profile's come last.
            env_file: other.env_file.into_iter().chain(self.env_file).collect(),
            junit: self.junit.or(other.junit),
            capture: self.capture.or(other.capture),
            insecure_http: self.insecure_http.or(other.insecure_http),
            shard: self.shard.or(other.shard),
            set: other.set.into_iter().chain(self.set).collect(),
            logs: self.logs.or(other.logs),
            save_audio: self.save_audio.or(other.save_audio),
            // One or the other: a profile that says one of them means not the other.
            quiet: quiet.0,
            verbose: quiet.1,
            no_color: self.no_color.or(other.no_color),
        }
    }
}
