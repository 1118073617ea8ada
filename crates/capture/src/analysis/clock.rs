//! What a stream's timestamps tell beside the clock of the capture: jitter and skew.

/// Below this length the clocks are not compared.
const SKEW_SECONDS: f64 = 30.0;

/// Interarrival jitter (RFC 3550 §6.4.1), in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Jitter {
    pub(crate) transit: Option<f64>,
    value: f64,
    pub(crate) sum: f64,
    pub(crate) count: u64,
    pub(crate) max: f64,
}

/// Least squares over arrival times and timestamps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skew {
    origin: Option<u32>,
    turns: i64,
    last: u32,
    count: f64,
    mean_x: f64,
    mean_y: f64,
    square_x: f64,
    product: f64,
    end: f64,
    /// Seconds in which the sender's clock stood still on purpose.
    paused: f64,
}

impl Jitter {
    /// RFC 3550 §6.4.1, in seconds.
    pub(crate) fn take(&mut self, arrival: f64, timestamp: u32, rate: u32) {
        let rate = f64::from(rate);
        let transit = arrival - f64::from(timestamp) / rate;
        if let Some(before) = self.transit {
            let turn = 4_294_967_296.0 / rate;
            let mut difference = (transit - before).abs();
            difference = difference.min((difference - turn).abs());
            // More than a second is another timeline, not jitter.
            if difference <= 1.0 {
                self.value += (difference - self.value) / 16.0;
                self.sum += self.value;
                self.count += 1;
                self.max = self.max.max(self.value);
            }
        }
        self.transit = Some(transit);
    }
}

impl Skew {
    pub(crate) fn take(&mut self, arrival: f64, timestamp: u32, rate: u32) {
        let origin = *self.origin.get_or_insert_with(|| {
            self.last = timestamp;
            timestamp
        });
        if timestamp < self.last && self.last - timestamp > 1 << 31 {
            self.turns += 1;
        }
        self.last = timestamp;
        let ticks = (self.turns << 32) + i64::from(timestamp) - i64::from(origin);
        let media = ticks as f64 / f64::from(rate);
        let arrival = arrival - self.paused;
        // The difference of both clocks over the time that passed.
        let y = media - arrival;
        self.count += 1.0;
        let dx = arrival - self.mean_x;
        self.mean_x += dx / self.count;
        self.mean_y += (y - self.mean_y) / self.count;
        self.square_x += dx * (arrival - self.mean_x);
        self.product += dx * (y - self.mean_y);
        self.end = arrival;
    }

    pub(crate) fn pause(&mut self, seconds: f64) {
        self.paused += seconds;
    }

    pub(crate) fn ppm(&self) -> Option<f64> {
        let ppm = self.product / self.square_x * 1e6;
        // Beyond a tenth it is no clock that runs wrong, but another timeline.
        (self.end >= SKEW_SECONDS && self.count >= 100.0 && ppm.abs() < 100_000.0).then_some(ppm)
    }
}
