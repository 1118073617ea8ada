//! What the endpoint tells, and whom it concerns.

use callwright_sip::command::Headers;
use callwright_sip::event::Event as Sip;
use callwright_sip_message::Method;
use callwright_wire::Time;

use crate::fact::Event;
use crate::machine::Machine;

impl Machine {
    pub(crate) fn on_sip_event(&mut self, now: Time, event: Sip) {
        match event {
            Sip::Listening { transport, local, .. } => {
                self.on_listening(local);
                self.tell(Event::Listening { transport, local });
            }
            Sip::ListenFailed { transport, error, .. } => self.tell(Event::ListenFailed { transport, error }),
            Sip::Malformed { .. } => self.counters.malformed += 1,
            Sip::Request {
                request: Some(request),
                message,
                flow,
                ..
            } => match message.method() {
                Some(Method::Register) => self.on_register(now, request, message, flow),
                _ => self.respond(now, request, 405, Headers::new()),
            },
            _ => {}
        }
    }
}
