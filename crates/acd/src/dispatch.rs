//! What the endpoint tells, and whom it concerns.

use callwright_sip::event::Event as Sip;
use callwright_wire::Time;

use crate::fact::Event;
use crate::machine::Machine;

impl Machine {
    /// Takes an event of the endpoint.
    pub(crate) fn on_sip_event(&mut self, now: Time, event: Sip) {
        match event {
            Sip::Listening { transport, local, .. } => {
                self.on_listening(local);
                self.tell(Event::Listening { transport, local });
            }
            Sip::FlowClosed { flow } => self.on_flow_closed(now, flow),
            Sip::ListenFailed { transport, error, .. } => self.tell(Event::ListenFailed { transport, error }),
            Sip::Malformed { .. } => self.counters.malformed += 1,
            Sip::IncomingCall(incoming) => self.on_incoming_call(now, *incoming),
            Sip::Progress {
                call,
                fork,
                status,
                description,
                ..
            } => self.on_progress(now, call, fork, status, description.as_ref()),
            Sip::Answered {
                call,
                fork,
                description,
                ..
            } => self.on_answered(now, call, fork, description.as_ref()),
            Sip::Confirmed { call, description } => self.on_confirmed(now, call, description.as_ref()),
            Sip::Offer { call, offer, .. } => self.on_offer(now, call, offer.as_ref()),
            Sip::OfferWithdrawn { call } => self.on_offer_withdrawn(now, call),
            Sip::OfferAnswered {
                call,
                description,
                refresh: false,
                ..
            } => self.on_offer_answered(now, call, description.as_ref()),
            Sip::OfferRejected {
                call,
                failure,
                refresh: false,
            } => self.on_offer_rejected(now, call, &failure),
            // The endpoint asked by itself for what is agreed already (RFC 4028 §7.4).
            Sip::OfferAnswered { refresh: true, .. } | Sip::OfferRejected { refresh: true, .. } => {}
            Sip::Referred(referred) => self.on_referred(now, *referred),
            Sip::Request {
                request: Some(request),
                call,
                message,
                flow,
                ..
            } => self.on_request(now, request, call, message, flow),
            Sip::Response { request, message, .. } => self.on_response(now, request, Some(&message)),
            Sip::RequestFailed { request, .. } => self.on_response(now, request, None),
            Sip::Ended { call, cause } => self.on_ended(now, call, cause),
            // Answered by the endpoint already.
            Sip::Request { request: None, .. } => {}
            Sip::HungUp { call } | Sip::HangupFailed { call, .. } => self.on_bye_over(now, call),
            // The messages are seen by the taps of the world.
            Sip::Seen(_) => {}
            // The machine follows no redirection, has no account anywhere, and asks nobody for a transfer, a registration or a
            // subscription.
            Sip::Redirected { .. }
            | Sip::ChallengeUnmet { .. }
            | Sip::ReferProgress { .. }
            | Sip::ReferEnded { .. }
            | Sip::Registration { .. }
            | Sip::Subscription { .. }
            | Sip::Notify { .. }
            | Sip::MessageWaiting { .. } => {}
        }
    }
}
