//! One RTP stream while the capture is read: order, timing, sound, digits.

use std::rc::Rc;

use callwright_media::emodel::Conditions;
use callwright_media::rtp::Packet;
use callwright_media::telephone_event::{Completed, EventPayload, EventReceiver};
use callwright_sdp::Format;
use callwright_wire::Time;

use super::call::{Digit, DigitBy, Side};
use super::clock::{Jitter, Skew};
use super::config::AnalysisConfig;
use super::hearing::{Hearing, Sound};
use super::legs::{EVIDENCE, format_name};
use super::order::{Order, Place};
use super::prints::Prints;
use super::stream::{Gap, Quality, RtcpView, StreamFormat};
use super::streams::{Owner, seconds_between};

/// Payload types of one stream that are counted apart.
const FORMATS: usize = 16;
/// Gaps of one stream that are listed.
const GAPS: usize = 16;
/// Digits of one stream that are listed.
const DIGITS: usize = 4_096;
/// What a phone holds back at least to even out jitter, in milliseconds.
const PLAYOUT_MS: f64 = 20.0;
/// A mean square above which sound is no silence: about −50 dBm0.
const AUDIBLE: f64 = 1_000.0;

/// When and where a packet was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) at: Time,
    pub(crate) packet: u64,
    /// It is the clear text of SRTP.
    pub(crate) clear: bool,
}

/// What session descriptions tell of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Knowledge {
    /// Of the descriptions that this is made from.
    pub(crate) version: u64,
    pub(crate) owner: Option<Owner>,
    pub(crate) secure: bool,
    pub(crate) is_audio: bool,
    /// The payload types that the receiver announced.
    pub(crate) announced: Option<u128>,
    pub(crate) to: Option<Rc<[Format]>>,
    pub(crate) from: Option<Rc<[Format]>>,
}

impl Knowledge {
    pub(crate) fn format(&self, payload_type: u8) -> Option<Format> {
        let of = |formats: &Option<Rc<[Format]>>| {
            let formats = formats.as_ref()?;
            formats
                .iter()
                .find(|format| format.payload_type == payload_type && !format.encoding.is_empty())
                .cloned()
        };
        of(&self.to)
            .or_else(|| of(&self.from))
            .or_else(|| Format::fixed(payload_type))
    }
}

/// What to do with a payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    payload_type: u8,
    rate: Option<u32>,
    sound: Option<Sound>,
    is_event: bool,
    is_noise: bool,
}

/// A stream, as far as it was seen.
#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) number: u64,
    /// Set while it is not believed to be RTP.
    pub(crate) candidate: Option<u64>,
    pub(crate) in_sequence: u64,
    pub(crate) knowledge: Knowledge,
    /// Other legs that it is of, and who sends it there; known at the end.
    pub(crate) others: Vec<(usize, Side)>,
    pub(crate) first: Time,
    pub(crate) last: Time,
    pub(crate) first_packet: u64,
    pub(crate) last_packet: u64,
    pub(crate) order: Order,
    pub(crate) late_packets: Vec<u64>,
    pub(crate) loss_packets: Vec<u64>,
    pub(crate) duplicate_packets: Vec<u64>,
    octets: u64,
    formats: Vec<(u8, u64)>,
    using: Option<Use>,
    /// Payload types that the receiver did not announce, and the first packet with each.
    pub(crate) unannounced: Vec<(u8, u64)>,
    rate: Option<u32>,
    timestamp: u32,
    /// What a packet of sound lasts, in ticks.
    step: u32,
    /// How far the timestamp moved last between two packets of sound.
    moved: u32,
    /// The packet before was sound, not an event or a description of silence.
    was_sound: bool,
    jitter: Jitter,
    delta_max: f64,
    gaps: Vec<Gap>,
    gap_count: u64,
    /// A time without a packet after which the timestamp went on as if there had been none: what comes next tells why.
    doubtful: Option<Doubtful>,
    skew: Skew,
    pub(crate) hearing: Hearing,
    events: EventReceiver,
    pub(crate) digits: Vec<Digit>,
    pub(crate) rtcp: Option<RtcpView>,
    pub(crate) encrypted: bool,
    pub(crate) prints: Prints,
}

/// A time without a packet, and the seconds by which the timestamp went on.
#[derive(Clone, Debug)]
struct Doubtful {
    gap: Gap,
    passed: f64,
}

impl StreamState {
    pub(crate) fn begin(number: u64, arrived: Arrived, packet: &Packet<'_>, knowledge: Knowledge) -> Self {
        StreamState {
            number,
            candidate: None,
            in_sequence: 0,
            knowledge,
            others: Vec::new(),
            first: arrived.at,
            last: arrived.at,
            first_packet: arrived.packet,
            last_packet: arrived.packet,
            // The first packet is counted as every other one.
            order: Order::before(packet.sequence()),
            late_packets: Vec::new(),
            loss_packets: Vec::new(),
            duplicate_packets: Vec::new(),
            octets: 0,
            formats: Vec::new(),
            using: None,
            unannounced: Vec::new(),
            rate: None,
            timestamp: packet.timestamp(),
            step: 0,
            moved: 0,
            was_sound: false,
            jitter: Jitter::default(),
            delta_max: 0.0,
            gaps: Vec::new(),
            gap_count: 0,
            doubtful: None,
            skew: Skew::default(),
            hearing: Hearing::default(),
            events: EventReceiver::default(),
            digits: Vec::new(),
            rtcp: None,
            encrypted: false,
            prints: Prints::default(),
        }
    }

    pub(crate) fn rate(&self) -> Option<u32> {
        self.rate
    }

    /// What is known of the formats has changed.
    pub(crate) fn forget_format(&mut self) {
        self.using = None;
    }

    /// Takes its next packet; of its level up to `max_seconds` are listed.
    pub(crate) fn take(
        &mut self,
        arrived: Arrived,
        packet: &Packet<'_>,
        max_seconds: usize,
        config: &AnalysisConfig,
    ) {
        let using = self.use_of(packet.payload_type(), arrived);
        self.encrypted = self.knowledge.secure && !arrived.clear;
        let payload = packet.payload();
        let moved = packet.timestamp().wrapping_sub(self.timestamp);
        let place = self
            .order
            .take(packet.sequence(), self.goes_on(packet.sequence(), moved));
        let is_first = self.octets == 0 && self.last_packet == self.first_packet && self.in_sequence == 0;
        match place {
            Place::Ahead(1) => self.in_sequence += 1,
            Place::Ahead(_) => {
                self.in_sequence = 1;
                note(&mut self.loss_packets, arrived.packet);
            }
            Place::Late => note(&mut self.late_packets, arrived.packet),
            Place::Again => note(&mut self.duplicate_packets, arrived.packet),
            Place::Restart => self.restart(arrived),
        }
        self.octets += payload.len() as u64;
        if !is_first {
            self.measure_gap(arrived, place, moved, using.rate, config);
        }
        if using.is_event && place != Place::Again {
            self.take_event(arrived, packet.timestamp(), payload);
        } else if let Some(rate) = using.rate.filter(|rate| *rate > 0 && !using.is_noise) {
            self.rate.get_or_insert(rate);
            self.jitter
                .take(seconds_between(self.first, arrived.at), packet.timestamp(), rate);
            if matches!(place, Place::Ahead(_)) && self.doubtful.is_none() {
                self.skew
                    .take(seconds_between(self.first, arrived.at), packet.timestamp(), rate);
            }
        }
        if place == Place::Again {
            self.last = self.last.max(arrived.at);
            self.last_packet = arrived.packet;
            return;
        }
        if let Some(sound) = using.sound.filter(|_| !self.encrypted) {
            let since = Time::from_nanos((arrived.at - self.first).as_nanos() as u64);
            let power = self.hearing.take(since, sound, payload, max_seconds);
            if power > AUDIBLE {
                self.prints.take(payload);
            }
        }
        if matches!(place, Place::Ahead(_) | Place::Restart) {
            let is_sound = !using.is_event && !using.is_noise;
            if place == Place::Ahead(1) && is_sound && self.was_sound && !packet.marker() {
                self.learn_step(moved);
            }
            self.was_sound = is_sound;
            self.timestamp = packet.timestamp();
        }
        self.last = self.last.max(arrived.at);
        self.last_packet = arrived.packet;
    }

    /// Whether a timestamp is about where its sequence number puts it.
    fn goes_on(&self, sequence: u16, moved: u32) -> bool {
        let steps = u32::from(sequence.wrapping_sub(self.order.highest()));
        let expected = steps.saturating_mul(self.step);
        self.step > 0 && moved.abs_diff(expected) <= expected / 8
    }

    /// A pause of the sender moves the timestamp farther than a packet lasts, once; a change of the packets' length does it again and
    /// again.
    fn learn_step(&mut self, moved: u32) {
        if moved == 0 || moved >= 1 << 16 {
            return;
        }
        if self.step == 0 || moved < self.step || moved == self.moved {
            self.step = moved;
        }
        self.moved = moved;
    }

    fn restart(&mut self, arrived: Arrived) {
        self.in_sequence = 1;
        self.jitter.transit = None;
        self.skew = Skew::default();
        let digits = &mut self.digits;
        let rate = self.rate;
        self.events
            .restart(|completed| push_digit(digits, completed, arrived, rate));
    }

    fn use_of(&mut self, payload_type: u8, arrived: Arrived) -> Use {
        let known = self.formats.iter().position(|(known, _)| *known == payload_type);
        match known {
            Some(place) => self.formats[place].1 += 1,
            None if self.formats.len() < FORMATS => self.formats.push((payload_type, 1)),
            None => {}
        }
        if let Some(using) = self.using.filter(|using| using.payload_type == payload_type) {
            return using;
        }
        let format = self.knowledge.format(payload_type);
        let sound = format.as_ref().and_then(|format| {
            let is = |name: &str| format.encoding.eq_ignore_ascii_case(name) && format.clock_rate == 8_000;
            match () {
                () if is("PCMU") => Some(Sound::Pcmu),
                () if is("PCMA") => Some(Sound::Pcma),
                () if is("G722") => Some(Sound::G722),
                () => None,
            }
        });
        let using = Use {
            payload_type,
            rate: format
                .as_ref()
                .map(|format| format.clock_rate)
                .filter(|rate| *rate > 0),
            sound,
            is_event: format.as_ref().is_some_and(Format::is_telephone_event),
            is_noise: format.as_ref().is_some_and(Format::is_comfort_noise),
        };
        let unannounced = self
            .knowledge
            .announced
            .is_some_and(|announced| announced & 1 << (payload_type & 0x7f) == 0);
        if unannounced && !self.unannounced.iter().any(|(known, _)| *known == payload_type) {
            self.unannounced.push((payload_type, arrived.packet));
        }
        self.using = Some(using);
        using
    }

    fn measure_gap(
        &mut self,
        arrived: Arrived,
        place: Place,
        moved: u32,
        rate: Option<u32>,
        config: &AnalysisConfig,
    ) {
        let delta = seconds_between(self.last, arrived.at).max(0.0);
        self.delta_max = self.delta_max.max(delta);
        let passed = rate.map_or(0.0, |rate| f64::from(moved) / f64::from(rate));
        if let Some(before) = self.doubtful.take() {
            if passed > 0.0 && delta < passed / 2.0 {
                // What the network held back comes at once.
                self.add_gap(before.gap);
            } else {
                // The sender paused, and its timestamps with it: on hold, many do (RFC 3264 §8.4).
                self.skew.pause(before.gap.length_ms / 1_000.0 - before.passed);
            }
        }
        if delta < config.gap.as_secs_f64() {
            return;
        }
        // A pause of the sender: the next number, and the timestamp moved as time did (RFC 3550 §5.1), or the clock is not known.
        let explained = match rate {
            Some(_) => (passed - delta).abs() <= delta / 2.0,
            None => true,
        };
        if place == Place::Ahead(1) && explained || place == Place::Restart {
            return;
        }
        let gap = Gap {
            at: self.last,
            length_ms: delta * 1_000.0,
            packet: arrived.packet,
        };
        if place == Place::Ahead(1) && moved <= self.step {
            self.doubtful = Some(Doubtful { gap, passed });
        } else {
            self.add_gap(gap);
        }
    }

    fn add_gap(&mut self, gap: Gap) {
        self.gap_count += 1;
        self.gaps.push(gap);
        if self.gaps.len() > 2 * GAPS {
            self.keep_longest_gaps();
        }
    }

    fn keep_longest_gaps(&mut self) {
        self.gaps.sort_by(|a, b| b.length_ms.total_cmp(&a.length_ms));
        self.gaps.truncate(GAPS);
    }

    fn take_event(&mut self, arrived: Arrived, timestamp: u32, payload: &[u8]) {
        if self.encrypted {
            return;
        }
        let Some(event) = EventPayload::parse(payload) else {
            return;
        };
        let rate = self.rate;
        let digits = &mut self.digits;
        self.events.expire(arrived.at, |completed| {
            push_digit(digits, completed, arrived, rate)
        });
        self.events.packet(arrived.at, timestamp, event, |completed| {
            push_digit(digits, completed, arrived, rate);
        });
    }

    /// Everything was seen: what it tells of the network.
    pub(crate) fn quality(&mut self) -> Quality {
        let arrived = Arrived {
            at: self.last,
            packet: self.last_packet,
            clear: true,
        };
        let rate = self.rate;
        let digits = &mut self.digits;
        self.events
            .restart(|completed| push_digit(digits, completed, arrived, rate));
        let missing = self.order.finish();
        self.keep_longest_gaps();
        let order = &self.order;
        let jitter = (self.jitter.count > 0).then(|| self.jitter.sum / self.jitter.count as f64 * 1_000.0);
        let loss_percent = 100.0 * missing as f64 / order.expected.max(1) as f64;
        Quality {
            packets: order.received,
            octets: self.octets,
            expected: order.expected,
            lost: order.expected as i64 - order.received as i64,
            loss_percent,
            duplicates: order.duplicates,
            out_of_order: order.late,
            jitter_mean_ms: jitter,
            jitter_max_ms: jitter.map(|_| self.jitter.max * 1_000.0),
            delta_max_ms: self.delta_max * 1_000.0,
            gaps: self.gaps.clone(),
            gap_count: self.gap_count,
            mos: self.mos(loss_percent, jitter),
            clock_skew_ppm: self.skew.ppm(),
            restarts: order.restarts,
        }
    }

    /// Of G.711 alone: its impairments are what the model knows. The network's delay is not seen at one place, so that only the packet
    /// and the buffer against jitter count.
    fn mos(&self, loss_percent: f64, jitter_ms: Option<f64>) -> Option<f64> {
        let (payload_type, _) = self.formats.iter().max_by_key(|(_, packets)| *packets)?;
        let format = self.knowledge.format(*payload_type)?;
        let is_g711 = format.same_codec(&Format::pcmu()) || format.same_codec(&Format::pcma());
        if !is_g711 || self.order.received < 10 {
            return None;
        }
        let packet_ms = f64::from(self.step) / 8.0;
        let conditions = Conditions {
            loss_percent,
            burst_ratio: self.order.runs.burst_ratio(),
            one_way_delay_ms: packet_ms + (2.0 * jitter_ms.unwrap_or(0.0)).max(PLAYOUT_MS),
            concealment: true,
        };
        Some(conditions.mos())
    }

    pub(crate) fn formats(&self) -> Vec<StreamFormat> {
        let mut formats: Vec<StreamFormat> = self
            .formats
            .iter()
            .map(|(payload_type, packets)| StreamFormat {
                payload_type: *payload_type,
                name: self.knowledge.format(*payload_type).as_ref().map(format_name),
                packets: *packets,
            })
            .collect();
        formats.sort_by(|a, b| {
            b.packets
                .cmp(&a.packets)
                .then(a.payload_type.cmp(&b.payload_type))
        });
        formats
    }
}

fn note(packets: &mut Vec<u64>, packet: u64) {
    if packets.len() < EVIDENCE {
        packets.push(packet);
    }
}

fn push_digit(digits: &mut Vec<Digit>, completed: Completed, arrived: Arrived, rate: Option<u32>) {
    if digits.len() < DIGITS {
        digits.push(Digit {
            digit: completed.digit,
            at: arrived.at,
            packet: arrived.packet,
            duration_ms: Some(f64::from(completed.ticks) * 1_000.0 / f64::from(rate.unwrap_or(8_000))),
            by: DigitBy::TelephoneEvent,
            from: None,
            leg: None,
        });
    }
}
