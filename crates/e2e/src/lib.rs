//! The end-to-end run of the call center, and the phone of one agent.
//!
//! [`Phones`] is what both are made of: any number of phones that act by themselves, as one node without IO. [`agent`] puts one of
//! them on real sockets. [`e2e`] starts a call center and its agents, places the calls of customers, captures what passes,
//! ends everything, and judges by the capture.
//!
//! ```text
//!   Plan ──▶ run ──▶ capture ──▶ analysis ──▶ verdict ──▶ Results ──▶ terminal, results.json, junit.xml, report.html
//!             │  └─▶ database ──▶ records ──────▲
//!             └────▶ what phones said ──────────┘
//! ```
//!
//! The call center has a world, a thread and a tap of its own; all phones share another. What the capture shows is what the receiver
//! of each packet saw.

mod account;
mod agent;
mod crowd;
mod diary;
mod e2e;
mod evidence;
mod folder;
mod logs;
mod observed;
mod phone_world;
mod phones;
mod plan;
mod recorded;
mod report;
mod results;
mod run;
mod sipp;
mod tap;
mod tape;
mod verdict;

pub use account::{Place, PlaceError};
pub use agent::{Agent, AgentError, Stop, agent};
pub use e2e::{Finished, e2e};
pub use phones::{CallEnd, Duty, Happening, HungUp, Phone, PhoneEvent, PhoneId, Phones};
pub use plan::{Customers, Fault, FaultError, Plan};
pub use results::{
    AgentShown, AudioShown, CallShown, Criterion, FindingShown, Health, PlanShown, Results, SCHEMA, State,
    Verdict,
};
pub use run::{E2eError, Interrupt};
pub use sipp::{BuiltIn, Scenario, SippError};
pub use tap::Delivery;
