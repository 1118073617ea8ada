//! A request before it is sent: everything but Via, and but what is learnt from the address it leaves from.

use std::sync::Arc;

use callwright_sip_message::{Builder, HeaderName, Method, Uri};
use callwright_wire::Flow;

use crate::command::{Body, Headers};
use crate::endpoint::write_extra;

/// A request that can be sent, and after a challenge be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) method: Method,
    /// The Request-URI.
    pub(crate) uri: Uri,
    /// From, with its tag.
    pub(crate) from: Arc<str>,
    /// To, with its tag inside a dialog.
    pub(crate) to: Arc<str>,
    pub(crate) call_id: Arc<str>,
    pub(crate) cseq: u32,
    pub(crate) routes: Arc<[Uri]>,
    /// The way that the dialog's messages took last: a connection to use again.
    pub(crate) flow: Option<Flow>,
    /// Whether that way is the only one.
    pub(crate) only_by_flow: bool,
    /// True where a Contact is due: in what makes a dialog or refreshes its target (RFC 3261 §12.1, §12.2).
    pub(crate) contact: bool,
    /// What the endpoint writes.
    pub(crate) headers: Headers,
    /// What the caller of the API wants written besides, or instead.
    pub(crate) extra: Headers,
    pub(crate) body: Option<Body>,
}

impl Draft {
    /// Adds a header field.
    pub(crate) fn with(mut self, name: HeaderName, value: impl ToString) -> Draft {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Sets the header fields of the caller of the API.
    pub(crate) fn with_extra(mut self, extra: Headers) -> Draft {
        self.extra = extra;
        self
    }

    /// Sets the body.
    pub(crate) fn with_body(mut self, body: Option<Body>) -> Draft {
        self.body = body;
        self
    }

    /// The credentials in it.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &(HeaderName, String)> {
        self.headers
            .iter()
            .filter(|(name, _)| Draft::is_credentials(name))
    }

    /// Whether header fields of this name carry credentials.
    pub(crate) fn is_credentials(name: &HeaderName) -> bool {
        matches!(name, HeaderName::Authorization | HeaderName::ProxyAuthorization)
    }

    /// Copies the credentials of an INVITE into its ACK (RFC 3261 §22.1).
    pub(crate) fn authorized_as(mut self, invite: &Draft) -> Draft {
        self.headers.extend(invite.credentials().cloned());
        self
    }

    /// Writes it, without Via and Contact.
    pub(crate) fn write(&self, product: Option<&str>) -> Builder {
        let mut builder = Builder::request(self.method.clone(), &self.uri)
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, &self.from)
            .header(HeaderName::To, &self.to)
            .header(HeaderName::CallId, &self.call_id)
            .header(HeaderName::CSeq, format_args!("{} {}", self.cseq, self.method));
        for route in self.routes.iter() {
            builder = builder.header(HeaderName::Route, format_args!("<{route}>"));
        }
        if let Some(product) = product {
            builder = builder.header(HeaderName::UserAgent, product);
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

    /// Sets a header field to one value, whatever it had.
    pub(crate) fn set(&mut self, name: HeaderName, value: impl ToString) {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_string()));
    }
}
