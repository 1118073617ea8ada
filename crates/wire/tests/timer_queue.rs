//! The queue of timers against the simplest thing that could be right.

use callwright_wire::{Seed, Time, Timer, TimerQueue};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Numbered(u64);

impl Timer for Numbered {
    fn name(&self) -> &'static str {
        if self.0 == 0 { "zero" } else { "other" }
    }
}

#[test]
fn timers_come_in_order_of_time_then_of_being_set() {
    let mut queue = TimerQueue::default();
    queue.set(Numbered(1), Time::from_millis(20));
    queue.set(Numbered(2), Time::from_millis(10));
    queue.set(Numbered(0), Time::from_millis(10));
    queue.set(Numbered(3), Time::from_millis(30));
    // Moved: it counts as set last.
    queue.set(Numbered(2), Time::from_millis(10));
    queue.clear(Numbered(3));
    assert_eq!(queue.next(), Some((Time::from_millis(10), "zero")));
    assert_eq!(queue.pop(Time::from_millis(9)), None);
    assert_eq!(queue.pop(Time::from_millis(10)), Some(Numbered(0)));
    assert_eq!(queue.pop(Time::from_millis(10)), Some(Numbered(2)));
    assert_eq!(queue.pop(Time::from_millis(19)), None);
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.pop(Time::from_millis(20)), Some(Numbered(1)));
    assert!(queue.is_empty());
    assert_eq!(queue.next(), None);
}

#[test]
fn it_behaves_as_a_list_that_is_searched() {
    let mut entropy = Seed::from_number(1).stream();
    let mut queue = TimerQueue::default();
    // Key, time, order of being set.
    let mut list: Vec<(Numbered, Time, u64)> = Vec::new();
    let mut now = Time::ZERO;
    for order in 0..50_000 {
        let key = Numbered(entropy.below(300));
        match entropy.below(10) {
            0..6 => {
                let at = Time::from_nanos(now.as_nanos() + entropy.below(1_000));
                queue.set(key, at);
                list.retain(|(other, _, _)| *other != key);
                list.push((key, at, order));
            }
            6..9 => {
                queue.clear(key);
                list.retain(|(other, _, _)| *other != key);
            }
            _ => {
                now = Time::from_nanos(now.as_nanos() + entropy.below(100));
                while let Some(key) = queue.pop(now) {
                    let first = list.iter().min_by_key(|(_, at, order)| (*at, *order)).copied();
                    let (expected, at, _) = first.expect("the list has it too");
                    assert!(at <= now);
                    assert_eq!(key, expected);
                    list.retain(|(other, _, _)| *other != key);
                }
            }
        }
        assert_eq!(queue.len(), list.len());
        let next = list.iter().map(|(_, at, _)| *at).min();
        assert_eq!(queue.next().map(|(at, _)| at), next);
        let at = list
            .iter()
            .find(|(other, _, _)| *other == key)
            .map(|(_, at, _)| *at);
        assert_eq!(queue.at(key), at);
    }
}
