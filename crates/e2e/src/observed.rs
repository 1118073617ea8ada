//! What the phones of a run said themselves: it says why things went as they did; what is judged is the capture.

use std::time::Duration;

use crate::phones::{CallEnd, HungUp};

/// What the phones of a run said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) agents: Vec<AgentSeen>,
    /// Where the call center listens.
    pub(crate) server: Option<std::net::SocketAddr>,
    /// Those of this program; none with SIPp.
    pub(crate) customers: Vec<CustomerSeen>,
    /// Whether every call of SIPp followed its scenario, and in words.
    pub(crate) sipp: Option<(bool, String)>,
    /// Why the call center ended before it was told to.
    pub(crate) server_died: Option<String>,
    pub(crate) interrupted: bool,
    /// The time for all calls was over.
    pub(crate) late: bool,
    pub(crate) lateness_p99: Duration,
    pub(crate) packets_skipped: u64,
    pub(crate) receive_drops: u64,
}

/// An agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct AgentSeen {
    pub(crate) name: String,
    pub(crate) registered: bool,
    /// Why it is not.
    pub(crate) failure: Option<String>,
    pub(crate) talking: usize,
    pub(crate) answered: u64,
    /// In how many calls the customer's tone was heard.
    pub(crate) heard: u64,
    pub(crate) ends: Vec<CallEnd>,
    pub(crate) died: bool,
    pub(crate) closed: bool,
}

impl AgentSeen {
    /// Whether it is known if it is registered.
    pub(crate) fn is_decided(&self) -> bool {
        self.registered || self.failure.is_some()
    }
}

/// A customer.
#[derive(Clone, Debug, Default)]
pub(crate) struct CustomerSeen {
    pub(crate) name: String,
    pub(crate) end: Option<CallEnd>,
    pub(crate) failure: Option<String>,
}

impl CustomerSeen {
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some() || self.failure.is_some()
    }

    /// How its call ended, in words.
    pub(crate) fn story(end: &CallEnd) -> String {
        let seconds = end.lasted.as_secs_f64();
        match (end.hung_up, end.partner_heard) {
            (Some(HungUp::OutOfPatience), _) => {
                format!("hung up after {seconds:.1} s of waiting: no agent had come")
            }
            (Some(HungUp::Talked), _) => format!("hung up after {seconds:.1} s"),
            (Some(HungUp::Closing), _) => format!("was ended with the run, after {seconds:.1} s"),
            (None, true) => format!("was hung up after {seconds:.1} s"),
            (None, false) if end.lasted.is_zero() => format!("was not answered: {}", end.reason),
            (None, false) => format!("was hung up after {seconds:.1} s, before an agent was heard"),
        }
    }
}
