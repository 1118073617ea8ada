//! The legs of calls through the call center, joined by what its INVITEs say, where everything else would join the wrong ones.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use callwright_acd::{AgentConfig, QueueConfig};
use callwright_capture::PcapngWriter;
use callwright_capture::analysis::{Analysis, AnalysisConfig, analyze};
use callwright_ua::{Call, Phase};
use callwright_wire::{Epoch, TapRecord, Transport};

use crate::town::{Someone, Town, account, clean};

/// The Call-IDs of the legs of each call.
type Calls = BTreeSet<BTreeSet<String>>;

/// Two callers with the same name wait for one agent, who takes the later one first: what was on the wire, and whose legs are whose.
fn served_out_of_order() -> (Vec<TapRecord>, Calls) {
    let mut town = Town::new(1, clean());
    town.keep_records();
    let server = town.server(&["alice"], |config| {
        config.agents = vec![AgentConfig::new("alice")];
        let mut urgent = QueueConfig::new("urgent");
        urgent.priority = 10;
        config.queues = vec![QueueConfig::new("support"), urgent];
    });
    let agent = town.phone("alice", account("alice", Transport::Udp));
    for queue in ["support", "urgent"] {
        let caller = town.phone("carol", account("carol", Transport::Udp));
        town.dial(caller, queue);
        town.until(|town| town.phase(caller) == Some(Phase::Established));
        town.pass(Duration::from_secs(2));
    }
    town.register(agent);
    let mut calls = Calls::new();
    for taken in 1..=2 {
        town.until(|town| {
            let calls = town.user_agent(agent).calls();
            calls.len() == taken && calls.last().map(Call::phase) == Some(Phase::Ringing)
        });
        town.accept(agent);
        town.pass(Duration::from_secs(1));
        let Someone::Server(machine) = &town.world.node(server).expect("it is there").node else {
            panic!("it is the server")
        };
        let talks = machine.calls().into_iter().find(|call| call.agent.is_some());
        let call = talks.expect("the agent talks").call;
        calls.insert(machine.call_ids(call).into_iter().collect());
        town.hangup(agent);
        town.pass(Duration::from_secs(1));
    }
    (town.finish().records, calls)
}

fn analysis(records: &[TapRecord]) -> Analysis {
    let mut writer = PcapngWriter::new(Vec::new(), Epoch::SIMULATED, |_| None, |_| None).expect("a section");
    for record in records {
        writer.write(record).expect("a packet");
    }
    analyze(&writer.finish().expect("an end")[..], AnalysisConfig::default()).expect("a capture")
}

fn calls(analysis: &Analysis) -> Calls {
    let ids = analysis.calls.iter().map(|call| {
        let legs = call.legs.iter();
        legs.map(|leg| leg.call_id.to_string()).collect()
    });
    ids.collect()
}

#[test]
fn the_legs_of_callers_with_one_name_are_joined_as_the_call_center_joined_them() {
    let (mut records, truth) = served_out_of_order();
    assert_eq!(truth.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2]);
    let told = analysis(&records);
    assert_eq!(calls(&told), truth);
    let joins: Vec<_> = told.calls.iter().flat_map(|call| &call.joins).collect();
    assert_eq!(joins.len(), 2);
    for join in joins {
        assert!(!join.is_guess, "{join:?}");
        assert!(join.because.starts_with("X-Callwright-Call names"), "{join:?}");
    }

    for record in &mut records {
        if let Ok(text) = std::str::from_utf8(&record.bytes) {
            record.bytes = Bytes::from(text.replace("X-Callwright-Call", "Nothing-Of-A-Call"));
        }
    }
    let guessed = analysis(&records);
    assert_ne!(calls(&guessed), truth, "who waits longest is not who was served");
    assert!(
        guessed
            .calls
            .iter()
            .flat_map(|call| &call.joins)
            .all(|join| join.is_guess)
    );
}
