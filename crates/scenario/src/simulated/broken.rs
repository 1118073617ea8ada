//! Phones that break a rule on purpose, for test builds: what the rules of the protocols are for is shown by breaking them.

use bytes::Bytes;
use callwright_sip_message::{CSeq, HeaderName, Limits, Message, Method};
use callwright_wire::{Output, Residue};

use crate::member::MemberEvent;

/// What a phone does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It never sends an ACK.
    ForgetsAck,
    /// The sequence number of its BYE is that of its INVITE.
    RepeatsCSeq,
    /// It keeps a dialog that is over.
    LeaksDialog,
    /// It leaves out one sequence number of RTP, after a second of it.
    SkipsSequence,
}

/// A packet of one second of sound.
const SECOND: u32 = 50;

/// A phone's fault, and how far it got.
#[derive(Clone, Copy, Debug)]
pub struct Breaking {
    broken: Broken,
    packets: u32,
}

impl Breaking {
    pub(crate) fn new(broken: Broken) -> Self {
        Breaking { broken, packets: 0 }
    }

    /// What comes out instead; nothing where it is left out.
    pub(crate) fn output(&self, output: Output<MemberEvent>) -> Option<Output<MemberEvent>> {
        match output {
            Output::Datagram {
                socket,
                to,
                bytes,
                cause,
            } => {
                let bytes = self.message(bytes)?;
                Some(Output::Datagram {
                    socket,
                    to,
                    bytes,
                    cause,
                })
            }
            other => Some(other),
        }
    }

    fn message(&self, bytes: Bytes) -> Option<Bytes> {
        let Ok(message) = Message::parse(bytes.clone(), &Limits::default()) else {
            return Some(bytes);
        };
        match self.broken {
            Broken::ForgetsAck if message.is_request_of(&Method::Ack) => None,
            Broken::RepeatsCSeq if message.is_request_of(&Method::Bye) => {
                let number = message.cseq().map_or(1, |cseq| cseq.number.saturating_sub(1));
                let cseq = CSeq::new(number, Method::Bye);
                let changed = message.to_builder().set(HeaderName::CSeq, cseq);
                Some(changed.finish().raw().clone())
            }
            _ => Some(bytes),
        }
    }

    /// Changes an RTP packet.
    pub(crate) fn packet(&mut self, packet: &mut [u8]) {
        let is_rtp = callwright_media::rtp::classify(packet) == callwright_media::rtp::Kind::Rtp;
        if self.broken != Broken::SkipsSequence || !is_rtp {
            return;
        }
        self.packets += 1;
        if self.packets > SECOND
            && let Some([high, low]) = packet.get_mut(2..4)
        {
            let next = u16::from_be_bytes([*high, *low]).wrapping_add(1);
            [*high, *low] = next.to_be_bytes();
        }
    }

    pub(crate) fn residue(&self) -> Residue {
        Residue {
            dialogs: usize::from(self.broken == Broken::LeaksDialog),
            ..Residue::default()
        }
    }
}
