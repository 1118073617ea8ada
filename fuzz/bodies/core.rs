//! A core of transactions and transport under arbitrary datagrams, stream bytes, answers and time: it may not panic, and gives
//! everything back at its end.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use callwright_sip::core::{Core, CoreConfig, CoreEvent, ServerId, Target};
use callwright_sip_message::{Builder, HeaderName, Message, Method};
use callwright_wire::{ConnectionId, Flow, Input, Output, Residue, Seed, SocketId, Time, Transport};

/// One step: a byte that says what happens, and two of a length or a time.
const HEAD: usize = 3;

/// Steps, one after the other.
pub(crate) fn core(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    while let Some((&[kind, high, low], after)) = rest.split_first_chunk::<HEAD>() {
        let number = usize::from(high) << 8 | usize::from(low);
        let (bytes, after) = after.split_at(match kind % 8 {
            0..=3 => number.min(after.len()),
            _ => 0,
        });
        world.step(kind % 8, number, bytes);
        rest = after;
    }
    world.finish();
}

/// Everything as one datagram, and as a stream.
pub(crate) fn core_whole(data: &[u8]) {
    let mut world = World::new();
    world.step(0, 0, data);
    world.step(2, 0, data);
    world.step(4, 400, b"");
    world.step(0, 0, data);
    world.finish();
}

struct World {
    core: Core,
    now: Time,
    socket: SocketId,
    connection: Option<ConnectionId>,
    connections: u64,
    requests: Vec<(ServerId, Message)>,
    /// What the core sent last: it comes back changed or not.
    last: Bytes,
}

impl World {
    fn new() -> World {
        let mut core = Core::new(CoreConfig::default(), Seed::from_number(1).stream());
        let socket = core.listen(Transport::Udp, ([10, 0, 0, 1], 5060).into());
        let mut world = World {
            core,
            now: Time::ZERO,
            socket,
            connection: None,
            connections: 0,
            requests: Vec::new(),
            last: Bytes::new(),
        };
        world.drain();
        world
    }

    fn step(&mut self, kind: u8, number: usize, bytes: &[u8]) {
        match kind {
            0 | 1 => self.datagram(Bytes::copy_from_slice(bytes)),
            2 => {
                let connection = self.connect();
                self.input(Input::Stream {
                    connection,
                    bytes: Bytes::copy_from_slice(bytes),
                });
            }
            3 => {
                // What it sent comes back as the response to it.
                let status = 100 + number % 600;
                if let Ok(request) = Message::parse(self.last.clone(), &CoreConfig::default().message_limits)
                {
                    let response = Builder::response_to(&request, status as u16, "Fuzz").finish();
                    self.datagram(response.raw().clone());
                }
            }
            4 => {
                self.now += Duration::from_millis(number as u64);
                self.core.handle_timeout(self.now);
                self.drain();
            }
            5 => {
                let status = 100 + number % 600;
                if let Some((id, request)) = self.requests.get(number % self.requests.len().max(1)).cloned() {
                    let response = Builder::response_to(&request, status as u16, "Fuzz")
                        .to_tag("fuzz")
                        .finish();
                    let _ = self.core.respond(self.now, id, response, None);
                    self.drain();
                }
            }
            6 => self.request(number),
            _ => {
                if let Some(connection) = self.connection.take() {
                    self.input(Input::Closed {
                        connection,
                        error: None,
                    });
                }
            }
        }
    }

    fn request(&mut self, number: usize) {
        let method = if number.is_multiple_of(2) {
            Method::Invite
        } else {
            Method::Options
        };
        let target: callwright_sip_message::Uri = "sip:bob@10.0.0.2".parse().expect("a literal");
        let request = Builder::request(method.clone(), &target)
            .header(HeaderName::From, "<sip:a@10.0.0.1>;tag=a")
            .header(HeaderName::To, "<sip:b@10.0.0.2>")
            .header(HeaderName::CallId, "fuzz")
            .header(HeaderName::CSeq, format_args!("1 {method}"))
            .finish();
        let id = self
            .core
            .request(self.now, request, Target::new(target), None)
            .expect("it is a request");
        self.drain();
        if number.is_multiple_of(5) {
            self.core.cancel(self.now, id, &[], None);
            self.drain();
        }
    }

    fn connect(&mut self) -> ConnectionId {
        if let Some(connection) = self.connection {
            return connection;
        }
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let flow = Flow {
            transport: Transport::Tcp,
            local: ([10, 0, 0, 1], 5060).into(),
            remote: ([10, 0, 0, 2], 40_000).into(),
        };
        self.connection = Some(connection);
        self.input(Input::Accepted {
            listener: self.socket,
            connection,
            flow,
        });
        connection
    }

    fn datagram(&mut self, bytes: Bytes) {
        let flow = Flow {
            transport: Transport::Udp,
            local: ([10, 0, 0, 1], 5060).into(),
            remote: ([10, 0, 0, 2], 5060).into(),
        };
        self.input(Input::Datagram {
            socket: self.socket,
            flow,
            bytes,
        });
    }

    fn input(&mut self, input: Input<Infallible>) {
        self.core.handle_input(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Bind { socket, local, .. } => {
                    self.core.handle_input(self.now, Input::Bound { socket, local });
                }
                Output::Datagram { bytes, .. } => self.last = bytes,
                Output::Close { .. } => self.connection = None,
                Output::Event(CoreEvent::Request { id, message, .. }) => self.requests.push((id, message)),
                _ => {}
            }
        }
    }

    /// All requests are answered, and a day passes: only what the peers keep open may be left, and nothing after the end.
    fn finish(mut self) {
        for (id, request) in std::mem::take(&mut self.requests) {
            let _ = self.core.respond(
                self.now,
                id,
                Builder::response_to(&request, 500, "Fuzz").finish(),
                None,
            );
        }
        self.drain();
        self.now += Duration::from_secs(86_400);
        self.core.handle_timeout(self.now);
        self.drain();
        self.core.shut_down();
        assert_eq!(self.core.residue(), Residue::default());
    }
}
