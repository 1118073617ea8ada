//! What an agent is told to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{fmt, fs};

use callwright_events::RunEvent;

use super::config::headers;
use super::{Agent, Target};
use crate::phone::{Aspect, Audio, CallRef, CallState, Performed, RequestId, SipRecord, Verb};
use crate::world::OwnTouches;
use crate::{Fault, Position, Scene, Value, context, nearest};

/// A handle on a request of [`Agent::send`].
#[derive(Clone)]
pub struct Response {
    agent: Agent,
    request: RequestId,
}

impl Agent {
    /// Carries out a verb, on the current call or on the one given, and reports it.
    ///
    /// # Errors
    /// When it cannot be carried out, at `at`.
    pub fn perform(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        verb: Verb,
        at: &Position,
    ) -> Result<Performed, Fault> {
        scene.check().map_err(|fault| fault.at(at))?;
        let kind = verb.kind();
        let detail = detail(&verb);
        let cause = scene
            .run()
            .causes()
            .number(at, &format!("{}.{kind}", self.name()));
        match &verb {
            Verb::Register => self.0.asked_to_register.store(true, Ordering::Relaxed),
            Verb::Dial { target, .. } => {
                if let Ok(mut dialed) = self.0.dialed.lock() {
                    dialed.push(target.clone());
                }
            }
            _ => {}
        }
        let touches = OwnTouches::begin();
        let outcome = self.phone().perform(call, verb, Some(cause));
        context::changed_itself(&touches.end());
        let performed = outcome.map_err(|error| {
            Fault::verb(format!("{}: {}: {error}", self.name(), kind.replace('-', "_"))).at(at)
        })?;
        scene.emit(RunEvent::Action {
            agent: self.name().to_owned(),
            kind: kind.to_owned(),
            detail,
            location: at.location(),
        });
        for note in &performed.notes {
            scene.note(format!("{}: {}: {note}", self.name(), kind.replace('-', "_")), at);
        }
        Ok(performed)
    }

    /// Places a call.
    ///
    /// # Errors
    /// As [`Agent::perform`]; or the target or a header cannot be used.
    pub fn dial(
        &self,
        scene: &Scene,
        target: &Target,
        extra: Option<&Value>,
        at: &Position,
    ) -> Result<(), Fault> {
        let target = self.uri("dial", target, at)?;
        let headers = self.extra_headers("dial", extra, at)?;
        self.perform(scene, None, Verb::Dial { target, headers }, at)
            .map(|_| ())
    }

    /// Transfers, blind or attended, or deflects: a verb that takes nothing but a target.
    ///
    /// # Errors
    /// As [`Agent::perform`]; or the target cannot be used.
    pub fn to_target(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        verb: fn(String) -> Verb,
        target: &Target,
        at: &Position,
    ) -> Result<(), Fault> {
        let kind = verb(String::new()).kind().replace('-', "_");
        let uri = self.uri(&kind, target, at)?;
        self.perform(scene, call, verb(uri), at).map(|_| ())
    }

    /// Sends digits: `0-9 * # A-D a-d`, blanks ignored.
    ///
    /// # Errors
    /// As [`Agent::perform`]; or a character that is no digit, before anything is sent.
    pub fn dtmf(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        digits: &str,
        gap: Option<Duration>,
        at: &Position,
    ) -> Result<(), Fault> {
        let mut clean = String::new();
        for digit in digits.chars().filter(|c| !c.is_whitespace()) {
            if !matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d') {
                let text = format!(
                    "{}: dtmf: {digit:?} is no digit; digits are 0-9 * # A-D",
                    self.name()
                );
                return Err(Fault::verb(text).at(at));
            }
            clean.push(digit.to_ascii_uppercase());
        }
        if clean.is_empty() {
            return Err(Fault::verb(format!("{}: dtmf: there are no digits to send", self.name())).at(at));
        }
        self.perform(scene, call, Verb::Dtmf { digits: clean, gap }, at)
            .map(|_| ())
    }

    /// Rejects the newest incoming call that rings.
    ///
    /// # Errors
    /// As [`Agent::perform`]; or a code that rejects nothing.
    pub fn reject(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        code: i64,
        reason: Option<String>,
        at: &Position,
    ) -> Result<(), Fault> {
        let code = self.code("reject", code, 300, at)?;
        self.perform(scene, call, Verb::Reject { code, reason }, at)
            .map(|_| ())
    }

    /// Arms an answer to the next incoming call.
    ///
    /// # Errors
    /// As [`Agent::perform`]; or a code or a header that cannot be sent.
    pub fn respond_incoming(
        &self,
        scene: &Scene,
        code: i64,
        reason: String,
        extra: Option<&Value>,
        at: &Position,
    ) -> Result<(), Fault> {
        let code = self.code("respond_incoming", code, 100, at)?;
        let headers = self.extra_headers("respond_incoming", extra, at)?;
        self.perform(
            scene,
            None,
            Verb::RespondIncoming {
                code,
                reason,
                headers,
            },
            at,
        )
        .map(|_| ())
    }

    /// Sends a request of any method, inside the current call or outside of any. `options` has `headers`, `body`,
    /// `content_type`.
    ///
    /// # Errors
    /// As [`Agent::perform`]; or an option that is unknown or wrong.
    pub fn send(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        method: &str,
        options: Option<&Value>,
        at: &Position,
    ) -> Result<Response, Fault> {
        let fault = |text: String| Fault::verb(format!("{}: send: {text}", self.name())).at(at);
        let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
        if method.is_empty() || !method.chars().all(token) {
            return Err(fault(format!("{method:?} is no method")));
        }
        let in_call = call.is_some() || self.phone().snapshot().state() == CallState::Established;
        if let Some(instead) = instead_of(method, in_call) {
            return Err(fault(format!("{method} {instead}")));
        }
        let mut verb = (Vec::new(), String::new(), None);
        if let Some(options) = options {
            let Value::Map(map) = options else {
                return Err(fault(format!("the options are a map, not {options}")));
            };
            for (key, value) in map {
                match key.as_str() {
                    "headers" => verb.0 = headers(value).map_err(fault)?,
                    "body" => verb.1 = value.text(),
                    "content_type" => verb.2 = Some(value.text()),
                    other => {
                        let near = nearest::question(other, ["headers", "body", "content_type"]);
                        return Err(fault(format!("unknown option `{other}`{near}")));
                    }
                }
            }
        }
        let (headers, body, content_type) = verb;
        let method = method.to_owned();
        let performed = self.perform(
            scene,
            call,
            Verb::Send {
                method,
                headers,
                body,
                content_type,
            },
            at,
        )?;
        let request = performed
            .request
            .ok_or_else(|| fault("the phone gave no request".to_owned()))?;
        Ok(Response {
            agent: self.clone(),
            request,
        })
    }

    /// Records to a WAV file, relative to the working directory. Nothing is overwritten: where the file exists, as on a
    /// retry, the name gets a number, and a note says so.
    ///
    /// # Errors
    /// As [`Agent::perform`].
    pub fn record(
        &self,
        scene: &Scene,
        call: Option<CallRef>,
        path: &str,
        at: &Position,
    ) -> Result<(), Fault> {
        let wanted = PathBuf::from(path);
        let path = match wanted.file_stem() {
            Some(stem) if wanted.exists() => {
                let folder = wanted.parent().unwrap_or(Path::new(""));
                let extension = wanted.extension().unwrap_or_default();
                free_path(folder, &stem.to_string_lossy(), &extension.to_string_lossy())
            }
            _ => wanted.clone(),
        };
        if path != wanted {
            scene.note(
                format!(
                    "{}: {} exists, so the recording is {}",
                    self.name(),
                    wanted.display(),
                    path.display()
                ),
                at,
            );
        }
        self.perform(scene, call, Verb::Record { path: path.clone() }, at)
            .map(|_| self.records_to(path))
    }

    /// Records every agent when the user asked for it.
    pub(super) fn save_audio(&self, scene: &Scene, at: &Position) -> Result<(), Fault> {
        let Some(folder) = &scene.run().settings().save_audio else {
            return Ok(());
        };
        let failed = |error: &dyn fmt::Display| {
            Fault::environment(format!("{}: --save-audio: {error}", self.name())).at(at)
        };
        fs::create_dir_all(folder).map_err(|error| {
            failed(&format!(
                "cannot make the directory {}: {error}",
                folder.display()
            ))
        })?;
        let path = free_path(
            folder,
            &format!("{}-{}", file_name(&scene.name()), file_name(self.name())),
            "wav",
        );
        self.phone()
            .perform(None, Verb::Record { path: path.clone() }, None)
            .map(|_| self.records_to(path))
            .map_err(|error| failed(&error))
    }

    fn records_to(&self, path: PathBuf) {
        if let Ok(mut recordings) = self.0.recordings.lock() {
            recordings.push(path);
        }
    }

    fn uri(&self, verb: &str, target: &Target, at: &Position) -> Result<String, Fault> {
        target
            .uri(self.domain())
            .map_err(|fault| Fault::verb(format!("{}: {verb}: {fault}", self.name())).at(at))
    }

    fn extra_headers(
        &self,
        verb: &str,
        extra: Option<&Value>,
        at: &Position,
    ) -> Result<Vec<(String, String)>, Fault> {
        extra
            .map_or(Ok(Vec::new()), headers)
            .map_err(|error| Fault::verb(format!("{}: {verb}: {error}", self.name())).at(at))
    }

    fn code(&self, verb: &str, code: i64, lowest: u16, at: &Position) -> Result<u16, Fault> {
        u16::try_from(code)
            .ok()
            .filter(|code| (lowest..=699).contains(code))
            .ok_or_else(|| {
                Fault::verb(format!(
                    "{}: {verb}: {code} is not a status from {lowest} to 699",
                    self.name()
                ))
                .at(at)
            })
    }
}

impl Response {
    /// The status of the final response, once it is there.
    pub fn status(&self) -> Option<u16> {
        self.agent.reads(Aspect::Messages);
        self.agent.phone().request(self.request).status
    }

    /// The final response, once it is there.
    pub fn response(&self) -> Option<Arc<SipRecord>> {
        self.agent.reads(Aspect::Messages);
        self.agent.phone().request(self.request).response
    }

    /// Whose request it is.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }
}

/// What to do instead of sending a request that changes the state of a call: that state is the agent's own, and a request
/// beside it would be one that it knows nothing of.
fn instead_of(method: &str, in_call: bool) -> Option<&'static str> {
    match method.to_ascii_uppercase().as_str() {
        "INVITE" => Some("is sent by dial(target), and inside a call by hold() and resume()"),
        "CANCEL" => Some("is sent by hangup() before the call is answered"),
        "BYE" if in_call => Some("is sent by hangup(), and by bye() at once"),
        "UPDATE" if in_call => Some("is sent by update()"),
        "PRACK" if in_call => Some("is sent by the agent itself"),
        "ACK" => Some("is sent by the agent itself"),
        _ => None,
    }
}

/// The argument of a verb, for reports.
fn detail(verb: &Verb) -> Option<String> {
    match verb {
        Verb::Dial { target, .. }
        | Verb::Transfer { target }
        | Verb::AttendedTransfer { target }
        | Verb::Deflect { target } => Some(target.clone()),
        Verb::Dtmf { digits, .. } => Some(digits.clone()),
        Verb::Reject { code, reason } => Some(
            reason
                .as_ref()
                .map_or_else(|| code.to_string(), |reason| format!("{code} {reason}")),
        ),
        Verb::RespondIncoming { code, reason, .. } => Some(format!("{code} {reason}")),
        Verb::SendAudio(audio) => Some(audio_text(audio)),
        Verb::Send { method, .. } => Some(method.clone()),
        Verb::Record { path } => Some(path.display().to_string()),
        Verb::Register
        | Verb::Unregister
        | Verb::Accept
        | Verb::Hangup
        | Verb::Bye
        | Verb::Hold
        | Verb::Resume
        | Verb::Update
        | Verb::Mute
        | Verb::CompleteTransfer
        | Verb::AbortTransfer
        | Verb::StopDeflect => None,
    }
}

fn audio_text(audio: &Audio) -> String {
    match audio {
        Audio::Silence => "silence".to_owned(),
        Audio::Noise => "noise".to_owned(),
        Audio::Tones { hz } => {
            let tones: Vec<String> = hz.iter().map(|hz| format!("{hz} Hz")).collect();
            tones.join(" + ")
        }
        Audio::Samples { name, .. } => name.clone(),
    }
}

/// A name that any file system takes.
fn file_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '-' || c == '.' {
                c
            } else {
                '_'
            }
        })
        .collect();
    name.trim_matches('.').chars().take(80).collect()
}

/// A file in `folder` that does not exist yet.
fn free_path(folder: &Path, stem: &str, extension: &str) -> PathBuf {
    let named = |name: &str| match extension {
        "" => folder.join(name),
        extension => folder.join(format!("{name}.{extension}")),
    };
    let mut number = 1;
    let mut path = named(stem);
    while path.exists() {
        number += 1;
        path = named(&format!("{stem}-{number}"));
    }
    path
}
