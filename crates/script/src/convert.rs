//! Values of scripts and values of scenarios.

use std::sync::Arc;
use std::time::Duration;

use callwright_scenario::agent::Call;
use callwright_scenario::http::{Incoming, Response};
use callwright_scenario::mock::{MockServer, PathPattern};
use callwright_scenario::phone::CallState;
use callwright_scenario::{Agent, Fault, Value, span};
use rhai::{Dynamic, Engine, ImmutableString};

use crate::api::{Figures, Message, Peer, Registered, Waiting};

/// What a script's value is to scenarios.
pub(crate) fn to_value(dynamic: &Dynamic) -> Value {
    let dynamic = dynamic.flatten_clone();
    if dynamic.is_unit() {
        return Value::Absent;
    }
    if let Ok(value) = dynamic.as_bool() {
        return Value::Bool(value);
    }
    if let Ok(value) = dynamic.as_int() {
        return Value::Int(value);
    }
    if let Ok(value) = dynamic.as_float() {
        return Value::Float(value);
    }
    if let Ok(character) = dynamic.as_char() {
        return Value::Text(character.to_string());
    }
    if let Some(text) = dynamic.read_lock::<ImmutableString>() {
        return Value::Text(text.to_string());
    }
    if let Some(state) = dynamic.read_lock::<CallState>() {
        return Value::State(*state);
    }
    if let Some(items) = dynamic.read_lock::<rhai::Array>() {
        return Value::Array(items.iter().map(to_value).collect());
    }
    if let Some(map) = dynamic.read_lock::<rhai::Map>() {
        return Value::Map(
            map.iter()
                .map(|(key, value)| (key.to_string(), to_value(value)))
                .collect(),
        );
    }
    handle(&dynamic)
}

/// What a value of a type of our own says. The engine itself would print the name of its type, and two values of one type
/// would be the same.
fn handle(dynamic: &Dynamic) -> Value {
    if let Some(peer) = dynamic.read_lock::<Peer>() {
        // Of no call there is no peer.
        return match &peer.view.uri {
            None => Value::Absent,
            Some(uri) => {
                let name = peer.view.name.as_ref().map(|name| format!("{name:?} "));
                other(
                    "Peer",
                    uri.clone(),
                    format!("{}<{uri}>", name.unwrap_or_default()),
                )
            }
        };
    }
    if let Some(agent) = dynamic.read_lock::<Agent>() {
        return other("Agent", agent.to_string(), agent.to_string());
    }
    if let Some(call) = dynamic.read_lock::<Call>() {
        let text = format!("call {} of {}", call.id().0, call.agent());
        return other("Call", text.clone(), text);
    }
    if let Some(figures) = dynamic.read_lock::<Figures>() {
        let text = figures.to_value().to_string();
        return other("Quality", text.clone(), text);
    }
    if let Some(registration) = dynamic.read_lock::<Registered>() {
        let text = registration.to_value().to_string();
        return other("Registration", text.clone(), text);
    }
    if let Some(waiting) = dynamic.read_lock::<Waiting>() {
        let text = waiting.to_value().to_string();
        return other("MessagesWaiting", text.clone(), text);
    }
    if let Some(message) = dynamic.read_lock::<Message>() {
        let text = message.text();
        return other(
            "SipMessage",
            text.lines().next().unwrap_or_default().to_owned(),
            text,
        );
    }
    if let Some(response) = dynamic.read_lock::<Response>() {
        let headers: String = fields(&response.headers);
        let body = String::from_utf8_lossy(&response.body);
        let shown = format!(
            "{} {}",
            response.status,
            body.chars().take(200).collect::<String>()
        );
        return other(
            "HttpResponse",
            shown,
            format!("{}\n{headers}\n{body}", response.status),
        );
    }
    if let Some(request) = dynamic.read_lock::<Arc<Incoming>>() {
        let headers: String = fields(&request.headers);
        let body = String::from_utf8_lossy(&request.body);
        let query = if request.query.is_empty() { "" } else { "?" };
        let shown = format!("{} {}{query}{}", request.method, request.path, request.query);
        return other(
            "MockRequest",
            shown.clone(),
            format!("{shown}\n{headers}\n{body}"),
        );
    }
    if let Some(mock) = dynamic.read_lock::<MockServer>() {
        return other("HttpMock", mock.url(), mock.url());
    }
    if let Some(pattern) = dynamic.read_lock::<PathPattern>() {
        return other("PathPattern", pattern.to_string(), pattern.to_string());
    }
    if dynamic.is::<std::ops::Range<i64>>() || dynamic.is::<std::ops::RangeInclusive<i64>>() {
        return other("range", dynamic.to_string(), dynamic.to_string());
    }
    let kind = match dynamic.type_name().rsplit("::").next().unwrap_or_default() {
        "Fn" | "FnPtr" => "closure",
        "Audio" => "AudioSpec",
        "Response" => "SipResponse",
        "Asserted" => "Assertion",
        other => other,
    };
    Value::Other {
        kind: kind.to_owned(),
        shown: format!("a {kind}"),
        text: None,
    }
}

fn other(kind: &str, shown: String, text: String) -> Value {
    Value::Other {
        kind: kind.to_owned(),
        shown,
        text: Some(text),
    }
}

fn fields(headers: &[(String, String)]) -> String {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}

/// What a value prints, or an error where it says nothing.
pub(crate) fn to_text(dynamic: &Dynamic) -> Result<String, Fault> {
    let value = to_value(dynamic);
    match value.opaque() {
        Some(kind) => Err(Fault::script(format!("a {kind} has no text"))),
        None => Ok(match &value {
            Value::Other { shown, .. } => shown.clone(),
            value => value.text(),
        }),
    }
}

/// What a type of our own prints and how it is compared, everywhere in scripts as in assertions.
pub(crate) fn register<T: rhai::Variant + Clone>(engine: &mut Engine, name: &str) {
    fn shown<T: rhai::Variant + Clone>(value: &T) -> String {
        to_text(&Dynamic::from(value.clone())).unwrap_or_default()
    }
    engine.register_type_with_name::<T>(name);
    engine.register_fn("to_string", |value: &mut T| shown(value));
    engine.register_fn("to_debug", |value: &mut T| shown(value));
    let same = |a: T, b: T| to_value(&Dynamic::from(a)).same(&to_value(&Dynamic::from(b)));
    engine.register_fn("==", same);
    engine.register_fn("!=", move |a: T, b: T| !same(a, b));
}

/// What a scenario's value is to scripts.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Absent => Dynamic::UNIT,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) | Value::Other { shown: text, .. } => text.clone().into(),
        Value::State(state) => Dynamic::from(*state),
        Value::Array(items) => items.iter().map(to_dynamic).collect::<rhai::Array>().into(),
        Value::Map(map) => {
            let map: rhai::Map = map
                .iter()
                .map(|(key, value)| (key.as_str().into(), to_dynamic(value)))
                .collect();
            map.into()
        }
    }
}

/// A map of a script.
pub(crate) fn map_value(map: &rhai::Map) -> Value {
    Value::Map(
        map.iter()
            .map(|(key, value)| (key.to_string(), to_value(value)))
            .collect(),
    )
}

/// A span of time.
pub(crate) fn to_span(text: &str) -> Result<Duration, Fault> {
    span::parse(text).map_err(|error| Fault::script(error.to_string()))
}

/// A frequency: a whole number or not.
pub(crate) fn to_hz(dynamic: &Dynamic) -> Result<f64, Fault> {
    to_value(dynamic)
        .number()
        .ok_or_else(|| Fault::script(format!("a frequency is a number, not {}", to_value(dynamic))))
}

/// Something that may be missing.
pub(crate) fn optional<T: Into<Dynamic>>(value: Option<T>) -> Dynamic {
    value.map_or(Dynamic::UNIT, Into::into)
}
