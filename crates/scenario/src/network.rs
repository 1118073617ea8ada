//! What a scenario does to its network, and to the time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use callwright_events::RunEvent;
use callwright_wire::link::{Bandwidth, GilbertElliott, Link, Loss, Reordering};

use crate::agent::Key;
use crate::world::{NetworkError, Site};
use crate::{Agent, Fault, Position, Scene, Value, nearest, span};

/// How much longer a packet takes that others overtake, unless that is said: more than the time between two of audio.
const REORDER_DELAY: Duration = Duration::from_millis(30);
/// How long a packet may wait for a narrow line.
const QUEUE: u64 = 5;
/// The least queue before a narrow line, in octets: ten large packets.
const LEAST_QUEUE: u64 = 15_000;

/// Every condition that a network can have.
pub const KEYS: &[Key] = &[
    Key {
        name: "latency",
        meaning: "A duration: the least time that a packet is on its way, beside what it takes anyway.",
    },
    Key {
        name: "jitter",
        meaning: "A duration: how much longer it may take, uniform from zero up to this for each packet. \"40 ms ± 20 ms\" \
                  is `latency: \"20ms\", jitter: \"40ms\"`. Jitter alone does not reorder: a packet that would overtake \
                  the one before it arrives right behind it.",
    },
    Key {
        name: "loss",
        meaning: "A share, as in `\"2%\"`: of packets that are lost, each by chance.",
    },
    Key {
        name: "burst",
        meaning: "With `loss`: how many packets in a row are lost in the mean, as in `3`; the share stays the same.",
    },
    Key {
        name: "duplicate",
        meaning: "A share: of packets that arrive twice.",
    },
    Key {
        name: "reorder",
        meaning: "A share: of packets that are held back, so that later ones overtake them.",
    },
    Key {
        name: "reorder_delay",
        meaning: "With `reorder`: for how long, default `\"30ms\"`.",
    },
    Key {
        name: "bandwidth",
        meaning: "How much passes in a second, headers included, as in `\"64kbit/s\"`. A packet waits for those before it; \
                  one that would wait for more than 200 ms (or behind more than 15,000 octets, if that is more) is lost.",
    },
];

/// Where a link ends, as a scenario says it.
#[derive(Clone, Debug)]
pub enum Place {
    /// At an agent.
    Agent(Agent),
    /// At a server of this run.
    Server(String),
}

impl Place {
    fn site(&self) -> Site {
        match self {
            Place::Agent(agent) => Site::Agent(agent.phone().number()),
            Place::Server(name) => Site::Server(name.clone()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Agent(agent) => agent.name(),
            Place::Server(name) => name,
        })
    }
}

/// Reads conditions as a command line has them: `loss=5%, latency=20ms`.
///
/// # Errors
/// As [`read`]; and for what is no pair.
pub fn parse(text: &str) -> Result<Link, Fault> {
    let mut map = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Fault::script(format!("network: {pair:?} is no condition, as in `loss=5%`")))?;
        let value = value.trim();
        let value = value.parse().map_or_else(|_| Value::from(value), Value::Int);
        map.insert(key.trim().to_owned(), value);
    }
    read(&Value::Map(map))
}

/// Reads the conditions of a network. Without any, it is perfect.
///
/// # Errors
/// A key that is unknown, or a value that is wrong.
pub fn read(conditions: &Value) -> Result<Link, Fault> {
    let Value::Map(map) = conditions else {
        return Err(Fault::script(format!(
            "network: the conditions are a map, #{{ … }}, not {conditions}"
        )));
    };
    for key in map.keys() {
        if !KEYS.iter().any(|known| known.name == key) {
            let near = nearest::question(key, KEYS.iter().map(|key| key.name));
            return Err(Fault::script(format!("network: unknown key `{key}`{near}")));
        }
    }
    let reader = Reader(map);
    let latency = reader.span("latency")?.unwrap_or_default();
    let loss = reader.share("loss")?.unwrap_or(0.0);
    let reorder_delay = reader.span("reorder_delay")?;
    let reorder = reader.share("reorder")?;
    if reorder_delay.is_some() && reorder.is_none() {
        return Err(Reader::wrong("reorder_delay", "says nothing without `reorder`"));
    }
    Ok(Link {
        jitter: reader.span("jitter")?.unwrap_or_default(),
        loss: reader.loss(loss)?,
        duplication: reader.share("duplicate")?.unwrap_or(0.0),
        reordering: reorder.map(|probability| Reordering {
            probability,
            delay: reorder_delay.unwrap_or(REORDER_DELAY),
        }),
        bandwidth: reader.bandwidth()?,
        ..Link::perfect(latency)
    })
}

struct Reader<'a>(&'a BTreeMap<String, Value>);

impl Reader<'_> {
    fn given(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| **value != Value::Absent)
    }

    fn wrong(key: &str, text: impl fmt::Display) -> Fault {
        Fault::script(format!("network: `{key}`: {text}"))
    }

    fn text(&self, key: &str, wanted: &str) -> Result<Option<&str>, Fault> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(Self::wrong(key, format!("expected {wanted}, not {other}"))),
        }
    }

    fn span(&self, key: &str) -> Result<Option<Duration>, Fault> {
        self.text(key, "a duration such as \"40ms\"")?
            .map(span::parse)
            .transpose()
            .map_err(|error| Self::wrong(key, error))
    }

    fn share(&self, key: &str) -> Result<Option<f64>, Fault> {
        const WANTED: &str = "a share such as \"2%\", from 0% to 100%";
        let Some(text) = self.text(key, WANTED)? else {
            return Ok(None);
        };
        let number = text.trim().strip_suffix('%').map(str::trim_end);
        let digits = |number: &&str| number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let percent = number
            .filter(digits)
            .and_then(|number| number.parse::<f64>().ok());
        match percent {
            Some(percent) if percent <= 100.0 => Ok(Some(percent / 100.0)),
            Some(_) | None => Err(Self::wrong(key, format!("expected {WANTED}, not {text:?}"))),
        }
    }

    fn loss(&self, loss: f64) -> Result<Loss, Fault> {
        let length = match self.given("burst") {
            None if loss > 0.0 => return Ok(Loss::Uniform(loss)),
            None => return Ok(Loss::None),
            Some(length) => length
                .number()
                .filter(|length| *length >= 1.0 && length.is_finite())
                .ok_or_else(|| {
                    Self::wrong(
                        "burst",
                        format!("expected a number of packets, 1 or more, not {length}"),
                    )
                })?,
        };
        if loss <= 0.0 {
            return Err(Self::wrong("burst", "says nothing without `loss`"));
        }
        // Between two bursts at least one packet passes.
        if loss >= length / (length + 1.0) {
            let most = 100.0 * length / (length + 1.0);
            return Err(Self::wrong(
                "burst",
                format!("with bursts of {length} packets less than {most:.1}% can be lost"),
            ));
        }
        Ok(Loss::Bursts(GilbertElliott::bursts(loss, length)))
    }

    fn bandwidth(&self) -> Result<Option<Bandwidth>, Fault> {
        const WANTED: &str = "a rate such as \"64kbit/s\" or \"1.5Mbit/s\"";
        let Some(text) = self.text("bandwidth", WANTED)? else {
            return Ok(None);
        };
        let bits_per_second =
            rate(text).ok_or_else(|| Self::wrong("bandwidth", format!("expected {WANTED}, not {text:?}")))?;
        Ok(Some(Bandwidth {
            bits_per_second,
            queue_octets: (bits_per_second / 8 / QUEUE).max(LEAST_QUEUE),
        }))
    }
}

/// Bits per second.
fn rate(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(split);
    let scale = match unit.trim() {
        "bit/s" => 1.0,
        "kbit/s" => 1e3,
        "Mbit/s" => 1e6,
        "Gbit/s" => 1e9,
        _ => return None,
    };
    let bits = number.parse::<f64>().ok()? * scale;
    (1.0..=1e12).contains(&bits).then_some(bits as u64)
}

impl Scene {
    /// From now on packets travel so: between two places, or those of all agents of this scene, also of such as start
    /// later.
    ///
    /// # Errors
    /// As [`read`]; or the world cannot do it.
    pub fn network(
        &self,
        between: Option<(&Place, &Place)>,
        conditions: &Value,
        at: &Position,
    ) -> Result<(), Fault> {
        self.check()?;
        let link = read(conditions).map_err(|fault| fault.at(at))?;
        let sites = between.map(|(a, b)| sites("network", a, b)).transpose();
        let sites = sites.map_err(|fault| fault.at(at))?;
        let pair = sites.as_ref().map(|(a, b)| (a, b));
        self.touch_network();
        self.world()
            .network(&self.numbers(), pair, link.clone())
            .map_err(|error| fault(&error, at))?;
        if between.is_none() {
            self.keep_link(link);
        }
        let conditions = in_words(conditions);
        let detail = match between {
            Some((a, b)) => format!("{a} ↔ {b}: {conditions}"),
            None => conditions,
        };
        self.report_network("network", Some(detail), at);
        Ok(())
    }

    /// From now on nothing passes between two places.
    ///
    /// # Errors
    /// When the world cannot do it.
    pub fn partition(&self, a: &Place, b: &Place, at: &Position) -> Result<(), Fault> {
        self.check()?;
        let (one, other) = sites("partition", a, b).map_err(|fault| fault.at(at))?;
        self.touch_network();
        self.world()
            .partition(&one, &other)
            .map_err(|error| fault(&error, at))?;
        self.report_network("partition", Some(format!("{a} ↔ {b}")), at);
        Ok(())
    }

    /// Ends every partition.
    ///
    /// # Errors
    /// When the world cannot do it.
    pub fn heal(&self, at: &Position) -> Result<(), Fault> {
        self.check()?;
        let healed = self.world().heal(&self.numbers());
        healed.map_err(|error| fault(&error, at))?;
        self.report_network("heal", None, at);
        Ok(())
    }

    /// Stops a server of this run without warning.
    ///
    /// # Errors
    /// When the world cannot do it, or has no such server.
    pub fn crash(&self, server: &str, at: &Position) -> Result<(), Fault> {
        self.check()?;
        let crashed = self.world().crash(server);
        crashed.map_err(|error| fault(&error, at))?;
        self.report_network("crash", Some(server.to_owned()), at);
        Ok(())
    }

    /// Starts a server again that crashed.
    ///
    /// # Errors
    /// When the world cannot do it, or has no such server.
    pub fn restart(&self, server: &str, at: &Position) -> Result<(), Fault> {
        self.check()?;
        let restarted = self.world().restart(server);
        restarted.map_err(|error| fault(&error, at))?;
        self.report_network("restart", Some(server.to_owned()), at);
        Ok(())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// When the world cannot do it; or the time of the scenario is up then.
    pub fn advance(&self, span: Duration, at: &Position) -> Result<(), Fault> {
        self.check()?;
        self.report_network("advance", Some(span::text(span)), at);
        let until = self.world().now() + span;
        let can = self.world().can_advance();
        can.map_err(|error| fault(&error, at))?;
        // An interrupt and the scenario's own time end it.
        while self.world().now() < until {
            self.wait_for(&[], until).map_err(|fault| fault.at(at))?;
        }
        self.check().map_err(|fault| fault.at(at))
    }

    /// A new agent takes part in what was said for all.
    pub(crate) fn join_network(&self, agent: &Agent, at: &Position) -> Result<(), Fault> {
        let Some(link) = self.kept_link() else {
            return Ok(());
        };
        self.touch_network();
        let joined = self.world().network(&[agent.phone().number()], None, link);
        joined.map_err(|error| fault(&error, at))
    }

    /// Conditions end with the scene that made them.
    pub(crate) fn restore_network(&self) {
        if self.has_touched_network() {
            self.world().restore_network(&self.numbers());
        }
    }

    fn numbers(&self) -> Vec<u32> {
        let agents = self.all_agents();
        agents.iter().map(|agent| agent.phone().number()).collect()
    }

    fn report_network(&self, kind: &str, detail: Option<String>, at: &Position) {
        self.emit(RunEvent::Network {
            kind: kind.to_owned(),
            detail,
            location: at.location(),
        });
    }
}

fn sites(what: &str, a: &Place, b: &Place) -> Result<(Site, Site), Fault> {
    let (one, other) = (a.site(), b.site());
    if one == other {
        return Err(Fault::script(format!(
            "{what}: both sides are {a}; a link is between two"
        )));
    }
    Ok((one, other))
}

fn fault(error: &NetworkError, at: &Position) -> Fault {
    Fault::script(error.to_string()).at(at)
}

/// The conditions in one line, in the order of [`KEYS`].
fn in_words(conditions: &Value) -> String {
    let Value::Map(map) = conditions else {
        return conditions.to_string();
    };
    let given: Vec<String> = KEYS
        .iter()
        .filter_map(|key| {
            let value = map.get(key.name).filter(|value| **value != Value::Absent)?;
            Some(format!("{} {}", key.name, value.text()))
        })
        .collect();
    if given.is_empty() {
        "perfect".to_owned()
    } else {
        given.join(", ")
    }
}
