//! Values, as scenarios hand them to agents and assertions.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crate::phone::CallState;

/// A value of a scenario, whatever its language.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: `()` in scripts, `null` in JSON.
    Absent,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// The state of an agent.
    State(CallState),
    /// Several values.
    Array(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
    /// Anything else, by its type and its content.
    Other {
        /// The name of the type, as scripts know it.
        kind: String,
        /// What it is to people, in short.
        shown: String,
        /// Everything that it says: equal where that is. `None` where it says nothing that could be compared.
        text: Option<String>,
    },
}

impl Value {
    /// The name of the type, as scripts know it.
    pub fn kind(&self) -> &str {
        match self {
            Value::Absent => "()",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::State(_) => "State",
            Value::Array(_) => "array",
            Value::Map(_) => "map",
            Value::Other { kind, .. } => kind,
        }
    }

    /// The value as a number, if it is one; a whole one beyond 2^53 is rounded.
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "said above")]
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// How two numbers of either type compare, exactly; `None` when one is no number, or not a number.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::Float(b)) => compare_mixed(*a, *b),
            (Value::Float(a), Value::Int(b)) => compare_mixed(*b, *a).map(Ordering::reverse),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            _ => None,
        }
    }

    /// Equality as `equals` means it: numbers by their amount, everything else only within one type.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                self.compare(other) == Some(Ordering::Equal)
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| a.same(b)))
            }
            (a, b) => a == b,
        }
    }

    /// The type of a value, of this one or of one inside it, that has no content to look at.
    pub fn opaque(&self) -> Option<&str> {
        match self {
            Value::Other { kind, text: None, .. } => Some(kind),
            Value::Array(items) => items.iter().find_map(Value::opaque),
            Value::Map(map) => map.values().find_map(Value::opaque),
            _ => None,
        }
    }

    /// What the value prints: text without quotes.
    pub fn text(&self) -> String {
        match self {
            Value::Text(text) | Value::Other { text: Some(text), .. } => text.clone(),
            other => other.to_string(),
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Absent => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            Value::State(state) => state.name().into(),
            Value::Array(items) => items.iter().map(Value::to_json).collect(),
            Value::Map(map) => serde_json::Value::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect(),
            ),
            Value::Other { shown, text, .. } => text.as_ref().unwrap_or(shown).as_str().into(),
        }
    }

    /// A value from JSON; `null` is [`Value::Absent`].
    pub fn from_json(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Absent,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::Array(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(map) => Value::Map(
                map.iter()
                    .map(|(key, value)| (key.clone(), Value::from_json(value)))
                    .collect(),
            ),
        }
    }
}

/// A whole number beside another, without rounding the first.
fn compare_mixed(whole: i64, other: f64) -> Option<Ordering> {
    if other.is_nan() {
        return None;
    }
    // 2^63, which a float has exactly.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if other >= LIMIT {
        return Some(Ordering::Less);
    }
    if other < -LIMIT {
        return Some(Ordering::Greater);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is within the range, and the rest is looked at below"
    )]
    let floor = other.floor() as i64;
    Some(whole.cmp(&floor).then(if other.fract() == 0.0 {
        Ordering::Equal
    } else {
        Ordering::Less
    }))
}

impl fmt::Display for Value {
    /// As a script would write it: text in quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Absent => f.write_str("()"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value:?}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::State(state) => write!(f, "{state}"),
            Value::Array(items) => {
                f.write_str("[")?;
                for (position, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if position == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Map(map) => {
                f.write_str("#{")?;
                for (position, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if position == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Value::Other { shown, .. } => f.write_str(shown),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<CallState> for Value {
    fn from(state: CallState) -> Self {
        Value::State(state)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Absent, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        let large = 9_007_199_254_740_993_i64;
        let (a, b) = (Value::Int(large), Value::Int(large - 1));
        assert!(!a.same(&b));
        assert_eq!(a.compare(&b), Some(Ordering::Greater));
        assert_eq!(
            a.compare(&Value::Float(9_007_199_254_740_992.0)),
            Some(Ordering::Greater)
        );
        assert!(!Value::Float(9_007_199_254_740_992.0).same(&a));
        assert!(Value::Int(2).same(&Value::Float(2.0)));
        assert_eq!(Value::Int(-2).compare(&Value::Float(-1.5)), Some(Ordering::Less));
        assert_eq!(
            Value::Int(-1).compare(&Value::Float(-1.5)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            Value::Int(i64::MAX).compare(&Value::Float(1e300)),
            Some(Ordering::Less)
        );
        assert_eq!(Value::Int(1).compare(&Value::Float(f64::NAN)), None);
    }
}
