//! An agent: a phone with a name, as scenarios know it.

mod config;
mod getters;
mod targets;
mod verbs;

use std::any::Any;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use callwright_events::RunEvent;

use crate::phone::{Aspect, Phone, PhoneSpec};
use crate::world::{StartError, Wake, World};
use crate::{Fault, Position, Scene, Value, context};

pub(crate) use config::headers;
pub use config::{KEYS, Key};
pub use getters::{Call, PeerView};
pub use targets::Target;
pub use verbs::Response;

/// A handle on an agent. Clones mean the same agent.
#[derive(Clone)]
pub struct Agent(Arc<AgentParts>);

/// Something of the front end that is kept with an agent.
pub type Kept = Arc<dyn Any + Send + Sync>;

/// What an agent consists of.
pub(crate) struct AgentParts {
    name: String,
    aor: String,
    domain: String,
    kept: OnceLock<Kept>,
    world: Arc<dyn World>,
    phone: Arc<dyn Phone>,
    asked_to_register: AtomicBool,
    dialed: Mutex<Vec<String>>,
    recordings: Mutex<Vec<PathBuf>>,
}

impl AgentParts {
    pub(crate) fn aor(&self) -> &str {
        &self.aor
    }
}

impl Agent {
    /// Starts an agent of a scene: its sockets are open when this returns, nothing was sent.
    ///
    /// # Errors
    /// A key that is unknown, missing or wrong; an account that another agent has; a phone that cannot start.
    pub fn start(scene: &Scene, name: &str, config: &Value, at: &Position) -> Result<Agent, Fault> {
        scene.check()?;
        let spec = config::read(name, config).map_err(|fault| fault.at(at))?;
        if !spec.tls_verify {
            scene.warn(
                format!("agent {name:?} accepts any certificate (tls_verify: false)"),
                at,
            );
        }
        let aor = spec.aor();
        let domain = spec.domain.clone();
        let headers = spec.headers.clone();
        scene
            .run()
            .take_account(&aor, name, &scene.name())
            .map_err(|fault| fault.at(at))?;
        let phone = scene.world().phone(spec).map_err(|error| {
            scene.run().give_account(&aor);
            let text = format!("agent {name:?}: {error}");
            match error {
                StartError::Bind(_) | StartError::NoRoute { .. } => Fault::environment(text),
                StartError::NotSupported { .. } | StartError::BadValue { .. } => Fault::script(text),
                StartError::Ending => Fault::interrupted(),
            }
            .at(at)
        })?;
        let parts = Arc::new(AgentParts {
            name: name.to_owned(),
            aor: aor.clone(),
            domain,
            kept: OnceLock::new(),
            world: Arc::clone(scene.run().world()),
            phone,
            asked_to_register: AtomicBool::new(false),
            dialed: Mutex::default(),
            recordings: Mutex::default(),
        });
        scene.keep_agent(Arc::clone(&parts));
        scene.emit(RunEvent::AgentStarted {
            name: name.to_owned(),
            aor,
            location: at.location(),
        });
        for (header, value) in headers {
            scene.emit(RunEvent::Action {
                agent: name.to_owned(),
                kind: "header".to_owned(),
                detail: Some(format!("{header}: {value}")),
                location: at.location(),
            });
        }
        let agent = Agent(parts);
        scene.join_network(&agent, at)?;
        agent.save_audio(scene, at)?;
        Ok(agent)
    }

    pub(crate) fn from_parts(parts: Arc<AgentParts>) -> Self {
        Agent(parts)
    }

    /// Its name in the scenario.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its address-of-record.
    pub fn aor(&self) -> &str {
        &self.0.aor
    }

    /// Keeps something of the front end with the agent, once.
    pub fn keep(&self, kept: Kept) {
        let _ = self.0.kept.set(kept);
    }

    /// What is kept with it.
    pub fn kept(&self) -> Option<&Kept> {
        self.0.kept.get()
    }

    /// Its phone.
    pub fn phone(&self) -> &Arc<dyn Phone> {
        &self.0.phone
    }

    /// Whether two handles mean the same agent.
    pub fn is(&self, other: &Agent) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn domain(&self) -> &str {
        &self.0.domain
    }

    pub(crate) fn world(&self) -> &dyn World {
        &*self.0.world
    }

    /// Notes that the current try looks at an aspect of this agent.
    pub(crate) fn reads(&self, aspect: Aspect) {
        context::reads(self.world(), self.0.phone.topic(aspect));
    }

    pub(crate) fn was_asked_to_register(&self) -> bool {
        self.0.asked_to_register.load(Ordering::Relaxed)
    }

    /// The files that it records to.
    pub(crate) fn recordings(&self) -> Vec<PathBuf> {
        self.0
            .recordings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The URIs that it dialled.
    pub(crate) fn dialed(&self) -> Vec<String> {
        self.0
            .dialed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Scene {
    /// The agents of this scene, oldest first.
    pub(crate) fn own_agents(&self) -> Vec<Agent> {
        self.agents().into_iter().map(Agent::from_parts).collect()
    }

    /// The agents that this scene can use: those of its file's top level, then its own.
    pub(crate) fn all_agents(&self) -> Vec<Agent> {
        let mut agents = self.outer().map_or_else(Vec::new, |outer| outer.own_agents());
        agents.extend(self.own_agents());
        agents
    }
}

/// Ends agents at the end of their scene: hangs up and unregisters all at once, waits for that, but not for long, and
/// gives their accounts back.
pub(crate) fn end_all(scene: &Scene, agents: &[Arc<AgentParts>]) {
    if agents.is_empty() {
        return;
    }
    for agent in agents {
        agent.phone.close();
    }
    let world = scene.world();
    let patience = world.patience();
    let mut until = world.now() + patience;
    let mut late = Vec::new();
    for agent in agents {
        let topic = agent.phone.topic(Aspect::Closed);
        let mut seen = world.version(topic);
        while !agent.phone.is_closed() {
            if world.wait(&[(topic, seen)], until) == Wake::TimeUp {
                late.push(agent.name.as_str());
                break;
            }
            seen = world.version(topic);
            if agent.phone.is_closed() {
                until = world.now() + patience;
            }
        }
    }
    if !late.is_empty() {
        let span = crate::span::text(patience);
        let message = format!(
            "{} got no answer to the last BYE, CANCEL or REGISTER within {span}",
            late.join(", ")
        );
        scene.report(RunEvent::Note {
            message,
            location: None,
        });
    }
    for agent in agents {
        scene.run().checks().forget(&agent.aor);
        scene.run().give_account(&agent.aor);
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({} {})", self.0.name, self.0.aor)
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.0.name, self.0.aor)
    }
}

impl PhoneSpec {
    /// Reads the configuration of an agent: the phone, without starting it.
    ///
    /// # Errors
    /// A key that is unknown, missing or wrong.
    pub fn read(name: &str, config: &Value) -> Result<PhoneSpec, Fault> {
        config::read(name, config)
    }
}
