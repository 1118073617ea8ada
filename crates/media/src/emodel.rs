//! Call quality: the E-model of ITU-T G.107, for narrowband G.711.
//!
//! Everything that is not measured has the default of G.107 table 3. What is measured: packet loss and how it comes in
//! bursts (with the codec's sensitivity to it from G.113 appendix I), and the delay from mouth to ear. The result is
//! the rating R, and from it the mean opinion score (MOS-CQE, 1 to 4.5).

/// What was measured of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Packets lost, late ones included, in percent.
    pub loss_percent: f64,
    /// How much longer runs of lost packets are than with random loss; 1 for random loss ([`LossRuns::burst_ratio`]).
    pub burst_ratio: f64,
    /// From mouth to ear, one way, in milliseconds: half the round trip, the packet and the jitter buffer.
    pub one_way_delay_ms: f64,
    /// Whether losses are concealed.
    pub concealment: bool,
}

/// G.107 table 3 with equations 7-2 to 7-17: the basic signal-to-noise ratio, with all defaults.
const RO: f64 = 94.77;
/// G.107 equations 7-8 to 7-17: what happens at the same time as the voice (side tone, quantizing), with all defaults.
const IS: f64 = 1.41;
/// G.107 table 3: talker echo loudness rating, and weighted echo path loss.
const TELR: f64 = 65.0;
const WEPL: f64 = 110.0;
/// G.113 table I.1: the equipment impairment of G.711 without loss.
const IE: f64 = 0.0;
/// G.113 table I.4: packet-loss robustness of G.711 with and without concealment.
const BPL_CONCEALED: f64 = 25.1;
const BPL_BARE: f64 = 4.3;

impl Conditions {
    /// The rating R, 0 to 93.2: above 80 users are satisfied, below 60 nearly all are not (G.107 annex B).
    #[must_use]
    pub fn rating(&self) -> f64 {
        (RO - IS - delay_impairment(self.one_way_delay_ms.max(0.0)) - self.loss_impairment()).max(0.0)
    }

    /// The mean opinion score.
    #[must_use]
    pub fn mos(&self) -> f64 {
        mos_of_rating(self.rating())
    }

    /// G.107 equation 7-29: Ie,eff.
    fn loss_impairment(&self) -> f64 {
        let robustness = if self.concealment { BPL_CONCEALED } else { BPL_BARE };
        let loss = self.loss_percent.clamp(0.0, 100.0);
        IE + (95.0 - IE) * loss / (loss / self.burst_ratio.max(1.0) + robustness)
    }
}

/// G.107 equation B-4: the mean opinion score that belongs to a rating.
#[must_use]
pub fn mos_of_rating(rating: f64) -> f64 {
    match rating {
        ..=0.0 => 1.0,
        100.0.. => 4.5,
        // The curve dips below 1 for ratings under 6.5.
        r => (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0),
    }
}

/// G.107 equations 7-18 to 7-28: Id, with the same delay for the echo's way (T = Ta, Tr = 2T).
fn delay_impairment(ms: f64) -> f64 {
    talker_echo(ms) + listener_echo(2.0 * ms) + long_delay(ms)
}

fn talker_echo(ms: f64) -> f64 {
    let terv = TELR - 40.0 * ((1.0 + ms / 10.0) / (1.0 + ms / 150.0)).log10() + 6.0 * (-0.3 * ms * ms).exp();
    let difference = (RO - (80.0 + 2.5 * (terv - 14.0))) / 2.0;
    (difference + (difference * difference + 100.0).sqrt() - 1.0) * (1.0 - (-ms).exp())
}

fn listener_echo(round_trip_ms: f64) -> f64 {
    let difference = (RO - 10.5 * (WEPL + 7.0) * (round_trip_ms + 1.0).powf(-0.25)) / 2.0;
    difference + (difference * difference + 169.0).sqrt()
}

fn long_delay(ms: f64) -> f64 {
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// Counts lost packets and their runs, in the order in which the packets were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LossRuns {
    packets: u64,
    lost: u64,
    runs: u64,
    last_lost: bool,
}

impl LossRuns {
    /// Takes the next packet.
    pub fn record(&mut self, lost: bool) {
        self.packets += 1;
        self.lost += u64::from(lost);
        self.runs += u64::from(lost && !self.last_lost);
        self.last_lost = lost;
    }

    /// Takes so many packets that were lost one behind the other.
    pub fn record_lost(&mut self, count: u64) {
        if count > 0 {
            self.record(true);
            self.packets += count - 1;
            self.lost += count - 1;
        }
    }

    /// Packets lost, in percent; 0 before the first packet.
    #[must_use]
    pub fn loss_percent(&self) -> f64 {
        100.0 * self.lost as f64 / self.packets.max(1) as f64
    }

    /// G.107 §7.5: the mean length of runs of lost packets, by that under random loss. 1 without loss, and where losses
    /// are spread more evenly than at random.
    #[must_use]
    pub fn burst_ratio(&self) -> f64 {
        if self.lost == 0 {
            return 1.0;
        }
        let mean_run = self.lost as f64 / self.runs as f64;
        // Random loss with the probability p makes runs of 1/(1−p).
        (mean_run * (1.0 - self.lost as f64 / self.packets as f64)).max(1.0)
    }
}
