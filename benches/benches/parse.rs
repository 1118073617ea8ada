//! Nanoseconds of parsing one INVITE.

use std::hint::black_box;

use bytes::Bytes;
use callwright_benches::{INVITE, parse};
use criterion::{Criterion, criterion_group, criterion_main};

fn parse_invite(criterion: &mut Criterion) {
    let invite = Bytes::copy_from_slice(INVITE);
    let mut group = criterion.benchmark_group("parse-invite");
    group.bench_function("callwright", |b| b.iter(|| parse(black_box(&invite))));
    #[cfg(feature = "compare")]
    group.bench_function("rsipstack", |b| {
        b.iter(|| callwright_benches::rsipstack::parse(black_box(&invite)))
    });
    group.finish();
}

criterion_group!(benches, parse_invite);
criterion_main!(benches);
