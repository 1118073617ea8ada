//! SIPp's default calls, from its `uac` to its `uas` that is registered.

use std::net::SocketAddr;
use std::time::Duration;

use callwright_peers::{CallCenter, CallCenterOptions, Kamailio, Sipp, SippCalls, require};

use super::{GENERATOR, MEASURED, UNPROTECTED};

const RATES: [u32; 3] = [500, 1_000, 2_000];
const SECONDS: u32 = 10;

/// What one server took for calls at one rate.
struct Figure {
    cpu: Duration,
    caller: SippCalls,
    callee: SippCalls,
}

impl Figure {
    fn micros_per_call(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.caller.successful.max(1))
    }

    fn print(&self, server: &str, rate: u32) {
        println!(
            "{server:>9} at {rate:>5} calls/s: {:6.1} µs of CPU per call, {:5.1} % of the CPU; {} of {} calls, {} retransmissions \
             of the caller, {} of the callee",
            self.micros_per_call(),
            self.cpu.as_secs_f64() * 100.0 / f64::from(SECONDS),
            self.caller.successful,
            self.caller.expected,
            self.caller.retransmissions,
            self.callee.retransmissions,
        );
    }
}

fn calls(at: SocketAddr, rate: u32, cpu_time: impl Fn() -> Duration) -> Figure {
    let number = rate * SECONDS;
    let limit = Duration::from_secs(60);
    let many = |sipp: Sipp| {
        sipp.calls(number)
            .limit(limit)
            .on_cpu(GENERATOR)
            .argument(&["-l", "20000", "-buff_size", "4194304"])
    };
    let callee = many(Sipp::uas()).start();
    let bob = ("bob".to_owned(), "bobpw".to_owned());
    Sipp::registering(at, &[bob], callee.address())
        .run()
        .assert_clean();
    let before = cpu_time();
    let caller = many(Sipp::uac(at)).service("bob").rate(rate).run();
    let cpu = cpu_time() - before;
    let callee = callee.finish();
    Figure { cpu, caller, callee }
}

#[test]
#[ignore = "measures a release build on an idle machine"]
fn a_call_costs_at_most_twice_what_it_costs_a_proxy() {
    require!(Kamailio, Sipp);
    for rate in RATES {
        let kamailio = Kamailio::start_on(MEASURED);
        let theirs = calls(kamailio.udp(), rate, || kamailio.cpu_time());
        drop(kamailio);
        let ours = {
            let server = CallCenter::start_with(&CallCenterOptions {
                auth: Some("registrations"),
                more: &format!("[limits]\ncalls = 20000\n{UNPROTECTED}"),
                cpu: Some(MEASURED),
                ..CallCenterOptions::default()
            });
            calls(server.address(), rate, || server.cpu_time())
        };
        theirs.print("Kamailio", rate);
        ours.print("Callwright", rate);
        println!(
            "{:>9} at {rate:>5} calls/s: {:.2} times Kamailio's",
            "",
            ours.micros_per_call() / theirs.micros_per_call()
        );
    }
}
