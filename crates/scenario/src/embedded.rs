//! Phones of our own engine, whichever world holds their fleet.

mod account;
mod addresses;
mod phone;
mod recorder;
mod sink;

use std::net::IpAddr;
use std::time::Duration;

use callwright_ua as ua;
use callwright_wire::Time;

use crate::world::{StartError, Topic, Topics, Wake, World};

pub(crate) use account::account;
pub(crate) use addresses::Addresses;
pub(crate) use phone::EmbeddedPhone;
pub(crate) use recorder::Recorder;
pub(crate) use sink::Routes;

/// How long a user agent may take to come up: the resolver's patience and a margin.
const START: Duration = Duration::from_secs(15);

/// Who keeps the topics of a world.
pub(crate) trait Changes: Send + Sync {
    /// A new topic, at version 0.
    fn open(&self) -> Topic;

    /// Says that a topic changed. Never blocks on anything but a short lock.
    fn touch(&self, topic: Topic);
}

impl Changes for Topics {
    fn open(&self) -> Topic {
        Topics::open(self)
    }

    fn touch(&self, topic: Topic) {
        Topics::touch(self, topic);
    }
}

/// The number of a phone in its world, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PhoneId(pub(crate) u32);

/// Where the fleet of a phone lives.
pub(crate) trait Home: Send + Sync {
    /// Uses the fleet, under the world's lock: it must not block.
    fn fleet<R>(&self, use_it: impl FnOnce(&mut ua::Fleet, Time) -> R) -> R;

    /// Where the changes of its user agents go.
    fn routes(&self) -> &Routes;

    /// What writes recordings.
    fn recorder(&self) -> &Recorder;

    /// Whether packets from one address have a way to another.
    ///
    /// # Errors
    /// What stands in the way, in words.
    fn check_route(&self, from: IpAddr, to: IpAddr) -> Result<(), String>;

    /// From now on the script makes messages of the phone by itself: they may break rules on purpose.
    fn writes_messages(&self) {}

    /// Nobody uses the phone any more: takes its user agent away with everything that it still holds.
    fn leave(&self, id: ua::UserAgentId) {
        self.fleet(|fleet, now| fleet.remove(now, id));
    }
}

/// Waits until a user agent has its sockets, or cannot have them. `domain` is what it resolves first.
///
/// # Errors
/// What kept it from starting.
pub(crate) fn started(
    world: &dyn World,
    routes: &Routes,
    phone: PhoneId,
    domain: String,
) -> Result<(), StartError> {
    let topic = routes.topics_of(phone).started;
    let deadline = world.now() + START;
    loop {
        let seen = world.version(topic);
        match routes.started(phone) {
            Some(Ok(())) => return Ok(()),
            Some(Err(ua::StartError::Bind(error))) => return Err(error.into()),
            Some(Err(ua::StartError::NoRoute { host, detail })) => {
                return Err(StartError::NoRoute { domain: host, detail });
            }
            None => {}
        }
        if world.wait(&[(topic, seen)], deadline) == Wake::TimeUp {
            return Err(StartError::NoRoute {
                domain,
                detail: "the resolver did not answer".into(),
            });
        }
    }
}

/// Whether the addresses are of one version of IP.
///
/// # Errors
/// When they are not.
pub(crate) fn check_version(from: IpAddr, to: IpAddr) -> Result<(), String> {
    if from.is_ipv4() == to.is_ipv4() {
        return Ok(());
    }
    let version = |ip: IpAddr| if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    Err(format!(
        "{to} is an {} address, and the agent sends from {from}; give it another with the key `local`",
        version(to)
    ))
}
