//! ACK: to failures by the transaction (RFC 3261 §17.1.1.3), to 2xx for the layer above (§13.2.2.4).

use callwright_sip_message::{Builder, HeaderName, Message, Method};
use callwright_wire::{Cause, Time};

use super::client::{Client, Kind};
use super::{ClientId, Core, CoreEvent, Note, Outgoing, Target, TransactionId, TransportError};
use crate::arena::Slot;
use crate::transaction::Branch;
use crate::transport::via_value;

impl Core {
    /// Sends the ACK to a 2xx: a request of its own without a transaction. For each 2xx that comes again, give it again.
    pub fn send_ack(&mut self, now: Time, ack: impl Into<Outgoing>, target: Target, cause: Option<Cause>) {
        let max = self.config.limits.client_transactions;
        if self.transactions.clients.len() >= max {
            self.counters.over_limit += 1;
            let error = TransportError::Limit {
                limit: "client_transactions",
                max,
            };
            return self.tell(CoreEvent::AckFailed { error, cause });
        }
        let slot = self
            .transactions
            .clients
            .insert(Client::new(Kind::Ack, ack.into(), cause));
        self.find_way(now, slot, target);
    }

    /// Sends the ACK to a final response other than 2xx; `response` where it is the first one.
    pub(super) fn acknowledge(&mut self, now: Time, slot: Slot, response: Option<&Message>) {
        let Some(client) = self.transactions.clients.get_mut(slot) else {
            return;
        };
        let Some(live) = &mut client.live else { return };
        let Some(way) = live.way else { return };
        // The request is there until its response went up; after that the bytes are those of the ACK.
        let again = live.request.is_none();
        if let (Some(request), Some(response)) = (&live.request, response) {
            let branch = Branch {
                index: slot.index,
                nonce: client.nonce,
            };
            let local = self.sockets.sent_by(&way);
            let via = via_value(way.flow.transport, local, branch);
            live.wire = ack_to(&request.message, response, &via).raw().clone();
        }
        let (wire, cause) = (live.wire.clone(), live.cause);
        let note = Note {
            transaction: Some(TransactionId::Client(ClientId(slot))),
            cause,
            again,
        };
        self.transmit(now, &way, &wire, note);
    }
}

/// RFC 3261 §17.1.1.3: Request-URI, Call-ID, From, Route and the CSeq number of the request, its top Via alone, the To of the
/// response.
fn ack_to(request: &Message, response: &Message, via: &str) -> Message {
    let builder = skeleton(request, Method::Ack, via).copy_from(response, HeaderName::To);
    builder.finish()
}

/// What ACK and CANCEL take over from their INVITE; To is missing.
pub(super) fn skeleton(request: &Message, method: Method, via: &str) -> Builder {
    let number = request.cseq().map_or(0, |cseq| cseq.number);
    let mut builder = match request.request_uri() {
        Ok(uri) => Builder::request(method.clone(), &uri),
        // A request that was sent on purpose with a broken Request-URI.
        Err(_) => request.to_builder(),
    };
    builder = builder
        .header(HeaderName::Via, via)
        .header(HeaderName::MaxForwards, 70);
    builder = builder
        .copy_from(request, HeaderName::Route)
        .copy_from(request, HeaderName::From);
    builder
        .copy_from(request, HeaderName::CallId)
        .header(HeaderName::CSeq, format_args!("{number} {method}"))
}
