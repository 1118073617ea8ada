//! A tap for consumers that are slower than the network: a queue, and a thread at its other end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use callwright_wire::{Tap, TapRecord};

/// The end of the queue that the world holds: taking a record costs a move, never a wait.
#[derive(Debug)]
pub struct BufferedTap {
    records: SyncSender<TapRecord>,
    dropped: Arc<AtomicU64>,
}

/// The other end: the thread that gives the records to their consumer, a `T`.
#[derive(Debug)]
pub struct TapDrain<T> {
    thread: JoinHandle<T>,
    dropped: Arc<AtomicU64>,
}

impl BufferedTap {
    /// Starts a thread that calls `consume` with the records in order; with `None` whenever there are no more for now,
    /// which is the time to flush. `capacity` records may wait; what comes while that many do is dropped, and counted.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start<T: Send + 'static>(
        capacity: usize,
        mut consumer: T,
        mut consume: impl FnMut(&mut T, Option<TapRecord>) + Send + 'static,
    ) -> io::Result<(Self, TapDrain<T>)> {
        let (records, queue) = sync_channel(capacity);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new()
            .name("callwright-tap".into())
            .spawn(move || {
                drain(&queue, |record| consume(&mut consumer, record));
                consumer
            })?;
        let tap = BufferedTap {
            records,
            dropped: dropped.clone(),
        };
        Ok((tap, TapDrain { thread, dropped }))
    }
}

impl Tap for BufferedTap {
    fn record(&mut self, record: TapRecord) {
        match self.records.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }
}

impl<T> TapDrain<T> {
    /// How many records found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until everything recorded is consumed; returns the consumer, and how many records found no room. The tap
    /// must have been taken away from its world before, and dropped: until then more may come.
    ///
    /// # Panics
    ///
    /// When the consumer panicked.
    pub fn finish(self) -> (T, u64) {
        match self.thread.join() {
            Ok(consumer) => (consumer, self.dropped.load(Relaxed)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn drain(queue: &Receiver<TapRecord>, mut consume: impl FnMut(Option<TapRecord>)) {
    while let Ok(first) = queue.recv() {
        consume(Some(first));
        while let Ok(next) = queue.try_recv() {
            consume(Some(next));
        }
        consume(None);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use callwright_wire::{Carrier, Fate, Time};

    use super::*;

    fn record(party: u32) -> TapRecord {
        TapRecord {
            time: Time::ZERO,
            source: ([127, 0, 0, 1], 5060).into(),
            destination: ([127, 0, 0, 1], 5061).into(),
            carrier: Carrier::Udp,
            fate: Fate::Sent,
            bytes: Bytes::new(),
            cause: None,
            party,
        }
    }

    #[test]
    fn records_arrive_in_order_and_all_of_them_before_the_end() {
        let (mut tap, drain) = BufferedTap::start(200, Vec::new(), |seen, record| {
            seen.extend(record.map(|record| record.party));
        })
        .unwrap();
        (0..100).for_each(|n| tap.record(record(n)));
        drop(tap);
        let (seen, dropped) = drain.finish();
        assert_eq!(dropped, 0);
        assert!(seen.into_iter().eq(0..100));
    }

    #[test]
    fn a_consumer_that_hangs_costs_records_and_no_time() {
        let (held, hold) = sync_channel::<()>(0);
        let (mut tap, drain) = BufferedTap::start(10, hold, |hold, record| {
            if record.is_some() {
                let _ = hold.recv();
            }
        })
        .unwrap();
        (0..100).for_each(|n| tap.record(record(n)));
        // Ten wait and at most one is being consumed.
        assert!((89..=90).contains(&drain.dropped()), "{}", drain.dropped());
        drop(held);
        drop(tap);
        assert!(drain.finish().1 >= 89);
    }
}
