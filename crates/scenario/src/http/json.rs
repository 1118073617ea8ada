//! Values inside JSON texts, by dotted paths.

use serde_json::Value as Json;

use crate::{Fault, Value};

/// The value at `path` (`data.items.0.id`) in a JSON text; the whole for an empty path.
///
/// # Errors
/// When the text is not JSON, or the path is not there: both may be otherwise later.
pub fn at_path(body: &[u8], path: &str) -> Result<Value, Fault> {
    if body.is_empty() {
        return if path.is_empty() {
            Ok(Value::Absent)
        } else {
            Err(Fault::not_yet(format!("json({path:?}): the body is empty")))
        };
    }
    let json: Json = serde_json::from_slice(body)
        .map_err(|error| Fault::not_yet(format!("the body is not JSON: {error}; it is {:?}", start(body))))?;
    let mut value = &json;
    let mut walked = String::new();
    for step in path.split('.').filter(|_| !path.is_empty()) {
        let next = match value {
            Json::Object(map) => map.get(step),
            Json::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        value = next.ok_or_else(|| missing(path, step, &walked, value))?;
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(step);
    }
    Ok(Value::from_json(value))
}

fn missing(path: &str, step: &str, walked: &str, value: &Json) -> Fault {
    let place = if walked.is_empty() {
        "the body".to_owned()
    } else {
        format!("{walked:?}")
    };
    let what = match value {
        Json::Object(map) if map.is_empty() => "is an empty object".to_owned(),
        Json::Object(map) => {
            let keys: Vec<&str> = map.keys().map(String::as_str).take(12).collect();
            format!("has the keys {}", keys.join(", "))
        }
        Json::Array(items) => format!("is an array of {}", items.len()),
        other => format!("is {other}"),
    };
    Fault::not_yet(format!("json({path:?}): there is no {step:?}: {place} {what}"))
}

fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_says_how_far_it_went() {
        let body = br#"{"data": {"items": [{"id": 7}], "none": null}}"#;
        assert_eq!(at_path(body, "data.items.0.id").unwrap(), Value::Int(7));
        assert_eq!(at_path(body, "data.none").unwrap(), Value::Absent);
        let fault = at_path(body, "data.item.0").unwrap_err();
        assert_eq!(
            fault.to_string(),
            r#"json("data.item.0"): there is no "item": "data" has the keys items, none"#
        );
        assert!(fault.parts().retriable);
        let fault = at_path(body, "data.items.1").unwrap_err();
        assert_eq!(
            fault.to_string(),
            r#"json("data.items.1"): there is no "1": "data.items" is an array of 1"#
        );
        assert!(
            at_path(b"<html>", "a")
                .unwrap_err()
                .to_string()
                .contains("not JSON")
        );
        assert_eq!(at_path(b"", "").unwrap(), Value::Absent);
    }
}
