//! What is written is read again.

use std::time::Duration;

use callwright_capture::PcapngWriter;
use callwright_capture::analysis::{AnalysisConfig, analyze};
use callwright_capture::read::{PacketDirection, read};
use callwright_wire::{Carrier, Cause, Epoch, Fate, TapRecord, Time};
use proptest::prelude::*;

fn record() -> impl Strategy<Value = TapRecord> {
    let fate = prop_oneof![
        Just(Fate::Sent),
        Just(Fate::Received),
        Just(Fate::Lost),
        (0u64..1_000).prop_map(|ms| Fate::Delayed {
            by: Duration::from_millis(ms)
        }),
    ];
    let carrier = prop_oneof![Just(Carrier::Udp), Just(Carrier::SrtpClear)];
    let ip = prop_oneof![Just("127.0.0.1"), Just("::1")];
    (
        0u64..1 << 40,
        ip,
        1u16..,
        1u16..,
        fate,
        carrier,
        prop::collection::vec(any::<u8>(), 0..300),
        0u32..4,
    )
        .prop_map(|(nanos, ip, from, to, fate, carrier, bytes, party)| {
            let ip = ip.parse().expect("an address");
            TapRecord {
                time: Time::from_nanos(nanos),
                source: std::net::SocketAddr::new(ip, from),
                destination: std::net::SocketAddr::new(ip, to),
                carrier,
                fate,
                bytes: bytes.into(),
                cause: Some(Cause(party)),
                party,
            }
        })
}

fn written(records: &[TapRecord]) -> Vec<u8> {
    let names = |party| Some(format!("party {party}, äöü"));
    let causes = |cause: Cause| (cause.0 > 0).then(|| format!("line {}", cause.0));
    let mut writer = PcapngWriter::new(Vec::new(), Epoch::SIMULATED, names, causes).expect("a section");
    for record in records {
        writer.write(record).expect("a packet");
    }
    writer.finish().expect("an end")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn datagrams_come_back_with_time_party_direction_and_comment(records in prop::collection::vec(record(), 1..30)) {
        let file = written(&records);
        let mut place = 0;
        let facts = read(&file[..], |packet| {
            let record = &records[place];
            place += 1;
            assert_eq!(packet.number, place as u64);
            assert_eq!(packet.unix_nanos, Epoch::SIMULATED.unix_nanos_at(record.time));
            let name = format!("party {}, äöü", record.party);
            assert_eq!(packet.interface_name, Some(name.as_str()));
            let received = record.fate == Fate::Received;
            let direction = if received { PacketDirection::Inbound } else { PacketDirection::Outbound };
            assert_eq!(packet.direction, Some(direction));
            assert!(packet.data.ends_with(&record.bytes));
            let comment = packet.comment.as_deref().unwrap_or_default();
            assert_eq!(record.party > 0, comment.starts_with(&format!("line {}", record.party)));
            assert_eq!(record.fate == Fate::Lost, comment.contains("lost on its way"));
        }).expect("a capture");
        prop_assert_eq!(place, records.len());
        prop_assert!(facts.application.is_some_and(|application| application.starts_with("callwright ")));
    }

    /// Bytes that are changed anywhere are read up to some place, or refused; whatever they say is analyzed.
    #[test]
    fn a_capture_that_was_mangled_is_read_without_a_panic(
        records in prop::collection::vec(record(), 1..10),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = written(&records);
        for (place, value) in changes {
            let place = place.index(file.len());
            file[place] = value;
        }
        file.truncate(cut.index(file.len()) + 1);
        let _ = analyze(&file[..], AnalysisConfig::default());
    }
}
