//! Phones of our own engine, whichever world holds their fleet.

mod account;
mod addresses;
mod phone;
mod recorder;
mod sink;

use std::net::IpAddr;

use callwright_ua as ua;
use callwright_wire::Time;

pub(crate) use account::account;
pub(crate) use addresses::Addresses;
pub(crate) use phone::EmbeddedPhone;
pub(crate) use recorder::Recorder;
pub(crate) use sink::Routes;

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

    /// The phone is gone for good.
    fn leave(&self) {}
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
