//! SIP messages of agents, and requests of any method.

use std::sync::Arc;

use callwright_scenario::agent::{Agent, Response};
use callwright_scenario::phone::{Direction, MessageFilter, SipRecord};
use callwright_scenario::{Fault, Value, context, nearest};
use rhai::{Array, Dynamic, Map, NativeCallContext};

use super::agents::OnCall;
use crate::convert::{map_value, optional, register as register_type, to_dynamic};
use crate::entry::{Api, Section};
use crate::here::{Here, Outcome};

/// A SIP message.
#[derive(Clone)]
pub(crate) struct Message {
    record: Arc<SipRecord>,
    parsed: callwright_scenario::phone::SipMessage,
}

impl Message {
    fn of(record: Arc<SipRecord>) -> Self {
        let parsed = record.message();
        Message { record, parsed }
    }

    /// All of it, as on the wire.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.record.bytes).into_owned()
    }
}

pub(super) fn register(api: &mut Api) {
    register_type::<Message>(&mut api.engine, "SipMessage");
    api.engine.register_type_with_name::<Response>("SipResponse");
    api.section(Section::Messages);
    about_messages::<Agent>(api);
    parts(api);
}

/// Requests that are sent, and messages that were: of an agent, or of one call.
pub(super) fn about_messages<T: OnCall>(api: &mut Api) {
    requests::<T>(api);
    lists::<T>(api);
}

fn requests<T: OnCall>(api: &mut Api) {
    fn run<T: OnCall>(
        context: &NativeCallContext<'_>,
        on: &T,
        method: &str,
        options: Option<&Map>,
    ) -> Outcome<Response> {
        let here = Here::of(context)?;
        let options = options.map(map_value);
        here.check(
            on.agent()
                .send(&here.scene, on.call(), method, options.as_ref(), &here.at),
        )
    }
    let signature = format!(
        "send({}: {}, method: string) -> SipResponse",
        T::VARIABLE,
        T::NAME
    );
    api.add(
        &signature,
        "Sends a request of a method that has no verb of its own, as INFO, MESSAGE, OPTIONS or one of your own, inside the \
         call, or outside of any when idle. `.status` of what it returns is `()` until the final response is there. \
         INVITE, ACK and CANCEL are sent by verbs alone (`dial`, `hangup`, `hold`, `resume`), and inside a call so are \
         BYE (`hangup`, `bye`), UPDATE (`update`) and PRACK.",
        |context: NativeCallContext<'_>, on: &mut T, method: &str| run(&context, on, method, None),
    );
    let signature = format!(
        "send({}: {}, method: string, options: map) -> SipResponse",
        T::VARIABLE,
        T::NAME
    );
    api.add(
        &signature,
        "The same with `headers`, `body` and `content_type`.",
        |context: NativeCallContext<'_>, on: &mut T, method: &str, options: Map| {
            run(&context, on, method, Some(&options))
        },
    );
}

fn lists<T: OnCall>(api: &mut Api) {
    let on = format!("{}: {}", T::VARIABLE, T::NAME);
    let whose = match T::VARIABLE {
        "call" => "The SIP messages with the Call-ID of the call, oldest first.",
        _ => "The SIP messages that the agent sent and received, oldest first.",
    };
    api.add(
        &format!("messages({on}) -> array"),
        &format!("{whose} Only so many are kept; a note says when some were dropped."),
        |context: NativeCallContext<'_>, on: &mut T| list(&context, on, &MessageFilter::default()),
    );
    api.add(
        &format!("messages({on}, filter: map) -> array"),
        "Those that pass a filter: `method`, `status`, `direction` (`\"sent\"` or `\"received\"`), `requests` (`true`: \
         requests only, `false`: responses only), `retransmissions` (`true`: those too).",
        |context: NativeCallContext<'_>, on: &mut T, wanted: Map| -> Outcome<Array> {
            let here = Here::of(&context)?;
            let filter = here.check(filter(&map_value(&wanted)))?;
            list(&context, on, &filter)
        },
    );
    api.add(
        &format!("messages({on}, method: string) -> array"),
        "Those of a method, responses included.",
        |context: NativeCallContext<'_>, on: &mut T, method: &str| {
            list(
                &context,
                on,
                &MessageFilter {
                    method: Some(method.to_owned()),
                    ..MessageFilter::default()
                },
            )
        },
    );
    api.add(
        &format!("last_request({on}, method: string) -> SipMessage"),
        "The newest request of a method, sent or received; an error when there is none yet.",
        |context: NativeCallContext<'_>, on: &mut T, method: &str| last(&context, on, method, true),
    );
    api.add(
        &format!("last_response({on}, method: string) -> SipMessage"),
        "The newest response to a method, sent or received; an error when there is none yet.",
        |context: NativeCallContext<'_>, on: &mut T, method: &str| last(&context, on, method, false),
    );
}

fn list(context: &NativeCallContext<'_>, on: &impl OnCall, filter: &MessageFilter) -> Outcome<Array> {
    let here = Here::of(context)?;
    let messages = on.messages(filter);
    if messages.dropped > 0 {
        let note = format!(
            "{}: {} of its SIP messages were dropped, the oldest",
            on.agent().name(),
            messages.dropped
        );
        here.scene.note(note, &here.at);
    }
    Ok(messages
        .list
        .into_iter()
        .map(|record| Dynamic::from(Message::of(record)))
        .collect())
}

fn last(context: &NativeCallContext<'_>, on: &impl OnCall, method: &str, requests: bool) -> Outcome<Message> {
    let here = Here::of(context)?;
    let filter = MessageFilter {
        method: Some(method.to_owned()),
        requests: Some(requests),
        ..MessageFilter::default()
    };
    let newest = on.messages(&filter).list.pop().map(Message::of);
    here.check(newest.ok_or_else(|| {
        let what = if requests { "request" } else { "response" };
        let whose = match on.call() {
            Some(_) => format!("that call of {}", on.agent().name()),
            None => on.agent().name().to_owned(),
        };
        Fault::not_yet(format!("{whose} has no {method} {what} yet"))
    }))
}

const FILTER_KEYS: [&str; 5] = ["method", "status", "direction", "requests", "retransmissions"];

fn filter(wanted: &Value) -> Result<MessageFilter, Fault> {
    let mut filter = MessageFilter::default();
    let Value::Map(map) = wanted else {
        return Ok(filter);
    };
    for (key, value) in map {
        match (key.as_str(), value) {
            ("method", Value::Text(method)) => filter.method = Some(method.clone()),
            ("status", Value::Int(status)) => filter.status = u16::try_from(*status).ok(),
            ("requests", Value::Bool(requests)) => filter.requests = Some(*requests),
            ("retransmissions", Value::Bool(wanted)) => filter.retransmissions = *wanted,
            ("direction", Value::Text(text)) if text == "sent" => filter.direction = Some(Direction::Sent),
            ("direction", Value::Text(text)) if text == "received" => {
                filter.direction = Some(Direction::Received)
            }
            (key, value) if FILTER_KEYS.contains(&key) => {
                return Err(Fault::script(format!("messages: `{key}` cannot be {value}")));
            }
            (other, _) => {
                let near = nearest::question(other, FILTER_KEYS);
                return Err(Fault::script(format!("messages: unknown filter `{other}`{near}")));
            }
        }
    }
    Ok(filter)
}

fn parts(api: &mut Api) {
    api.add(
        "get method(message: SipMessage) -> string",
        "Its method; of a response, that of its CSeq.",
        |message: &mut Message| {
            message
                .parsed
                .method()
                .map(|method| method.to_string())
                .unwrap_or_default()
        },
    );
    api.add(
        "get status(message: SipMessage) -> ?",
        "The status of a response; `()` of a request.",
        |message: &mut Message| optional(message.parsed.status().map(i64::from)),
    );
    api.add(
        "get reason(message: SipMessage) -> ?",
        "The reason phrase of a response; `()` of a request.",
        |message: &mut Message| optional(message.parsed.reason_phrase().map(|reason| reason.into_owned())),
    );
    api.add(
        "header(message: SipMessage, name: string) -> ?",
        "The first header of a name, or `()`.",
        |message: &mut Message, name: &str| {
            optional(message.parsed.header(name).map(|value| value.into_owned()))
        },
    );
    api.add(
        "headers(message: SipMessage, name: string) -> array",
        "All headers of a name.",
        |message: &mut Message, name: &str| -> Array {
            message
                .parsed
                .headers(name)
                .map(|value| value.into_owned().into())
                .collect()
        },
    );
    api.add(
        "get body(message: SipMessage) -> string",
        "Its body.",
        |message: &mut Message| String::from_utf8_lossy(&message.parsed.body()).into_owned(),
    );
    api.add(
        "get sdp(message: SipMessage) -> ?",
        "The session description in its body as a map of `media` (each with `kind`, `port`, `protocol`, `formats`, \
         `attributes`) and `connection`; `()` without one.",
        |message: &mut Message| sdp(message).map_or(Dynamic::UNIT, |value| to_dynamic(&value)),
    );
    api.add(
        "get raw(message: SipMessage) -> string",
        "All of it, as on the wire.",
        |message: &mut Message| message.text(),
    );
    api.add(
        "get direction(message: SipMessage) -> string",
        "`\"sent\"` or `\"received\"`.",
        |message: &mut Message| message.record.direction.name().to_owned(),
    );
    api.add(
        "get time(message: SipMessage) -> float",
        "Seconds since the scenario started.",
        |message: &mut Message| -> f64 {
            context::scene().map_or(0.0, |scene| {
                message.record.time.since(scene.started()).as_secs_f64()
            })
        },
    );
    api.add(
        "get status(response: SipResponse) -> ?",
        "The status of the final response; `()` until it is there.",
        |context: NativeCallContext<'_>, response: &mut Response| -> Outcome<Dynamic> {
            let here = Here::of(&context)?;
            Ok(here.read(
                &format!("{} response status", response.agent().name()),
                response.status().map(i64::from),
            ))
        },
    );
    api.add(
        "get response(response: SipResponse) -> ?",
        "The final response; `()` until it is there.",
        |response: &mut Response| {
            response
                .response()
                .map_or(Dynamic::UNIT, |record| Dynamic::from(Message::of(record)))
        },
    );
}

/// The lines of a description by their names.
type Fields = Vec<(&'static str, Value)>;

/// RFC 8866 §5, as far as scripts ask: the lines that say where media goes.
fn sdp(message: &Message) -> Option<Value> {
    if !message.parsed.has_content_type("application/sdp") {
        return None;
    }
    let body = message.parsed.body();
    let text = String::from_utf8_lossy(&body);
    let map = |pairs: Fields| {
        Value::Map(
            pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    };
    let mut connection = Value::Absent;
    let mut media: Vec<(Fields, Vec<Value>)> = Vec::new();
    for line in text.lines() {
        match (line.split_once('='), media.last_mut()) {
            (Some(("m", line)), _) => {
                let mut words = line.split_whitespace();
                let mut word = || words.next().unwrap_or_default().to_owned();
                let (kind, port, protocol) = (word(), word(), word());
                let formats = words.map(Value::from).collect();
                let port = port.parse::<i64>().map_or(Value::Absent, Value::Int);
                let fields = vec![
                    ("kind", kind.into()),
                    ("port", port),
                    ("protocol", protocol.into()),
                    ("formats", Value::Array(formats)),
                ];
                media.push((fields, Vec::new()));
            }
            (Some(("a", line)), Some((_, attributes))) => attributes.push(line.into()),
            (Some(("c", line)), Some((fields, _))) => fields.push(("connection", line.into())),
            (Some(("c", line)), None) => connection = line.into(),
            _ => {}
        }
    }
    let media = media.into_iter().map(|(mut fields, attributes)| {
        fields.push(("attributes", Value::Array(attributes)));
        map(fields)
    });
    Some(map(vec![
        ("connection", connection),
        ("media", Value::Array(media.collect())),
    ]))
}
