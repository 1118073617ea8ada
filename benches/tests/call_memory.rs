//! What calls hold of memory: established ones little, ended ones less while their transactions linger, and then nothing.

use std::alloc::System;

use callwright_benches::call::Pair;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are held now and were not when `region` began.
fn held(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated as isize - change.bytes_deallocated as isize
}

// One test: another one's allocations would be counted too.
#[test]
fn an_established_call_holds_little_and_an_ended_one_less_and_then_nothing() {
    const CALLS: isize = 1_000;
    let mut pair = Pair::new();
    for _ in 0..100 {
        assert!(pair.call());
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..10_000 {
        assert!(pair.call());
    }
    assert_eq!(held(&region), 0, "ten thousand calls left something");

    for _ in 0..CALLS {
        assert!(pair.establish().is_some());
    }
    let young = held(&region) / CALLS / 2;
    pair.settle();
    let settled = held(&region) / CALLS / 2;
    println!("bytes of an established call and side: {young} while its transactions live, {settled} after them");
    let region = Region::new(ALLOCATOR);
    for _ in 0..CALLS {
        let call = pair.establish().expect("a call");
        assert!(pair.hang_up(call));
    }
    let lingering = held(&region) / CALLS;
    println!("bytes of a call that is over and both its sides, while its transactions linger: {lingering}");
    assert!(young <= 3 * 1024, "{young}");
    assert!(settled <= 2 * 1024, "{settled}");
    assert!(lingering <= 768, "{lingering}");
}
