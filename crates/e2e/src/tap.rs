//! One capture of two worlds: that of the call center, and that of phones.
//!
//! Each packet stands in it once, as its receiver saw it: that is the proof that it was delivered. What goes to somebody outside,
//! such as SIPp, stands there as it was sent, since nobody here saw it arrive.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use callwright_capture::PcapngWriter;
use callwright_net::{BufferedTap, TapDrain};
use callwright_wire::{Carrier, Epoch, Fate, TapRecord, Time, Transport};
use serde::Serialize;

/// The number of the call center as a party; phones follow.
const SERVER: u32 = 0;
/// The name of its interface.
const SERVER_NAME: &str = "callcenter";
/// How many packets may wait for the disk, of each world.
const WAITING: usize = 200_000;
/// How long a packet that was sent waits for its arrival, in nanoseconds: both taps are read by then.
const WINDOW: u64 = 1_000_000_000;

/// Whose address is whose.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    of: BTreeMap<(bool, SocketAddr), u32>,
    names: BTreeMap<u32, String>,
}

/// The same, shared by the taps and who adds phones.
pub(crate) type SharedDirectory = Arc<Mutex<Directory>>;

impl Directory {
    pub(crate) fn name(&mut self, phone: u32, name: &str) {
        self.names.insert(phone + 1, name.to_owned());
    }

    pub(crate) fn add(&mut self, phone: u32, transport: Transport, address: SocketAddr) {
        self.of.insert((transport.is_reliable(), address), phone + 1);
    }

    fn name_of(&self, party: u32) -> Option<String> {
        if party == SERVER {
            return Some(SERVER_NAME.to_owned());
        }
        self.names.get(&party).cloned()
    }
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Packets between the call center and phones of this program that arrived.
    pub delivered: u64,
    /// Those that did not, though others arrived there after them.
    pub lost: u64,
    /// Those that were sent when nobody received there any more: RTP that was on its way when a call ended.
    pub too_late: u64,
    /// Packets to somebody outside: whether they arrived is not known here.
    pub to_outside: u64,
    /// Packets from somebody outside.
    pub from_outside: u64,
    /// Packets that the capture lacks, because they came faster than they could be written.
    pub not_captured: u64,
}

/// A capture under way.
pub(crate) struct Capture {
    merger: Arc<Mutex<Merger<BufWriter<File>>>>,
    drains: Vec<TapDrain<()>>,
    epoch: Epoch,
}

impl Capture {
    /// A new file. Its times count from `epoch`, which no world of it began before.
    pub(crate) fn create(path: &Path, epoch: Epoch, directory: SharedDirectory) -> io::Result<Capture> {
        let out = BufWriter::new(File::create(path)?);
        let writer = PcapngWriter::new(out, epoch, move |party| lock(&directory).name_of(party), |_| None)?;
        Ok(Capture {
            merger: Arc::new(Mutex::new(Merger::new(writer))),
            drains: Vec::new(),
            epoch,
        })
    }

    /// The tap of the call center's world.
    pub(crate) fn of_server(&mut self, epoch: Epoch) -> io::Result<BufferedTap> {
        self.tap(epoch, |record| record.party = SERVER)
    }

    /// The tap of the world of phones.
    pub(crate) fn of_phones(&mut self, epoch: Epoch, directory: SharedDirectory) -> io::Result<BufferedTap> {
        self.tap(epoch, move |record| {
            let own = match record.fate {
                Fate::Received => record.destination,
                Fate::Sent | Fate::Lost | Fate::Delayed { .. } | Fate::Duplicated { .. } => record.source,
            };
            let stream = matches!(record.carrier, Carrier::Tcp | Carrier::TlsClear);
            let even = |address: SocketAddr| SocketAddr::new(address.ip(), address.port() & !1);
            let directory = lock(&directory);
            // RTCP has the port above that of its RTP.
            let party = directory
                .of
                .get(&(stream, own))
                .or_else(|| directory.of.get(&(stream, even(own))));
            record.party = party.copied().unwrap_or(u32::MAX);
        })
    }

    fn tap(
        &mut self,
        epoch: Epoch,
        whose: impl Fn(&mut TapRecord) + Send + 'static,
    ) -> io::Result<BufferedTap> {
        let merger = self.merger.clone();
        let base = self.epoch.unix_nanos_at(Time::ZERO);
        let (tap, drain) = BufferedTap::start(WAITING, (), move |(), record: Option<TapRecord>| {
            let Some(mut record) = record else { return };
            whose(&mut record);
            let at = epoch.unix_nanos_at(record.time);
            record.time = Time::from_nanos(at.saturating_sub(base));
            lock(&merger).take(record);
        })?;
        self.drains.push(drain);
        Ok(tap)
    }

    /// Writes what still waits, and closes the file. The taps must have been taken away from their worlds before.
    pub(crate) fn finish(self) -> io::Result<Delivery> {
        let dropped: u64 = self.drains.into_iter().map(|drain| drain.finish().1).sum();
        let merger = Arc::into_inner(self.merger)
            .ok_or_else(|| io::Error::other("somebody still writes to the capture"))?;
        let mut delivery = merger
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .finish()?;
        delivery.not_captured = dropped;
        Ok(delivery)
    }
}

type Key = (SocketAddr, SocketAddr, Bytes);
type Place = (u64, u64);

/// Puts the records of both worlds in order, each packet once.
struct Merger<W: Write> {
    /// Until writing fails.
    writer: io::Result<PcapngWriter<W>>,
    held: BTreeMap<Place, TapRecord>,
    sequence: u64,
    newest: u64,
    /// Sent, and not seen to arrive.
    sent: BTreeMap<Key, VecDeque<Place>>,
    /// Arrived, and not seen to be sent.
    received: BTreeMap<Key, VecDeque<Place>>,
    /// Addresses that somebody here sends from or receives at.
    ours: BTreeSet<SocketAddr>,
    /// When something arrived last.
    last_received: BTreeMap<SocketAddr, u64>,
    /// How many packets nobody was seen to receive, by where they went: while others arrived there, and when none did any more.
    unseen: BTreeMap<SocketAddr, (u64, u64)>,
    delivery: Delivery,
}

impl<W: Write> Merger<W> {
    fn new(writer: PcapngWriter<W>) -> Self {
        Merger {
            writer: Ok(writer),
            held: BTreeMap::new(),
            sequence: 0,
            newest: 0,
            sent: BTreeMap::new(),
            received: BTreeMap::new(),
            ours: BTreeSet::new(),
            last_received: BTreeMap::new(),
            unseen: BTreeMap::new(),
            delivery: Delivery::default(),
        }
    }

    fn take(&mut self, record: TapRecord) {
        let is_received = record.fate == Fate::Received;
        if matches!(record.carrier, Carrier::Tcp | Carrier::TlsClear) {
            // Pieces of a stream are cut differently at both ends: one end is enough.
            if record.party == SERVER {
                self.hold(record);
            }
            return;
        }
        let own = if is_received {
            record.destination
        } else {
            record.source
        };
        self.ours.insert(own);
        if is_received {
            self.last_received.insert(own, record.time.as_nanos());
        }
        let key = (record.source, record.destination, record.bytes.clone());
        let (mine, theirs) = if is_received {
            (&mut self.received, &mut self.sent)
        } else {
            (&mut self.sent, &mut self.received)
        };
        let partner = theirs.get_mut(&key).and_then(VecDeque::pop_front);
        if theirs.get(&key).is_some_and(VecDeque::is_empty) {
            theirs.remove(&key);
        }
        match partner {
            None => {
                let place = (record.time.as_nanos(), self.sequence);
                mine.entry(key).or_default().push_back(place);
                self.hold(record);
            }
            Some(sent) if is_received => {
                self.held.remove(&sent);
                self.delivery.delivered += 1;
                self.hold(record);
            }
            // It stands there as it arrived.
            Some(_) => self.delivery.delivered += 1,
        }
    }

    fn hold(&mut self, record: TapRecord) {
        let at = record.time.as_nanos();
        self.held.insert((at, self.sequence), record);
        self.sequence += 1;
        self.newest = self.newest.max(at);
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 + WINDOW < self.newest
        {
            let (place, record) = entry.remove_entry();
            self.write(place, &record);
        }
    }

    fn write(&mut self, place: Place, record: &TapRecord) {
        let key = (record.source, record.destination, record.bytes.clone());
        let is_received = record.fate == Fate::Received;
        let alone = if is_received {
            &mut self.received
        } else {
            &mut self.sent
        };
        if let Some(places) = alone.get_mut(&key)
            && let Some(index) = places.iter().position(|other| *other == place)
        {
            places.remove(index);
            if places.is_empty() {
                alone.remove(&key);
            }
            if is_received {
                self.delivery.from_outside += 1;
            } else {
                // What arrives there later than the window belongs to another call: ports are leased again.
                let goes_on = self
                    .last_received
                    .get(&record.destination)
                    .is_some_and(|last| *last > place.0);
                let (lost, too_late) = self.unseen.entry(record.destination).or_default();
                *(if goes_on { lost } else { too_late }) += 1;
            }
        }
        if let Ok(writer) = &mut self.writer
            && let Err(error) = writer.write(record)
        {
            self.writer = Err(error);
        }
    }

    fn finish(mut self) -> io::Result<Delivery> {
        while let Some((place, record)) = self.held.pop_first() {
            self.write(place, &record);
        }
        for (address, (lost, too_late)) in self.unseen {
            if self.ours.contains(&address) {
                self.delivery.lost += lost;
                self.delivery.too_late += too_late;
            } else {
                self.delivery.to_outside += lost + too_late;
            }
        }
        self.writer.and_then(PcapngWriter::finish)?;
        Ok(self.delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merger() -> Merger<Vec<u8>> {
        let writer = PcapngWriter::new(Vec::new(), Epoch::SIMULATED, |_| None, |_| None);
        Merger::new(writer.expect("it writes to memory"))
    }

    fn record(at_ms: u64, from: u16, to: u16, fate: Fate, bytes: &'static [u8]) -> TapRecord {
        TapRecord {
            time: Time::from_millis(at_ms),
            source: ([127, 0, 0, 1], from).into(),
            destination: ([127, 0, 0, 1], to).into(),
            carrier: Carrier::Udp,
            fate,
            bytes: Bytes::from_static(bytes),
            cause: None,
            party: 1,
        }
    }

    #[test]
    fn a_packet_stands_once_as_it_arrived_whichever_tap_is_read_first() {
        let mut merger = merger();
        merger.take(record(1, 10, 20, Fate::Sent, b"a"));
        merger.take(record(2, 10, 20, Fate::Received, b"a"));
        merger.take(record(4, 20, 10, Fate::Received, b"b"));
        merger.take(record(3, 20, 10, Fate::Sent, b"b"));
        let times: Vec<_> = merger.held.keys().map(|(at, _)| at / 1_000_000).collect();
        assert_eq!(times, [2, 4]);
        let delivery = merger.finish().expect("it is written");
        assert_eq!((delivery.delivered, delivery.lost), (2, 0));
    }

    #[test]
    fn the_same_bytes_sent_twice_are_two_packets() {
        let mut merger = merger();
        merger.take(record(1, 10, 20, Fate::Sent, b"a"));
        merger.take(record(500, 10, 20, Fate::Sent, b"a"));
        merger.take(record(501, 10, 20, Fate::Received, b"a"));
        merger.take(record(9, 20, 10, Fate::Received, b"b"));
        merger.take(record(600, 10, 20, Fate::Sent, b"c"));
        merger.take(record(601, 10, 20, Fate::Received, b"c"));
        merger.take(record(700, 10, 20, Fate::Sent, b"d"));
        let delivery = merger.finish().expect("it is written");
        assert_eq!((delivery.delivered, delivery.lost, delivery.too_late), (2, 1, 1));
    }

    #[test]
    fn what_goes_outside_is_not_lost() {
        let mut merger = merger();
        merger.take(record(1, 10, 99, Fate::Sent, b"a"));
        merger.take(record(2, 99, 10, Fate::Received, b"b"));
        merger.take(record(5_000, 99, 10, Fate::Received, b"c"));
        assert_eq!(merger.held.len(), 1, "the others waited long enough");
        let delivery = merger.finish().expect("it is written");
        assert_eq!((delivery.to_outside, delivery.from_outside), (1, 2));
        assert_eq!((delivery.lost, delivery.delivered), (0, 0));
    }
}
