//! Times in JSON: milliseconds since the first packet of the capture.

use callwright_wire::Time;
use serde::Serializer;

pub(crate) fn of(time: Time) -> f64 {
    time.as_nanos() as f64 / 1e6
}

pub(crate) fn ms<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(of(*time))
}

#[expect(clippy::ref_option, reason = "the shape that serde calls")]
pub(crate) fn optional_ms<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => ms(time, serializer),
        None => serializer.serialize_none(),
    }
}
