//! The protocol rules over a capture.

use callwright_wire::{TapRecord, Time};

use super::config::AnalysisConfig;
use crate::rules::{Rules, RulesConfig, Violation};

/// What the rules found, with the packet that showed it.
#[derive(Debug)]
pub(crate) struct Protocol {
    rules: Rules,
    pub(crate) found: Vec<(Violation, Option<u64>)>,
    limit: usize,
    pub(crate) not_kept: u64,
}

impl Protocol {
    pub(crate) fn new(config: &AnalysisConfig) -> Self {
        let rules = RulesConfig {
            max_transactions: 16_384,
            max_calls: 8_192,
            max_media_streams: 2_048,
            max_addresses: 4_096,
            ..RulesConfig::default()
        };
        Protocol {
            rules: Rules::new(rules),
            found: Vec::new(),
            limit: config.max_findings,
            not_kept: 0,
        }
    }

    /// Each packet in order of time.
    pub(crate) fn observe(&mut self, record: &TapRecord, packet: u64) {
        self.rules.observe(record);
        self.take(|violation| (violation.at == record.time).then_some(packet));
    }

    /// The capture is over: what would have come later is not judged.
    pub(crate) fn finish(&mut self, now: Time) {
        self.rules.advance(now);
        self.take(|_| None);
        self.not_kept += self.rules.violations_not_kept();
    }

    fn take(&mut self, packet: impl Fn(&Violation) -> Option<u64>) {
        if self.rules.violations().is_empty() {
            return;
        }
        for violation in self.rules.take_violations() {
            if self.found.len() >= self.limit {
                self.not_kept += 1;
                continue;
            }
            let packet = packet(&violation);
            self.found.push((violation, packet));
        }
    }
}
