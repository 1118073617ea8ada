//! What all scenarios of a run share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callwright_events::{Record, RunEvent, ScenarioStamp};

use callwright_wire::Time;
use callwright_wire::link::Link;

use crate::environment::EnvFile;
use crate::sound::Checks;
use crate::world::{Topic, Version, World};
use crate::{Causes, Fault};

/// Somebody who takes the events of a run, in order.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, record: Record);
}

/// What the user set for a whole run.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The files of `--env-file`, in order.
    pub env_files: Vec<EnvFile>,
    /// The process environment, as it was at the start.
    pub process_env: BTreeMap<String, String>,
    /// `[env]` of `callwright.toml`.
    pub project_env: BTreeMap<String, String>,
    /// The constants of `--set`.
    pub constants: Vec<(String, String)>,
    /// The default of `await_until`, unless a script sets its own; `None` leaves it at 5 s.
    pub default_timeout: Option<Duration>,
    /// How packets of all agents travel, unless a script says otherwise; `None` does nothing to them.
    pub network: Option<Link>,
    /// `http` accepts any certificate.
    pub insecure_http: bool,
    /// Show each SIP message as an event at the end of its scenario.
    pub sip_messages: bool,
    /// Where to write the audio that agents heard and sent; `None` to keep none.
    pub save_audio: Option<std::path::PathBuf>,
}

/// What all scenarios of a run share: the world, the settings, who holds which account, and the table of causes.
pub struct Run {
    world: Arc<dyn World>,
    settings: Arc<Settings>,
    causes: Arc<Causes>,
    accounts: Mutex<BTreeMap<String, Holder>>,
    interrupt: Arc<Interrupt>,
    checks: Checks,
}

#[derive(Clone, Debug)]
struct Holder {
    agent: String,
    scenario: String,
}

impl Run {
    /// A run in a world. `causes` is the table that the world's captures read.
    pub fn new(world: Arc<dyn World>, settings: Settings, causes: Arc<Causes>) -> Arc<Self> {
        Run::with(world, Arc::new(settings), causes, Arc::default())
    }

    /// A part of this run in a world of its own: with its settings and causes, and ended by the same interrupt. The world
    /// has to look at [`Interrupt::flag`].
    /// It records agents in `recordings`, where that is given.
    pub(crate) fn part(&self, world: Arc<dyn World>, recordings: Option<std::path::PathBuf>) -> Arc<Self> {
        let settings = match recordings {
            Some(folder) => Arc::new(Settings {
                save_audio: Some(folder),
                ..Settings::clone(&self.settings)
            }),
            None => Arc::clone(&self.settings),
        };
        Run::with(
            world,
            settings,
            Arc::clone(&self.causes),
            Arc::clone(&self.interrupt.raised),
        )
    }

    fn with(
        world: Arc<dyn World>,
        settings: Arc<Settings>,
        causes: Arc<Causes>,
        raised: Arc<AtomicBool>,
    ) -> Arc<Self> {
        let interrupt = Arc::new(Interrupt {
            raised,
            topic: world.new_topic(),
            world: Arc::clone(&world),
        });
        Arc::new(Run {
            checks: Checks::new(&*world),
            world,
            settings,
            causes,
            accounts: Mutex::default(),
            interrupt,
        })
    }

    /// Its world.
    pub fn world(&self) -> &Arc<dyn World> {
        &self.world
    }

    /// What the user set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the numbers on messages mean.
    pub fn causes(&self) -> &Arc<Causes> {
        &self.causes
    }

    /// The way to interrupt it, from any thread.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        &self.interrupt
    }

    /// The audio connections that are being checked, and the tones of the run.
    pub(crate) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// An event with its time.
    pub(crate) fn record(&self, event: RunEvent, stamp: Option<ScenarioStamp>) -> Record {
        self.record_of(self.world.now(), event, stamp)
    }

    /// An event of a time that has passed.
    pub(crate) fn record_of(&self, time: Time, event: RunEvent, stamp: Option<ScenarioStamp>) -> Record {
        let nanos = self.world.epoch().unix_nanos_at(time);
        Record {
            event,
            ts: date(nanos),
            stamp,
        }
    }

    /// Takes an account for an agent of a scenario.
    ///
    /// # Errors
    /// When another agent has it; the text names it.
    pub(crate) fn take_account(&self, aor: &str, agent: &str, scenario: &str) -> Result<(), Fault> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = accounts.get(&account(aor)) {
            let whose = if holder.scenario == scenario {
                format!("by agent {:?}", holder.agent)
            } else {
                format!("by agent {:?} of {:?}", holder.agent, holder.scenario)
            };
            let fault = Fault::script(format!("agent {agent:?}: {aor} is in use {whose}"));
            return Err(if holder.scenario == scenario {
                fault.hint("use that agent, or another account")
            } else {
                fault.hint(
                    "scenarios that run at the same time need accounts of their own; pick them by `worker`",
                )
            });
        }
        let holder = Holder {
            agent: agent.to_owned(),
            scenario: scenario.to_owned(),
        };
        accounts.insert(account(aor), holder);
        Ok(())
    }

    pub(crate) fn give_account(&self, aor: &str) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.remove(&account(aor));
    }
}

/// RFC 3261 §19.1.4: the user part is compared with regard to case, the rest without.
fn account(aor: &str) -> String {
    match aor.rsplit_once('@') {
        Some((user, host)) => format!("{user}@{}", host.to_lowercase()),
        None => aor.to_lowercase(),
    }
}

/// Ctrl-C: raised from a signal thread, noticed by every wait of every scenario.
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    topic: Topic,
    world: Arc<dyn World>,
}

impl Interrupt {
    /// Ends the run: what runs is hung up and unregistered, what waits is not started.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.world.touch(self.topic);
    }

    /// Whether it was raised.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// True once it was raised.
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.raised
    }

    /// What changes when it is raised.
    pub(crate) fn topic(&self) -> Topic {
        self.topic
    }

    /// What a wait has to look at besides: the version before the interrupt.
    pub(crate) fn watch(&self) -> (Topic, Version) {
        (self.topic, Version(0))
    }
}

/// RFC 3339 in UTC with milliseconds.
fn date(unix_nanos: u64) -> String {
    i64::try_from(unix_nanos / 1_000_000)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(String::new, |date| format!("{date:.3}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_have_milliseconds() {
        assert_eq!(super::date(1_893_456_000_012_000_000), "2030-01-01T00:00:00.012Z");
    }
}
