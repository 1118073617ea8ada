//! The tap: every packet once, in order, in the clear.

mod probe;

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use callwright_wire::{Carrier, Cause, Fate, SocketId, Tap, TapRecord, Transport};
use probe::{Seen, Stage};

struct Wire(Sender<TapRecord>);

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

fn next(records: &Receiver<TapRecord>) -> TapRecord {
    records.recv_timeout(Duration::from_secs(10)).expect("a record")
}

fn path(record: &TapRecord) -> (SocketAddr, SocketAddr, Carrier, Fate) {
    (record.source, record.destination, record.carrier, record.fate)
}

#[test]
fn a_datagram_between_own_parties_is_seen_once_on_its_senders_side() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let from = stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let records = tapped(&stage);
    stage.with(a, |probe| probe.send(1, to, "one"));
    stage.wait_datagram(b);
    stage.with(b, |probe| probe.send(1, from, "two"));
    stage.wait_datagram(a);
    let (one, two) = (next(&records), next(&records));
    assert_eq!(path(&one), (from, to, Carrier::Udp, Fate::Sent));
    assert_eq!(
        (one.party, one.cause, &one.bytes[..]),
        (a.0, Some(Cause(1)), &b"one"[..])
    );
    assert_eq!(path(&two), (to, from, Carrier::Udp, Fate::Sent));
    assert!(one.time <= two.time);
    assert!(records.try_recv().is_err());
}

#[test]
fn a_wildcard_socket_is_known_as_own() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let any = stage.bound(a, 1, "0.0.0.0:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let records = tapped(&stage);
    stage.with(a, |probe| probe.send(1, to, "one"));
    stage.wait_datagram(b);
    // The source is what the receiver saw, not the wildcard.
    assert_eq!(next(&records).source, SocketAddr::new(to.ip(), any.port()));
    assert!(records.try_recv().is_err());
}

#[test]
fn a_datagram_of_an_outsider_is_seen_on_receipt() {
    let mut stage = Stage::new();
    let b = stage.add();
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let records = tapped(&stage);
    let outsider = UdpSocket::bind("127.0.0.1:0").unwrap();
    outsider.send_to(b"hello", to).unwrap();
    let from = outsider.local_addr().unwrap();
    assert_eq!(path(&next(&records)), (from, to, Carrier::Udp, Fate::Received));
}

#[test]
fn a_datagram_whose_sender_closed_at_once_is_still_own() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let records = tapped(&stage);
    stage.with(a, |probe| {
        probe.send(1, to, "last words");
        probe.unbind(1);
    });
    stage.wait_datagram(b);
    assert_eq!(next(&records).fate, Fate::Sent);
    assert!(records.try_recv().is_err());
}

#[test]
fn media_is_seen_in_the_clear_where_the_node_knows_it() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let from = stage.leased(a, 10, "127.0.0.1:0");
    let to = stage.leased(b, 10, "127.0.0.1:0");
    let records = tapped(&stage);
    stage.with(a, |probe| {
        probe.clear = Some(b"clear".to_vec());
        probe.packets.push_back((SocketId(10), to, b"sealed".to_vec()));
    });
    assert_eq!(stage.wait_packet(b).2, b"sealed");
    let record = next(&records);
    assert_eq!(path(&record), (from, to, Carrier::SrtpClear, Fate::Sent));
    assert_eq!(record.bytes, "clear");
    stage.with(b, |probe| probe.clear = Some(b"opened".to_vec()));
    let outsider = UdpSocket::bind("127.0.0.1:0").unwrap();
    outsider.send_to(b"sealed", to).unwrap();
    stage.wait_packet(b);
    let record = next(&records);
    assert_eq!(
        (record.carrier, record.fate),
        (Carrier::SrtpClear, Fate::Received)
    );
    assert_eq!(record.bytes, "opened");
    assert!(records.try_recv().is_err());
}

#[test]
fn a_stream_between_own_parties_is_seen_once_per_direction() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    let records = tapped(&stage);
    stage.with(a, |probe| probe.connect(1, None, listener, None));
    let (_, near) = stage.wait(a, |seen| match seen {
        Seen::Connected(_, connection, _) => Some(*connection),
        _ => None,
    });
    let (_, (far, flow)) = stage.wait(b, |seen| match seen {
        Seen::Accepted(_, connection, flow) => Some((*connection, *flow)),
        _ => None,
    });
    stage.with(a, |probe| probe.write(near, "ping"));
    stage.wait_stream(b, far, 4);
    stage.with(b, |probe| {
        probe.write(far, "pong");
        probe.close(far);
    });
    stage.wait_stream(a, near, 4);
    let (ping, pong) = (next(&records), next(&records));
    assert_eq!(path(&ping), (flow.remote, flow.local, Carrier::Tcp, Fate::Sent));
    assert_eq!((ping.cause, &ping.bytes[..]), (Some(Cause(7)), &b"ping"[..]));
    assert_eq!(path(&pong), (flow.local, flow.remote, Carrier::Tcp, Fate::Sent));
    assert!(records.try_recv().is_err());
}

#[test]
fn a_stream_of_an_outsider_is_seen_on_receipt() {
    let mut stage = Stage::new();
    let b = stage.add();
    let listener = stage.bound(b, 5, "127.0.0.1:0", Transport::Tcp);
    let records = tapped(&stage);
    let mut outsider = TcpStream::connect(listener).unwrap();
    outsider.write_all(b"hello").unwrap();
    let record = next(&records);
    let from = outsider.local_addr().unwrap();
    assert_eq!(path(&record), (from, listener, Carrier::Tcp, Fate::Received));
}

#[test]
fn a_tap_that_was_taken_away_sees_nothing() {
    let mut stage = Stage::new();
    let (a, b) = (stage.add(), stage.add());
    stage.bound(a, 1, "127.0.0.1:0", Transport::Udp);
    let to = stage.bound(b, 1, "127.0.0.1:0", Transport::Udp);
    let records = tapped(&stage);
    assert!(stage.world.set_tap(None).is_some());
    stage.with(a, |probe| probe.send(1, to, "unseen"));
    stage.wait_datagram(b);
    // The sender is gone with the tap: nothing was recorded, and nothing can be.
    assert!(records.recv().is_err());
}
