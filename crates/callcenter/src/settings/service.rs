//! What surrounds the machine: its database, its API, its recordings, its log.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::queue::Wrong;
use super::secret::Hidden;

/// The database without a file.
const DATABASE: &str = "callcenter.db";
/// Where recordings go without a file.
const RECORDINGS: &str = "recordings";
/// How long calls may go on at the end without a file.
const FINISH_CALLS: Duration = Duration::from_secs(5);
/// What is logged without a file.
const LEVEL: &str = "info";

/// What surrounds the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The file of the database.
    pub database: PathBuf,
    /// The API; `None`: there is none.
    pub http: Option<Http>,
    /// The folder of recordings; it is made when the first one begins.
    pub recordings: PathBuf,
    /// How long calls in progress may go on when it is told to stop, before they are hung up.
    pub finish_calls: Duration,
    /// What is logged, as in RUST_LOG, which stands above it.
    pub log_level: String,
    /// Whether log lines are JSON; the command line stands above it.
    pub log_json: bool,
}

/// The API. Its token is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Http {
    /// Where it listens; port 0 is any.
    pub listen: SocketAddr,
    /// What who asks has to show (`Authorization: Bearer …`); `None`, on loopback only: nothing.
    pub token: Option<String>,
}

impl Default for Service {
    fn default() -> Self {
        Service {
            database: DATABASE.into(),
            http: None,
            recordings: RECORDINGS.into(),
            finish_calls: FINISH_CALLS,
            log_level: LEVEL.to_owned(),
            log_json: false,
        }
    }
}

/// An API that anybody could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} can be reached from elsewhere: the API needs a token there ([http] token = \"…\")")]
pub struct OpenApi(pub SocketAddr);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("listen", &self.listen)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish()
    }
}

impl Http {
    /// Checks that nobody from elsewhere may do everything.
    ///
    /// # Errors
    ///
    /// When it listens beyond this machine, and has no token.
    pub fn check(&self) -> Result<(), OpenApi> {
        if self.token.is_none() && !self.listen.ip().is_loopback() {
            return Err(OpenApi(self.listen));
        }
        Ok(())
    }
}

/// `[http]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    listen: Option<Spanned<String>>,
    token: Option<Spanned<Token>>,
}

/// A token, or `false`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a token, or false for none on loopback")]
enum Token {
    Text(Hidden),
    Off(bool),
}

/// `[recordings]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recordings {
    folder: Option<PathBuf>,
    pub(super) direct: Option<bool>,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    level: Option<Spanned<String>>,
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Text,
    Json,
}

/// What is meant; paths are relative to `folder`.
pub(super) fn service(
    database: Option<Spanned<String>>,
    http: Option<Api>,
    recordings: Recordings,
    log: Log,
    folder: &Path,
) -> Result<Service, Wrong> {
    let mut service = Service::default();
    let database = match database {
        None => service.database,
        Some(written) => {
            let (span, text) = (written.span(), written.into_inner());
            database_file(&text).map_err(|error| (Some(span), error.to_string()))?
        }
    };
    service.database = folder.join(database);
    service.http = http.map(Api::http).transpose()?.flatten();
    service.recordings = folder.join(recordings.folder.unwrap_or(service.recordings));
    if let Some(level) = log.level {
        let (span, text) = (level.span(), level.into_inner());
        const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
        // `acd=debug,info` is for those who know the names.
        if !text.contains('=') && !LEVELS.contains(&text.as_str()) {
            let message = format!("{text:?} is no level: one of {}", LEVELS.join(", "));
            return Err((Some(span), message));
        }
        service.log_level = text;
    }
    service.log_json = matches!(log.format, Some(Format::Json));
    Ok(service)
}

/// A database that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseName {
    /// Another one than SQLite.
    #[error("a database of {scheme} is not supported yet: name a file, which SQLite keeps")]
    Unsupported {
        /// What stands before `://`.
        scheme: String,
    },
    /// None.
    #[error("the database has no name: name a file, such as \"callcenter.db\"")]
    Empty,
}

/// The file that a database is called by.
pub(super) fn database_file(text: &str) -> Result<PathBuf, DatabaseName> {
    let path = text
        .strip_prefix("sqlite://")
        .or_else(|| text.strip_prefix("sqlite:"))
        .unwrap_or(text);
    if let Some((scheme, _)) = path.split_once("://") {
        let scheme = scheme.to_owned();
        return Err(DatabaseName::Unsupported { scheme });
    }
    if path.is_empty() {
        return Err(DatabaseName::Empty);
    }
    Ok(path.into())
}

impl Api {
    fn http(self) -> Result<Option<Http>, Wrong> {
        let Some(listen) = self.listen else {
            return match self.token {
                None => Ok(None),
                Some(token) => {
                    let message = "[http] has a token and no address: add listen = \"127.0.0.1:8080\"";
                    Err((Some(token.span()), message.to_owned()))
                }
            };
        };
        let (span, text) = (listen.span(), listen.into_inner());
        let listen: SocketAddr = text.parse().map_err(|_| {
            let message = format!("{text:?} is not an address with a port, such as \"127.0.0.1:8080\"");
            (Some(span.clone()), message)
        })?;
        let token = match self.token.map(|token| (token.span(), token.into_inner())) {
            Some((_, Token::Text(Hidden(token)))) if token.len() >= 16 => Some(token),
            Some((span, Token::Text(_))) => {
                let message = "a token of less than 16 characters can be guessed: make a longer one";
                return Err((Some(span), message.to_owned()));
            }
            Some((_, Token::Off(false))) => None,
            Some((span, Token::Off(true))) => {
                return Err((Some(span), "a token, or false for none on loopback".to_owned()));
            }
            None => {
                let message = "[http] needs a token, or token = false, which only loopback allows";
                return Err((Some(span), message.to_owned()));
            }
        };
        let http = Http { listen, token };
        match http.check() {
            Ok(()) => Ok(Some(http)),
            Err(open) => Err((Some(span), open.to_string())),
        }
    }
}
