//! The metrics of RFC 6076, over all registrations and sessions of a capture.
//!
//! A session is a leg: one INVITE of one user agent, with the challenges and retries that its Call-ID has. Through a back-to-back
//! user agent one call is two sessions, as for RFC 6076 §1 ("measured at the originating UA").

use serde::Serialize;

/// All metrics of RFC 6076 §4.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// RRD (§4.1), of attempts that succeeded: from REGISTER to 2xx, with the challenge between them.
    pub registration_request_delay: Delay,
    /// IRA (§4.2): attempts that failed, by all.
    pub ineffective_registration_attempts: Ratio,
    /// SRD (§4.3.1), of sessions that were answered: from INVITE to the first response above 100.
    pub session_request_delay: Delay,
    /// SRD (§4.3.2), of sessions that were refused: from INVITE to the final response.
    pub failed_session_request_delay: Delay,
    /// SDD (§4.4): from BYE to its 2xx.
    pub session_disconnect_delay: Delay,
    /// SDT (§4.5): from 2xx to BYE.
    pub session_duration_time: Delay,
    /// SER (§4.6): answered, by all but redirected ones.
    pub session_establishment_ratio: Ratio,
    /// SEER (§4.7): answered, or refused by a user (480, 486, 600, 603), by all but redirected ones.
    pub session_establishment_effectiveness_ratio: Ratio,
    /// ISA (§4.8): failed in the network (408, 500, 503, 504), by all.
    pub ineffective_session_attempts: Ratio,
    /// SCR (§4.9): ended by a BYE that was answered, by all.
    pub session_completion_ratio: Ratio,
}

/// A delay, over everything that had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delay {
    /// How many there are.
    pub count: u64,
    /// The least, in milliseconds; zero where there is none.
    pub min_ms: f64,
    /// The mean.
    pub mean_ms: f64,
    /// 95 of 100 are not above.
    pub p95_ms: f64,
    /// The greatest.
    pub max_ms: f64,
}

/// A share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Ratio {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// In percent; `None` of nothing.
    pub percent: Option<f64>,
}

impl Delay {
    /// Over these, in milliseconds.
    pub fn over(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else {
            return Delay::default();
        };
        let place = (values.len() * 95).div_ceil(100) - 1;
        Delay {
            count: values.len() as u64,
            min_ms: *min,
            mean_ms: values.iter().sum::<f64>() / values.len() as f64,
            p95_ms: values[place],
            max_ms: *max,
        }
    }
}

impl Ratio {
    /// `count` of `of`.
    pub fn new(count: u64, of: u64) -> Self {
        Ratio {
            count,
            of,
            percent: (of > 0).then(|| 100.0 * count as f64 / of as f64),
        }
    }
}
