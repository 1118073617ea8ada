//! What is secret in a file: no error says it, and nothing shows it.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A password, or a hash of one.
pub(super) struct Hidden(pub(super) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InQuotes).map(Hidden)
    }
}

/// Takes text, and refuses what is something else without saying what it is.
struct InQuotes;

fn refused<T, E: Error>() -> Result<T, E> {
    Err(E::custom("this is text: write it in quotes"))
}

impl<'de> Visitor<'de> for InQuotes {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<String, E> {
        refused()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<String, E> {
        refused()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<String, E> {
        refused()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<String, E> {
        refused()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<String, E> {
        refused()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<String, E> {
        refused()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        refused()
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        refused()
    }
}
