//! RTP payload formats: `a=rtpmap`, `a=fmtp` and the static table of RFC 3551 §6.

use std::fmt;

use smol_str::SmolStr;

/// One RTP payload type of an `m=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding name as written, or from the static table; empty where nothing says what the type is.
    pub encoding: SmolStr,
    /// RTP clock rate in Hz; 0 where unknown.
    pub clock_rate: u32,
    /// Channels; 1 where nothing is said.
    pub channels: u8,
    /// What `a=fmtp` says, unparsed.
    pub fmtp: Option<SmolStr>,
}

/// Which events of RFC 4733 a telephone-event format carries: numbers 0 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventSet([u128; 2]);

impl Format {
    /// A format of one channel without parameters.
    #[must_use]
    pub fn new(payload_type: u8, encoding: &str, clock_rate: u32) -> Self {
        Self {
            payload_type,
            encoding: encoding.into(),
            clock_rate,
            channels: 1,
            fmtp: None,
        }
    }

    /// G.711 µ-law, payload type 0.
    #[must_use]
    pub fn pcmu() -> Self {
        Self::new(0, "PCMU", 8000)
    }

    /// G.711 A-law, payload type 8.
    #[must_use]
    pub fn pcma() -> Self {
        Self::new(8, "PCMA", 8000)
    }

    /// Telephone-event at 8 kHz: the 16 DTMF digits and flash (RFC 4733 §3.2).
    #[must_use]
    pub fn telephone_event(payload_type: u8) -> Self {
        Self {
            fmtp: Some("0-16".into()),
            ..Self::new(payload_type, "telephone-event", 8000)
        }
    }

    /// What RFC 3551 §6 assigns to `payload_type`, tables 4 and 5; `None` for the rest, which need an `a=rtpmap`.
    #[must_use]
    pub fn fixed(payload_type: u8) -> Option<Self> {
        let (encoding, clock_rate, channels) = match payload_type {
            0 => ("PCMU", 8000, 1),
            3 => ("GSM", 8000, 1),
            4 => ("G723", 8000, 1),
            5 => ("DVI4", 8000, 1),
            6 => ("DVI4", 16000, 1),
            7 => ("LPC", 8000, 1),
            8 => ("PCMA", 8000, 1),
            // RFC 3551 §4.5.2: G.722 samples at 16 kHz, but its RTP clock is 8 kHz.
            9 => ("G722", 8000, 1),
            10 => ("L16", 44100, 2),
            11 => ("L16", 44100, 1),
            12 => ("QCELP", 8000, 1),
            13 => ("CN", 8000, 1),
            14 => ("MPA", 90000, 1),
            15 => ("G728", 8000, 1),
            16 => ("DVI4", 11025, 1),
            17 => ("DVI4", 22050, 1),
            18 => ("G729", 8000, 1),
            25 => ("CelB", 90000, 1),
            26 => ("JPEG", 90000, 1),
            28 => ("nv", 90000, 1),
            31 => ("H261", 90000, 1),
            32 => ("MPV", 90000, 1),
            33 => ("MP2T", 90000, 1),
            34 => ("H263", 90000, 1),
            _ => return None,
        };
        Some(Self {
            channels,
            ..Self::new(payload_type, encoding, clock_rate)
        })
    }

    /// Whether both mean the same codec, whatever number and parameters they have. Names compare without case
    /// (RFC 8866 §6.6).
    #[must_use]
    pub fn same_codec(&self, other: &Self) -> bool {
        !self.encoding.is_empty()
            && self.encoding.eq_ignore_ascii_case(&other.encoding)
            && self.clock_rate == other.clock_rate
            && self.channels == other.channels
    }

    /// Whether this is telephone-event (RFC 4733).
    #[must_use]
    pub fn is_telephone_event(&self) -> bool {
        self.encoding.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether this is comfort noise (RFC 3389).
    #[must_use]
    pub fn is_comfort_noise(&self) -> bool {
        self.encoding.eq_ignore_ascii_case("CN")
    }

    /// The events of a telephone-event format. RFC 4733 §2.4.1: without `a=fmtp` it is 0-15, the DTMF digits. What
    /// cannot be read is left out.
    #[must_use]
    pub fn events(&self) -> EventSet {
        let Some(fmtp) = &self.fmtp else {
            return EventSet::dtmf();
        };
        // RFC 4733 §3: "events=" may stand before the list, as in media type registrations.
        let list = fmtp.trim().strip_prefix("events=").unwrap_or(fmtp.trim());
        let mut events = EventSet::default();
        for item in list.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            if let (Ok(first), Ok(last)) = (first.trim().parse::<u8>(), last.trim().parse::<u8>()) {
                (first..=last).for_each(|event| events.insert(event));
            }
        }
        events
    }
}

impl fmt::Display for Format {
    /// The value of `a=rtpmap` without the number: `PCMU/8000`, `L16/44100/2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.encoding, self.clock_rate)?;
        if self.channels != 1 {
            write!(f, "/{}", self.channels)?;
        }
        Ok(())
    }
}

impl EventSet {
    /// The 16 digits of DTMF: events 0 to 15.
    #[must_use]
    pub fn dtmf() -> Self {
        Self([0xffff, 0])
    }

    /// Whether `event` is in the set.
    #[must_use]
    pub fn contains(self, event: u8) -> bool {
        self.0[usize::from(event >> 7)] & (1 << (event & 0x7f)) != 0
    }

    /// Adds `event`.
    pub fn insert(&mut self, event: u8) {
        self.0[usize::from(event >> 7)] |= 1 << (event & 0x7f);
    }
}
