//! What an end-to-end run is told.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::sipp::Scenario;

/// The domain of the call center.
pub(crate) const DOMAIN: &str = "callcenter.example.com";
/// The queue that customers call.
pub(crate) const QUEUE: &str = "support";
/// What agents say: the test tone of ITU-T O.6 in Hz, which no music has for long.
pub(crate) const AGENT_HZ: f64 = 1_020.0;
/// What customers say, in Hz.
pub(crate) const CUSTOMER_HZ: f64 = 2_040.0;

/// Names of agents; who comes after them has a number.
const NAMES: [&str; 10] = [
    "alice", "bob", "charlie", "dora", "emil", "frida", "gustav", "hanna", "ivan", "julia",
];

/// An end-to-end run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many agents.
    pub agents: usize,
    /// How many calls.
    pub calls: u32,
    /// How many of them begin a second.
    pub rate: f64,
    /// How long a customer and an agent talk.
    pub call_duration: Duration,
    /// Who calls.
    pub customers: Customers,
    /// The port of the call center; 0 is any.
    pub port: u16,
    /// Where logs, capture, database and reports go.
    pub out: PathBuf,
    /// Whether an earlier run's files stay there, and another folder is used.
    pub keep: bool,
    /// What is broken on purpose.
    pub faults: Vec<Fault>,
    /// The version of the program, for reports.
    pub version: String,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Customers {
    /// Phones of this program.
    Embedded,
    /// SIPp.
    Sipp(Scenario),
}

/// Something that is broken on purpose, to see the verdict fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This agent has a wrong password.
    WrongPassword(String),
    /// The phone of this agent dies in its first call: no BYE, nothing.
    Kill(String),
    /// This customer (from 1) hangs up while waiting.
    GiveUp(u32),
}

/// A text that is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Of no known form.
    #[error("{0:?} is no fault: wrong-password=AGENT, kill=AGENT or give-up=N")]
    Unknown(String),
    /// Nobody has that name or number.
    #[error("{fault}: there is no such {what} in this run")]
    Nobody {
        /// As it was written.
        fault: String,
        /// Agent or customer.
        what: &'static str,
    },
    /// SIPp's customers do what their scenario says.
    #[error("give-up is for customers that are built in: what those of SIPp do stands in their scenario")]
    NotWithSipp,
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        match text.split_once('=') {
            Some(("wrong-password", agent)) => Ok(Fault::WrongPassword(agent.to_owned())),
            Some(("kill", agent)) => Ok(Fault::Kill(agent.to_owned())),
            Some(("give-up", number)) => match number.parse() {
                Ok(number) => Ok(Fault::GiveUp(number)),
                Err(_) => Err(FaultError::Unknown(text.to_owned())),
            },
            _ => Err(FaultError::Unknown(text.to_owned())),
        }
    }
}

impl Plan {
    /// The names of the agents.
    pub fn agent_names(&self) -> Vec<String> {
        (0..self.agents)
            .map(|index| match NAMES.get(index) {
                Some(name) => (*name).to_owned(),
                None => format!("agent{}", index + 1),
            })
            .collect()
    }

    /// Checks that faults speak of somebody.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn check(&self) -> Result<(), FaultError> {
        let names = self.agent_names();
        for fault in &self.faults {
            match fault {
                Fault::WrongPassword(agent) | Fault::Kill(agent) if !names.contains(agent) => {
                    return Err(FaultError::Nobody {
                        fault: agent.clone(),
                        what: "agent",
                    });
                }
                Fault::GiveUp(_) if self.customers != Customers::Embedded => {
                    return Err(FaultError::NotWithSipp);
                }
                Fault::GiveUp(number) if *number == 0 || *number > self.calls => {
                    return Err(FaultError::Nobody {
                        fault: format!("give-up={number}"),
                        what: "customer",
                    });
                }
                Fault::WrongPassword(_) | Fault::Kill(_) | Fault::GiveUp(_) => {}
            }
        }
        Ok(())
    }

    /// How long everything takes at most, if every call is taken: then it is over, whoever still talks.
    pub(crate) fn limit(&self) -> Duration {
        let arrivals = Duration::from_secs_f64(f64::from(self.calls) / self.rate);
        let agents = u32::try_from(self.agents.max(1)).unwrap_or(u32::MAX);
        let talks = (self.call_duration + Duration::from_secs(2)) * self.calls.div_ceil(agents);
        arrivals + talks + Duration::from_secs(30)
    }
}
