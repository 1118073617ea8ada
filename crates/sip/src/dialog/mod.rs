//! Dialogs (RFC 3261 §12): identity, sequence numbers, route set, remote target.

mod draft;

use std::sync::Arc;

use callwright_sip_message::{Method, Uri};
use callwright_wire::Flow;

use crate::head::Head;

pub(crate) use draft::Draft;

/// A dialog, early or confirmed. It belongs to one or more usages (RFC 5057 §2): a call, subscriptions.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: Arc<str>,
    pub(crate) local_tag: Arc<str>,
    /// Empty for a peer of RFC 2543, which sends none (RFC 3261 §12.1.1).
    pub(crate) remote_tag: Arc<str>,
    /// From of our requests.
    local: Arc<str>,
    /// To of our requests.
    remote: Arc<str>,
    routes: Arc<[Uri]>,
    target: Uri,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    /// How the last message of the peer came.
    pub(crate) flow: Option<Flow>,
    /// Whether that way is the only one.
    only_by_flow: bool,
}

/// A request whose CSeq is below what was seen already: 500 (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

impl Dialog {
    /// The dialog that a response, or a request that came before it, made for the sender of `draft`
    /// (RFC 3261 §12.1.2).
    pub(crate) fn as_client(draft: &Draft, local_tag: &Arc<str>, response: &Head) -> Dialog {
        let mut routes = response.record_routes.clone();
        routes.reverse();
        Dialog {
            call_id: draft.call_id.clone(),
            local_tag: local_tag.clone(),
            remote_tag: response.tag_in_to(),
            local: draft.from.clone(),
            remote: response.to.to_string().into(),
            routes: routes.into(),
            // A 1xx may come without Contact; the Request-URI stands in until one comes.
            target: response.contact.clone().unwrap_or_else(|| draft.uri.clone()),
            local_cseq: draft.cseq,
            remote_cseq: None,
            flow: None,
            only_by_flow: draft.only_by_flow,
        }
    }

    /// The dialog that a request makes for its receiver (RFC 3261 §12.1.1).
    pub(crate) fn as_server(request: &Head, local_tag: Arc<str>) -> Dialog {
        let local = request.to.clone().with_tag(&local_tag);
        Dialog {
            call_id: request.call_id.clone(),
            local_tag,
            remote_tag: request.tag_in_from(),
            local: local.to_string().into(),
            remote: request.from.to_string().into(),
            routes: request.record_routes.clone().into(),
            target: request
                .contact
                .clone()
                .unwrap_or_else(|| request.from.uri.clone()),
            local_cseq: 0,
            remote_cseq: Some(request.cseq.number),
            flow: None,
            only_by_flow: false,
        }
    }

    /// Raises the local sequence number: a request of this dialog was sent from a copy of it.
    pub(crate) fn raise_cseq(&mut self, to: u32) {
        self.local_cseq = self.local_cseq.max(to);
    }

    /// The last sequence number of ours.
    pub(crate) fn last_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The next sequence number of ours.
    pub(crate) fn next_cseq(&mut self) -> u32 {
        self.local_cseq += 1;
        self.local_cseq
    }

    /// True when a message with these tags belongs to this dialog.
    pub(crate) fn is(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> bool {
        *self.call_id == *call_id && *self.local_tag == *local_tag && *self.remote_tag == *remote_tag
    }

    /// Takes the sequence number of a request of the peer (RFC 3261 §12.2.2). Gaps are no error.
    pub(crate) fn take_cseq(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|seen| number < seen) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// Takes a new remote target from a target refresh request or its 2xx (RFC 3261 §12.2).
    pub(crate) fn refresh_target(&mut self, head: &Head) {
        if let Some(contact) = &head.contact {
            self.retarget(contact.clone());
        }
    }

    /// Sets the remote target.
    pub(crate) fn retarget(&mut self, to: Uri) {
        self.target = to;
    }

    /// The 2xx settles the route set anew (RFC 3261 §13.2.2.4), and its Contact is the target.
    pub(crate) fn confirm(&mut self, response: &Head) {
        let mut routes = response.record_routes.clone();
        routes.reverse();
        self.routes = routes.into();
        self.refresh_target(response);
    }

    /// A request within the dialog, with the next sequence number (RFC 3261 §12.2.1.1).
    pub(crate) fn draft(&mut self, method: Method) -> Draft {
        let cseq = self.next_cseq();
        self.draft_numbered(method, cseq)
    }

    /// An ACK to a 2xx: the number of its INVITE (RFC 3261 §13.2.2.4).
    pub(crate) fn ack(&self, cseq: u32) -> Draft {
        self.draft_numbered(Method::Ack, cseq)
    }

    fn draft_numbered(&self, method: Method, cseq: u32) -> Draft {
        let contact = matches!(
            method,
            Method::Invite | Method::Update | Method::Refer | Method::Subscribe | Method::Notify
        );
        let (uri, routes) = self.addressed();
        Draft {
            method,
            uri,
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
            routes,
            flow: self.flow,
            only_by_flow: self.only_by_flow,
            contact,
            headers: Vec::new(),
            extra: Vec::new(),
            body: None,
        }
    }

    /// Request-URI and Route (RFC 3261 §12.2.1.1): a strict router comes first as the Request-URI, and the target last.
    fn addressed(&self) -> (Uri, Arc<[Uri]>) {
        match self.routes.split_first() {
            Some((first, rest)) if !first.is_loose_router() => {
                let routes = rest.iter().cloned().chain([self.target.clone()]).collect();
                (first.clone().without_headers(), routes)
            }
            Some(_) | None => (self.target.clone().without_headers(), self.routes.clone()),
        }
    }
}

/// Whether a refusal of any request inside a dialog ends that dialog (RFC 3261 §12.2.1.2, RFC 5057 §5.1). The other statuses
/// that RFC 5057 counts as fatal are left to the caller of the API: peers send them about the request alone.
pub(crate) fn ends_dialog(status: u16) -> bool {
    matches!(status, 408 | 481)
}
