//! What the peers themselves can do on this machine: a figure of ours is worth as much as the peer had in reserve.

use std::time::{Duration, Instant};

use callwright_peers::{Kamailio, Sipp, require};

#[test]
fn kamailio_registers_a_thousand_users_within_two_seconds() {
    require!(Kamailio, Sipp);
    let kamailio = Kamailio::start();
    let users: Vec<_> = (1..=1_000).map(Kamailio::user).collect();
    let began = Instant::now();
    Sipp::registering(kamailio.udp(), &users, kamailio.udp())
        .rate(2_000)
        .run()
        .assert_clean();
    let took = began.elapsed();
    assert_eq!(kamailio.contacts(), 1_000);
    println!("1,000 registrations in {} ms", took.as_millis());
    assert!(took < Duration::from_secs(2), "{took:?}");
}
