//! The receiving half of a session: sources, statistics, order, formats.

use std::time::Duration;

use callwright_wire::Time;

use super::ears::Ears;
use super::sink::Sink;
use crate::codec::{Codec, SAMPLE_RATE};
use crate::jitter::{Heard, Playout, Put};
use crate::plane::{Cargo, DtmfMode, Event, Received, Refused, Start};
use crate::reception::{Arrival, Reception};
use crate::rtp::Packet;
use crate::telephone_event::{Completed, EventPayload, EventReceiver};

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Audio(Codec),
    TelephoneEvent,
}

/// The formats that were agreed on, by payload type.
#[derive(Clone, Debug, Default)]
struct Formats {
    /// What comes with most packets: the first of `audio`, which need not be looked at then.
    usual: Option<(u8, Codec)>,
    audio: Vec<(u8, Codec)>,
    telephone_event: Option<u8>,
}

impl Formats {
    fn of(&self, payload_type: u8) -> Option<Format> {
        if self.telephone_event == Some(payload_type) {
            return Some(Format::TelephoneEvent);
        }
        if let Some((number, codec)) = self.usual
            && number == payload_type
        {
            return Some(Format::Audio(codec));
        }
        self.audio
            .iter()
            .find(|(number, _)| *number == payload_type)
            .map(|(_, codec)| Format::Audio(*codec))
    }
}

/// What a session receives.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Incoming {
    formats: Formats,
    /// There is a rival: it is not looked for with every packet.
    contested: bool,
    /// The source that is heard.
    source: Option<Reception>,
    counts: Counts,
    playout: Playout,
    pub(crate) refused: Refused,
    /// Another one, which is heard when it shows two packets in sequence while the first is quiet.
    rival: Option<Reception>,
    events: EventReceiver,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    packets: u64,
    octets: u64,
    codec: Option<Codec>,
    /// Samples of the present source that arrived.
    samples: u64,
    source_changes: u64,
    first: Option<Time>,
    last: Option<Time>,
}

impl Incoming {
    pub(crate) fn start(&mut self, start: &Start) {
        self.formats = Formats {
            usual: start.receive.first().copied(),
            audio: start.receive.clone(),
            telephone_event: start.telephone_event_receive,
        };
    }

    /// Whether a payload type was agreed on.
    pub(crate) fn knows(&self, payload_type: u8) -> bool {
        self.formats.of(payload_type).is_some()
    }

    /// The source that is heard, and its SSRC: what a report is about.
    pub(crate) fn source(&mut self) -> Option<(&mut Reception, u32)> {
        let source = self.source.as_mut()?;
        let ssrc = source.ssrc();
        Some((source, ssrc))
    }

    /// Takes a packet from where packets are expected; gives what it carries when it belongs to the stream that is heard, in a
    /// format that was agreed on.
    pub(crate) fn packet(
        &mut self,
        now: Time,
        packet: &Packet<'_>,
        hearing: &mut Hearing<'_, '_>,
    ) -> Option<Cargo> {
        let format = self.formats.of(packet.payload_type());
        let source = self
            .source
            .get_or_insert_with(|| Reception::trusted(packet.ssrc(), packet.sequence()));
        let arrival = if source.ssrc() == packet.ssrc() {
            if std::mem::take(&mut self.contested) {
                self.rival = None;
            }
            source.packet_at(packet.sequence(), packet.timestamp())
        } else {
            self.rival(packet, hearing)
        };
        match arrival {
            Arrival::Valid => {}
            Arrival::Restarted => self.restart(hearing),
            Arrival::Probation | Arrival::Jump => {
                self.refused.other_ssrc += 1;
                return None;
            }
        }
        self.count(now, packet, format);
        if hearing.deaf {
            self.refused.on_hold += 1;
        }
        let put = Put {
            arrived: now,
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            payload_type: packet.payload_type(),
            marker: packet.marker(),
            payload: packet.payload(),
        };
        let (formats, events) = (&self.formats, &mut self.events);
        self.playout
            .put(put, |heard| hear(formats, events, heard, hearing));
        format.map(|format| match format {
            Format::Audio(codec) => Cargo::Audio(codec),
            Format::TelephoneEvent => Cargo::TelephoneEvent,
        })
    }

    /// RFC 3550 §A.1, §8.2: another source takes over once two of its packets came in sequence and none of the first.
    fn rival(&mut self, packet: &Packet<'_>, hearing: &mut Hearing<'_, '_>) -> Arrival {
        self.contested = true;
        let rival = match &mut self.rival {
            Some(rival) if rival.ssrc() == packet.ssrc() => rival,
            other => other.insert(Reception::on_probation(packet.ssrc(), packet.sequence())),
        };
        let arrival = rival.packet_at(packet.sequence(), packet.timestamp());
        if arrival == Arrival::Valid
            && let Some(rival) = self.rival.take()
            && let Some(before) = self.source.replace(rival)
        {
            self.counts.source_changes += 1;
            self.restart(hearing);
            hearing.sink.tell(Event::SsrcChanged {
                before: before.ssrc(),
                now: packet.ssrc(),
            });
        }
        arrival
    }

    /// What waits is heard; the statistics are those of what comes now.
    fn restart(&mut self, hearing: &mut Hearing<'_, '_>) {
        let (formats, events) = (&self.formats, &mut self.events);
        self.playout
            .restart(|heard| hear(formats, events, heard, hearing));
        self.events.restart(|digit| hearing.digit(digit));
        hearing.ears.restart(hearing.sink);
        self.playout.reset_counts();
        self.counts.samples = 0;
        self.counts.first = None;
    }

    fn count(&mut self, now: Time, packet: &Packet<'_>, format: Option<Format>) {
        let counts = &mut self.counts;
        counts.first.get_or_insert(now);
        counts.last = Some(now);
        match format {
            Some(format) => {
                counts.packets += 1;
                counts.octets += packet.payload().len() as u64;
                if let Format::Audio(codec) = format {
                    counts.codec = Some(codec);
                    counts.samples += packet.payload().len() as u64;
                    if let Some(source) = &mut self.source {
                        source.arrival(now, packet.timestamp(), SAMPLE_RATE);
                    }
                }
            }
            None => self.refused.unknown_payload_type += 1,
        }
    }

    /// Time went by: gaps are given up, events without an end are over.
    pub(crate) fn expire(&mut self, now: Time, hearing: &mut Hearing<'_, '_>) {
        if self.playout.is_waiting() {
            let (formats, events) = (&self.formats, &mut self.events);
            self.playout
                .expire(now, |heard| hear(formats, events, heard, hearing));
        }
        self.events.expire(now, |digit| hearing.digit(digit));
    }

    /// The end of the session: everything that waits is heard.
    pub(crate) fn finish(&mut self, hearing: &mut Hearing<'_, '_>) {
        let (formats, events) = (&self.formats, &mut self.events);
        self.playout
            .restart(|heard| hear(formats, events, heard, hearing));
        self.events.restart(|digit| hearing.digit(digit));
    }

    pub(crate) fn received(&self) -> Received {
        let source = self.source.as_ref();
        let counts = &self.counts;
        let playout = self.playout.counts();
        // Nothing can be said about quality from less than a second.
        let measured = counts.samples >= u64::from(SAMPLE_RATE);
        let jitter = source.map(|source| f64::from(source.jitter()) / f64::from(SAMPLE_RATE));
        Received {
            packets: counts.packets,
            octets: counts.octets,
            rtcp_packets: 0,
            codec: counts.codec,
            expected: source.map_or(0, Reception::expected),
            lost: source.map_or(0, Reception::lost),
            loss_ratio: playout.loss_ratio().filter(|_| measured),
            burst_ratio: playout.burst_ratio(),
            jitter: jitter.map(Duration::from_secs_f64).filter(|_| measured),
            duplicates: source.map_or(0, Reception::duplicates),
            reordered: playout.reordered,
            late: playout.late,
            source_changes: counts.source_changes,
            first: counts.first,
            last: counts.last,
        }
    }
}

/// Who hears what comes out in order.
#[derive(Debug)]
pub(crate) struct Hearing<'a, 'b> {
    pub(crate) ears: &'a mut Ears,
    pub(crate) sink: &'a mut Sink<'b>,
    /// Nothing is to be heard: this side does not receive.
    pub(crate) deaf: bool,
}

impl Hearing<'_, '_> {
    fn digit(&mut self, completed: Completed) {
        if self.deaf {
            return;
        }
        let micros = u64::from(completed.ticks) * 1_000_000 / u64::from(SAMPLE_RATE);
        self.sink.tell(Event::Digit {
            digit: completed.digit,
            duration: Some(Duration::from_micros(micros)),
            mode: DtmfMode::Rfc4733,
        });
    }
}

fn hear(formats: &Formats, events: &mut EventReceiver, heard: Heard<'_>, hearing: &mut Hearing<'_, '_>) {
    match heard {
        Heard::Lost(missing) if !hearing.deaf => hearing.ears.lost(missing, hearing.sink),
        Heard::Lost(_) => {}
        Heard::Packet(packet) | Heard::Late(packet) => match formats.of(packet.payload_type) {
            Some(Format::TelephoneEvent) => {
                if let Some(payload) = EventPayload::parse(packet.payload) {
                    events.packet(packet.arrived, packet.timestamp, payload, |digit| {
                        hearing.digit(digit)
                    });
                }
            }
            Some(Format::Audio(codec)) if !hearing.deaf && matches!(heard, Heard::Packet(_)) => {
                hearing.ears.audio(codec, packet, hearing.sink);
            }
            Some(Format::Audio(_)) | None => {}
        },
    }
}
