//! Microseconds of a whole call, both sides together.

use callwright_benches::call::Pair;
use criterion::{Criterion, criterion_group, criterion_main};

fn whole_call(criterion: &mut Criterion) {
    let mut pair = Pair::new();
    criterion.bench_function("whole-call", |b| b.iter(|| assert!(pair.call())));
}

criterion_group!(benches, whole_call);
criterion_main!(benches);
