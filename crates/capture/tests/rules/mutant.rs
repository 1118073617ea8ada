//! A node that breaks a rule on purpose: whatever engine it is made of, what comes out of it is changed or left out before it is
//! sent. The engine knows nothing of it.

use std::net::SocketAddr;

use bytes::Bytes;
use callwright_sip_message::{CSeq, Framer, HeaderName, Limits, Message, Method};
use callwright_wire::{Input, Node, Output, PacketNode, Residue, SocketId, Time};

/// What a [`Mutant`] does wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Requests with this method are never sent.
    Forget(Method),
    /// Responses of INVITE with a status at least this are never sent.
    Mute(u16),
    /// The CSeq number of requests with this method is another one.
    Number(Method, i64),
    /// A header is left out of every message with this method.
    Without(Method, HeaderName),
    /// A header has another value in every request with this method.
    Header(Method, HeaderName, String),
    /// A header has another value in every response to this method.
    ResponseHeader(Method, HeaderName, String),
    /// The tag of To is another one in requests with this method.
    Tag(Method),
    /// Every request is sent twice.
    Twice,
    /// Another Content-Length than that of the body.
    Length,
    /// The branch of every request is this one.
    Branch(String),
    /// The topmost Via of requests with this method names another host.
    SentBy(Method),
    /// From this packet on, sequence numbers of RTP are one too high.
    SkipSequence(u32),
    /// From this packet on, timestamps of RTP are this much too high.
    Timestamp(u32, u32),
    /// Another payload type.
    PayloadType(u8),
    /// Packets of an event have timestamps of their own.
    EventTimestamp(u8),
    /// A dialog is kept that nobody ends.
    Keep,
    /// Every description has one more m= line.
    MoreLines,
    /// The version of every description is that of the first.
    Version,
    /// To the first 2xx of INVITE a refusal is added.
    TwoFinals,
}

/// The engine and its fault.
pub(crate) struct Mutant<N> {
    pub(crate) node: N,
    pub(crate) fault: Fault,
    packets: u32,
    twice: Vec<Copy>,
}

struct Copy {
    socket: SocketId,
    to: SocketAddr,
    bytes: Bytes,
}

impl<N> Mutant<N> {
    pub(crate) fn new(node: N) -> Self {
        Mutant {
            node,
            fault: Fault::None,
            packets: 0,
            twice: Vec::new(),
        }
    }

    /// The bytes that go out instead; `None`: they do not.
    fn change(&self, bytes: &Bytes, changed: impl FnOnce(Bytes)) -> Option<Bytes> {
        let Ok(message) = Message::parse(bytes.clone(), &Limits::default()) else {
            return Some(bytes.clone());
        };
        let same = || Some(bytes.clone());
        let built = |builder: callwright_sip_message::Builder| Some(builder.finish().raw().clone());
        let is = |method: &Method| message.is_request_of(method);
        match &self.fault {
            Fault::Forget(method) if is(method) => None,
            Fault::Mute(least)
                if message.method() == Some(Method::Invite)
                    && message.status().is_some_and(|status| status >= *least) =>
            {
                None
            }
            Fault::Number(method, by) if is(method) => {
                let cseq = message.cseq().unwrap();
                let number = (i64::from(cseq.number) + by) as u32;
                built(
                    message
                        .to_builder()
                        .set(HeaderName::CSeq, CSeq::new(number, cseq.method)),
                )
            }
            Fault::Without(method, name) if message.method().as_ref() == Some(method) => {
                built(message.to_builder().remove(name.clone()))
            }
            Fault::Header(method, name, value) if is(method) => {
                built(message.to_builder().set(name.clone(), value))
            }
            Fault::ResponseHeader(method, name, value)
                if message.is_response() && message.method().as_ref() == Some(method) =>
            {
                built(message.to_builder().set(name.clone(), value))
            }
            Fault::Tag(method) if is(method) => {
                let to = message.to().unwrap().with_tag("another");
                built(message.to_builder().set(HeaderName::To, to))
            }
            Fault::Twice if message.is_request() => {
                changed(bytes.clone());
                same()
            }
            Fault::TwoFinals
                if message.method() == Some(Method::Invite)
                    && message
                        .status()
                        .is_some_and(|status| (200..300).contains(&status)) =>
            {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                changed(text.replacen("SIP/2.0 200 OK", "SIP/2.0 486 Busy Here", 1).into());
                same()
            }
            Fault::Length if !message.body().is_empty() => {
                let length = message.body().len();
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let wrong = format!("Content-Length: {}", length - 2);
                Some(
                    text.replacen(&format!("Content-Length: {length}"), &wrong, 1)
                        .into(),
                )
            }
            Fault::Branch(branch) if message.is_request() => {
                let mut via = message.via().unwrap();
                via.set_branch(branch);
                built(message.to_builder().set(HeaderName::Via, via))
            }
            Fault::SentBy(method) if is(method) => {
                let mut via = message.via().unwrap();
                via.host = "198.51.100.7".parse().unwrap();
                built(message.to_builder().set(HeaderName::Via, via))
            }
            Fault::MoreLines if message.is_response() && !message.body().is_empty() => {
                let body = String::from_utf8(message.body().to_vec()).unwrap();
                built(
                    message
                        .to_builder()
                        .body("application/sdp", body + "m=video 0 RTP/AVP 34\r\n"),
                )
            }
            Fault::Version if !message.body().is_empty() && message.has_content_type("application/sdp") => {
                let mut session = callwright_sdp::Session::parse(&message.body()).unwrap();
                session.origin.version = 1;
                built(message.to_builder().body("application/sdp", session.to_bytes()))
            }
            _ => same(),
        }
    }
}

impl<N: Node> Node for Mutant<N> {
    type Command = N::Command;
    type Event = N::Event;

    fn handle_input(&mut self, now: Time, input: Input<N::Command>) {
        self.node.handle_input(now, input);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.node.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Output<N::Event>> {
        if let Some(Copy { socket, to, bytes }) = self.twice.pop() {
            return Some(Output::Datagram {
                socket,
                to,
                bytes,
                cause: None,
            });
        }
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram {
                    socket,
                    to,
                    bytes,
                    cause,
                } => {
                    let mut copy = None;
                    let bytes = self.change(&bytes, |bytes| copy = Some(bytes));
                    self.twice.extend(copy.map(|bytes| Copy { socket, to, bytes }));
                    if let Some(bytes) = bytes {
                        return Some(Output::Datagram {
                            socket,
                            to,
                            bytes,
                            cause,
                        });
                    }
                }
                Output::Stream {
                    connection,
                    bytes,
                    cause,
                } => {
                    let mut framer = Framer::new(Limits::default());
                    framer.push(&bytes);
                    let is_message =
                        matches!(framer.next(), Some(Ok(callwright_sip_message::Frame::Message(_))));
                    let bytes = if is_message {
                        self.change(&bytes, |_| {})
                    } else {
                        Some(bytes)
                    };
                    if let Some(bytes) = bytes {
                        return Some(Output::Stream {
                            connection,
                            bytes,
                            cause,
                        });
                    }
                }
                other => return Some(other),
            }
        }
        None
    }

    fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.node.poll_timeout()
    }

    fn residue(&self) -> Residue {
        let kept = Residue {
            dialogs: usize::from(self.fault == Fault::Keep),
            ..Residue::default()
        };
        self.node.residue() + kept
    }
}

impl<N: PacketNode> PacketNode for Mutant<N> {
    fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.node.handle_packet(now, socket, from, packet);
    }

    fn handle_arrival(
        &mut self,
        now: Time,
        arrived: Time,
        socket: SocketId,
        from: SocketAddr,
        packet: &[u8],
    ) {
        self.node.handle_arrival(now, arrived, socket, from, packet);
    }

    fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<(SocketId, SocketAddr, usize)> {
        let sent = self.node.poll_transmit(now, buffer)?;
        if callwright_media::rtp::classify(&buffer[..sent.2]) != callwright_media::rtp::Kind::Rtp {
            return Some(sent);
        }
        self.packets += 1;
        match self.fault {
            Fault::SkipSequence(from) if self.packets >= from => {
                let sequence = u16::from_be_bytes([buffer[2], buffer[3]]).wrapping_add(1);
                buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            }
            Fault::Timestamp(from, by) if self.packets >= from => {
                let timestamp = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
                buffer[4..8].copy_from_slice(&timestamp.wrapping_add(by).to_be_bytes());
            }
            Fault::PayloadType(payload_type) => buffer[1] = buffer[1] & 0x80 | payload_type,
            Fault::EventTimestamp(payload_type) if buffer[1] & 0x7f == payload_type => {
                let timestamp = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
                let timestamp = timestamp.wrapping_add(self.packets);
                buffer[4..8].copy_from_slice(&timestamp.to_be_bytes());
            }
            _ => {}
        }
        Some(sent)
    }

    fn clear_text(&self) -> Option<&[u8]> {
        self.node.clear_text()
    }
}
