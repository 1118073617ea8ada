//! Which server a request goes to, and which one after that (RFC 3263 §4, RFC 3261 §18.1.1).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use callwright_sip_message::Message;
use callwright_wire::{DnsAnswer, DnsError, DnsQuery, DnsRecord, Flow, Output, QueryId, Time, Transport};

use super::client::{Client, Kind, Live, Stage};
use super::{ClientId, Core, CoreEvent, Due, Target, TransactionId, TransportError};
use crate::arena::Slot;
use crate::resolve::{Candidate, Destination, Resolution, ResolveError, Step, Supported};
use crate::timer::TimerName;
use crate::transaction::Branch;
use crate::transport::{Exit, LocalAddress, Way};

/// The search for a server that answers.
#[derive(Debug)]
pub(super) struct Attempt {
    resolution: Option<Resolution>,
    /// What a TLS server must prove.
    name: String,
    /// A request went to TCP for its size: back to this when TCP is refused (RFC 3261 §18.1.1).
    fallback: Option<Candidate>,
    /// The address being tried waits for the answer to [`DnsQuery::Route`].
    routing: Option<Candidate>,
    /// Chooses the UDP socket.
    local: Option<SocketAddr>,
    /// What became of the last server.
    last: Option<Failure>,
}

/// Why a server is left for the next one, and what is told when there is none.
#[derive(Debug)]
pub(super) enum Failure {
    TimedOut(TimerName),
    Transport(TransportError),
    Response(Message, Flow),
}

/// Room for the Via and Contact that the core writes, when a request is measured against the limit for UDP.
const HEAD_ROOM: usize = 160;

/// How many peers are remembered that refused TCP.
const REMEMBERED_REFUSALS: usize = 1024;

/// Peers that speak no TCP: large requests go to them over UDP at once.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeSet<SocketAddr>);

impl Refusals {
    fn note(&mut self, remote: SocketAddr) {
        if self.0.len() >= REMEMBERED_REFUSALS {
            self.0.clear();
        }
        self.0.insert(remote);
    }
}

impl Live {
    /// How many bytes of a request were given.
    fn given(&self) -> usize {
        let request = self.request.as_ref();
        request.map_or(0, |request| request.message.raw().len())
    }

    /// How large the request will be, with what the core writes.
    fn size(&self) -> usize {
        self.given() + HEAD_ROOM
    }
}

impl Client {
    fn attempt(&mut self) -> Option<&mut Attempt> {
        self.live.as_mut()?.attempt.as_deref_mut()
    }
}

impl Core {
    fn live_client(&mut self, slot: Slot) -> Option<&mut Live> {
        self.transactions.clients.get_mut(slot)?.live.as_deref_mut()
    }

    fn attempt(&mut self, slot: Slot) -> Option<&mut Attempt> {
        self.transactions.clients.get_mut(slot)?.attempt()
    }

    /// Starts the search of a new client's way.
    pub(super) fn find_way(&mut self, now: Time, slot: Slot, target: Target) {
        if let Some(flow) = target.flow.filter(|flow| flow.transport.is_reliable())
            && let Some(connection) = self.connections.with_flow(&flow)
        {
            let local = self.sockets.stream_address(flow.transport, flow.local);
            return self.start_client(
                now,
                slot,
                Way {
                    exit: Exit::Connection(connection),
                    flow,
                },
                local,
            );
        }
        let local = target.flow.map(|flow| flow.local);
        let destination = match Destination::of(&target.uri, target.transport) {
            Ok(destination) => destination,
            Err(error) => return self.fail_client(now, slot, Failure::Transport(error.into())),
        };
        let Some(live) = self.live_client(slot) else {
            return;
        };
        let size = live.size();
        if let Some(candidate) = Resolution::literal(&destination)
            && candidate.transport == Transport::Udp
            && size <= self.config.large_request
            && let Some((socket, bound)) = self.sockets.datagram_to(candidate.remote, local)
            && let LocalAddress::Known(local) = self.sockets.local_address(bound, candidate.remote.ip())
        {
            // Nothing to ask and nothing else to try: most requests.
            let flow = Flow {
                transport: Transport::Udp,
                local,
                remote: candidate.remote,
            };
            return self.start_client(
                now,
                slot,
                Way {
                    exit: Exit::Socket(socket),
                    flow,
                },
                local,
            );
        }
        // What a certificate names: an IPv6 address without the brackets of a URI.
        let name = match destination.host.ip() {
            Some(ip) => ip.to_string(),
            None => destination.host.to_string(),
        };
        let supported = Supported {
            udp: self.sockets.has(Transport::Udp),
            tcp: self.config.tcp,
            tls: self.config.tls,
            v4: self.sockets.has_family(true),
            v6: self.sockets.has_family(false),
        };
        let resolution = Some(Resolution::new(destination, supported));
        let Some(live) = self.live_client(slot) else {
            return;
        };
        live.attempt = Some(Box::new(Attempt {
            resolution,
            name,
            fallback: None,
            routing: None,
            local,
            last: None,
        }));
        self.step(now, slot);
    }

    /// Goes on to the next server.
    pub(super) fn next_server(&mut self, now: Time, slot: Slot, failure: Failure) {
        let Some(client) = self.transactions.clients.get_mut(slot) else {
            return;
        };
        client.stage = Stage::Waiting;
        let attempt = client.live.as_mut().and_then(|live| {
            live.way = None;
            live.attempt.as_mut()
        });
        let Some(attempt) = attempt else {
            return self.fail_client(now, slot, failure);
        };
        let refused = match (&failure, attempt.fallback.take()) {
            (Failure::Transport(_), Some(candidate)) => Some(candidate),
            _ => None,
        };
        attempt.last = Some(failure);
        match refused {
            Some(candidate) => {
                self.refusals.note(candidate.remote);
                self.try_candidate(now, slot, candidate);
            }
            None => self.step(now, slot),
        }
    }

    fn step(&mut self, now: Time, slot: Slot) {
        let Some(attempt) = self.attempt(slot) else { return };
        match attempt.resolution.as_mut().map(Resolution::next) {
            Some(Step::Ask(question)) => self.ask(slot, question),
            Some(Step::Try(candidate)) => self.try_candidate(now, slot, candidate),
            Some(Step::Exhausted(error)) => {
                let last = attempt.last.take().unwrap_or(Failure::Transport(error.into()));
                self.fail_client(now, slot, last);
            }
            None => self.fail_client(now, slot, Failure::Transport(ResolveError::AllTried.into())),
        }
    }

    fn ask(&mut self, slot: Slot, question: DnsQuery) {
        let query = QueryId(self.next_query);
        self.next_query = self.next_query.wrapping_add(1);
        self.queries.insert(query, slot);
        self.outputs.push_back(Output::Resolve { query, question });
    }

    /// The resolver answered a question of this client.
    pub(super) fn client_resolved(&mut self, now: Time, slot: Slot, answer: Result<DnsAnswer, DnsError>) {
        let clients = &mut self.transactions.clients;
        let Some(attempt) = clients.get_mut(slot).and_then(Client::attempt) else {
            return;
        };
        let Some(candidate) = attempt.routing.take() else {
            if let Some(resolution) = attempt.resolution.as_mut() {
                resolution.answer(answer, &mut self.entropy);
            }
            return self.step(now, slot);
        };
        let found = answer.ok().and_then(|records| {
            records.into_iter().find_map(|record| match record {
                DnsRecord::Address(ip) if ip.is_ipv4() == candidate.remote.is_ipv4() => Some(ip),
                DnsRecord::Address(_) | DnsRecord::Naptr { .. } | DnsRecord::Srv { .. } => None,
            })
        });
        match found {
            Some(ip) => {
                self.sockets.learn_route(candidate.remote.ip(), ip);
                self.try_on_udp(now, slot, candidate);
            }
            None => {
                let error = TransportError::NoRoute {
                    remote: candidate.remote,
                };
                self.next_server(now, slot, Failure::Transport(error));
            }
        }
    }

    fn try_candidate(&mut self, now: Time, slot: Slot, candidate: Candidate) {
        let Some(size) = self.live_client(slot).map(|live| live.size()) else {
            return;
        };
        // RFC 3261 §18.1.1: too large for a datagram, as far as anybody knows.
        let too_large = candidate.transport == Transport::Udp && size > self.config.large_request;
        if too_large && self.config.tcp && !self.refusals.0.contains(&candidate.remote) {
            let Some(attempt) = self.attempt(slot) else { return };
            attempt.fallback = Some(candidate);
            return self.try_on_stream(
                now,
                slot,
                Candidate {
                    transport: Transport::Tcp,
                    ..candidate
                },
            );
        }
        match candidate.transport {
            Transport::Udp => self.try_on_udp(now, slot, candidate),
            Transport::Tcp | Transport::Tls => self.try_on_stream(now, slot, candidate),
        }
    }

    fn try_on_udp(&mut self, now: Time, slot: Slot, candidate: Candidate) {
        let Some(local) = self.attempt(slot).map(|attempt| attempt.local) else {
            return;
        };
        let remote = candidate.remote;
        let Some((socket, bound)) = self.sockets.datagram_to(remote, local) else {
            let error = TransportError::NoSocket {
                transport: Transport::Udp,
                remote,
            };
            return self.next_server(now, slot, Failure::Transport(error));
        };
        match self.sockets.local_address(bound, remote.ip()) {
            LocalAddress::Known(local) => {
                let flow = Flow {
                    transport: Transport::Udp,
                    local,
                    remote,
                };
                self.start_client(
                    now,
                    slot,
                    Way {
                        exit: Exit::Socket(socket),
                        flow,
                    },
                    local,
                );
            }
            LocalAddress::AskRoute(ip) => {
                if let Some(attempt) = self.attempt(slot) {
                    attempt.routing = Some(candidate);
                }
                self.ask(slot, DnsQuery::Route(ip));
            }
        }
    }

    fn try_on_stream(&mut self, now: Time, slot: Slot, candidate: Candidate) {
        let Some(live) = self.live_client(slot) else {
            return;
        };
        let Some(attempt) = &live.attempt else { return };
        let name = if candidate.transport == Transport::Tls {
            attempt.name.clone()
        } else {
            String::new()
        };
        let bytes = live.given();
        self.use_connection(now, slot, candidate, name, bytes);
    }

    /// Nothing is left to try: says why, and ends the client.
    pub(super) fn fail_client(&mut self, now: Time, slot: Slot, failure: Failure) {
        let Some(client) = self.transactions.clients.get(slot) else {
            return;
        };
        if client.kind == Kind::Ack {
            let cause = client.live.as_ref().and_then(|live| live.cause);
            self.transactions.clients.remove(slot);
            if let Failure::Transport(error) = failure {
                self.tell(CoreEvent::AckFailed { error, cause });
            }
            return;
        }
        let id = TransactionId::Client(ClientId(slot));
        let sent = client.live.as_ref().is_none_or(|live| live.has_left);
        match failure {
            Failure::TimedOut(timer) => self.tell(CoreEvent::TimedOut { id, timer }),
            Failure::Transport(error) => self.tell(CoreEvent::TransportFailed { id, sent, error }),
            Failure::Response(message, flow) => {
                self.tell(CoreEvent::Response {
                    id: ClientId(slot),
                    message,
                    flow,
                });
            }
        }
        self.end_client(now, slot);
    }

    /// A server answered 503, and the next one is asked: only the ACK to that answer is kept, while Timer D would run.
    pub(super) fn leave_behind(&mut self, now: Time, slot: Slot) {
        let Some(client) = self.transactions.clients.get_mut(slot) else {
            return;
        };
        let Some(live) = &mut client.live else { return };
        let Some(way) = live.way else { return };
        if client.kind == Kind::Invite && !way.reliable() {
            let branch = Branch {
                index: slot.index,
                nonce: client.nonce,
            };
            let ack = std::mem::take(&mut live.wire);
            self.transactions.left.insert(branch, (way, ack));
            self.timers
                .set(Due::Left(branch), now + self.config.timers.timer_d());
        }
    }
}
