//! The run itself: call center, agents and customers are started, and everything is ended, whatever happens.

mod customers;
mod server;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use callwright_callcenter::ServeError;
use callwright_net as net;
use callwright_ua as ua;
use callwright_wire::{BindErrorKind, Time, Transport};

use crate::agent::advice;
use crate::diary;
use crate::folder::Folder;
use crate::logs::Log;
use crate::observed::{AgentSeen, CustomerSeen, Observed};
use crate::phone_world::PhoneWorld;
use crate::phones::{Duty, Happening, Phone, PhoneEvent, PhoneId};
use crate::plan::{AGENT_HZ, CUSTOMER_HZ, Customers, DOMAIN, Fault, FaultError, Plan};
use crate::sipp::{self, BuiltIn, Scenario, SippError};
use crate::tap::{Capture, Delivery, SharedDirectory, lock};
use server::{Secrets, ServerThread};

/// How long agents may take to register.
const REGISTER: Duration = Duration::from_secs(10);
/// How long an agent rings before it answers.
const ANSWER_AFTER: Duration = Duration::from_millis(200);
/// How long after the customer the agent may end its call.
const SETTLE: Duration = Duration::from_secs(3);
/// How long hanging up and unregistering may take.
const CLOSE: Duration = Duration::from_secs(10);
/// How far into its first call a phone dies that is to.
const KILL_AFTER: Duration = Duration::from_secs(1);

/// Why there is nothing to judge.
#[derive(Debug, thiserror::Error)]
pub enum E2eError {
    /// A fault that speaks of nobody.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// The folder of the run.
    #[error("cannot write {path}: {error}")]
    Folder {
        /// Where.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// The call center did not start.
    #[error("the call center did not start: {0}{advice}", advice = advice_on(.0))]
    Server(ServeError),
    /// The operating system.
    #[error(transparent)]
    World(#[from] net::StartError),
    /// SIPp.
    #[error(transparent)]
    Sipp(#[from] SippError),
    /// The capture could not be read.
    #[error("the capture cannot be read: {0}")]
    Capture(String),
    /// A report could not be made.
    #[error("the report cannot be made: {0}")]
    Report(String),
    /// The loop ended by itself.
    #[error("the network loop ended: this is a bug of callwright; what stands above in the log says where")]
    Failed,
}

fn advice_on(error: &ServeError) -> &'static str {
    match error {
        ServeError::Listen { error, .. } if matches!(error.kind, BindErrorKind::InUse { .. }) => {
            "; --port takes another"
        }
        _ => "",
    }
}

/// What the parts of a run tell.
pub(crate) enum News {
    Phone(Time, PhoneEvent),
    ServerUp(Vec<(Transport, SocketAddr)>, callwright_callcenter::Stop),
    ServerEnded(Result<(), ServeError>),
    Lost,
    Interrupt,
}

/// Ends a run early, in order. Clones end the same one.
#[derive(Clone)]
pub struct Interrupt(Sender<News>);

impl Interrupt {
    /// Ends it. Nothing happens when it is over already.
    pub fn raise(&self) {
        let _over = self.0.send(News::Interrupt);
    }
}

/// Who a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Agent(usize),
    Customer(usize),
}

/// What a run did, before anybody judges it.
pub(crate) struct Run {
    pub(crate) observed: Observed,
    pub(crate) delivery: Delivery,
    pub(crate) folder: Folder,
}

/// A run under way.
struct Parts<'a> {
    plan: &'a Plan,
    folder: Folder,
    receiver: Receiver<News>,
    world: PhoneWorld,
    directory: SharedDirectory,
    server: Option<ServerThread>,
    at: SocketAddr,
    roles: BTreeMap<PhoneId, Role>,
    agent_logs: Vec<Log>,
    customer_log: Log,
    observed: Observed,
    kills: Vec<(Time, PhoneId, usize)>,
    say: &'a mut dyn FnMut(&str),
}

/// Runs everything, and ends everything.
pub(crate) fn run(
    plan: &Plan,
    ready: impl FnOnce(Interrupt),
    say: &mut dyn FnMut(&str),
) -> Result<Run, E2eError> {
    plan.check()?;
    if matches!(plan.customers, Customers::Sipp(_)) && !sipp::is_installed() {
        return Err(SippError::Missing.into());
    }
    let in_folder = |error| E2eError::Folder {
        path: plan.out.display().to_string(),
        error,
    };
    let folder = Folder::prepare(&plan.out, plan.keep).map_err(in_folder)?;
    let (news, receiver) = channel();
    ready(Interrupt(news.clone()));
    let directory = SharedDirectory::default();
    let addresses = directory.clone();
    let world = PhoneWorld::start(
        news.clone(),
        move |now, event| {
            if let Happening::Address { transport, address } = &event.what {
                lock(&addresses).add(event.phone.0, *transport, *address);
            }
            News::Phone(now, event)
        },
        || News::Lost,
    )?;
    let mut capture =
        Capture::create(&folder.capture(), world.epoch(), directory.clone()).map_err(in_folder)?;
    let tap = capture
        .of_phones(world.epoch(), directory.clone())
        .map_err(in_folder)?;
    world.set_tap(Some(Box::new(tap)));
    let capture = Arc::new(std::sync::Mutex::new(capture));
    let names = plan.agent_names();
    let secrets = Secrets::new(&names);
    let server = ServerThread::start(plan, &folder, &secrets, capture.clone(), news).map_err(in_folder)?;
    let logs = names.iter().map(|name| Log::open(&folder.log(name)));
    let mut parts = Parts {
        plan,
        agent_logs: logs.collect::<io::Result<_>>().map_err(in_folder)?,
        customer_log: Log::open(&folder.log("customers")).map_err(in_folder)?,
        folder,
        receiver,
        world,
        directory,
        server: Some(server),
        at: ([127, 0, 0, 1], plan.port).into(),
        roles: BTreeMap::new(),
        observed: Observed::default(),
        kills: Vec::new(),
        say,
    };
    let done = parts.work(&secrets);
    parts.end();
    done?;
    let Parts {
        folder,
        observed,
        world,
        ..
    } = parts;
    drop(world);
    let capture = Arc::into_inner(capture).map(|capture| {
        capture
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .finish()
    });
    let delivery = match capture {
        Some(finished) => finished.map_err(|error| E2eError::Folder {
            path: folder.capture().display().to_string(),
            error,
        })?,
        None => return Err(E2eError::Capture("the call center still writes to it".to_owned())),
    };
    Ok(Run {
        observed,
        delivery,
        folder,
    })
}

impl Parts<'_> {
    fn work(&mut self, secrets: &Secrets) -> Result<(), E2eError> {
        self.await_server()?;
        self.register(secrets)?;
        if self.is_over() || !self.observed.agents.iter().any(|agent| agent.registered) {
            return Ok(());
        }
        match &self.plan.customers {
            Customers::Embedded => self.call(),
            Customers::Sipp(scenario) => self.call_with_sipp(scenario),
        }
    }

    /// Whether nothing more is to be begun.
    fn is_over(&self) -> bool {
        self.observed.interrupted || self.observed.server_died.is_some()
    }

    fn await_server(&mut self) -> Result<(), E2eError> {
        loop {
            match self.receiver.recv() {
                Ok(News::ServerUp(addresses, stop)) => {
                    if let Some((_, at)) = addresses.first() {
                        self.at = *at;
                        self.observed.server = Some(*at);
                    }
                    if let Some(server) = &mut self.server {
                        server.stop = Some(stop);
                    }
                    (self.say)(&format!("call center   listening on {}", self.at));
                    return Ok(());
                }
                Ok(News::ServerEnded(Err(error))) => {
                    self.server = None;
                    return Err(E2eError::Server(error));
                }
                Ok(News::ServerEnded(Ok(())) | News::Lost) | Err(_) => return Err(E2eError::Failed),
                Ok(News::Interrupt) => {
                    // It comes up, and is stopped then.
                    self.observed.interrupted = true;
                }
                Ok(News::Phone(now, event)) => self.on_phone(now, event),
            }
        }
    }

    fn register(&mut self, secrets: &Secrets) -> Result<(), E2eError> {
        let plan = self.plan;
        for (index, name) in plan.agent_names().into_iter().enumerate() {
            let wrong = plan.faults.contains(&Fault::WrongPassword(name.clone()));
            let password = if wrong { "wrong" } else { secrets.of(index) };
            let Some(account) = account(&name, DOMAIN, Some(self.at)) else {
                return Err(E2eError::Failed);
            };
            let talk = match plan.customers {
                Customers::Sipp(Scenario::BuiltIn(BuiltIn::Long | BuiltIn::Volume | BuiltIn::Transfer)) => {
                    None
                }
                Customers::Embedded | Customers::Sipp(_) => Some(plan.call_duration),
            };
            let phone = Phone {
                name: name.clone(),
                account: ua::Account {
                    password: Some(password.into()),
                    auto_answer: Some(ANSWER_AFTER),
                    ..account
                },
                duty: Duty::Answer { talk },
                says: ua::Audio::Tones { hz: vec![AGENT_HZ] },
                partner_hz: Some(CUSTOMER_HZ),
                record: false,
            };
            self.observed.agents.push(AgentSeen {
                name,
                ..AgentSeen::default()
            });
            self.add(phone, Role::Agent(index));
        }
        let until = Instant::now() + REGISTER;
        while !self.is_over() && !self.observed.agents.iter().all(AgentSeen::is_decided) {
            if !self.turn(until)? {
                break;
            }
        }
        for agent in &self.observed.agents {
            let line = match (&agent.registered, &agent.failure) {
                (true, _) => "registered".to_owned(),
                (false, Some(failure)) => format!("not registered: {failure}"),
                (false, None) => format!("not registered within {} s", REGISTER.as_secs()),
            };
            (self.say)(&format!("{:<13} {line}", agent.name));
        }
        Ok(())
    }

    fn add(&mut self, phone: Phone, role: Role) -> PhoneId {
        let name = phone.name.clone();
        let id = self.world.with(|phones, now| {
            phones.tell_messages();
            phones.add(now, phone)
        });
        lock(&self.directory).name(id.0, &name);
        self.roles.insert(id, role);
        id
    }

    /// Takes one piece of news, or waits until `until`; false when the time is over.
    fn turn(&mut self, until: Instant) -> Result<bool, E2eError> {
        let now = self.world.now();
        let mut wait = until.saturating_duration_since(Instant::now());
        if let Some((at, id, agent)) = self.kills.first().copied() {
            if at <= now {
                self.kills.remove(0);
                self.world.with(|phones, now| phones.kill(now, id));
                self.roles.remove(&id);
                if let Some(agent) = self.observed.agents.get_mut(agent) {
                    agent.died = true;
                    (self.say)(&format!("{:<13} its phone died", agent.name));
                }
                return Ok(true);
            }
            wait = wait.min(at.since(now));
        }
        match self.receiver.recv_timeout(wait) {
            Ok(news) => {
                self.take(news)?;
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Instant::now() < until),
            // A sender of it is among the parts.
            Err(RecvTimeoutError::Disconnected) => Err(E2eError::Failed),
        }
    }

    fn take(&mut self, news: News) -> Result<(), E2eError> {
        match news {
            News::Phone(now, event) => self.on_phone(now, event),
            News::ServerUp(_, stop) => {
                if let Some(server) = &mut self.server {
                    server.stop = Some(stop);
                }
            }
            News::ServerEnded(ended) => {
                let why = match ended {
                    Ok(()) => "it stopped by itself".to_owned(),
                    Err(error) => error.to_string(),
                };
                self.server = None;
                self.observed.server_died = Some(why);
            }
            News::Lost => return Err(E2eError::Failed),
            News::Interrupt => self.observed.interrupted = true,
        }
        Ok(())
    }

    fn on_phone(&mut self, now: Time, event: PhoneEvent) {
        let PhoneEvent { phone: id, what } = event;
        match self.roles.get(&id).copied() {
            Some(Role::Agent(index)) => {
                let Some(agent) = self.observed.agents.get_mut(index) else {
                    return;
                };
                if let Some(log) = self.agent_logs.get(index) {
                    log.write(|| diary::log(&agent.name, &what));
                }
                match &what {
                    Happening::Registered { .. } => agent.registered = true,
                    Happening::RegistrationFailed { status, reason } => {
                        agent.failure = Some(match status {
                            Some(401 | 403 | 407) => format!("{reason} (is the password right?)"),
                            status => format!("{reason}{}", advice(*status)),
                        });
                    }
                    Happening::RefreshFailed { reason, .. } => {
                        agent.failure = Some(format!("could not renew its registration: {reason}"));
                    }
                    Happening::StartFailed { error } => agent.failure = Some(error.to_string()),
                    Happening::Answered { .. } => {
                        agent.talking += 1;
                        agent.answered += 1;
                        let kill = Fault::Kill(agent.name.clone());
                        if agent.answered == 1 && self.plan.faults.contains(&kill) {
                            self.kills.push((now + KILL_AFTER, id, index));
                        }
                    }
                    Happening::PartnerHeard { .. } => agent.heard += 1,
                    Happening::CallEnded(end) => {
                        agent.talking = agent.talking.saturating_sub(usize::from(!end.lasted.is_zero()));
                        agent.ends.push(end.clone());
                    }
                    Happening::Closed => {
                        agent.closed = true;
                        self.roles.remove(&id);
                    }
                    _ => {}
                }
            }
            Some(Role::Customer(index)) => {
                let Some(customer) = self.observed.customers.get_mut(index) else {
                    return;
                };
                self.customer_log.write(|| diary::log(&customer.name, &what));
                match &what {
                    Happening::PartnerHeard { .. } => {
                        (self.say)(&format!("{:<13} talks", customer.name));
                    }
                    Happening::StartFailed { error } => customer.failure = Some(error.to_string()),
                    Happening::CallEnded(end) => {
                        (self.say)(&format!("{:<13} {}", customer.name, CustomerSeen::story(end)));
                        customer.end = Some(end.clone());
                        self.world.close(id);
                    }
                    Happening::Closed => {
                        self.roles.remove(&id);
                    }
                    _ => {}
                }
            }
            None => {}
        }
    }

    /// Ends everything in order, as far as it is there.
    fn end(&mut self) {
        let is_customer = |role: &Role| matches!(role, Role::Customer(_));
        for of_customers in [true, false] {
            let phones: Vec<_> = self
                .roles
                .iter()
                .filter(|(_, role)| is_customer(role) == of_customers)
                .map(|(id, _)| *id)
                .collect();
            for id in &phones {
                self.world.close(*id);
            }
            let until = Instant::now() + CLOSE;
            while phones.iter().any(|id| self.roles.contains_key(id)) {
                // What is lost now is lost: the rest is to end all the same.
                if !matches!(self.turn(until), Ok(true)) {
                    break;
                }
            }
        }
        self.observed.lateness_p99 = self.world.lateness_p99();
        (self.observed.packets_skipped, self.observed.receive_drops) = self.world.losses();
        self.world.set_tap(None);
        if let Some(server) = self.server.take() {
            server.stop(&self.receiver);
        }
    }
}

/// The account of somebody; `server` is where it registers.
fn account(name: &str, domain: &str, server: Option<SocketAddr>) -> Option<ua::Account> {
    let mut account = ua::Account::new(name, domain.parse().ok()?);
    account.local = Some(ua::LocalAddress::Ip([127, 0, 0, 1].into()));
    if let Some(server) = server {
        account.outbound = Some(format!("sip:{server};lr").parse().ok()?);
    }
    Some(account)
}
