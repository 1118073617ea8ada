//! Customers: phones of this program, or SIPp.

use std::time::{Duration, Instant};

use callwright_ua as ua;

use crate::observed::{AgentSeen, CustomerSeen};
use crate::phones::{Duty, Phone};
use crate::plan::{AGENT_HZ, CUSTOMER_HZ, Fault, QUEUE};
use crate::sipp::{self, Scenario, Sipp};

use super::{E2eError, Parts, Role, SETTLE, account};

/// The domain of customers.
const DOMAIN: &str = "customers.example.com";
/// How long a customer waits who is to give up.
const IMPATIENCE: Duration = Duration::from_secs(1);
/// How much sooner than its agent a customer hangs up who is to.
const SOONER: Duration = Duration::from_millis(500);
/// How much later one does whose agent was to.
const LATER: Duration = Duration::from_secs(5);
/// How often SIPp is looked at.
const LOOK: Duration = Duration::from_millis(100);

impl Parts<'_> {
    /// Places the calls, and waits until all are over.
    pub(super) fn call(&mut self) -> Result<(), E2eError> {
        let began = Instant::now();
        let limit = began + self.plan.limit();
        for number in 1..=self.plan.calls {
            let at = began + Duration::from_secs_f64(f64::from(number - 1) / self.plan.rate);
            while !self.is_over() && self.turn(at)? {}
            if self.is_over() {
                return Ok(());
            }
            self.place(number)?;
        }
        while !self.is_over() && !self.observed.customers.iter().all(CustomerSeen::is_over) {
            if !self.turn(limit)? {
                self.observed.late = true;
                break;
            }
        }
        self.settle()
    }

    fn place(&mut self, number: u32) -> Result<(), E2eError> {
        let name = format!("customer-{number}");
        let talk = self.plan.call_duration;
        // The calls with even numbers are ended by the customer, the others by the agent.
        let talk = if number.is_multiple_of(2) {
            talk.saturating_sub(SOONER).max(talk / 2)
        } else {
            talk + LATER
        };
        let patience = if self.plan.faults.contains(&Fault::GiveUp(number)) {
            IMPATIENCE
        } else {
            self.plan.limit()
        };
        let Some(account) = account(&name, DOMAIN, None) else {
            return Err(E2eError::Failed);
        };
        let phone = Phone {
            name: name.clone(),
            account,
            duty: Duty::Call {
                target: format!("sip:{QUEUE}@{}", self.at),
                talk: Some(talk),
                patience,
            },
            says: ua::Audio::Tones {
                hz: vec![CUSTOMER_HZ],
            },
            partner_hz: Some(AGENT_HZ),
            record: false,
        };
        (self.say)(&format!("{name:<13} calls {QUEUE}"));
        let index = self.observed.customers.len();
        self.observed.customers.push(CustomerSeen {
            name,
            ..CustomerSeen::default()
        });
        self.add(phone, Role::Customer(index));
        Ok(())
    }

    /// Lets SIPp place the calls, and waits until it is done.
    pub(super) fn call_with_sipp(&mut self, scenario: &Scenario) -> Result<(), E2eError> {
        let mut sipp = Sipp::start(self.plan, scenario, self.at, &self.folder)?;
        (self.say)(&format!("{:<13} {} calls", "SIPp", self.plan.calls));
        let limit = Instant::now() + self.plan.limit() + LATER;
        let status = loop {
            if self.is_over() {
                break None;
            }
            match sipp.ended() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() >= limit => break None,
                Ok(None) => {}
                Err(error) => return Err(sipp::SippError::Start(error).into()),
            }
            self.turn(Instant::now() + LOOK)?;
        };
        self.observed.late = status.is_none() && !self.is_over();
        if let Some(status) = status {
            (self.say)(&format!("{:<13} {}", "SIPp", sipp::explained(status)));
            self.observed.sipp = Some((status.success(), sipp::explained(status)));
        }
        self.settle()
    }

    /// The agents' sides of the last calls end.
    fn settle(&mut self) -> Result<(), E2eError> {
        let until = Instant::now() + SETTLE;
        let talks = |agent: &AgentSeen| !agent.died && agent.talking > 0;
        while !self.is_over() && self.observed.agents.iter().any(talks) {
            if !self.turn(until)? {
                break;
            }
        }
        Ok(())
    }
}
