//! Header values as types. Each parses one value and prints it again; a value that does not follow its grammar is an error of
//! that header alone.

mod address;
mod auth;
mod call;
mod contact;
mod event;
mod list;
mod media_type;
mod notice;
mod number;
mod reason;
mod refer;
mod via;

use std::fmt::Display;
use std::str::FromStr;

use crate::grammar::SyntaxError;
use crate::name::HeaderName;

pub use address::{
    Diversion, NameAddr, PAssertedIdentity, Path, RecordRoute, ReferTo, ReferredBy, Route, ServiceRoute,
};
pub use auth::{AuthParams, AuthenticationInfo, Challenge, Credentials};
pub use call::{CSeq, CallId, RAck, Replaces};
pub use contact::Contact;
pub use event::{AllowEvents, Event, SubscriptionState};
pub use list::{Accept, Allow, ProxyRequire, Require, Supported, Unsupported};
pub use media_type::{ContentType, MediaType};
pub use notice::{Date, RetryAfter, Timestamp, Warning};
pub use number::{ContentLength, Expires, MaxForwards, MinExpires, MinSe, RSeq};
pub use reason::Reason;
pub use refer::{ReferSub, SessionExpires};
pub use via::{Transport, Via};

/// How the values of a header are spread over its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value in one field; more than one field breaks the rules.
    Single,
    /// Any number of values, each an element of a comma-separated field.
    Elements,
    /// One value made of all fields, as if they were joined by commas.
    Joined,
}

/// A header with a grammar of its own, for [`Message::typed`](crate::Message::typed).
pub trait Header: FromStr<Err = SyntaxError> + Display {
    /// The name of the field.
    const NAME: HeaderName;
    /// How values are spread over fields.
    const SHAPE: Shape;
}

/// Why a typed header cannot be had from a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The message has no such field.
    #[error("there is no {name} header")]
    Missing {
        /// The header asked for.
        name: HeaderName,
    },
    /// The field is there, but its value does not follow the grammar.
    #[error("the {name} header is malformed: {error}")]
    Malformed {
        /// The header asked for.
        name: HeaderName,
        /// What is wrong with its value.
        error: SyntaxError,
    },
}

impl HeaderError {
    /// The header that was asked for.
    pub fn name(&self) -> &HeaderName {
        match self {
            HeaderError::Missing { name } | HeaderError::Malformed { name, .. } => name,
        }
    }
}
