//! Time as engines know it.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since the start of the world.
///
/// The real world counts its monotonic clock, the simulated one counts virtual time. 64 bits last for 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The start of the world.
    pub const ZERO: Time = Time(0);
    /// A time that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// The time `nanos` nanoseconds after the start of the world.
    pub const fn from_nanos(nanos: u64) -> Self {
        Time(nanos)
    }

    /// The time `millis` milliseconds after the start of the world.
    pub const fn from_millis(millis: u64) -> Self {
        Time(millis * 1_000_000)
    }

    /// The time `secs` seconds after the start of the world.
    pub const fn from_secs(secs: u64) -> Self {
        Time(secs * 1_000_000_000)
    }

    /// Nanoseconds since the start of the world.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the start of the world.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Seconds since the start of the world.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The next time that is a multiple of `grain`, at or after this one: what is rounded so happens together with others. A grain of
    /// zero rounds nothing, and [`Time::NEVER`] stays.
    #[must_use]
    pub const fn next_multiple_of(self, grain: Duration) -> Time {
        let grain = grain.as_nanos() as u64;
        if grain == 0 {
            return self;
        }
        match self.0.checked_next_multiple_of(grain) {
            Some(nanos) => Time(nanos),
            None => Time::NEVER,
        }
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::NEVER`].
    fn add(self, span: Duration) -> Time {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Time> for Time {
    type Output = Duration;

    /// Zero when `earlier` is later.
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::ZERO`].
    fn sub(self, span: Duration) -> Time {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_sub(nanos))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Time {
    /// Seconds with microseconds, as in `12.345678s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:06}s",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000 / 1_000
        )
    }
}

/// The calendar time at which a world started: what turns a [`Time`] into a date.
///
/// One a world. The simulated world has a fixed one, so that every printed time is virtual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    unix_nanos: u64,
}

impl Epoch {
    /// The epoch of every simulated world: 2030-01-01T00:00:00Z.
    pub const SIMULATED: Epoch = Epoch {
        unix_nanos: 1_893_456_000_000_000_000,
    };

    /// A world that started `unix_nanos` nanoseconds after 1970-01-01T00:00:00Z.
    pub const fn from_unix_nanos(unix_nanos: u64) -> Self {
        Epoch { unix_nanos }
    }

    /// The epoch of a world that started `span` later.
    pub const fn later(self, span: Duration) -> Self {
        let span = span.as_nanos();
        let span = if span > u64::MAX as u128 {
            u64::MAX
        } else {
            span as u64
        };
        Epoch {
            unix_nanos: self.unix_nanos.saturating_add(span),
        }
    }

    /// Nanoseconds from 1970-01-01T00:00:00Z to `time` in this world.
    pub const fn unix_nanos_at(self, time: Time) -> u64 {
        self.unix_nanos.saturating_add(time.as_nanos())
    }
}
