//! The names of a simulated world.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use callwright_wire::{DnsAnswer, DnsError, DnsRecord};

/// Every name that the resolver of a simulated world knows.
///
/// A name without records of the kind that is asked for is answered with none; so is one that only has names below it
/// (RFC 8020). Any other name does not exist. Literal addresses and `localhost` are known without asking.
#[derive(Clone, Debug)]
pub struct Zone {
    names: BTreeMap<String, Vec<DnsRecord>>,
    failures: BTreeMap<String, DnsError>,
    answer_time: Duration,
    timeout: Duration,
}

impl Default for Zone {
    fn default() -> Self {
        Zone {
            names: BTreeMap::new(),
            failures: BTreeMap::new(),
            answer_time: Duration::from_millis(5),
            timeout: Duration::from_secs(4),
        }
    }
}

impl Zone {
    /// Adds an address of `name`.
    pub fn add_address(&mut self, name: &str, ip: impl Into<IpAddr>) {
        self.add(name, DnsRecord::Address(ip.into()));
    }

    /// Adds a record to `name`.
    pub fn add(&mut self, name: &str, record: DnsRecord) {
        self.names.entry(plain(name)).or_default().push(record);
    }

    /// Forgets `name`, its records and its failure.
    pub fn remove(&mut self, name: &str) {
        let name = plain(name);
        self.names.remove(&name);
        self.failures.remove(&name);
    }

    /// Answers every question about `name` with this error: [`DnsError::Timeout`] after [`Zone::set_timeout`].
    pub fn fail(&mut self, name: &str, error: DnsError) {
        self.failures.insert(plain(name), error);
    }

    /// How long an answer takes. 5 ms by default.
    pub fn set_answer_time(&mut self, answer_time: Duration) {
        self.answer_time = answer_time;
    }

    /// How long a resolver waits for an answer that never comes. 4 s by default.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The answer about `name`, and how long it takes.
    pub(crate) fn answer(&self, name: &str, kind: Kind) -> (Duration, Result<DnsAnswer, DnsError>) {
        if let Some(answer) = known(name, kind) {
            return (Duration::ZERO, Ok(answer));
        }
        let name = plain(name);
        if let Some(error) = self.failures.get(&name) {
            let after = match error {
                DnsError::Timeout => self.timeout,
                DnsError::NoSuchName | DnsError::Failed { .. } => self.answer_time,
            };
            return (after, Err(error.clone()));
        }
        let answer = match self.names.get(&name) {
            Some(records) => Ok(records
                .iter()
                .filter(|record| kind.is_of(record))
                .cloned()
                .collect()),
            None if self.has_names_below(&name) => Ok(Vec::new()),
            None => Err(DnsError::NoSuchName),
        };
        (self.answer_time, answer)
    }

    fn has_names_below(&self, name: &str) -> bool {
        let is_below = |other: &String| {
            other
                .strip_suffix(name)
                .is_some_and(|labels| labels.ends_with('.'))
        };
        self.names.keys().any(is_below)
    }
}

/// Which records are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Naptr,
    Srv,
    Address,
}

impl Kind {
    fn is_of(self, record: &DnsRecord) -> bool {
        self == match record {
            DnsRecord::Naptr { .. } => Kind::Naptr,
            DnsRecord::Srv { .. } => Kind::Srv,
            DnsRecord::Address(_) => Kind::Address,
        }
    }
}

/// What takes no server: literal addresses, and `localhost` (RFC 6761 §6.3), which has addresses and nothing else.
fn known(name: &str, kind: Kind) -> Option<DnsAnswer> {
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    let plain = plain(name);
    let addresses: Vec<IpAddr> = if let Ok(ip) = literal.parse() {
        vec![ip]
    } else if plain == "localhost" || plain.ends_with(".localhost") {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        return None;
    };
    Some(match kind {
        Kind::Address => addresses.into_iter().map(DnsRecord::Address).collect(),
        Kind::Naptr | Kind::Srv => Vec::new(),
    })
}

/// Names are compared without case and without their final dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
