//! The RTCP of a session: when to report, what, and what the other side said.

use std::time::Duration;

use callwright_wire::{Entropy, Epoch, Time};

use crate::codec::SAMPLE_RATE;
use crate::plane::RemoteReport;
use crate::reception::Reception;
use crate::rtcp::{self, IntervalInputs, Item, Report, SenderInfo};

/// Seconds from 1900, where NTP starts, to 1970.
const NTP_UNIX: u64 = 2_208_988_800;
/// Headers of IPv4 and UDP, which count for bandwidth (RFC 3550 §6.2).
const IP_UDP: usize = 28;
/// G.711 in packets of 20 ms with all headers, in bits a second.
const BANDWIDTH: f64 = 80_000.0;

/// What is known of the stream that a report is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnStream {
    pub(crate) ssrc: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    /// The timestamp at the time of the report.
    pub(crate) timestamp: u32,
}

/// The reports of a session.
#[derive(Debug)]
pub(crate) struct Reporting {
    epoch: Epoch,
    canonical_name: Box<str>,
    random: u64,
    next: Option<Time>,
    initial: bool,
    mean_packet: f64,
    packets_at_last: [u64; 2],
    last_sr: Option<(u32, Time)>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) remote: Option<RemoteReport>,
    pub(crate) round_trip: Option<Duration>,
}

impl Reporting {
    pub(crate) fn new(epoch: Epoch, entropy: &mut Entropy) -> Self {
        Reporting {
            epoch,
            // RFC 7022 §4.2: a short-term persistent name tells nothing about who this is.
            canonical_name: entropy.token(20).into_boxed_str(),
            random: entropy.next_u64(),
            next: None,
            initial: true,
            mean_packet: 120.0,
            packets_at_last: [0; 2],
            last_sr: None,
            sent: 0,
            received: 0,
            remote: None,
            round_trip: None,
        }
    }

    /// True when a report is due. RFC 3550 §6.2: unicast, the first may go out at once.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// Writes a report into `buffer`, and plans the next one.
    pub(crate) fn write(
        &mut self,
        now: Time,
        own: OwnStream,
        source: Option<(&mut Reception, u32)>,
        bye: bool,
        buffer: &mut [u8],
    ) -> Option<usize> {
        // RFC 3550 §6.4: a sender's report from who sent since the second-last one.
        let we_sent = own.packets > self.packets_at_last[0];
        let hears = source.is_some();
        let sender = we_sent.then(|| SenderInfo {
            ntp: ntp(self.epoch, now),
            rtp: own.timestamp,
            packets: own.packets as u32,
            octets: own.octets as u32,
        });
        let report = source.map(|(reception, ssrc)| Report {
            ssrc,
            fraction_lost: reception.fraction_lost(),
            lost: reception.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest: reception.extended_highest(),
            jitter: reception.jitter(),
            last_sr: self.last_sr.map_or(0, |(middle, _)| middle),
            since_last_sr: self.last_sr.map_or(0, |(_, at)| short(now - at)),
        });
        let length = rtcp::Outgoing {
            ssrc: own.ssrc,
            sender,
            report,
            canonical_name: &self.canonical_name,
            bye,
        }
        .write(buffer)?;
        self.packets_at_last = [self.packets_at_last[1], own.packets];
        self.sent += 1;
        self.count_size(length);
        let inputs = IntervalInputs {
            session_bandwidth: BANDWIDTH,
            members: 2,
            senders: u32::from(we_sent) + u32::from(hears),
            we_sent,
            mean_packet: self.mean_packet,
            initial: self.initial,
        };
        self.initial = false;
        self.next = Some(now + rtcp::interval(inputs, self.fraction()));
        Some(length)
    }

    /// Takes a compound of the other side; true when it says goodbye.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(&mut self, now: Time, own_ssrc: u32, bytes: &[u8]) -> Result<bool, rtcp::RtcpError> {
        let mut bye = false;
        let arrived = rtcp::middle(ntp(self.epoch, now));
        let result = rtcp::read(bytes, |item| match item {
            Item::Sender { info, .. } => self.last_sr = Some((rtcp::middle(info.ntp), now)),
            Item::Report { report, .. } if report.ssrc == own_ssrc => {
                self.remote = Some(RemoteReport {
                    fraction_lost: f64::from(report.fraction_lost) / 256.0,
                    lost: report.lost,
                    jitter: Duration::from_secs_f64(f64::from(report.jitter) / f64::from(SAMPLE_RATE)),
                });
                if report.last_sr != 0 {
                    // RFC 3550 §6.4.1: A − LSR − DLSR; a peer that counts wrong can make it negative.
                    let round_trip = arrived
                        .wrapping_sub(report.last_sr)
                        .wrapping_sub(report.since_last_sr);
                    if (round_trip as i32) >= 0 {
                        self.round_trip = Some(Duration::from_secs_f64(f64::from(round_trip) / 65_536.0));
                    }
                }
            }
            Item::Bye { .. } => bye = true,
            Item::Report { .. } | Item::CanonicalName { .. } => {}
        });
        if result.is_ok() {
            self.received += 1;
            self.count_size(bytes.len());
        }
        result.map(|()| bye)
    }

    fn count_size(&mut self, length: usize) {
        // RFC 3550 §6.3.3: a sixteenth of the new one.
        self.mean_packet = (length + IP_UDP) as f64 / 16.0 + self.mean_packet * 15.0 / 16.0;
    }

    /// A number of 0.0–1.0 (splitmix64 from a seed of the session's own stream).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.random;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// NTP's way of writing a time: seconds since 1900 and their fraction in 1/2³².
fn ntp(epoch: Epoch, now: Time) -> u64 {
    let nanos = epoch.unix_nanos_at(now);
    let seconds = nanos / 1_000_000_000 + NTP_UNIX;
    let fraction = ((nanos % 1_000_000_000) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}

/// A span in 1/65536 s.
fn short(span: Duration) -> u32 {
    u32::try_from((span.as_nanos() << 16) / 1_000_000_000).unwrap_or(u32::MAX)
}
