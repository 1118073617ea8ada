//! How well this process keeps up: the tester's own faults must not look like those of what it tests.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets below which every microsecond has its own.
const LINEAR: u64 = 16;
/// Buckets for each power of two above.
const STEPS: u64 = 8;
const BUCKETS: usize = (LINEAR + STEPS * (36 - 4)) as usize;

fn bucket(micros: u64) -> usize {
    if micros < LINEAR {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2());
    let step = (micros >> (power - 3)) - STEPS;
    ((LINEAR + (power - 4) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The largest number of microseconds that falls into `bucket`.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < LINEAR {
        return bucket;
    }
    let power = (bucket - LINEAR) / STEPS + 4;
    let step = (bucket - LINEAR) % STEPS + STEPS;
    ((step + 1) << (power - 3)) - 1
}

/// Where the loop counts; read without a lock.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    max: AtomicU64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Histogram {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            max: AtomicU64::new(0),
        }
    }

    pub(crate) fn record(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros)].fetch_add(1, Relaxed);
        self.max.fetch_max(micros, Relaxed);
    }

    fn snapshot(&self) -> Lateness {
        Lateness {
            counts: self.counts.iter().map(|count| count.load(Relaxed)).collect(),
            max_micros: self.max.load(Relaxed),
        }
    }
}

/// How late deadlines were kept, as a distribution. Within 1/8 of the true value; exact below 16 µs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    counts: Vec<u64>,
    max_micros: u64,
}

impl Lateness {
    /// How many deadlines were kept.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The lateness that the share `quantile` (0.0 to 1.0) of all deadlines did not exceed; zero when there were none.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let total = self.count();
        if total == 0 {
            return Duration::ZERO;
        }
        let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(upper(bucket).min(self.max_micros));
            }
        }
        Duration::from_micros(self.max_micros)
    }

    /// The median.
    pub fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    /// What 99 of 100 deadlines did not exceed.
    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// The worst.
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_micros)
    }

    /// What was added since `earlier`, a reading of the same world. Its maximum is within 1/8, as all but the true
    /// maximum of the whole is.
    pub fn since(&self, earlier: &Lateness) -> Lateness {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .enumerate()
            .map(|(bucket, count)| count - earlier.counts.get(bucket).copied().unwrap_or(0).min(*count))
            .collect();
        let highest = counts.iter().rposition(|count| *count > 0).map_or(0, upper);
        Lateness {
            counts,
            max_micros: highest.min(self.max_micros),
        }
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// Everything that is counted, written by the loop and by scripts' threads.
        #[derive(Debug)]
        pub(crate) struct Counters {
            pub(crate) lateness: Histogram,
            pub(crate) media_lateness: Histogram,
            $(pub(crate) $name: AtomicU64,)+
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                Counters {
                    lateness: Histogram::new(),
                    media_lateness: Histogram::new(),
                    $($name: AtomicU64::new(0),)+
                }
            }

            pub(crate) fn health(&self) -> Health {
                Health {
                    lateness: self.lateness.snapshot(),
                    media_lateness: self.media_lateness.snapshot(),
                    $($name: self.$name.load(Relaxed),)+
                }
            }
        }

        /// A reading of how well the world keeps up, and of what passed through it since its start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Health {
            /// How late nodes were woken for deadlines that sent no media.
            pub lateness: Lateness,
            /// How late nodes were woken for deadlines that sent media.
            pub media_lateness: Lateness,
            $($(#[doc = $doc])+ pub $name: u64,)+
        }
    };
}

counters! {
    /// Datagrams that the kernel dropped because a socket of this world was not read in time.
    receive_drops,
    /// Datagrams that could not be sent because the kernel's buffer was full, and were given up.
    send_drops,
    /// Datagrams that the kernel refused to send: no route, too long, and the like.
    send_failures,
    /// Signalling datagrams received.
    datagrams_received,
    /// Signalling datagrams sent.
    datagrams_sent,
    /// Media packets received.
    packets_received,
    /// Media packets sent.
    packets_sent,
    /// Octets received: payload of datagrams and, for streams, clear text.
    bytes_received,
    /// Octets sent: payload of datagrams and, for streams, clear text.
    bytes_sent,
    /// Packets that arrived on media ports that nobody leases.
    stray_packets,
    /// Connections that came up, either side.
    connections_opened,
    /// Connections that failed, or were cut because their peer did not read.
    connections_failed,
    /// Connections that were turned away because too many were open.
    connections_refused,
    /// Times that a script's thread or the resolver woke the loop.
    wakeups,
    /// Turns of the loop.
    turns,
    /// The receive buffer that was asked of the kernel for signalling sockets, in octets.
    receive_buffer_asked,
    /// The smallest receive buffer that the kernel gave, in octets; 0 before the first socket.
    receive_buffer_given,
    /// The limit of open files, after it was raised.
    open_files_limit,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_upper_bound_and_nothing_above() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(upper(index)), index);
            assert_eq!(bucket(upper(index) + 1), index + 1);
        }
    }

    #[test]
    fn quantiles_are_within_an_eighth() {
        let histogram = Histogram::new();
        for micros in 1..=10_000 {
            histogram.record(Duration::from_micros(micros));
        }
        let lateness = histogram.snapshot();
        assert_eq!(lateness.count(), 10_000);
        assert!((5_000..5_700).contains(&(lateness.p50().as_micros() as u64)));
        assert!((9_900..=10_000).contains(&(lateness.p99().as_micros() as u64)));
        assert_eq!(lateness.max(), Duration::from_millis(10));
    }

    #[test]
    fn a_window_counts_only_what_came_since() {
        let histogram = Histogram::new();
        histogram.record(Duration::from_millis(500));
        let before = histogram.snapshot();
        histogram.record(Duration::from_micros(10));
        let window = histogram.snapshot().since(&before);
        assert_eq!(window.count(), 1);
        assert_eq!(window.max(), Duration::from_micros(10));
    }

    #[test]
    fn nothing_recorded_is_nothing_late() {
        assert_eq!(Lateness::default().p99(), Duration::ZERO);
        assert_eq!(Histogram::new().snapshot().p99(), Duration::ZERO);
    }
}
