//! RTCP (RFC 3550 §6): the reports of one session, and goodbye. Extended reports (RFC 3611) and feedback are passed over.

mod interval;

pub use interval::{IntervalInputs, interval};

use rtcp_types::{
    Bye, Compound, ReceiverReport, ReportBlock, RtcpPacket, RtcpPacketParser, RtcpPacketWriterExt, Sdes,
    SdesChunk, SdesItem, SenderReport,
};

/// Why bytes are not RTCP. The sender is at fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// The first packet is neither a sender's nor a receiver's report (RFC 3550 §6.1, §A.2).
    #[error("an RTCP compound that starts with packet type {found}, not with a report (200 or 201)")]
    NoReportFirst {
        /// The type of the first packet.
        found: u8,
    },
    /// The first packet is padded, which only the last may be (RFC 3550 §6.1).
    #[error("the first packet of an RTCP compound is padded")]
    PaddingFirst,
    /// A packet of the compound breaks its format.
    #[error("an RTCP packet is broken: {0}")]
    Broken(#[from] rtcp_types::RtcpParseError),
}

/// What a sender says about its stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The time of the report, as NTP writes it.
    pub ntp: u64,
    /// The same time on the clock of the RTP timestamps.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a receiver says about a source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The source.
    pub ssrc: u32,
    /// Lost since the report before, in 256ths.
    pub fraction_lost: u8,
    /// Lost in all, from −2²³ to 2²³−1.
    pub lost: i32,
    /// The highest sequence number with the count of its cycles.
    pub highest: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// The middle of the NTP time of the last sender report; 0: none came.
    pub last_sr: u32,
    /// The time since it came, in 1/65536 s.
    pub since_last_sr: u32,
}

/// One thing that a compound says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A sender's report.
    Sender {
        /// Who reports.
        ssrc: u32,
        /// About its stream.
        info: SenderInfo,
    },
    /// A block of either kind of report.
    Report {
        /// Who reports.
        by: u32,
        /// About whom, and what.
        report: Report,
    },
    /// The canonical name of a source (RFC 3550 §6.5.1).
    CanonicalName {
        /// The source.
        ssrc: u32,
        /// Its name, as it came.
        name: Vec<u8>,
    },
    /// A source leaves (RFC 3550 §6.6).
    Bye {
        /// The source.
        ssrc: u32,
    },
}

/// Reads a compound; what it says goes to `take`, in order.
///
/// # Errors
/// The rule of RFC 3550 §A.2 that the bytes break; what came before a broken packet was taken.
pub fn read(bytes: &[u8], mut take: impl FnMut(Item)) -> Result<(), RtcpError> {
    Compound::parse(bytes)?;
    match bytes[1] {
        200 | 201 => {}
        found => return Err(RtcpError::NoReportFirst { found }),
    }
    let first_length = 4 * (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 1);
    if bytes[0] & 0x20 != 0 && first_length < bytes.len() {
        return Err(RtcpError::PaddingFirst);
    }
    // The boundaries were checked. Kinds that are passed over are not looked into: they cannot spoil the reports.
    let mut rest = bytes;
    while let [_, kind, high, low, ..] = *rest {
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let (packet, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        match kind {
            SenderReport::PACKET_TYPE => sender_report(packet, &mut take)?,
            ReceiverReport::PACKET_TYPE => {
                let receiver = ReceiverReport::parse(packet)?;
                for block in receiver.report_blocks() {
                    take(report(receiver.ssrc(), &block));
                }
            }
            Sdes::PACKET_TYPE => canonical_names(packet, &mut take)?,
            Bye::PACKET_TYPE => Bye::parse(packet)?
                .ssrcs()
                .for_each(|ssrc| take(Item::Bye { ssrc })),
            _ => {}
        }
    }
    Ok(())
}

fn sender_report(packet: &[u8], take: &mut impl FnMut(Item)) -> Result<(), RtcpError> {
    let sender = SenderReport::parse(packet)?;
    take(Item::Sender {
        ssrc: sender.ssrc(),
        info: SenderInfo {
            ntp: sender.ntp_timestamp(),
            rtp: sender.rtp_timestamp(),
            packets: sender.packet_count(),
            octets: sender.octet_count(),
        },
    });
    for block in sender.report_blocks() {
        take(report(sender.ssrc(), &block));
    }
    Ok(())
}

fn canonical_names(packet: &[u8], take: &mut impl FnMut(Item)) -> Result<(), RtcpError> {
    let description = Sdes::parse(packet)?;
    for chunk in description.chunks() {
        for item in chunk.items().filter(|item| item.type_() == SdesItem::CNAME) {
            take(Item::CanonicalName {
                ssrc: chunk.ssrc(),
                name: item.value().to_vec(),
            });
        }
    }
    Ok(())
}

fn report(by: u32, block: &ReportBlock<'_>) -> Item {
    Item::Report {
        by,
        report: Report {
            ssrc: block.ssrc(),
            fraction_lost: block.fraction_lost(),
            // 24 bits with a sign.
            lost: ((block.cumulative_lost() << 8) as i32) >> 8,
            highest: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_sr: block.last_sender_report_timestamp(),
            since_last_sr: block.delay_since_last_sender_report_timestamp(),
        },
    }
}

/// What a compound of ours says: a report (of a sender where it sent), the canonical name, and perhaps goodbye.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Who reports.
    pub ssrc: u32,
    /// Its stream, where it sent lately.
    pub sender: Option<SenderInfo>,
    /// What it received.
    pub report: Option<Report>,
    /// Its canonical name, 1–255 bytes.
    pub canonical_name: &'a str,
    /// It leaves.
    pub bye: bool,
}

impl Outgoing<'_> {
    /// Writes the compound to the start of `buffer` and gives its length; `None` when it does not fit.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let block = self.report.map(|report| {
            ReportBlock::builder(report.ssrc)
                .fraction_lost(report.fraction_lost)
                .cumulative_lost(report.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff)
                .extended_sequence_number(report.highest)
                .interarrival_jitter(report.jitter)
                .last_sender_report_timestamp(report.last_sr)
                .delay_since_last_sender_report_timestamp(report.since_last_sr)
        });
        let name = SdesItem::builder(SdesItem::CNAME, self.canonical_name);
        let chunk = SdesChunk::builder(self.ssrc).add_item(name);
        let mut compound = Compound::builder();
        compound = match self.sender {
            Some(info) => {
                let mut sender = SenderReport::builder(self.ssrc)
                    .ntp_timestamp(info.ntp)
                    .rtp_timestamp(info.rtp)
                    .packet_count(info.packets)
                    .octet_count(info.octets);
                if let Some(block) = block {
                    sender = sender.add_report_block(block);
                }
                compound.add_packet(sender)
            }
            None => {
                let mut receiver = ReceiverReport::builder(self.ssrc);
                if let Some(block) = block {
                    receiver = receiver.add_report_block(block);
                }
                compound.add_packet(receiver)
            }
        };
        compound = compound.add_packet(Sdes::builder().add_chunk(chunk));
        if self.bye {
            compound = compound.add_packet(Bye::builder().add_source(self.ssrc));
        }
        compound.write_into(buffer).ok()
    }
}

/// The middle 32 bits of an NTP time: what goes back as LSR (RFC 3550 §6.4.1).
pub fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}
