//! The audio of a phone: lines with ports of their own, and a tone that is sent to whoever is called.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_media::codec::Codec;
use callwright_media::plane::{Command, Plane, PlaneConfig, Ports, Remote, SessionId, Source, Start, Stats};
use callwright_sdp::Session;
use callwright_sip::core::Core;
use callwright_sip::endpoint::CallId;
use callwright_wire::{Entropy, Epoch, Output, Seed, SocketId, SocketUse, Time};

/// The payload type of PCMU (RFC 3551 §6).
const PCMU: u8 = 0;

/// What the phones of a town heard in calls that are over.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// How long the calls lasted, from the answer on.
    pub(crate) span: Duration,
    pub(crate) packets: u64,
    pub(crate) lost: i64,
}

/// Ports that are leased once, and used by one call at a time.
#[derive(Clone, Copy, Debug)]
struct Line {
    ports: Ports,
    port: u16,
}

/// The audio.
#[derive(Debug)]
pub(crate) struct Sound {
    plane: Plane,
    entropy: Entropy,
    free: Vec<Line>,
    used: BTreeMap<CallId, (Line, Option<(SessionId, Time)>)>,
    outputs: VecDeque<Output<Infallible>>,
    heard: Heard,
}

impl Sound {
    /// So many lines at an address.
    pub(crate) fn new(now: Time, ip: IpAddr, lines: u32, seed: &Seed) -> Sound {
        let epoch = Epoch::SIMULATED;
        let binds = (0..lines).map(|line| Output::Bind {
            socket: SocketId(2 * line),
            local: SocketAddr::new(ip, 0),
            usage: SocketUse::Media {
                rtcp: SocketId(2 * line + 1),
            },
        });
        Sound {
            plane: Plane::new(now, PlaneConfig { epoch }).without_recent_audio(),
            entropy: seed.derive("sound").stream(),
            free: Vec::new(),
            used: BTreeMap::new(),
            outputs: binds.collect(),
            heard: Heard::default(),
        }
    }

    /// Whether a socket is one of a line.
    pub(crate) fn is_line(socket: SocketId) -> bool {
        socket.0 < Core::FIRST_SOCKET.0
    }

    /// The ports of a line are there.
    pub(crate) fn bound(&mut self, rtp: SocketId, local: SocketAddr) {
        let rtcp = SocketId(rtp.0 + 1);
        self.free.push(Line {
            ports: Ports { rtp, rtcp },
            port: local.port(),
        });
    }

    /// A port for the next call, which [`Sound::take`] gives it.
    pub(crate) fn next_port(&self) -> u16 {
        self.free.last().expect("a line is free").port
    }

    /// A call takes the next line.
    pub(crate) fn take(&mut self, call: CallId) {
        let line = self.free.pop().expect("a line is free");
        self.used.insert(call, (line, None));
    }

    /// The port of a call.
    pub(crate) fn port(&self, call: CallId) -> u16 {
        self.used[&call].0.port
    }

    /// A call was answered: both send from now on, to where the description of the peer says.
    pub(crate) fn begin(&mut self, now: Time, call: CallId, peer: &[u8]) {
        let Some((line, session @ None)) = self.used.get_mut(&call) else {
            return;
        };
        let id = self.plane.open(line.ports, &mut self.entropy);
        *session = Some((id, now));
        let start = Start {
            remote: Some(remote(peer)),
            ..Start::new(Codec::Pcmu, PCMU)
        };
        let tone = Source::Tones {
            hz: vec![440.0],
            level_dbm0: -10.0,
        };
        for command in [Command::Play(tone), Command::Start(Box::new(start))] {
            self.plane.command(now, id, command).expect("the session is open");
        }
    }

    /// A call is over.
    pub(crate) fn end(&mut self, now: Time, call: CallId) {
        let Some((line, session)) = self.used.remove(&call) else {
            return;
        };
        self.free.push(line);
        let Some((id, since)) = session else { return };
        let Stats { received, .. } = self.plane.close(now, id).expect("the session is open");
        self.heard.span += now.since(since);
        self.heard.packets += received.packets;
        self.heard.lost += received.lost;
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard
    }

    pub(crate) fn handle_packet(&mut self, now: Time, socket: SocketId, from: SocketAddr, packet: &[u8]) {
        self.plane.handle_packet(now, socket, from, packet);
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.plane.handle_timeout(now);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<Infallible>> {
        // What happens in a session is told by its figures.
        while self.plane.poll_event().is_some() {}
        self.outputs.pop_front()
    }

    pub(crate) fn poll_transmit(
        &mut self,
        now: Time,
        buffer: &mut [u8],
    ) -> Option<(SocketId, SocketAddr, usize)> {
        self.plane.poll_transmit(now, buffer)
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        self.plane.poll_timeout()
    }
}

/// Where a description says that audio is received: those of the server have one stream.
fn remote(description: &[u8]) -> Remote {
    let description = Session::parse(description).expect("a description");
    let address = |address: Option<SocketAddr>| address.expect("an address");
    Remote {
        rtp: address(description.rtp_address(0)),
        rtcp: address(description.rtcp_address_without_mux(0)),
    }
}
