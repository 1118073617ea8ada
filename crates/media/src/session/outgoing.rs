//! The sending half of a session: one packet each interval.

use std::time::Duration;

use callwright_wire::Entropy;

use super::digits::{Digits, Interval};
use super::player::Player;
use crate::codec::{Codec, SAMPLE_RATE};
use crate::plane::{CommandError, Dtmf, DtmfMode, SendFormat, Sent, Source, Start};
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
    /// The last digit and its pause are out.
    pub(crate) dtmf_sent: bool,
}

/// What a session sends, and as whom.
#[derive(Debug)]
pub(crate) struct Outgoing {
    ssrc: u32,
    sequence: u16,
    /// Of the next interval.
    timestamp: u32,
    format: Option<SendFormat>,
    telephone_event: Option<u8>,
    ptime_ms: u32,
    noise_seed: u64,
    player: Player,
    muted: bool,
    digits: Digits,
    pub(crate) counts: Sent,
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
            muted: false,
            digits: Digits::default(),
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
        sending.play_ended = self.player.fill(frame);
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

    /// One interval goes by in which nothing may be sent; what plays waits.
    pub(crate) fn pass(&mut self, frame: &mut [i16]) {
        frame.fill(0);
        self.timestamp = self.timestamp.wrapping_add(frame.len() as u32);
    }

    /// So many intervals were missed: their samples are skipped, not sent late. True when what played came to its end.
    pub(crate) fn skip(&mut self, intervals: u64, sending: bool) -> bool {
        let ticks = u64::from(self.ticks()) * intervals;
        self.timestamp = self.timestamp.wrapping_add(ticks as u32);
        if !sending {
            return false;
        }
        self.counts.skipped_packets += intervals;
        self.counts.skipped_samples += ticks;
        self.digits.skip(u32::try_from(ticks).unwrap_or(u32::MAX));
        self.player.skip(usize::try_from(ticks).unwrap_or(usize::MAX))
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
