//! Identities, with what was learnt for them.

use std::sync::Arc;

use callwright_sip_message::{NameAddr, Uri};

use crate::command::{Account, Identity};
use crate::digest;

/// An identity and what its registrar said.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) identity: Identity,
    /// Service-Route of the last registration (RFC 3608).
    pub(crate) service_route: Vec<Uri>,
    /// The nonces of the servers that asked for credentials.
    pub(crate) digest: digest::Client,
}

impl Local {
    pub(crate) fn new(identity: Identity) -> Local {
        let account = |account: &Account| digest::Account {
            realm: account.realm.clone(),
            username: account.username.clone(),
            secret: digest::Secret::Password(account.password.clone()),
        };
        let digest = digest::Client::new(identity.accounts.iter().map(account).collect());
        Local {
            identity,
            service_route: Vec::new(),
            digest,
        }
    }

    /// The value of From.
    pub(crate) fn from(&self, tag: &str) -> String {
        let mut address = NameAddr::new(self.identity.aor.clone()).with_tag(tag);
        if let Some(display) = &self.identity.display_name {
            address = address.with_display(display);
        }
        address.to_string()
    }

    /// The routes of requests outside dialogs: the outbound proxy, then what the registrar said (RFC 3608 §6.1).
    pub(crate) fn routes(&self) -> Arc<[Uri]> {
        let proxy = self.identity.routes.iter();
        // A registrar that names the outbound proxy itself in its Service-Route must not be visited twice.
        let service = self.service_route.iter();
        match (self.identity.routes.first(), self.service_route.first()) {
            (Some(outbound), Some(first)) if same_hop(outbound, first) => service.cloned().collect(),
            _ => proxy.chain(service).cloned().collect(),
        }
    }

    /// True when a request to `uri` is for this identity: by its contact, or its address-of-record.
    pub(crate) fn is_at(&self, uri: &Uri) -> bool {
        let user = self
            .identity
            .contact
            .as_ref()
            .unwrap_or(&self.identity.aor)
            .user();
        uri.user() == user || uri.user() == self.identity.aor.user()
    }
}

fn same_hop(one: &Uri, other: &Uri) -> bool {
    one.host() == other.host() && one.port() == other.port()
}
