//! What a registration costs: a challenge, its answer by digest, and the binding on disk before the 200.

use std::net::SocketAddr;

use callwright_peers::{CallCenter, CallCenterOptions, Sipp, require};

use super::{GENERATOR, MEASURED, UNPROTECTED};

const USERS: usize = 5_000;
const RATES: [u32; 3] = [200, 1_000, 5_000];
/// What is promised, in microseconds of the CPU.
const PROMISED: f64 = 80.0;

#[test]
#[ignore = "measures a release build on an idle machine"]
fn a_registration_with_digest_that_is_stored_costs_at_most_80_microseconds() {
    require!(Sipp);
    let users: Vec<_> = (1..=USERS)
        .map(|number| (format!("user{number}"), format!("password{number}")))
        .collect();
    let user = |(name, password): &(String, String)| {
        format!("[[user]]\nname = \"{name}\"\npassword = \"{password}\"\n")
    };
    let more = UNPROTECTED.to_owned() + &users.iter().map(user).collect::<String>();
    for rate in RATES {
        let server = CallCenter::start_with(&CallCenterOptions {
            auth: Some("registrations"),
            more: &more,
            cpu: Some(MEASURED),
            ..CallCenterOptions::default()
        });
        let contact = SocketAddr::from(([127, 0, 0, 1], 9));
        let before = server.cpu_time();
        Sipp::registering(server.address(), &users, contact)
            .rate(rate)
            .on_cpu(GENERATOR)
            .run()
            .assert_clean();
        let micros = (server.cpu_time() - before).as_secs_f64() * 1e6 / USERS as f64;
        println!("{rate:>5} registrations/s: {micros:.1} µs of CPU each, {PROMISED:.0} µs promised");
    }
}
