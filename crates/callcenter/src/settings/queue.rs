//! `[[queue]]`: what is written, and the queue that it means.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use callwright_acd::{AnswerWith, Overflow, Prompts, QueueConfig, Sound, Strategy};
use callwright_media::wav;
use serde::Deserialize;
use toml::Spanned;

use super::place::with_nearest;
use super::text::{Span, UserName};

/// A `[[queue]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    pub(super) name: Spanned<UserName>,
    strategy: Option<Order>,
    members: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    skills: BTreeMap<String, u32>,
    answer: Option<Answer>,
    priority: Option<i32>,
    max_length: Option<usize>,
    max_wait: Option<Span>,
    join_when_empty: Option<bool>,
    ring: Option<Spanned<Span>>,
    max_no_answer: Option<u32>,
    max_refused: Option<u32>,
    wrap_up: Option<Span>,
    overflow: Option<Spanned<Otherwise>>,
    service_level: Option<Span>,
    record: Option<bool>,
    music: Option<Spanned<PathBuf>>,
    announce: Option<Spanned<PathBuf>>,
    announce_position: Option<bool>,
    announce_every: Option<Span>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    RoundRobin,
    LongestIdle,
    FewestCalls,
    LeastTalkTime,
    Linear,
    Random,
    RingAll,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Music,
    WithAgent,
}

/// `{ queue = "…" }`, `{ uri = "…" }` or `{ message = "….wav" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Otherwise {
    queue: Option<String>,
    uri: Option<String>,
    message: Option<PathBuf>,
}

/// What is wrong, and where.
pub(super) type Wrong = (Option<Range<usize>>, String);

/// A member that is no agent of the file, where it stands, and what that means if it is none of the database either.
pub(super) type UnknownMember = (String, Range<usize>, String);

/// The queues that are meant, where `agents` can be their members, and which other members they have. Paths are relative to
/// `folder`.
pub(super) fn queues(
    written: Vec<Queue>,
    agents: &[&str],
    users: &[&str],
    folder: &Path,
) -> Result<(Vec<QueueConfig>, Vec<UnknownMember>), Wrong> {
    let names: Vec<String> = written
        .iter()
        .map(|queue| queue.name.get_ref().0.clone())
        .collect();
    let mut queues: Vec<QueueConfig> = Vec::with_capacity(written.len());
    let mut unknown = Vec::new();
    for queue in written {
        let at = queue.name.span();
        let queue = queue.config(agents, &names, folder, &mut unknown)?;
        let name = &queue.name;
        if queues.iter().any(|other| other.name == *name) {
            return Err((Some(at), format!("there are two queues called {name}")));
        }
        if users.contains(&name.as_str()) {
            let message =
                format!("{name} is a user and a queue: a call to {name} can only go to one of them");
            return Err((Some(at), message));
        }
        queues.push(queue);
    }
    Ok((queues, unknown))
}

impl Queue {
    fn config(
        self,
        agents: &[&str],
        queues: &[String],
        folder: &Path,
        unknown: &mut Vec<UnknownMember>,
    ) -> Result<QueueConfig, Wrong> {
        let mut config = QueueConfig::new(self.name.into_inner().0);
        if let Some(strategy) = self.strategy {
            config.strategy = strategy.into();
        }
        if let Some(members) = self.members {
            let mut names = Vec::with_capacity(members.len());
            for member in members {
                let (span, name) = (member.span(), member.into_inner());
                if !agents.contains(&name.as_str()) {
                    let message = format!("{name} is no agent: add a [[user]] of that name");
                    let message = with_nearest(message, &name, agents.iter().copied());
                    unknown.push((name.clone(), span.clone(), message));
                }
                if names.contains(&name) {
                    return Err((Some(span), format!("{name} is a member twice")));
                }
                names.push(name);
            }
            config.members = Some(names);
        }
        config.skills = self.skills;
        config.answer = match self.answer {
            None => config.answer,
            Some(Answer::Music) => AnswerWith::Music,
            Some(Answer::WithAgent) => AnswerWith::Agent,
        };
        config.priority = self.priority.unwrap_or(config.priority);
        config.max_length = self.max_length;
        config.max_wait = self.max_wait.map(|Span(span)| span);
        config.join_when_empty = self.join_when_empty.unwrap_or(config.join_when_empty);
        if let Some(ring) = self.ring {
            let (at, Span(ring)) = (ring.span(), ring.into_inner());
            if ring.is_zero() {
                let message = "agents would ring for no time: name some seconds, such as \"15s\"";
                return Err((Some(at), message.to_owned()));
            }
            config.ring = ring;
        }
        config.max_no_answer = self.max_no_answer.unwrap_or(config.max_no_answer);
        config.max_refused = self.max_refused.unwrap_or(config.max_refused);
        config.wrap_up = self.wrap_up.map_or(config.wrap_up, |Span(span)| span);
        config.service_level = self.service_level.map_or(config.service_level, |Span(span)| span);
        config.record = self.record.unwrap_or(config.record);
        config.overflow = match self.overflow {
            None => None,
            Some(overflow) => {
                let span = overflow.span();
                let overflow = overflow.into_inner().overflow(&config.name, queues, folder);
                Some(overflow.map_err(|message| (Some(span), message))?)
            }
        };
        let sound = |path: Option<Spanned<PathBuf>>| match path {
            None => Ok(None),
            Some(path) => {
                let span = path.span();
                let sound = sound(&folder.join(path.into_inner()));
                sound.map(Some).map_err(|message| (Some(span), message))
            }
        };
        config.prompts = Prompts {
            music: sound(self.music)?,
            announce: sound(self.announce)?,
            announce_position: self.announce_position.unwrap_or(false),
            announce_every: self.announce_every.map(|Span(span)| span),
        };
        Ok(config)
    }
}

impl Otherwise {
    fn overflow(self, own: &str, queues: &[String], folder: &Path) -> Result<Overflow, String> {
        match (self.queue, self.uri, self.message) {
            (Some(queue), None, None) if queue == own => Err(format!("{queue} cannot overflow into itself")),
            (Some(queue), None, None) if queues.contains(&queue) => Ok(Overflow::Queue(queue)),
            (Some(queue), None, None) => {
                let message = format!("there is no queue called {queue}");
                Err(with_nearest(message, &queue, queues.iter().map(String::as_str)))
            }
            (None, Some(uri), None) => match uri.parse() {
                Ok(parsed) => Ok(Overflow::Uri(parsed)),
                Err(error) => Err(format!(
                    "{uri:?} is not a SIP URI such as \"sip:desk@example.com\": {error}"
                )),
            },
            (None, None, Some(path)) => sound(&folder.join(path)).map(Overflow::Message),
            _ => Err(
                "overflow is one of { queue = \"…\" }, { uri = \"sip:…\" } and { message = \"….wav\" }"
                    .to_owned(),
            ),
        }
    }
}

/// `[prompts]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    folder: Option<Spanned<PathBuf>>,
}

impl Recorded {
    /// What says each position: `position-1.wav` and so on, of the folder. Paths are relative to `beside`.
    pub(super) fn positions(self, beside: &Path) -> Result<BTreeMap<u32, Sound>, Wrong> {
        let Some(folder) = self.folder else {
            return Ok(BTreeMap::new());
        };
        let span = folder.span();
        let wrong = |message| (Some(span.clone()), message);
        let folder = beside.join(folder.into_inner());
        let unreadable =
            |error: std::io::Error| wrong(format!("cannot read the folder {}: {error}", folder.display()));
        let mut positions = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if let Some(position) = path.file_name().and_then(|name| position_of(name.to_str()?)) {
                positions.insert(position, sound(&path).map_err(wrong)?);
            }
        }
        if positions.is_empty() {
            let message = format!(
                "there is no position-1.wav in {}: without this key tones tell the position",
                folder.display()
            );
            return Err(wrong(message));
        }
        Ok(positions)
    }
}

/// The position that a file of this name says.
fn position_of(name: &str) -> Option<u32> {
    name.strip_prefix("position-")?.strip_suffix(".wav")?.parse().ok()
}

fn sound(path: &Path) -> Result<Sound, String> {
    let shown = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let samples = wav::read(std::io::BufReader::new(file)).map_err(|error| format!("{shown}: {error}"))?;
    if samples.is_empty() {
        return Err(format!("{shown} has no audio in it"));
    }
    Ok(Sound(samples.into()))
}

impl From<Order> for Strategy {
    fn from(order: Order) -> Strategy {
        match order {
            Order::RoundRobin => Strategy::RoundRobin,
            Order::LongestIdle => Strategy::LongestIdle,
            Order::FewestCalls => Strategy::FewestCalls,
            Order::LeastTalkTime => Strategy::LeastTalkTime,
            Order::Linear => Strategy::Linear,
            Order::Random => Strategy::Random,
            Order::RingAll => Strategy::RingAll,
        }
    }
}
