//! What scenarios do to the network and the servers of a simulated world.

use std::time::Duration;

use callwright_capture::rules::Disturbance;
use callwright_sim as sim;
use callwright_wire::link::Link;

use super::server::ServerError;
use super::{Core, SimulatedWorld};
use crate::world::{NetworkError, Site};

/// What a packet may wait for those before it, and a margin.
const QUEUE: Duration = Duration::from_secs(2);

impl SimulatedWorld {
    /// Links between two sites, or all of them.
    pub(super) fn set_links(
        &self,
        agents: &[u32],
        between: Option<(&Site, &Site)>,
        link: Link,
    ) -> Result<(), NetworkError> {
        let link = of_this_world(link);
        self.allow_transit_of(&link);
        self.shared.with(|core| {
            if let Some((a, b)) = between {
                let (a, b) = (core.site(a)?, core.site(b)?);
                core.world.set_link(a.host, b.host, link);
                core.linked.insert((a.host, b.host));
            } else {
                let hosts: Vec<_> = agents
                    .iter()
                    .filter_map(|agent| core.places.get(&sim::PartyId(*agent)))
                    .collect();
                for (a, b) in core
                    .linked
                    .extract_if(.., |(a, b)| hosts.contains(&a) || hosts.contains(&b))
                {
                    core.world.set_link(a, b, link.clone());
                }
                core.latency = link.latency;
                core.world.set_default_link(link);
            }
            Ok(())
        })
    }

    /// The rules know how long a packet may be on its way.
    pub(super) fn allow_transit_of(&self, link: &Link) {
        let held_back = link
            .reordering
            .map_or(Duration::ZERO, |reordering| reordering.delay);
        let transit = link.latency + link.jitter + held_back + QUEUE;
        if let Some(seen) = &*super::lock(&self.shared.seen) {
            super::lock(seen).allow_transit(transit);
        }
    }

    pub(super) fn cut(&self, a: &Site, b: &Site) -> Result<(), NetworkError> {
        let (a, b) = self.shared.with(|core| {
            let (a, b) = (core.site(a)?, core.site(b)?);
            core.world.partition(&[a.host], &[b.host]);
            Ok::<_, NetworkError>((a.party.0, b.party.0))
        })?;
        self.shared.disturbed(Disturbance::PathCut { a, b });
        Ok(())
    }

    pub(super) fn heal_all(&self) {
        self.shared.with(|core| core.world.heal());
        self.shared.disturbed(Disturbance::PathsHealed);
    }

    /// Links are again as they were when the world began.
    pub(super) fn restore_links(&self) {
        self.shared.with(|core| {
            let link = core.first_link.clone();
            core.latency = link.latency;
            core.linked.clear();
            core.world.set_every_link(link);
        });
    }
}

/// A party and its host.
#[derive(Clone, Copy)]
struct Place {
    party: sim::PartyId,
    host: sim::HostId,
}

impl Core {
    fn site(&mut self, site: &Site) -> Result<Place, NetworkError> {
        match site {
            Site::Agent(number) => {
                let party = sim::PartyId(*number);
                let host = self.places.get(&party).copied();
                host.map(|host| Place { party, host })
                    .ok_or_else(|| NetworkError::NotNow {
                        detail: "the agent is gone".to_owned(),
                    })
            }
            Site::Server(name) => {
                let placed = self.server(name)?;
                Ok(Place {
                    party: placed.party,
                    host: placed.host,
                })
            }
        }
    }
}

/// A link of this world: a packet takes the time that it takes anyway, and what a script adds.
pub(super) fn of_this_world(link: Link) -> Link {
    let latency = link.latency + sim::Link::default().latency;
    Link { latency, ..link }
}

impl From<ServerError> for NetworkError {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Unknown { name, known } => NetworkError::NoServer { name, known },
            other => NetworkError::NotNow {
                detail: other.to_string(),
            },
        }
    }
}
