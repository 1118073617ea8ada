//! Coming up: which local address routes to the account's domain, and sockets there.

use std::net::{IpAddr, SocketAddr};

use callwright_sip_message::{Host, Uri};
use callwright_wire::{
    BindError, DnsAnswer, DnsError, DnsQuery, DnsRecord, Output, QueryId, SocketId, Transport,
};

use crate::account::{Account, LocalAddress};

use super::{Change, Context, UserAgent};

/// The one query that a user agent itself has out; those of its endpoint count up from zero.
pub(crate) const OWN_QUERY: QueryId = QueryId(u32::MAX);

/// Why a user agent could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No local address routes to the domain or the outbound proxy.
    #[error("no local address routes to {host}: {detail}; name one with the key `local`")]
    NoRoute {
        /// The host.
        host: String,
        /// What the resolver or the system said.
        detail: String,
    },
    /// No socket.
    #[error(transparent)]
    Bind(#[from] BindError),
}

#[derive(Debug, Default)]
pub(super) struct Start {
    step: Step,
    listener: Option<(SocketId, Transport)>,
    /// Another listener that is good to have: TCP beside UDP (RFC 3261 §18.2.1).
    companion: Option<SocketId>,
    local: Option<SocketAddr>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    New,
    /// Addresses of the host are asked for.
    Address(String),
    /// The host has no address: perhaps it names services only.
    Services(String, DnsError),
    /// The local address is asked for.
    Route(String),
    Binding,
    Up,
    Failed,
}

impl Start {
    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    /// The URI at which this user agent listens itself.
    pub(super) fn contact(&self, account: &Account) -> Option<Uri> {
        let local = self.local?;
        self.listener?;
        Some(own_uri(account, local))
    }

    /// The contact to register: none for TLS, where the peer comes back on the connection that this side opened.
    pub(super) fn registered_contact(&self, account: &Account) -> Option<Uri> {
        match account.transport {
            Transport::Udp | Transport::Tcp => self.contact(account),
            Transport::Tls => None,
        }
    }
}

fn own_uri(account: &Account, local: SocketAddr) -> Uri {
    let host = match local.ip() {
        IpAddr::V4(ip) => Host::V4(ip),
        IpAddr::V6(ip) => Host::V6(ip),
    };
    let uri = Uri::sip(host)
        .with_user(&account.username)
        .with_port(Some(local.port()));
    match account.transport {
        Transport::Udp => uri,
        stream => uri.with_param("transport", stream.uri_param()),
    }
}

impl UserAgent {
    /// Begins to come up; [`Change::Started`] or [`Change::StartFailed`] follows.
    pub(crate) fn begin(&mut self, ctx: &mut Context<'_>) {
        match self.account.local {
            Some(LocalAddress::Ip(ip)) => self.bind(ctx, SocketAddr::new(ip, 0)),
            Some(LocalAddress::Socket(socket)) => self.bind(ctx, socket),
            None => {
                let host = self
                    .account
                    .outbound
                    .as_ref()
                    .map_or(&self.account.domain, Uri::host)
                    .clone();
                match host.ip() {
                    Some(ip) => self.ask_route(ip, host.to_string()),
                    None => {
                        let name = host.to_string();
                        self.start.step = Step::Address(name.clone());
                        self.ask(DnsQuery::Address(name));
                    }
                }
            }
        }
    }

    pub(crate) fn handle_own_answer(&mut self, ctx: &mut Context<'_>, answer: Result<DnsAnswer, DnsError>) {
        match std::mem::take(&mut self.start.step) {
            Step::Address(name) => match first_address(&answer) {
                Some(ip) => self.ask_route(ip, name),
                None => {
                    let service = match self.account.transport {
                        Transport::Udp => format!("_sip._udp.{name}"),
                        Transport::Tcp => format!("_sip._tcp.{name}"),
                        Transport::Tls => format!("_sips._tcp.{name}"),
                    };
                    self.start.step = Step::Services(name, answer.err().unwrap_or(DnsError::NoSuchName));
                    self.ask(DnsQuery::Srv(service));
                }
            },
            Step::Services(name, error) => {
                let target = answer.ok().and_then(|records| {
                    records.into_iter().find_map(|record| match record {
                        DnsRecord::Srv { target, .. } => Some(target),
                        DnsRecord::Naptr { .. } | DnsRecord::Address(_) => None,
                    })
                });
                match target {
                    Some(target) if target != name => {
                        self.start.step = Step::Address(target.clone());
                        self.ask(DnsQuery::Address(target));
                    }
                    _ => self.fail_start(StartError::NoRoute {
                        host: name,
                        detail: error.to_string(),
                    }),
                }
            }
            Step::Route(host) => match first_address(&answer) {
                Some(ip) => self.bind(ctx, SocketAddr::new(ip, 0)),
                None => {
                    let detail = answer
                        .err()
                        .map_or_else(|| "no route".to_owned(), |error| error.to_string());
                    self.fail_start(StartError::NoRoute { host, detail });
                }
            },
            step @ (Step::New | Step::Binding | Step::Up | Step::Failed) => self.start.step = step,
        }
    }

    fn ask_route(&mut self, ip: IpAddr, host: String) {
        self.start.step = Step::Route(host);
        self.ask(DnsQuery::Route(ip));
    }

    fn ask(&mut self, question: DnsQuery) {
        self.outputs.push_back(Output::Resolve {
            query: OWN_QUERY,
            question,
        });
    }

    fn bind(&mut self, ctx: &mut Context<'_>, local: SocketAddr) {
        match self.account.transport {
            transport @ (Transport::Udp | Transport::Tcp) => {
                self.start.step = Step::Binding;
                let socket = self.endpoint.listen(ctx.now, transport, local);
                self.start.listener = Some((socket, transport));
            }
            // Without a certificate nobody can listen for TLS: the peer comes back on our connection (RFC 5626 §3.1).
            Transport::Tls => {
                self.start.local = Some(local);
                self.come_up();
            }
        }
    }

    pub(super) fn handle_listening(&mut self, ctx: &mut Context<'_>, socket: SocketId, local: SocketAddr) {
        let Some((listener, transport)) = self.start.listener else {
            return;
        };
        if socket != listener || self.start.step == Step::Up {
            return;
        }
        self.start.local = Some(local);
        if transport == Transport::Udp {
            self.start.companion = Some(self.endpoint.listen(ctx.now, Transport::Tcp, local));
        }
        self.come_up();
    }

    pub(super) fn handle_listen_failed(&mut self, socket: SocketId, error: BindError) {
        // TCP beside UDP is good to have, no more: somebody else may hold that port.
        if self.start.companion == Some(socket) {
            self.start.companion = None;
        } else {
            self.fail_start(error.into());
        }
    }

    fn come_up(&mut self) {
        self.start.step = Step::Up;
        if let Some(target) = self.account.deflect_to.clone() {
            // Checked when the account was made; a target that is none deflects nowhere.
            self.deflect_to = crate::target::resolve(&target, &self.account).ok();
        }
        self.change(Change::Started);
    }

    fn fail_start(&mut self, error: StartError) {
        self.start.step = Step::Failed;
        self.change(Change::StartFailed(error));
    }
}

fn first_address(answer: &Result<DnsAnswer, DnsError>) -> Option<IpAddr> {
    answer.iter().flatten().find_map(|record| match record {
        DnsRecord::Address(ip) => Some(*ip),
        DnsRecord::Naptr { .. } | DnsRecord::Srv { .. } => None,
    })
}
