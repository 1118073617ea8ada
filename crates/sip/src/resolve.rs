//! Where a request goes: RFC 3263, as a pure machine over questions to the resolver and its answers.
//!
//! [`Resolution::next`] gives, lazily, one [`Step`] after the other: a question to ask, or an address to try. When that address
//! fails (RFC 3263 §4.3), `next` again gives the one after it.

mod service;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use callwright_sip_message::{Host, Scheme, Uri};
use callwright_wire::{DnsAnswer, DnsError, DnsQuery, DnsRecord, Entropy, Transport};

use service::{NaptrChoice, Service};

/// What is looked for: the TARGET of RFC 3263 §4 with its port, and what is known of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A name or an address: `maddr`, or else the host.
    pub host: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The transport, where one is given.
    pub transport: Option<Transport>,
    /// True for `sips`: TLS and nothing else (RFC 3261 §26.2.2).
    pub secure: bool,
}

impl Destination {
    /// What a URI says. `preferred` goes before its `transport` parameter, except that `sips` stays TLS.
    pub fn of(uri: &Uri, preferred: Option<Transport>) -> Result<Destination, ResolveError> {
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other(_) => return Err(ResolveError::NotSip { uri: uri.to_string() }),
        };
        let named = match uri.transport() {
            None => None,
            Some(token) => {
                Some(
                    Transport::from_token(token).ok_or_else(|| ResolveError::UnknownTransport {
                        transport: token.to_owned(),
                    })?,
                )
            }
        };
        let transport = match (preferred.or(named), secure) {
            (Some(Transport::Udp), true) => return Err(ResolveError::SecureOverUdp),
            // RFC 3261 §26.2.2: with `sips`, `transport=tcp` means TLS over TCP.
            (Some(Transport::Tcp), true) => Some(Transport::Tls),
            (transport, _) => transport,
        };
        // RFC 3263 §4: TARGET is the maddr parameter where there is one.
        let host = match uri.params().value("maddr") {
            Some(maddr) => maddr
                .parse()
                .map_err(|_| ResolveError::NotSip { uri: uri.to_string() })?,
            None => uri.host().clone(),
        };
        Ok(Destination {
            host,
            port: uri.port(),
            transport,
            secure,
        })
    }
}

/// An address to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// How.
    pub transport: Transport,
    /// Where.
    pub remote: SocketAddr,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the resolver, and hand its word to [`Resolution::answer`].
    Ask(DnsQuery),
    /// Try this address.
    Try(Candidate),
    /// Nothing is left to try.
    Exhausted(ResolveError),
}

/// Why there is no address (left).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Only `sip` and `sips` URIs lead anywhere.
    #[error("{uri} is no address to send a request to: use a sip: or sips: URI, or set an outbound proxy")]
    NotSip {
        /// The URI.
        uri: String,
    },
    /// A `transport` that is not spoken here.
    #[error("transport {transport} is not supported: use udp, tcp or tls")]
    UnknownTransport {
        /// As in the URI.
        transport: String,
    },
    /// RFC 3261 §26.2.2.
    #[error("a sips: URI needs TLS, but UDP was asked for")]
    SecureOverUdp,
    /// The resolver found nothing.
    #[error("{name}: {error}")]
    Dns {
        /// What was asked.
        name: String,
        /// What went wrong.
        error: DnsError,
    },
    /// The name exists, but has no address of a family that is spoken here.
    #[error("{name} has no address")]
    NoAddress {
        /// The name.
        name: String,
    },
    /// All addresses were tried.
    #[error("all addresses were tried")]
    AllTried,
}

/// One resolution under way.
#[derive(Clone, Debug)]
pub struct Resolution {
    destination: Destination,
    supported: Supported,
    asked: Asked,
    addresses: VecDeque<Candidate>,
    targets: VecDeque<Service>,
    services: VecDeque<NaptrChoice>,
    /// True while RFC 3263 §4.2's last resort, the addresses of the name itself, is still open: no SRV record was found.
    plain_name: bool,
    last_error: Option<ResolveError>,
    tried_any: bool,
}

/// The transports that can be used, in order of preference when DNS says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported {
    /// UDP.
    pub udp: bool,
    /// TCP.
    pub tcp: bool,
    /// TLS.
    pub tls: bool,
    /// IPv4 addresses are reachable.
    pub v4: bool,
    /// IPv6 addresses are reachable.
    pub v6: bool,
}

impl Supported {
    /// Everything.
    pub const ALL: Supported = Supported {
        udp: true,
        tcp: true,
        tls: true,
        v4: true,
        v6: true,
    };

    const fn allows(&self, transport: Transport, secure: bool) -> bool {
        match transport {
            Transport::Udp => self.udp && !secure,
            Transport::Tcp => self.tcp && !secure,
            Transport::Tls => self.tls,
        }
    }

    const fn reaches(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// The question that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Naptr,
    Srv(Transport),
    Address(Service),
}

impl Resolution {
    /// Begins. Nothing is asked before [`Resolution::next`].
    pub fn new(destination: Destination, supported: Supported) -> Resolution {
        let mut resolution = Resolution {
            destination,
            supported,
            asked: Asked::Nothing,
            addresses: VecDeque::new(),
            targets: VecDeque::new(),
            services: VecDeque::new(),
            plain_name: false,
            last_error: None,
            tried_any: false,
        };
        resolution.plan();
        resolution
    }

    /// The single address of a literal target, for which no question is needed (RFC 3263 §4.1, §4.2).
    pub fn literal(destination: &Destination) -> Option<Candidate> {
        let ip = destination.host.ip()?;
        let transport = default_transport(destination);
        let port = destination.port.unwrap_or(transport.default_port());
        Some(Candidate {
            transport,
            remote: SocketAddr::new(ip, port),
        })
    }

    /// The host that was looked for: what a certificate must name.
    pub fn host(&self) -> &Host {
        &self.destination.host
    }

    fn plan(&mut self) {
        if let Some(candidate) = Resolution::literal(&self.destination) {
            self.addresses.push_back(candidate);
            return;
        }
        let host = self.destination.host.to_string();
        if let Some(port) = self.destination.port {
            // RFC 3263 §4.1, §4.2: a port means neither NAPTR nor SRV.
            let transport = default_transport(&self.destination);
            self.targets.push_back(Service {
                transport,
                host,
                port,
            });
            return;
        }
        self.plain_name = true;
        match self.destination.transport {
            Some(transport) => self.services.push_back(NaptrChoice::srv_of(transport, &host)),
            None => self.asked = Asked::Naptr,
        }
    }

    /// What to do now: ask, or try an address. After [`Step::Ask`] it asks the same again until the answer came.
    #[expect(
        clippy::should_implement_trait,
        reason = "a step is not an item: the answer comes in between"
    )]
    pub fn next(&mut self) -> Step {
        loop {
            match &self.asked {
                Asked::Nothing => {}
                Asked::Naptr => return Step::Ask(DnsQuery::Naptr(self.destination.host.to_string())),
                Asked::Srv(_) => {
                    if let Some(choice) = self.services.front() {
                        return Step::Ask(DnsQuery::Srv(choice.name.clone()));
                    }
                    self.asked = Asked::Nothing;
                }
                Asked::Address(service) => return Step::Ask(DnsQuery::Address(service.host.clone())),
            }
            if let Some(candidate) = self.addresses.pop_front() {
                self.tried_any = true;
                return Step::Try(candidate);
            }
            if let Some(service) = self.targets.pop_front() {
                self.asked = Asked::Address(service);
            } else if let Some(choice) = self.services.front() {
                self.asked = Asked::Srv(choice.transport);
            } else if self.plain_name {
                self.plain_name = false;
                let transport = default_transport(&self.destination);
                let host = self.destination.host.to_string();
                self.asked = Asked::Address(Service {
                    transport,
                    host,
                    port: transport.default_port(),
                });
            } else if self.tried_any {
                return Step::Exhausted(ResolveError::AllTried);
            } else {
                let name = self.destination.host.to_string();
                return Step::Exhausted(
                    self.last_error
                        .clone()
                        .unwrap_or(ResolveError::NoAddress { name }),
                );
            }
        }
    }

    /// The resolver's word on the last question. Go on with [`Resolution::next`].
    pub fn answer(&mut self, answer: Result<DnsAnswer, DnsError>, entropy: &mut Entropy) {
        let asked = std::mem::replace(&mut self.asked, Asked::Nothing);
        match asked {
            Asked::Nothing => {}
            Asked::Naptr => self.naptr(answer),
            Asked::Srv(transport) => self.srv(transport, answer, entropy),
            Asked::Address(service) => self.address(&service, answer),
        }
    }

    fn naptr(&mut self, answer: Result<DnsAnswer, DnsError>) {
        let (secure, supported) = (self.destination.secure, self.supported);
        let choices = service::naptr_choices(&answer.unwrap_or_default());
        self.services = choices
            .into_iter()
            .filter(|c| supported.allows(c.transport, secure))
            .collect();
        if self.services.is_empty() {
            // RFC 3263 §4.1: no NAPTR records: SRV for each transport that is spoken here.
            let host = self.destination.host.to_string();
            self.services = [Transport::Udp, Transport::Tcp, Transport::Tls]
                .into_iter()
                .filter(|transport| supported.allows(*transport, secure))
                .map(|transport| NaptrChoice::srv_of(transport, &host))
                .collect();
        }
    }

    fn srv(&mut self, transport: Transport, answer: Result<DnsAnswer, DnsError>, entropy: &mut Entropy) {
        self.services.pop_front();
        let records = answer.unwrap_or_default();
        if records
            .iter()
            .any(|record| matches!(record, DnsRecord::Srv { .. }))
        {
            self.plain_name = false;
        }
        self.targets
            .extend(service::srv_in_order(transport, &records, entropy));
    }

    fn address(&mut self, service: &Service, answer: Result<DnsAnswer, DnsError>) {
        let records = match answer {
            Ok(records) => records,
            Err(error) => {
                self.last_error = Some(ResolveError::Dns {
                    name: service.host.clone(),
                    error,
                });
                return;
            }
        };
        let mut found: Vec<IpAddr> = records
            .iter()
            .filter_map(|record| match record {
                DnsRecord::Address(ip) if self.supported.reaches(*ip) => Some(*ip),
                DnsRecord::Address(_) | DnsRecord::Naptr { .. } | DnsRecord::Srv { .. } => None,
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            self.last_error = Some(ResolveError::NoAddress {
                name: service.host.clone(),
            });
        }
        let of = |ip| Candidate {
            transport: service.transport,
            remote: SocketAddr::new(ip, service.port),
        };
        self.addresses.extend(found.into_iter().map(of));
    }
}

/// RFC 3263 §4.1: where nothing is said, UDP for `sip` and TLS for `sips`.
fn default_transport(destination: &Destination) -> Transport {
    let otherwise = if destination.secure {
        Transport::Tls
    } else {
        Transport::Udp
    };
    destination.transport.unwrap_or(otherwise)
}
