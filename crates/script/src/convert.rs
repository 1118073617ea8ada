//! Values of scripts and values of scenarios.

use std::time::Duration;

use callwright_scenario::phone::CallState;
use callwright_scenario::{Agent, Fault, Value, span};
use rhai::{Dynamic, ImmutableString};

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
    let text = dynamic
        .read_lock::<Agent>()
        .map_or_else(|| dynamic.to_string(), |agent| agent.to_string());
    Value::Other {
        kind: dynamic
            .type_name()
            .rsplit("::")
            .next()
            .unwrap_or_default()
            .to_owned(),
        text,
    }
}

/// What a scenario's value is to scripts.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Absent => Dynamic::UNIT,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) | Value::Other { text, .. } => text.clone().into(),
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
