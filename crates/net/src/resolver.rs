//! Names: asked of the system's resolver configuration, on one thread of their own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use callwright_wire::{DnsAnswer, DnsError, DnsQuery, DnsRecord, QueryId};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::PartyId;
use crate::route::source_towards;

/// How often a query is sent.
const ATTEMPTS: usize = 2;
/// How many times the patience for one query a whole question may take, search domains included.
const QUERIES: u32 = 5;

/// A question on its way, and whose it is.
#[derive(Debug)]
struct Question {
    party: PartyId,
    query: QueryId,
    question: DnsQuery,
}

/// An answer for a node.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) party: PartyId,
    pub(crate) query: QueryId,
    pub(crate) answer: Result<DnsAnswer, DnsError>,
}

/// Where answers go: called on the resolver's thread.
pub(crate) type Deliver = Arc<dyn Fn(Answer) + Send + Sync>;

/// The thread that asks, started by the first question that needs it.
pub(crate) struct Resolver {
    server: Option<SocketAddr>,
    /// For one query to one server.
    timeout: Duration,
    deliver: Deliver,
    thread: Option<(UnboundedSender<Question>, JoinHandle<()>)>,
}

impl Resolver {
    /// Asks the system's servers, or `server` alone; each has `timeout` to answer one query.
    pub(crate) fn new(server: Option<SocketAddr>, timeout: Duration, deliver: Deliver) -> Self {
        Resolver {
            server,
            timeout,
            deliver,
            thread: None,
        }
    }

    /// Asks; returns the answer where it is known here and now.
    pub(crate) fn ask(
        &mut self,
        party: PartyId,
        query: QueryId,
        question: DnsQuery,
    ) -> Option<Result<DnsAnswer, DnsError>> {
        if let Some(answer) = known(&question) {
            return Some(answer);
        }
        match self.channel() {
            Ok(questions) => {
                let question = Question {
                    party,
                    query,
                    question,
                };
                match questions.send(question) {
                    Ok(()) => None,
                    Err(_) => Some(failed("its thread has ended")),
                }
            }
            Err(error) => Some(failed(&error.to_string())),
        }
    }

    fn channel(&mut self) -> io::Result<&UnboundedSender<Question>> {
        if self.thread.is_none() {
            let (sender, receiver) = unbounded_channel();
            let (server, timeout, deliver) = (self.server, self.timeout, self.deliver.clone());
            let thread = std::thread::Builder::new()
                .name("callwright-dns".into())
                .spawn(move || run(server, timeout, receiver, &deliver))?;
            self.thread = Some((sender, thread));
        }
        match &self.thread {
            Some((sender, _)) => Ok(sender),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Ends the thread; questions that are open get no answer.
    pub(crate) fn stop(&mut self) -> Option<JoinHandle<()>> {
        self.thread.take().map(|(_, thread)| thread)
    }
}

/// What needs no server: literal addresses, `localhost` (RFC 6761 §6.3), routes.
fn known(question: &DnsQuery) -> Option<Result<DnsAnswer, DnsError>> {
    match question {
        DnsQuery::Route(peer) => Some(match source_towards(*peer) {
            Ok(ip) => Ok(vec![DnsRecord::Address(ip)]),
            Err(error) => failed(&format!("no route to {peer}: {error}")),
        }),
        DnsQuery::Address(name) => {
            let literal = name.trim_start_matches('[').trim_end_matches(']');
            if let Ok(ip) = literal.parse::<IpAddr>() {
                return Some(Ok(vec![DnsRecord::Address(ip)]));
            }
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            (name == "localhost" || name.ends_with(".localhost")).then(|| {
                Ok(vec![
                    DnsRecord::Address(Ipv4Addr::LOCALHOST.into()),
                    DnsRecord::Address(Ipv6Addr::LOCALHOST.into()),
                ])
            })
        }
        DnsQuery::Naptr(name) | DnsQuery::Srv(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // No such records exist below it: the addresses are all there is.
            (name == "localhost" || name.ends_with(".localhost")).then(|| Ok(Vec::new()))
        }
    }
}

fn failed(detail: &str) -> Result<DnsAnswer, DnsError> {
    Err(DnsError::Failed {
        detail: detail.to_owned(),
    })
}

fn run(
    server: Option<SocketAddr>,
    timeout: Duration,
    mut questions: UnboundedReceiver<Question>,
    deliver: &Deliver,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            while let Some(question) = questions.blocking_recv() {
                answer(deliver, &question, failed(&error.to_string()));
            }
            return;
        }
    };
    runtime.block_on(async move {
        let resolver = configured(server, timeout);
        while let Some(question) = questions.recv().await {
            let deliver = deliver.clone();
            match &resolver {
                Ok(resolver) => {
                    let resolver = resolver.clone();
                    tokio::spawn(async move {
                        let found =
                            tokio::time::timeout(timeout * QUERIES, look_up(&resolver, &question.question))
                                .await;
                        answer(&deliver, &question, found.unwrap_or(Err(DnsError::Timeout)));
                    });
                }
                Err(error) => answer(
                    &deliver,
                    &question,
                    failed(&format!("its configuration: {error}")),
                ),
            }
        }
    });
}

fn answer(deliver: &Deliver, question: &Question, answer: Result<DnsAnswer, DnsError>) {
    deliver(Answer {
        party: question.party,
        query: question.query,
        answer,
    });
}

fn configured(server: Option<SocketAddr>, timeout: Duration) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => {
            let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut name_server.connections {
                connection.port = server.port();
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = timeout;
    options.attempts = ATTEMPTS;
    // Which family is used is decided by RFC 3263 selection, above: it needs to see both.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}

async fn look_up(resolver: &TokioResolver, question: &DnsQuery) -> Result<DnsAnswer, DnsError> {
    let found = match question {
        DnsQuery::Naptr(name) => records(resolver, name, RecordType::NAPTR).await,
        DnsQuery::Srv(name) => records(resolver, name, RecordType::SRV).await,
        DnsQuery::Address(name) => resolver
            .lookup_ip(name.as_str())
            .await
            .map(|found| found.iter().map(DnsRecord::Address).collect()),
        DnsQuery::Route(peer) => match source_towards(*peer) {
            Ok(ip) => Ok(vec![DnsRecord::Address(ip)]),
            Err(error) => Err(NetError::from(error)),
        },
    };
    match found {
        Ok(records) => Ok(records),
        Err(error) if error.is_nx_domain() => Err(DnsError::NoSuchName),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(NetError::Timeout) => Err(DnsError::Timeout),
        Err(error) => failed(&error.to_string()),
    }
}

async fn records(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<DnsAnswer, NetError> {
    let mut name = Name::from_utf8(name)?;
    // Domains of SIP URIs are complete; search domains are for host names.
    name.set_fqdn(true);
    let found = resolver.lookup(name, kind).await?;
    Ok(found
        .answers()
        .iter()
        .filter_map(|record| known_record(&record.data))
        .collect())
}

fn known_record(data: &RData) -> Option<DnsRecord> {
    match data {
        RData::SRV(srv) => Some(DnsRecord::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: plain(&srv.target),
        }),
        RData::NAPTR(naptr) => Some(DnsRecord::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
            services: String::from_utf8_lossy(&naptr.services).into_owned(),
            replacement: plain(&naptr.replacement),
        }),
        _ => None,
    }
}

/// A name without its final dot; `.` alone (RFC 2782: the service is decidedly not there) stays.
fn plain(name: &Name) -> String {
    let text = name.to_utf8();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(text) => text.to_owned(),
    }
}
