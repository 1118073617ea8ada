//! The registrar (RFC 3261 §10): users, and where each can be reached.

mod update;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use callwright_sip::digest::Secret;
use callwright_sip::endpoint::IncomingId;
use callwright_sip_message::Message;
use callwright_wire::{Flow, Time};

use crate::config::User;
use crate::fact::Binding;

pub(crate) use update::{Asked, Rules, Update, UpdateError};

/// A user: the place in the list of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UserKey(u32);

/// A REGISTER that was proved and is not answered.
#[derive(Debug)]
pub(crate) struct Registering {
    pub(crate) request: IncomingId,
    pub(crate) message: Message,
    pub(crate) flow: Flow,
}

/// What a user's bindings are doing.
///
/// ```text
///        REGISTER that changes something
///   Settled ─────────────────────────────▶ Storing ──stored: apply, 200──▶ Settled
///      ▲  ▲                                 │    │
///      │  └── 200: a query                  │    └── the next REGISTER waits
///      └───────── not stored: 503 ──────────┘
/// ```
///
/// One change at a time: the next is computed from what the last one left.
#[derive(Debug)]
pub(crate) enum Storing {
    /// Nothing is under way.
    Settled,
    /// These bindings are being stored for this request; until then those before are in force.
    Storing {
        /// The request that is answered then, and what asked for it.
        request: Registering,
        /// What is bound then.
        bindings: Vec<Binding>,
    },
}

/// A user and its bindings.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: User,
    /// Those that are stored, the highest q first, of equal ones the newest.
    pub(crate) bindings: Vec<Binding>,
    pub(crate) storing: Storing,
    /// REGISTERs that came meanwhile.
    pub(crate) waiting: VecDeque<Registering>,
}

/// All users.
#[derive(Debug)]
pub(crate) struct Registrar {
    accounts: Vec<Account>,
    by_name: BTreeMap<String, UserKey>,
    /// Who is bound over each connection.
    by_flow: BTreeMap<Flow, BTreeSet<UserKey>>,
}

impl Registrar {
    pub(crate) fn new(users: &[User]) -> Registrar {
        let account = |user: &User| Account {
            user: user.clone(),
            bindings: Vec::new(),
            storing: Storing::Settled,
            waiting: VecDeque::new(),
        };
        let named = users
            .iter()
            .zip(0..)
            .map(|(user, at)| (user.name.clone(), UserKey(at)));
        Registrar {
            accounts: users.iter().map(account).collect(),
            by_name: named.collect(),
            by_flow: BTreeMap::new(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<UserKey> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn account(&self, key: UserKey) -> &Account {
        &self.accounts[key.0 as usize]
    }

    pub(crate) fn account_mut(&mut self, key: UserKey) -> &mut Account {
        &mut self.accounts[key.0 as usize]
    }

    /// Puts these bindings of a user in force; gives back the connections that are needed from now on, and those that nobody needs
    /// any more.
    pub(crate) fn bind(&mut self, key: UserKey, bindings: Vec<Binding>) -> Flows {
        let flows = |bindings: &[Binding]| -> BTreeSet<Flow> {
            let flows = bindings.iter().map(|binding| binding.flow);
            flows.filter(|flow| flow.transport.is_reliable()).collect()
        };
        let account = &mut self.accounts[key.0 as usize];
        let before = flows(&account.bindings);
        let after = flows(&bindings);
        account.bind(bindings);
        let mut unneeded = Vec::new();
        for flow in before.difference(&after) {
            if let Some(users) = self.by_flow.get_mut(flow) {
                users.remove(&key);
                if users.is_empty() {
                    self.by_flow.remove(flow);
                    unneeded.push(*flow);
                }
            }
        }
        for flow in &after {
            self.by_flow.entry(*flow).or_default().insert(key);
        }
        Flows {
            needed: after.into_iter().collect(),
            unneeded,
        }
    }

    /// Who is bound over a connection.
    pub(crate) fn bound_over(&self, flow: &Flow) -> Vec<UserKey> {
        self.by_flow.get(flow).into_iter().flatten().copied().collect()
    }

    pub(crate) fn secrets_of(&self, name: &str) -> Option<&[Secret]> {
        let key = self.find(name)?;
        Some(&self.account(key).user.secrets)
    }

    /// How many bindings there are.
    pub(crate) fn bindings(&self) -> usize {
        self.accounts.iter().map(|account| account.bindings.len()).sum()
    }
}

/// Connections by which users are bound.
pub(crate) struct Flows {
    /// Somebody is.
    pub(crate) needed: Vec<Flow>,
    /// Nobody is any more.
    pub(crate) unneeded: Vec<Flow>,
}

impl Account {
    /// The bindings in force at `now`.
    pub(crate) fn bound(&self, now: Time) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(move |binding| binding.expires > now)
    }

    /// When the next binding runs out.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.bindings.iter().map(|binding| binding.expires).min()
    }

    /// Puts these bindings in force, in the order in which they are rung.
    fn bind(&mut self, mut bindings: Vec<Binding>) {
        // A stable sort: the newest stand first already.
        bindings.sort_by_key(|binding| std::cmp::Reverse(binding.q_thousandths));
        self.bindings = bindings;
    }
}
