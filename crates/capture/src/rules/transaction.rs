//! Transactions as they show on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip_message::{Message, Method, SmolStr};
use callwright_wire::Time;

use super::heard::{Heard, Passage, describe};
use super::ledger::Blame;

/// A request and what became of it.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) key: Key,
    pub(crate) method: Method,
    pub(crate) cseq: u32,
    pub(crate) call_id: SmolStr,
    pub(crate) from_tag: Option<SmolStr>,
    pub(crate) to_tag: Option<SmolStr>,
    pub(crate) vias: usize,
    pub(crate) message: Message,
    /// Of the first time that it was sent.
    pub(crate) passage: Passage,
    pub(crate) last: Time,
    /// The least time until it may be sent again.
    pub(crate) interval: Duration,
    /// When it was sent and arrived.
    pub(crate) arrived: Option<Time>,
    /// A provisional response was sent.
    pub(crate) progressed: bool,
    /// A provisional response was sent then, and arrived.
    pub(crate) provisional: Option<Time>,
    /// A final response was sent then, and arrived.
    pub(crate) answered: Option<Time>,
    pub(crate) finals: Vec<Final>,
    pub(crate) cancelled: Option<Time>,
    /// One side is exempt, or cannot be reached: it need not end.
    pub(crate) excused: bool,
    pub(crate) exchange: Exchange,
}

/// The offer and the answer that a transaction carries (RFC 3264).
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The m= lines of the offer in the request.
    pub(crate) offer: Option<usize>,
    /// The m= lines of the offer in the response to an INVITE without one.
    pub(crate) late_offer: Option<usize>,
    /// The body of the last response that had a description.
    pub(crate) said: Option<Bytes>,
}

/// A final response to a transaction; one, but for a fork.
#[derive(Debug)]
pub(crate) struct Final {
    pub(crate) status: u16,
    pub(crate) tag: Option<SmolStr>,
    pub(crate) message: Message,
    pub(crate) passage: Passage,
    pub(crate) arrived: Option<Time>,
    /// Its ACK was judged, or is not to be.
    pub(crate) settled: bool,
}

impl Final {
    pub(crate) fn is_success(&self) -> bool {
        self.status < 300
    }
}

/// The branch, and whether it is the CANCEL of the INVITE with that branch (RFC 3261 §9.1).
pub(crate) type Key = (SmolStr, bool);

impl Transaction {
    pub(crate) fn start(heard: &Heard<'_>, t1: Duration, excused: bool) -> Self {
        Transaction {
            key: (heard.branch.clone(), heard.method == Method::Cancel),
            method: heard.method.clone(),
            cseq: heard.cseq.number,
            call_id: heard.call_id.clone(),
            from_tag: heard.from_tag.clone(),
            to_tag: heard.to_tag.clone(),
            vias: heard.vias,
            message: heard.message.clone(),
            passage: heard.passage,
            last: heard.passage.time,
            interval: t1,
            arrived: heard.passage.arrives.then_some(heard.passage.time),
            progressed: false,
            provisional: None,
            answered: None,
            finals: Vec::new(),
            cancelled: None,
            excused,
            exchange: Exchange::default(),
        }
    }

    pub(crate) fn is_invite(&self) -> bool {
        self.method == Method::Invite
    }

    /// When its client gives up waiting for a final response; `None`: it does not.
    pub(crate) fn given_up(&self, timeout: Duration, transit: Duration) -> Option<Time> {
        let started = self.passage.time + timeout;
        // RFC 3261 §17.1.1.2: a provisional response ends Timer B. §9.1: after CANCEL, 64·T1 are waited.
        let rings = self
            .provisional
            .is_some_and(|provisional| provisional + transit <= started);
        let cancelled = self.cancelled.map(|cancelled| cancelled + timeout);
        if rings {
            cancelled
        } else {
            Some(cancelled.map_or(started, |cancelled| cancelled.min(started)))
        }
    }

    /// The one who sent the request is to blame.
    pub(crate) fn blame_client(&self, at: Time, detail: String, reference: &'static str) -> Blame {
        Blame {
            at,
            party: self.passage.party,
            message: describe(&self.message, &self.passage),
            detail,
            call_id: Some(self.call_id.clone()),
            reference,
        }
    }
}

/// All transactions that are remembered, in the order in which they began.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_number: BTreeMap<u64, Transaction>,
    by_key: BTreeMap<Key, u64>,
    next: u64,
    limit: usize,
}

impl Transactions {
    pub(crate) fn new(limit: usize) -> Self {
        Transactions {
            by_number: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next: 0,
            limit,
        }
    }

    /// Takes a new one; gives the oldest back when there is no room.
    pub(crate) fn add(&mut self, transaction: Transaction) -> (u64, Option<Transaction>) {
        let number = self.next;
        self.next += 1;
        self.by_key.insert(transaction.key.clone(), number);
        self.by_number.insert(number, transaction);
        let full = self.by_number.len() > self.limit;
        let oldest = self
            .by_number
            .keys()
            .next()
            .copied()
            .filter(|_| full)
            .and_then(|oldest| self.remove(oldest));
        (number, oldest)
    }

    pub(crate) fn find(&self, key: &Key) -> Option<u64> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn at(&self, number: u64) -> Option<&Transaction> {
        self.by_number.get(&number)
    }

    pub(crate) fn at_mut(&mut self, number: u64) -> Option<&mut Transaction> {
        self.by_number.get_mut(&number)
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Transaction> {
        let transaction = self.by_number.remove(&number)?;
        if self.by_key.get(&transaction.key) == Some(&number) {
            self.by_key.remove(&transaction.key);
        }
        Some(transaction)
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = (u64, &mut Transaction)> {
        self.by_number
            .iter_mut()
            .map(|(number, transaction)| (*number, transaction))
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.by_number.keys().copied().collect()
    }
}
