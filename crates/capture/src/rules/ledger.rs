//! What was judged, and what was found.

use std::fmt;

use callwright_sip_message::SmolStr;
use callwright_wire::Time;

use super::rule::{Rule, Tally};

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// When it showed.
    pub at: Time,
    /// The party that broke it.
    pub party: u32,
    /// What broke it, in one line: of a message its method or status, Call-ID, CSeq, and from where to where it went.
    pub message: String,
    /// What was expected, and what was seen.
    pub detail: String,
    /// The Call-ID of what broke it, where it is SIP and has one.
    pub call_id: Option<SmolStr>,
    /// The section of the RFC.
    pub reference: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {} [{}] ({})",
            self.at, self.rule, self.detail, self.message, self.reference
        )
    }
}

/// All counts, and the violations that nobody took yet.
#[derive(Debug)]
pub(crate) struct Ledger {
    counts: [Count; Rule::COUNT],
    pub(crate) violations: Vec<Violation>,
    limit: usize,
    pub(crate) not_kept: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    subjects: u64,
    excused: u64,
    checks: u64,
}

/// Where a rule is broken.
pub(crate) struct Blame {
    pub(crate) at: Time,
    pub(crate) party: u32,
    pub(crate) message: String,
    pub(crate) detail: String,
    pub(crate) call_id: Option<SmolStr>,
    pub(crate) reference: &'static str,
}

impl Ledger {
    pub(crate) fn new(limit: usize) -> Self {
        Ledger {
            counts: [Count::default(); Rule::COUNT],
            violations: Vec::new(),
            limit,
            not_kept: 0,
        }
    }

    /// What a rule speaks of occurred.
    pub(crate) fn subject(&mut self, rule: Rule) {
        self.counts[rule as usize].subjects += 1;
    }

    /// A subject is not judged: the precondition does not hold.
    pub(crate) fn excuse(&mut self, rule: Rule) {
        self.counts[rule as usize].excused += 1;
    }

    /// A subject that occurred before is judged.
    pub(crate) fn judge(&mut self, rule: Rule, holds: bool, blame: impl FnOnce() -> Blame) {
        self.counts[rule as usize].checks += 1;
        if !holds {
            self.report(rule, blame());
        }
    }

    /// A subject occurs, and is judged at once.
    pub(crate) fn check(&mut self, rule: Rule, holds: bool, blame: impl FnOnce() -> Blame) {
        self.subject(rule);
        self.judge(rule, holds, blame);
    }

    /// A subject that occurs breaks a rule that it broke before: it is counted only.
    pub(crate) fn again(&mut self, rule: Rule) {
        self.subject(rule);
        self.counts[rule as usize].checks += 1;
        self.not_kept += 1;
    }

    fn report(&mut self, rule: Rule, blame: Blame) {
        if self.violations.len() >= self.limit {
            self.not_kept += 1;
            return;
        }
        self.violations.push(Violation {
            rule,
            at: blame.at,
            party: blame.party,
            message: blame.message,
            detail: blame.detail,
            call_id: blame.call_id,
            reference: blame.reference,
        });
    }

    pub(crate) fn tally(&self) -> Vec<Tally> {
        Rule::ALL
            .iter()
            .map(|rule| {
                let count = self.counts[*rule as usize];
                Tally {
                    rule: *rule,
                    subjects: count.subjects,
                    excused: count.excused,
                    checks: count.checks,
                }
            })
            .collect()
    }
}
