//! What a script wants done to packets: each once, in order of its link, and in no hurry.

mod probe;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callwright_net::{PartyId, PiecePassage, Shaper};
use callwright_wire::link::{Channel, Link, Loss, Passage, Reordering};
use callwright_wire::{Fate, Seed, SocketId, Tap, TapRecord, Time, Transport};
use probe::{Seen, Stage, address};

/// One link for every pair of addresses, and what was asked about.
#[derive(Clone)]
struct Links {
    link: Link,
    channels: Arc<Mutex<BTreeMap<(SocketAddr, SocketAddr), Channel>>>,
    asked: Arc<Mutex<Vec<(SocketAddr, SocketAddr)>>>,
    /// How many pieces of streams are still to be lost.
    losses: Arc<Mutex<u32>>,
}

impl Links {
    fn of(link: Link) -> Self {
        Links {
            link,
            channels: Arc::default(),
            asked: Arc::default(),
            losses: Arc::default(),
        }
    }

    fn asked(&self) -> Vec<(SocketAddr, SocketAddr)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Shaper for Links {
    fn datagram(
        &mut self,
        now: Time,
        source: SocketAddr,
        destination: SocketAddr,
        octets: usize,
    ) -> Option<Passage> {
        self.asked.lock().unwrap().push((source, destination));
        let mut channels = self.channels.lock().unwrap();
        let channel = channels
            .entry((source, destination))
            .or_insert_with(|| Channel::new(self.link.clone(), Seed::from_number(1)));
        Some(channel.carry_datagram(now, octets))
    }

    fn piece(
        &mut self,
        now: Time,
        source: SocketAddr,
        destination: SocketAddr,
        _octets: usize,
        attempts: u32,
    ) -> Option<PiecePassage> {
        self.asked.lock().unwrap().push((source, destination));
        let mut losses = self.losses.lock().unwrap();
        if *losses > 0 {
            *losses -= 1;
            return Some(PiecePassage::Again(now + ms(5) * (attempts + 1)));
        }
        Some(PiecePassage::Arrives(now + self.link.latency))
    }
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn shaped(stage: &Stage, link: Link) -> Links {
    let links = Links::of(link);
    assert!(stage.world.set_shaper(Some(Box::new(links.clone()))).is_none());
    links
}

struct Wire(std::sync::mpsc::Sender<TapRecord>);

impl Tap for Wire {
    fn record(&mut self, record: TapRecord) {
        let _ = self.0.send(record);
    }
}

fn tapped(stage: &Stage) -> Receiver<TapRecord> {
    let (sender, records) = channel();
    stage.world.set_tap(Some(Box::new(Wire(sender))));
    records
}

/// Two parties with a UDP socket each.
fn pair(stage: &mut Stage) -> (PartyId, SocketAddr, PartyId, SocketAddr) {
    let (a, b) = (stage.add(), stage.add());
    let from = stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    (a, from, b, to)
}

/// When the next datagram came, and what it said.
fn datagram(stage: &mut Stage, party: PartyId) -> (Time, String) {
    stage.wait(party, |seen| match seen {
        Seen::Datagram(_, _, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}

#[test]
fn latency_and_jitter_keep_the_order_and_are_at_least_that_long() {
    let mut stage = Stage::new();
    let (a, from, b, to) = pair(&mut stage);
    let links = shaped(
        &stage,
        Link {
            jitter: ms(10),
            ..Link::perfect(ms(20))
        },
    );
    let records = tapped(&stage);
    for number in 0..20 {
        stage.with(a, |probe| probe.send(1, to, number.to_string()));
    }
    for number in 0..20 {
        let (at, text) = datagram(&mut stage, b);
        let record = records.try_recv().expect("it was shown as it was sent");
        assert_eq!(text, number.to_string());
        assert_eq!(record.bytes, text);
        assert!(at.since(record.time) >= ms(19), "{at} {}", record.time);
        assert!(matches!(record.fate, Fate::Delayed { .. }), "{:?}", record.fate);
        assert_eq!((record.source, record.destination, record.party), (from, to, a.0));
    }
    assert!(records.try_recv().is_err(), "each once");
    assert_eq!(links.asked(), vec![(from, to); 20]);
}

#[test]
fn what_is_lost_is_shown_and_nobody_hears_it() {
    let mut stage = Stage::new();
    let (a, _, b, to) = pair(&mut stage);
    shaped(
        &stage,
        Link {
            loss: Loss::Uniform(1.0),
            ..Link::perfect(ms(1))
        },
    );
    let records = tapped(&stage);
    stage.with(a, |probe| probe.send(1, to, "lost"));
    assert!(stage.world.set_shaper(None).is_some());
    stage.with(a, |probe| probe.send(1, to, "whole"));
    assert_eq!(datagram(&mut stage, b).1, "whole");
    let fates: Vec<_> = records.try_iter().map(|record| record.fate).collect();
    assert_eq!(fates, [Fate::Lost, Fate::Sent]);
    assert!(stage.rest().is_empty());
}

#[test]
fn a_copy_follows_and_is_shown_once() {
    let mut stage = Stage::new();
    let (a, _, b, to) = pair(&mut stage);
    shaped(
        &stage,
        Link {
            duplication: 1.0,
            ..Link::perfect(ms(1))
        },
    );
    let records = tapped(&stage);
    stage.with(a, |probe| probe.send(1, to, "one"));
    let (one, two) = (datagram(&mut stage, b).1, datagram(&mut stage, b).1);
    assert_eq!((one.as_str(), two.as_str()), ("one", "one"));
    let fates: Vec<_> = records.try_iter().map(|record| record.fate).collect();
    assert_eq!(fates, [Fate::Duplicated { by: Duration::ZERO }]);
}

#[test]
fn a_datagram_that_is_held_back_is_overtaken() {
    let mut stage = Stage::new();
    let (a, _, b, to) = pair(&mut stage);
    let reordering = Some(Reordering {
        probability: 1.0,
        delay: ms(200),
    });
    let links = shaped(
        &stage,
        Link {
            reordering,
            ..Link::perfect(ms(1))
        },
    );
    stage.with(a, |probe| probe.send(1, to, "first"));
    for channel in links.channels.lock().unwrap().values_mut() {
        channel.set(Link::perfect(ms(1)));
    }
    stage.with(a, |probe| probe.send(1, to, "second"));
    let texts = [datagram(&mut stage, b).1, datagram(&mut stage, b).1];
    assert_eq!(texts, ["second", "first"]);
}

#[test]
fn a_datagram_from_outside_takes_its_link_as_it_arrives() {
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let links = shaped(&stage, Link::perfect(ms(30)));
    let records = tapped(&stage);
    let outsider = UdpSocket::bind("127.0.0.1:0").unwrap();
    outsider.send_to(b"hello", local).unwrap();
    let (at, text) = datagram(&mut stage, a);
    assert_eq!(text, "hello");
    let source = outsider.local_addr().unwrap();
    assert_eq!(links.asked(), [(source, local)]);
    let record = records.try_recv().expect("a record");
    assert_eq!((record.fate, record.source), (Fate::Received, source));
    assert!(at <= record.time, "before the node sees it");
    assert!(records.try_recv().is_err());
    // What goes back takes the link as it is sent.
    stage.with(a, |probe| probe.send(1, source, "and back"));
    let mut buffer = [0; 100];
    let (length, _) = outsider.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"and back");
    assert_eq!(links.asked(), [(local, source)]);
}

#[test]
fn a_lost_datagram_from_outside_is_shown_as_lost() {
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    shaped(
        &stage,
        Link {
            loss: Loss::Uniform(1.0),
            ..Link::perfect(ms(1))
        },
    );
    let records = tapped(&stage);
    let outsider = UdpSocket::bind("127.0.0.1:0").unwrap();
    outsider.send_to(b"hello", local).unwrap();
    let record = records.recv_timeout(Duration::from_secs(10)).expect("a record");
    assert_eq!(record.fate, Fate::Lost);
    stage.world.set_shaper(None);
    outsider.send_to(b"again", local).unwrap();
    assert_eq!(datagram(&mut stage, a).1, "again");
}

#[test]
fn media_packets_take_the_link_and_arrive_when_it_says() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let from = stage.leased(a, 1, "127.0.0.1:0");
    let to = stage.leased(b, 1, "127.0.0.1:0");
    let links = shaped(&stage, Link::perfect(ms(20)));
    let records = tapped(&stage);
    for number in 0..5_u8 {
        stage.with(a, |probe| {
            probe.packets.push_back((SocketId(1), to, vec![number]))
        });
    }
    for number in 0..5_u8 {
        let (at, packet) = stage.wait(b, |seen| match seen {
            Seen::Packet(_, source, packet) if *source == from => Some(packet.clone()),
            _ => None,
        });
        assert_eq!(packet, [number]);
        let record = records.try_recv().expect("it was shown as it was sent");
        assert_eq!(record.fate, Fate::Sent);
        assert!(at.since(record.time) >= ms(19));
    }
    assert_eq!(links.asked(), vec![(from, to); 5]);
}

#[test]
fn a_media_packet_from_outside_has_the_time_that_its_link_gives_it() {
    let mut stage = Stage::new();
    let a = stage.add();
    let local = stage.leased(a, 1, "127.0.0.1:0");
    shaped(&stage, Link::perfect(ms(40)));
    let outsider = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = stage.world.now();
    outsider.send_to(b"rtp", local).unwrap();
    let (at, ()) = stage.wait(a, |seen| matches!(seen, Seen::Packet(..)).then_some(()));
    let waited = stage.with(a, |probe| probe.waited);
    let arrived = at - waited;
    assert!(arrived.since(before) >= ms(39), "{arrived} after {before}");
}

#[test]
fn what_is_on_its_way_goes_at_once_when_its_socket_closes() {
    let mut stage = Stage::new();
    let (a, _, b, to) = pair(&mut stage);
    shaped(&stage, Link::perfect(Duration::from_secs(3_600)));
    stage.with(a, |probe| {
        probe.send(1, to, "one");
        probe.send(1, to, "two");
        probe.unbind(1);
    });
    let texts = [datagram(&mut stage, b).1, datagram(&mut stage, b).1];
    assert_eq!(texts, ["one", "two"]);
}

#[test]
fn a_stream_takes_its_link_in_order_and_sends_again_what_is_lost() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let listener = stage.bound(b, 1, "127.0.0.1:0", Transport::Tcp);
    stage.with(a, |probe| probe.connect(2, None, listener, None));
    let (_, (one, flow)) = stage.wait(a, |seen| match seen {
        Seen::Connected(_, connection, flow) => Some((*connection, *flow)),
        _ => None,
    });
    let (_, other) = stage.wait(b, |seen| match seen {
        Seen::Accepted(_, connection, _) => Some(*connection),
        _ => None,
    });
    let links = shaped(&stage, Link::perfect(ms(20)));
    *links.losses.lock().unwrap() = 2;
    let records = tapped(&stage);
    stage.with(a, |probe| {
        probe.write(one, "first ");
        probe.write(one, "second");
        probe.close(one);
    });
    let read = stage.wait_stream(b, other, 12);
    assert_eq!(read, b"first second");
    let (closed, ()) = stage.wait(b, |seen| matches!(seen, Seen::Closed(..)).then_some(()));
    let shown: Vec<_> = records.try_iter().collect();
    let texts: Vec<_> = shown.iter().map(|record| &record.bytes[..]).collect();
    assert_eq!(texts, [b"first ", b"second"]);
    assert!(shown.iter().all(|record| record.fate == Fate::Sent));
    assert!(
        closed.since(shown[0].time) >= ms(5 + 10 + 20 - 1),
        "lost twice, then passed"
    );
    assert_eq!(links.asked(), vec![(flow.local, listener); 4]);
}

#[test]
fn a_stream_from_outside_takes_its_link_as_it_arrives() {
    let mut stage = Stage::new();
    let a = stage.add();
    let outsider = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = outsider.local_addr().unwrap();
    stage.with(a, |probe| probe.connect(2, None, remote, None));
    let (mut stream, _) = outsider.accept().unwrap();
    let (_, (connection, flow)) = stage.wait(a, |seen| match seen {
        Seen::Connected(_, connection, flow) => Some((*connection, *flow)),
        _ => None,
    });
    let links = shaped(&stage, Link::perfect(ms(20)));
    stream.write_all(b"hello").unwrap();
    assert_eq!(stage.wait_stream(a, connection, 5), b"hello");
    assert_eq!(links.asked(), [(remote, flow.local)]);
    // What is on its way when the peer ends the connection is not lost.
    stage.world.set_shaper(None);
    shaped(&stage, Link::perfect(Duration::from_secs(3_600)));
    stream.write_all(b"good bye").unwrap();
    drop(stream);
    let mut seen = Vec::new();
    while !seen.iter().any(|seen| matches!(seen, Seen::Closed(..))) {
        let (_, next) = stage.wait(a, |seen| {
            matches!(seen, Seen::Stream(..) | Seen::Closed(..)).then(|| seen.clone())
        });
        seen.push(next);
    }
    assert_eq!(seen[0], Seen::Stream(connection, "good bye".into()));
}

#[test]
fn bytes_still_come_after_the_links_are_gone_and_in_order() {
    let mut stage = Stage::new();
    let a = stage.add();
    let outsider = TcpListener::bind(address("127.0.0.1:0")).unwrap();
    let remote = outsider.local_addr().unwrap();
    stage.with(a, |probe| probe.connect(2, None, remote, None));
    let (mut stream, _) = outsider.accept().unwrap();
    let (_, connection) = stage.wait(a, |seen| match seen {
        Seen::Connected(_, connection, _) => Some(*connection),
        _ => None,
    });
    shaped(&stage, Link::perfect(ms(50)));
    stage.with(a, |probe| probe.write(connection, "slow "));
    stage.world.set_shaper(None);
    stage.with(a, |probe| probe.write(connection, "fast"));
    let mut read = [0; 9];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"slow fast");
}
