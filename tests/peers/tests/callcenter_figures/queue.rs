//! SIPp's default calls to a queue, answered by its agents, beside a proxy that relays the same calls to one user. Agents and user are the
//! same callee, SIPp's default one: what its side costs is in no figure.

use std::path::Path;
use std::time::{Duration, Instant};

use callwright_peers::{CallCenter, CallCenterOptions, Kamailio, Sipp, SippCalls, require};
use rusqlite::Connection;

use super::{GENERATOR, MEASURED, UNPROTECTED, rate};

/// More than are in a call at once: a call takes some milliseconds.
const AGENTS: usize = 200;
const SECONDS: u32 = 10;
/// What is promised, in times of what it costs the proxy.
const PROMISED: f64 = 3.0;
/// How long the last records may take: the 200 to a BYE waits for none.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// A call center with a queue that is answered by `uas`: SIPp, where all agents are registered.
pub(super) fn queue(uas: std::net::SocketAddr) -> CallCenter {
    let agents: Vec<_> = (1..=AGENTS)
        .map(|number| (format!("agent{number}"), format!("password{number}")))
        .collect();
    let user = |(name, password): &(String, String)| {
        format!("[[user]]\nname = \"{name}\"\npassword = \"{password}\"\nagent = true\n")
    };
    let users: String = agents.iter().map(user).collect();
    let more = format!(
        "[limits]\ncalls = 20000\n{UNPROTECTED}{}[[queue]]\nname = \"support\"\nanswer = \"with_agent\"\n{users}",
        CallCenter::OPEN_API
    );
    let server = CallCenter::start_with(&CallCenterOptions {
        auth: Some("registrations"),
        more: &more,
        cpu: Some(MEASURED),
        ..CallCenterOptions::default()
    });
    Sipp::registering(server.address(), &agents, uas)
        .rate(200)
        .on_cpu(GENERATOR)
        .run()
        .assert_clean();
    server
}

/// The default callee, for so many calls.
pub(super) fn uas(calls: u32) -> Sipp {
    many(Sipp::uas(), calls)
}

/// A SIPp that may have many calls at once.
pub(super) fn many(sipp: Sipp, calls: u32) -> Sipp {
    sipp.calls(calls)
        .limit(Duration::from_secs(300))
        .on_cpu(GENERATOR)
        .argument(&["-l", "20000", "-buff_size", "4194304"])
}

/// Records, those of them that name an agent and say that the call was completed, and all causes with their numbers.
fn records(database: &Path) -> (u32, u32, String) {
    let database = Connection::open(database).expect("it opens");
    let count = |condition: &str| {
        let select = format!("SELECT count(*) FROM calls WHERE {condition}");
        database
            .query_row(&select, [], |row| row.get(0))
            .expect("a number")
    };
    let mut statement = database
        .prepare("SELECT coalesce(cause, 'none'), count(*) FROM calls GROUP BY cause")
        .expect("a statement");
    let causes = statement
        .query_map([], |row| {
            Ok(format!("{}: {}", row.get::<_, String>(0)?, row.get::<_, u32>(1)?))
        })
        .expect("rows")
        .map(|row| row.expect("a row"));
    let causes: Vec<_> = causes.collect();
    let complete =
        "agent IS NOT NULL AND queue = 'support' AND cause IN ('completed_by_caller', 'completed_by_agent')";
    (count("true"), count(complete), causes.join(", "))
}

/// The CPU that one side took for each call, in microseconds.
fn micros(cpu: Duration, calls: &SippCalls) -> f64 {
    cpu.as_secs_f64() * 1e6 / f64::from(calls.successful.max(1))
}

fn print(server: &str, cpu: Duration, caller: &SippCalls, callee: &SippCalls) -> f64 {
    let micros = micros(cpu, caller);
    println!(
        "{server:>10} at {:>5} calls/s: {micros:6.1} µs of CPU per call, {:5.1} % of the CPU; {} of {} calls, {} failed, {} \
         retransmissions of the caller, {} of the callee",
        rate(),
        cpu.as_secs_f64() * 100.0 / f64::from(SECONDS),
        caller.successful,
        caller.expected,
        caller.failed,
        caller.retransmissions,
        callee.retransmissions
    );
    micros
}

#[test]
#[ignore = "measures a release build on an idle machine"]
fn a_call_through_a_queue_costs_at_most_three_times_what_it_costs_a_proxy() {
    require!(Kamailio, Sipp);
    let calls = rate() * SECONDS;
    let theirs = {
        let kamailio = Kamailio::start_on(MEASURED);
        let callee = uas(calls).start();
        let bob = ("bob".to_owned(), "bobpw".to_owned());
        Sipp::registering(kamailio.udp(), &[bob], callee.address())
            .run()
            .assert_clean();
        let before = kamailio.cpu_time();
        let caller = many(Sipp::uac(kamailio.udp()), calls)
            .service("bob")
            .rate(rate())
            .run();
        let cpu = kamailio.cpu_time() - before;
        print("Kamailio", cpu, &caller, &callee.finish())
    };

    let callee = uas(calls).start();
    let server = queue(callee.address());
    let before = server.cpu_time();
    let caller = many(Sipp::uac(server.address()), calls)
        .service("support")
        .rate(rate())
        .run();
    let database = server.file("callcenter.db");
    let patience = Instant::now() + STORED_WITHIN;
    while records(&database).1 < caller.successful && Instant::now() < patience {
        // Nothing tells when the last is stored.
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let cpu = server.cpu_time() - before;
    let callee = callee.finish();
    let ours = print("Callwright", cpu, &caller, &callee);
    let (all, complete, causes) = records(&database);
    println!(
        "{:>10}  {all} records, {complete} of completed calls with an agent ({causes})",
        ""
    );
    println!(
        "{:>10}  {:.2} times Kamailio's, {PROMISED} promised",
        "",
        ours / theirs
    );

    caller.assert_clean();
    callee.assert_clean();
    assert_eq!((all, complete), (calls, calls), "{causes}");
}
