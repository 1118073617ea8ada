//! Responses to requests.

use callwright_sip_message::{Builder, HeaderName, Message};

use crate::command::{Body, Headers};
use crate::phrase::reason_phrase;

/// A response before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: Option<String>,
    /// True where a Contact is due (RFC 3261 §12.1.1): 1xx and 2xx to what makes a dialog or refreshes its target, and 3xx
    /// bring their own.
    pub(crate) contact: bool,
    /// What the endpoint writes.
    pub(crate) headers: Headers,
    /// What the caller of the API wants written besides, or instead.
    pub(crate) extra: Headers,
    pub(crate) body: Option<Body>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Reply {
        Reply {
            status,
            reason: None,
            contact: false,
            headers: Vec::new(),
            extra: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn with_reason(mut self, reason: Option<String>) -> Reply {
        self.reason = reason;
        self
    }

    pub(crate) fn with_contact(mut self) -> Reply {
        self.contact = true;
        self
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl ToString) -> Reply {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn with_extra(mut self, extra: Headers) -> Reply {
        self.extra = extra;
        self
    }

    pub(crate) fn with_body(mut self, body: Option<Body>) -> Reply {
        self.body = body;
        self
    }

    /// Writes it, without Contact.
    pub(crate) fn write(&self, request: &Message, tag: &str, product: Option<&str>) -> Builder {
        let reason = self.reason.as_deref().unwrap_or(reason_phrase(self.status));
        let mut builder = Builder::response_to(request, self.status, reason);
        if self.status > 100 {
            builder = builder.to_tag(tag);
        }
        if let Some(product) = product {
            builder = builder.header(HeaderName::Server, product);
        }
        for (name, value) in &self.headers {
            builder = builder.header(name.clone(), value);
        }
        builder = write_extra(builder, &self.extra);
        if let Some(body) = &self.body {
            builder = builder.body(&body.content_type, body.bytes.clone());
        }
        builder
    }
}

/// Appends the caller's header fields; the first of each name takes the place of what the endpoint wrote itself under that name.
pub(crate) fn write_extra(mut builder: Builder, headers: &Headers) -> Builder {
    for (place, (name, value)) in headers.iter().enumerate() {
        let first = !headers[..place].iter().any(|(other, _)| other == name);
        builder = if first {
            builder.set(name.clone(), value)
        } else {
            builder.header(name.clone(), value)
        };
    }
    builder
}
