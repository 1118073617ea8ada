//! Calls through the call center, whose relay breaks a rule.

use std::time::Duration;

use callwright_capture::rules::Rule;
use callwright_sim::{Link, Loss};
use callwright_wire::Transport;

use crate::mutant::Fault;
use crate::town::{Town, Verdict, account, clean};

fn call(link: Link, fault: Fault) -> Verdict {
    let mut town = Town::new(1, link);
    let server = town.server(&["alice", "bob"], |_| {});
    let a = town.phone("alice", account("alice", Transport::Udp));
    let b = town.phone("bob", account("bob", Transport::Tcp));
    for (phone, hz) in [(a, 437.0), (b, 881.0)] {
        town.register(phone);
        town.play(phone, hz);
    }
    town.break_rule(server, fault);
    town.establish(a, b, "bob");
    town.pass(Duration::from_secs(20));
    town.hangup(a);
    town.pass(Duration::from_secs(20));
    town.finish()
}

#[test]
fn a_relay_that_works() {
    call(clean(), Fault::None).assert_sound("nothing is wrong");
}

#[test]
fn a_relay_that_skips_a_sequence_number() {
    call(clean(), Fault::SkipSequence(700)).assert_broken(&[Rule::RtpSequence]);
    let lossy = Link {
        loss: Loss::Uniform(0.02),
        ..clean()
    };
    call(lossy.clone(), Fault::None).assert_sound("what is lost on the way to it is missing behind it");
    call(lossy, Fault::SkipSequence(700)).assert_broken(&[Rule::RtpSequence]);
}
