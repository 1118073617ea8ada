//! Quality as a listener would put it: the E-model over what was measured.

use std::time::Duration;

use crate::emodel::Conditions;
use crate::plane::Received;

/// A packet, and the least that a phone holds back against jitter.
const PACKET_AND_BUFFER: Duration = Duration::from_millis(40);

/// The mean opinion score, 1.0–4.5; `None` before enough was received to tell. What a phone does about jitter and loss is
/// taken as usual: it holds back twice the jitter, and conceals losses. Without a round trip the way itself takes no time.
pub(super) fn mos(received: &Received, round_trip: Option<Duration>) -> Option<f64> {
    let way = round_trip.unwrap_or_default() / 2;
    let delay = way + PACKET_AND_BUFFER + received.jitter? * 2;
    let conditions = Conditions {
        loss_percent: received.loss_ratio? * 100.0,
        burst_ratio: received.burst_ratio.unwrap_or(1.0),
        one_way_delay_ms: delay.as_secs_f64() * 1_000.0,
        concealment: true,
    };
    Some(conditions.mos())
}
