//! Which legs are parts of one call.
//!
//! A back-to-back user agent makes a leg of its own towards whoever is called, with another Call-ID. What ties the two together is, from
//! the surest down: a header of one that names the Call-ID of the other; the same sound in both; and who it is for and when.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::call::{Join, Side};
use super::legs::{LegState, Legs};
use super::prints::Prints;

/// Open legs that are looked at for one that may belong to them: the latest ones.
const CANDIDATES: usize = 512;
/// An identifier is not shorter.
const SHORTEST: usize = 8;
/// Prints that two streams must have in common.
const COMMON: usize = 3;

/// Legs that belong together: the first one is the caller's.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) legs: Vec<usize>,
    /// Of each but the first.
    pub(crate) joins: Vec<Join>,
}

/// The sound of each leg's streams, and who sends it.
pub(crate) type Sounds<'a> = BTreeMap<usize, Vec<(Side, &'a Prints)>>;

/// All calls.
pub(crate) fn groups(legs: &Legs, sounds: &Sounds<'_>) -> Vec<Group> {
    let all = &legs.all;
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|leg| (all[*leg].started, all[*leg].first_packet));
    let by_value = by_header(legs);
    let mut group_of = vec![usize::MAX; all.len()];
    let mut groups: Vec<Group> = Vec::new();
    let mut open: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    // Which leg has one that goes on from it, to whom.
    let mut taken: Vec<Option<usize>> = vec![None; all.len()];
    for leg in order {
        let named = by_value.get(&leg).filter(|(to, ..)| group_of[*to] != usize::MAX);
        let parent = match named {
            Some(named) => Some(named.clone()),
            None => guess(leg, all, &open, &taken, sounds),
        };
        match parent {
            Some((to, is_guess, because)) => {
                let group = group_of[to];
                let (place, to_place) = (groups[group].legs.len(), place_in(&groups[group], to));
                groups[group].legs.push(leg);
                groups[group].joins.push(Join {
                    leg: place,
                    to: to_place,
                    is_guess,
                    because,
                });
                group_of[leg] = group;
                taken[to] = Some(leg);
            }
            None => {
                group_of[leg] = groups.len();
                groups.push(Group {
                    legs: vec![leg],
                    joins: Vec::new(),
                });
            }
        }
        for address in all[leg].reached.iter().chain([&all[leg].server]) {
            let there = open.entry(address.ip()).or_default();
            if there.last() != Some(&leg) {
                there.push(leg);
            }
        }
    }
    groups
}

fn place_in(group: &Group, leg: usize) -> usize {
    group.legs.iter().position(|other| *other == leg).unwrap_or(0)
}

/// What a header says of a leg: the leg that it goes on from, whether that is a guess, and why.
type Named = (usize, bool, String);

/// Legs of which a header names the Call-ID of another one, or that have an identifier in common.
fn by_header(legs: &Legs) -> BTreeMap<usize, Named> {
    let all = &legs.all;
    let mut found: BTreeMap<usize, Named> = BTreeMap::new();
    let mut seen: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (leg, state) in all.iter().enumerate() {
        for (name, value) in &state.values {
            let first = value.split([';', ',', ' ']).next().unwrap_or_default();
            let first = first.trim_matches(['<', '>', '"']);
            let names = legs.of(value).or_else(|| legs.of(first));
            if let Some(other) = names.filter(|other| *other != leg) {
                // The later one is the part.
                let earlier = |one: usize| (all[one].started, all[one].first_packet);
                let (part, whole) = if earlier(other) <= earlier(leg) {
                    (leg, other)
                } else {
                    (other, leg)
                };
                let because = format!("{name} names the Call-ID of the other leg");
                found.insert(part, (whole, false, because));
                continue;
            }
            let Some(is_guess) = identifies(name).filter(|_| first.len() >= SHORTEST) else {
                continue;
            };
            let same = seen.entry((name, first)).or_default();
            let before = same.iter().rev().take(CANDIDATES).copied();
            let before =
                before.filter(|other| was_open(&all[*other], state) && continues(&all[*other], state));
            if let Some(other) = before.last() {
                found
                    .entry(leg)
                    .or_insert_with(|| (other, is_guess, format!("{name} is the same on both legs")));
            }
            same.push(leg);
        }
    }
    found
}

/// Whether a header holds what all legs of a call have in common, and no others; `Some(true)` where it only seems so by its name.
fn identifies(name: &str) -> Option<bool> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        // RFC 7989, RFC 7315 §4.6.
        "session-id" | "p-charging-vector" => Some(false),
        own if own.starts_with("x-") => {
            let words = [
                "call",
                "cid",
                "uuid",
                "guid",
                "correlation",
                "session",
                "interaction",
            ];
            words.iter().any(|word| own.contains(word)).then_some(true)
        }
        _ => None,
    }
}

/// Whether a leg comes from where another one went: the same address, or the same host where one of them is a connection.
fn continues(before: &LegState, state: &LegState) -> bool {
    let reached = || before.reached.iter().chain([&before.server]);
    let reliable = state.transport != "UDP" || before.transport != "UDP";
    before.client != state.client
        && reached().any(|at| *at == state.client || reliable && at.ip() == state.client.ip())
}

/// The leg that this one most likely goes on from.
fn guess(
    leg: usize,
    all: &[LegState],
    open: &BTreeMap<IpAddr, Vec<usize>>,
    taken: &[Option<usize>],
    sounds: &Sounds<'_>,
) -> Option<Named> {
    let state = &all[leg];
    let there = open.get(&state.client.ip())?;
    let mut best: Option<(u32, usize, String)> = None;
    for other in there.iter().rev().take(CANDIDATES).copied() {
        let before = &all[other];
        if other == leg || !was_open(before, state) || !continues(before, state) {
            continue;
        }
        let same_caller = before.caller_user.is_some() && before.caller_user == state.caller_user;
        let common = common_sound(leg, other, sounds);
        let free = taken[other].is_none_or(|next| is_over_before(&all[next], state));
        let score = 8 * u32::from(common >= COMMON) + 4 * u32::from(same_caller) + 2 * u32::from(free);
        // Neither the same caller nor the same sound: two calls that happen to pass one machine.
        if score < 4 {
            continue;
        }
        let because = match (common >= COMMON, same_caller) {
            (true, true) => "the same caller and the same sound, through the same address",
            (true, false) => "the same sound, through the same address",
            (false, _) => "the same caller at the same time, through the same address",
        };
        // Of equals the earliest: who waits longest is served first.
        if best.as_ref().is_none_or(|(than, ..)| score >= *than) {
            best = Some((score, other, because.to_owned()));
        }
    }
    best.map(|(_, other, because)| (other, true, because))
}

/// Whether a leg had begun and was not over when another one began.
fn was_open(before: &LegState, state: &LegState) -> bool {
    before.started <= state.started && !is_over_before(before, state)
}

fn is_over_before(before: &LegState, state: &LegState) -> bool {
    before.ended().is_some_and(|ended| ended < state.started)
}

/// How much of the sound that goes into one leg comes out of the other.
fn common_sound(leg: usize, other: usize, sounds: &Sounds<'_>) -> usize {
    let (Some(ours), Some(theirs)) = (sounds.get(&leg), sounds.get(&other)) else {
        return 0;
    };
    let mut most = 0;
    for (from, prints) in ours {
        // The caller of this leg sends what the caller of the other one sent.
        for (_, their_prints) in theirs.iter().filter(|(their_from, _)| their_from == from) {
            most = most.max(prints.common(their_prints));
        }
    }
    most
}
