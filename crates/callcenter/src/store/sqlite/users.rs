//! Users in the database: H(name:domain:password) for each algorithm, never the password.

use std::path::{Path, PathBuf};
use std::time::Duration;

use callwright_acd::User;
use callwright_sip::digest::{Algorithm, Secret};
use callwright_sip_message::Host;
use rusqlite::{Connection, params};

use super::database::open_ours;
use super::{StoreError, schema};

/// The users of a database; it may be in use by a call center meanwhile.
#[derive(Debug)]
pub struct Users {
    connection: Connection,
    path: PathBuf,
}

/// A user of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUser {
    /// The name with its secrets.
    pub user: User,
    /// The domain that the secrets are good for.
    pub domain: String,
    /// Whether it is an agent.
    pub agent: bool,
}

impl Users {
    /// Opens a database that is there; `None`: there is none, and none is made.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is not one of a call center.
    pub fn open_existing(path: &Path) -> Result<Option<Users>, StoreError> {
        match path.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) | Err(_) => Users::open(path).map(Some),
        }
    }

    /// Opens a database, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is not one of a call center.
    pub fn open(path: &Path) -> Result<Users, StoreError> {
        let opened = |error| StoreError::Open {
            path: path.to_owned(),
            error,
        };
        let mut connection = open_ours(path)?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(opened)?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(opened)?;
        schema::migrate(&mut connection, path)?;
        Ok(Users {
            connection,
            path: path.to_owned(),
        })
    }

    /// Adds a user with this password in `domain`, or gives the one of that name another password; whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn put(
        &self,
        name: &str,
        domain: &Host,
        password: &str,
        agent: bool,
        now: u64,
    ) -> Result<bool, StoreError> {
        let user = User::with_password(name, domain, password);
        let hash = |wanted: Algorithm| {
            user.secrets.iter().find_map(|secret| match secret {
                Secret::Ha1 { algorithm, hash } if *algorithm == wanted => Some(hash.as_str()),
                Secret::Ha1 { .. } | Secret::Password(_) => None,
            })
        };
        let there = self.list()?.iter().any(|stored| stored.user.name == name);
        let put = self.connection.execute(
            "INSERT INTO users (name, domain, ha1_sha256, ha1_md5, agent, changed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (name) DO UPDATE SET domain = excluded.domain, ha1_sha256 = excluded.ha1_sha256,
                ha1_md5 = excluded.ha1_md5, agent = excluded.agent, changed_at = excluded.changed_at",
            params![
                name,
                domain.to_string(),
                hash(Algorithm::Sha256),
                hash(Algorithm::Md5),
                agent,
                i64::try_from(now).unwrap_or(i64::MAX),
            ],
        );
        put.map_err(|error| self.broken(error))?;
        Ok(there)
    }

    /// Removes a user; whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let removed = self
            .connection
            .execute("DELETE FROM users WHERE name = ?1", [name]);
        Ok(removed.map_err(|error| self.broken(error))? > 0)
    }

    /// Every user, by name.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn list(&self) -> Result<Vec<StoredUser>, StoreError> {
        self.read().map_err(|error| self.broken(error))
    }

    fn read(&self) -> rusqlite::Result<Vec<StoredUser>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT name, domain, ha1_sha256, ha1_md5, agent FROM users ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            let sha256: Option<String> = row.get(2)?;
            let md5: Option<String> = row.get(3)?;
            let secrets = [(Algorithm::Sha256, sha256), (Algorithm::Md5, md5)];
            let secrets = secrets.into_iter().filter_map(|(algorithm, hash)| {
                Some(Secret::Ha1 {
                    algorithm,
                    hash: hash?,
                })
            });
            Ok(StoredUser {
                user: User {
                    name: row.get(0)?,
                    secrets: secrets.collect(),
                },
                domain: row.get(1)?,
                agent: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    fn broken(&self, error: rusqlite::Error) -> StoreError {
        StoreError::Broken {
            path: self.path.clone(),
            error,
        }
    }
}
