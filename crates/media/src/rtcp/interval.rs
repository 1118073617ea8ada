//! When to report: RFC 3550 §6.2, §6.3.1.

use std::time::Duration;

/// What the interval depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntervalInputs {
    /// The bandwidth of the session in bits a second, headers of UDP and IP included.
    pub session_bandwidth: f64,
    /// Members of the session that are known.
    pub members: u32,
    /// Those of them that send.
    pub senders: u32,
    /// Whether this side sends.
    pub we_sent: bool,
    /// The mean size of RTCP packets in bytes, headers of UDP and IP included.
    pub mean_packet: f64,
    /// Whether no report was sent yet.
    pub initial: bool,
}

/// The time until the next report. `fraction`, 0.0–1.0, is random: it spreads reports over half to one and a half of
/// the interval.
pub fn interval(inputs: IntervalInputs, fraction: f64) -> Duration {
    // RFC 3550 §6.2: 5 % of the session's bandwidth, in bytes a second.
    let mut bandwidth = inputs.session_bandwidth * 0.05 / 8.0;
    // RFC 3550 §6.2: who sends unicast may use the reduced minimum, 360 divided by the bandwidth in kbit/s.
    let mut least = (360_000.0 / inputs.session_bandwidth).min(5.0);
    if inputs.initial {
        // RFC 3550 §6.3.1: half of it before the first report.
        least /= 2.0;
    }
    let mut members = f64::from(inputs.members.max(1));
    let senders = f64::from(inputs.senders);
    if senders <= members * 0.25 {
        // RFC 3550 §6.3.1: senders share a quarter among them, receivers the rest.
        if inputs.we_sent {
            bandwidth *= 0.25;
            members = senders.max(1.0);
        } else {
            bandwidth *= 0.75;
            members -= senders;
        }
    }
    let computed = (inputs.mean_packet * members / bandwidth).max(least);
    // RFC 3550 §6.3.1: e − 3/2 makes up for timer reconsideration, which lengthens the mean.
    Duration::from_secs_f64(computed * (fraction.clamp(0.0, 1.0) + 0.5) / 1.218_28)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: IntervalInputs = IntervalInputs {
        session_bandwidth: 80_000.0,
        members: 2,
        senders: 2,
        we_sent: true,
        mean_packet: 120.0,
        initial: false,
    };

    #[test]
    fn a_call_reports_every_four_and_a_half_seconds_half_to_one_and_a_half_times() {
        let least = 4.5 / 1.218_28;
        assert!((interval(CALL, 0.0).as_secs_f64() - least * 0.5).abs() < 1e-6);
        assert!((interval(CALL, 1.0).as_secs_f64() - least * 1.5).abs() < 1e-6);
    }

    #[test]
    fn the_first_report_comes_after_half_the_minimum() {
        let first = IntervalInputs {
            initial: true,
            ..CALL
        };
        assert!((interval(first, 0.5).as_secs_f64() - 2.25 / 1.218_28).abs() < 1e-6);
    }

    #[test]
    fn many_members_share_the_bandwidth() {
        let crowd = IntervalInputs {
            members: 1_000,
            senders: 1,
            we_sent: false,
            ..CALL
        };
        // 999 receivers of 120 bytes in three quarters of 500 bytes a second.
        assert!((interval(crowd, 0.5).as_secs_f64() - 999.0 * 120.0 / 375.0 / 1.218_28).abs() < 1e-3);
    }

    #[test]
    fn the_minimum_is_never_above_five_seconds() {
        let narrow = IntervalInputs {
            session_bandwidth: 8_000.0,
            mean_packet: 10.0,
            ..CALL
        };
        assert!((interval(narrow, 0.5).as_secs_f64() - 5.0 / 1.218_28).abs() < 1e-6);
    }
}
