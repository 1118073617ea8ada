//! Phones on real sockets.

use std::sync::mpsc::Sender;

use callwright_net as net;
use callwright_ua as ua;
use callwright_wire::{Seed, Time};

use crate::phones::{PhoneEvent, PhoneId, Phones};

/// The name of the node that all phones are.
const NODE: &str = "phones";

/// A world of phones, whose events go to a channel.
pub(crate) struct PhoneWorld {
    pub(crate) world: net::World<Phones>,
    pub(crate) party: net::PartyId,
}

/// Where events go, made into `T`.
struct Sink<T, F, L> {
    to: Sender<T>,
    event: F,
    lost: L,
}

impl<T, F, L> net::EventSink<PhoneEvent> for Sink<T, F, L>
where
    T: Send,
    F: Fn(Time, PhoneEvent) -> T + Send,
    L: Fn() -> T + Send,
{
    fn event(&mut self, _party: net::PartyId, now: Time, event: PhoneEvent) {
        // Nobody listens any more: it is over.
        let _over = self.to.send((self.event)(now, event));
    }

    fn failed(&mut self) {
        let _over = self.to.send((self.lost)());
    }
}

impl PhoneWorld {
    /// Starts one without phones. `event` says what is sent of each event, under the world's lock; `lost`, when the network loop
    /// ends by itself.
    ///
    /// # Errors
    ///
    /// When the system gives no event queue or no thread.
    pub(crate) fn start<T: Send + 'static>(
        to: Sender<T>,
        event: impl Fn(Time, PhoneEvent) -> T + Send + 'static,
        lost: impl Fn() -> T + Send + 'static,
    ) -> Result<PhoneWorld, net::StartError> {
        let world = net::World::start(net::WorldConfig::default(), Sink { to, event, lost })?;
        let config = ua::FleetConfig {
            epoch: world.epoch(),
            seed: os_seed(),
            key_seed: os_seed(),
            trace: ua::TraceLimits::default(),
        };
        let phones = Phones::new(world.now(), config);
        let party = world.add(NODE, phones);
        Ok(PhoneWorld { world, party })
    }

    /// Uses the phones under the world's lock: it must not block.
    pub(crate) fn with<R>(&self, use_them: impl FnOnce(&mut Phones, Time) -> R) -> R {
        match self.world.with(self.party, use_them) {
            Some(result) => result,
            // They were added when the world was made, and nobody takes them out.
            None => unreachable!("the phones live as long as their world"),
        }
    }

    pub(crate) fn close(&self, phone: PhoneId) {
        self.with(|phones, now| phones.close(now, phone));
    }
}

/// A seed of the operating system's randomness.
pub(crate) fn os_seed() -> Seed {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    Seed::from_bytes(bytes)
}
