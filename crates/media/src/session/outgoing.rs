//! The sending half of a session: one packet each interval.

use std::time::Duration;

use callwright_wire::Entropy;

use super::announcer::Announcer;
use super::carried::Carried;
use super::digits::{Digits, Interval};
use super::player::Player;
use crate::codec::{Codec, SAMPLE_RATE};
use crate::plane::{
    Announcement, Cargo, CommandError, Crossing, Dtmf, DtmfMode, SendFormat, Sent, Source, Start,
};
use crate::rtp;

/// Samples of the longest packet interval.
pub(crate) const MAX_FRAME: usize = 480;

/// What an interval brought.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Bytes of the RTP packet in the buffer; `None`: nothing is sent in this interval.
    pub(crate) packet: Option<usize>,
    /// Audio that was to be played once is out.
    pub(crate) play_ended: bool,
    /// An announcement is out.
    pub(crate) announced: bool,
    /// The last digit and its pause are out.
    pub(crate) dtmf_sent: bool,
}

/// What came to its end unheard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Skipped {
    /// What was to be played once.
    pub(crate) play_ended: bool,
    /// An announcement.
    pub(crate) announced: bool,
}

/// What a session sends, and as whom.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Outgoing {
    ssrc: u32,
    /// Of the next interval.
    timestamp: u32,
    sequence: u16,
    format: Option<SendFormat>,
    telephone_event: Option<u8>,
    muted: bool,
    ptime_ms: u32,
    /// The stream that crosses a bridge to here.
    carried: Option<Carried>,
    /// After the last timestamp that was sent over a bridge.
    carried_until: Option<u32>,
    pub(crate) counts: Sent,
    noise_seed: u64,
    player: Player,
    announcer: Announcer,
    digits: Digits,
}

impl Outgoing {
    pub(crate) fn new(entropy: &mut Entropy) -> Self {
        Outgoing {
            ssrc: entropy.next_u32(),
            // RFC 4568 §6.4: from the lower half, so that a lost first packet does not hide a rollover under SRTP.
            sequence: (entropy.next_u32() >> 17) as u16,
            timestamp: entropy.next_u32(),
            format: None,
            telephone_event: None,
            ptime_ms: 20,
            noise_seed: entropy.next_u64(),
            player: Player::Silence,
            announcer: Announcer::default(),
            muted: false,
            digits: Digits::default(),
            carried: None,
            carried_until: None,
            counts: Sent::default(),
        }
    }

    pub(crate) fn start(&mut self, start: &Start) {
        self.format = start.send;
        self.telephone_event = start.telephone_event_send;
        self.ptime_ms = match start.ptime_ms {
            0 => 20,
            ptime => ptime.clamp(10, 60),
        };
        self.counts.codec = start.send.map(|format| format.codec);
    }

    pub(crate) fn play(&mut self, source: Source) -> Result<(), CommandError> {
        if matches!(&source, Source::Samples { samples, .. } if samples.is_empty()) {
            return Err(CommandError::NoSamples);
        }
        self.player = Player::new(source, self.noise_seed)?;
        Ok(())
    }

    pub(crate) fn announce(&mut self, announcement: Announcement) {
        self.announcer.announce(announcement);
    }

    pub(crate) fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    pub(crate) fn dtmf(&mut self, dtmf: &Dtmf) -> Result<(), CommandError> {
        if dtmf.mode == DtmfMode::Rfc4733 && self.telephone_event.is_none() {
            return Err(CommandError::NoTelephoneEvent);
        }
        self.digits.push(dtmf)
    }

    pub(crate) fn has_no_digits(&self) -> bool {
        self.digits.is_empty()
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp of the interval that is next.
    pub(crate) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.format.is_some()
    }

    /// The packet interval.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.ptime_ms))
    }

    /// Ticks in an interval.
    pub(crate) fn ticks(&self) -> u32 {
        SAMPLE_RATE / 1_000 * self.ptime_ms
    }

    /// One interval goes by: writes its packet into `buffer`, and what was heard of it into `frame`.
    pub(crate) fn send(&mut self, frame: &mut [i16], buffer: &mut [u8]) -> Sending {
        let mut sending = Sending::default();
        let Some(format) = self.format else {
            self.pass(frame);
            return sending;
        };
        if self.announcer.holds_music() {
            frame.fill(0);
        } else {
            sending.play_ended = self.player.fill(frame);
        }
        if !self.announcer.is_idle() {
            sending.announced = self.announcer.mix(frame);
        }
        if self.muted {
            frame.fill(0);
        }
        let (interval, dtmf_sent) =
            self.digits
                .interval(self.timestamp, self.telephone_event.is_some(), frame);
        sending.dtmf_sent = dtmf_sent;
        let mut header = rtp::Header {
            payload_type: format.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            // RFC 3551 §4.1: the first packet of a talkspurt.
            marker: self.counts.packets == 0,
            ..rtp::Header::default()
        };
        sending.packet = match interval {
            Interval::Audio | Interval::Inband => write_audio(&header, format.codec, frame, buffer),
            Interval::Event(event) => {
                frame.fill(0);
                header.payload_type = self.telephone_event.unwrap_or(format.payload_type);
                header.timestamp = event.timestamp;
                header.marker = event.marker;
                header.write(&event.payload.to_bytes(), buffer)
            }
            Interval::Nothing => {
                frame.fill(0);
                None
            }
        };
        if let Some(length) = sending.packet {
            self.sequence = self.sequence.wrapping_add(1);
            self.counts.packets += 1;
            self.counts.octets += (length - rtp::FIXED_HEADER) as u64;
        }
        self.timestamp = self.timestamp.wrapping_add(frame.len() as u32);
        sending
    }

    /// The bridge leads elsewhere, or nowhere: what is sent next goes on where the stream is.
    pub(crate) fn part(&mut self) {
        self.carried = None;
        self.timestamp = self.after_carried();
        self.carried_until = None;
    }

    /// The timestamp that is next, in no case before what crossed a bridge.
    fn after_carried(&self) -> u32 {
        match self.carried_until {
            Some(until) if until.wrapping_sub(self.timestamp).cast_signed() > 0 => until,
            Some(_) | None => self.timestamp,
        }
    }

    /// Writes a packet that crossed a bridge into `buffer`; `None` when it cannot be sent in a format that was agreed on.
    pub(crate) fn send_on(&mut self, crossing: &Crossing, buffer: &mut [u8]) -> Option<usize> {
        let format = self.format?;
        let (payload_type, transcoded) = match crossing.cargo {
            Cargo::Audio(codec) if codec == format.codec => (format.payload_type, None),
            Cargo::Audio(codec) => (format.payload_type, Some(codec)),
            Cargo::TelephoneEvent => (self.telephone_event?, None),
        };
        let length = rtp::FIXED_HEADER + crossing.payload.len();
        buffer.get(..length)?;
        let received = (crossing.ssrc, crossing.sequence, crossing.timestamp);
        let timestamp = self.after_carried();
        let place = Carried::place(&mut self.carried, received, self.sequence, timestamp);
        let header = rtp::Header {
            payload_type,
            sequence: place.sequence,
            timestamp: place.timestamp,
            ssrc: self.ssrc,
            marker: crossing.marker || place.first,
            ..rtp::Header::default()
        };
        match transcoded {
            None => header.write(&crossing.payload, buffer)?,
            Some(codec) => {
                transcode(
                    codec,
                    format.codec,
                    &crossing.payload,
                    &mut buffer[rtp::FIXED_HEADER..length],
                );
                header.write(&[], buffer)?
            }
        };
        self.sequence = self
            .carried
            .map_or(self.sequence, |carried| carried.next_sequence());
        let until = match crossing.cargo {
            // One byte is one sample in G.711.
            Cargo::Audio(_) => place.timestamp.wrapping_add(crossing.payload.len() as u32),
            Cargo::TelephoneEvent => place.timestamp,
        };
        if self
            .carried_until
            .is_none_or(|before| until.wrapping_sub(before).cast_signed() > 0)
        {
            self.carried_until = Some(until);
        }
        self.counts.packets += 1;
        self.counts.relayed += 1;
        self.counts.octets += crossing.payload.len() as u64;
        Some(length)
    }

    /// One interval goes by in which nothing may be sent; what plays waits.
    pub(crate) fn pass(&mut self, frame: &mut [i16]) {
        frame.fill(0);
        self.timestamp = self.timestamp.wrapping_add(frame.len() as u32);
    }

    /// So many intervals were missed: their samples are skipped, not sent late.
    pub(crate) fn skip(&mut self, intervals: u64, sending: bool) -> Skipped {
        let ticks = u64::from(self.ticks()) * intervals;
        self.timestamp = self.timestamp.wrapping_add(ticks as u32);
        if !sending {
            return Skipped::default();
        }
        self.counts.skipped_packets += intervals;
        self.counts.skipped_samples += ticks;
        self.digits.skip(u32::try_from(ticks).unwrap_or(u32::MAX));
        let samples = usize::try_from(ticks).unwrap_or(usize::MAX);
        let music_waits = self.announcer.holds_music();
        Skipped {
            announced: self.announcer.skip(samples),
            play_ended: !music_waits && self.player.skip(samples),
        }
    }
}

/// From one codec to another, a byte for a byte.
fn transcode(from: Codec, to: Codec, payload: &[u8], out: &mut [u8]) {
    let mut samples = [0; MAX_FRAME];
    for (bytes, out) in payload.chunks(MAX_FRAME).zip(out.chunks_mut(MAX_FRAME)) {
        let decoded = from.decode(bytes, &mut samples);
        to.encode(&samples[..decoded], out);
    }
}

fn write_audio(header: &rtp::Header<'_>, codec: Codec, frame: &[i16], buffer: &mut [u8]) -> Option<usize> {
    let length = rtp::FIXED_HEADER + frame.len();
    let payload = buffer.get_mut(rtp::FIXED_HEADER..length)?;
    codec.encode(frame, payload);
    // The payload is in its place already: the header alone is written before it.
    header.write(&[], buffer)?;
    Some(length)
}
