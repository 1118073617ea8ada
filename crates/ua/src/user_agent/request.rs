//! Requests of any method: sent by a script, and received.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use callwright_sip::command::{Addressing, Body, DialogRequest, OutsideRequest};
use callwright_sip::endpoint::{CallId, RequestId};
use callwright_sip::event::Failure;
use callwright_sip_message::{Message, Method, Uri};

use crate::call::Call;
use crate::verb::{FreeRequest, VerbError};

use super::verbs::Meant;
use super::{Alarm, Change, Context, UserAgent};

/// How many requests that are over a user agent remembers.
const FINISHED: usize = 1_024;

/// The number of a request that was sent; unique within its user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub u32);

/// How a request stands.
#[derive(Clone, Debug, Default)]
pub struct RequestState {
    /// The status of the final response, or 408 and 503 where none came (RFC 3261 §8.1.3.1); `None` while it is awaited.
    pub status: Option<u16>,
    /// The final response.
    pub response: Option<Arc<Message>>,
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    in_flight: BTreeMap<RequestId, RequestKey>,
    states: BTreeMap<RequestKey, RequestState>,
    so_far: u32,
}

impl Requests {
    fn forget_oldest(&mut self) {
        if self.states.len() > FINISHED + self.in_flight.len() {
            let oldest = self.states.iter().find(|(_, state)| state.status.is_some());
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.states.remove(&key);
            }
        }
    }
}

impl UserAgent {
    /// How a request stands; `None` for one that was never sent, or was over long ago.
    pub fn request(&self, key: RequestKey) -> Option<&RequestState> {
        self.requests.states.get(&key)
    }

    /// Sends a request inside the newest established call, or outside any to the own domain.
    pub(crate) fn send(
        &mut self,
        ctx: &mut Context<'_>,
        meant: Meant,
        request: &FreeRequest,
    ) -> Result<RequestKey, VerbError> {
        self.refuse_when_closing()?;
        let bad = |detail: String| VerbError::BadArgument {
            what: "method",
            detail,
        };
        let method: Method = request
            .method
            .parse()
            .map_err(|_| bad(format!("{:?} is not the name of a SIP method", request.method)))?;
        let headers = super::verbs::named(request.headers.iter())?;
        let body = (!request.body.is_empty()).then(|| {
            let content_type = request.content_type.as_deref().unwrap_or("text/plain");
            Body::new(content_type, Bytes::from(request.body.clone()))
        });
        let call = match meant {
            Some(key) => Some(self.pick(Some(key), "established call", Call::is_answered)?),
            None => self.newest(Call::is_answered),
        };
        let id = match call {
            Some(key) => {
                let sip = self.sip_of(key)?;
                self.endpoint.request(
                    ctx.now,
                    sip,
                    DialogRequest {
                        method,
                        body,
                        headers,
                    },
                    ctx.cause,
                )?
            }
            None => {
                let target = Uri::sip(self.account.domain.clone()).with_port(self.account.port);
                let request = OutsideRequest {
                    identity: self.identity_id(),
                    method,
                    target,
                    addressing: Addressing::default(),
                    body,
                    headers,
                };
                self.endpoint.send_request(ctx.now, request, ctx.cause)?
            }
        };
        self.requests.so_far += 1;
        let key = RequestKey(self.requests.so_far);
        self.requests.in_flight.insert(id, key);
        self.requests.states.insert(key, RequestState::default());
        Ok(key)
    }

    pub(super) fn handle_response(&mut self, ctx: &mut Context<'_>, id: RequestId, message: Message) {
        let Some(status) = message.status().filter(|status| *status >= 200) else {
            return;
        };
        self.finish_request(
            ctx,
            id,
            RequestState {
                status: Some(status),
                response: Some(Arc::new(message)),
            },
        );
    }

    pub(super) fn handle_request_failed(&mut self, ctx: &mut Context<'_>, id: RequestId, failure: &Failure) {
        let state = match failure {
            Failure::Response(message) => RequestState {
                status: message.status(),
                response: Some(Arc::new(message.clone())),
            },
            Failure::Timeout { .. } => RequestState {
                status: Some(408),
                response: None,
            },
            Failure::Transport { .. } => RequestState {
                status: Some(503),
                response: None,
            },
            Failure::CallEnded => RequestState {
                status: Some(481),
                response: None,
            },
        };
        self.finish_request(ctx, id, state);
    }

    fn finish_request(&mut self, ctx: &Context<'_>, id: RequestId, state: RequestState) {
        if let Some(key) = self.requests.in_flight.remove(&id) {
            self.requests.states.insert(key, state);
            self.requests.forget_oldest();
            self.change(Change::Messages);
            return;
        }
        // A digit that went by INFO: the next one follows after the gap, whatever the peer thought of this one.
        let sender = self.calls.iter_mut().find_map(|call| {
            let info = call.info.as_mut().filter(|info| info.in_flight == Some(id))?;
            info.in_flight = None;
            Some((call.key, info.gap))
        });
        if let Some((key, gap)) = sender {
            self.alarms.set(Alarm::NextInfoDigit(key), ctx.now + gap);
        }
    }

    /// A request that the endpoint answered already: a digit by INFO, perhaps.
    pub(super) fn handle_request(&mut self, call: Option<CallId>, message: &Message) {
        let digit = (message.method() == Some(Method::Info))
            .then(|| info_digit(message))
            .flatten();
        if let (Some(digit), Some(key)) = (digit, call.and_then(|call| self.key_of(call))) {
            self.receive_digit(key, digit);
        }
        self.change(Change::Messages);
    }
}

/// The digit in an INFO: `Signal=5` of application/dtmf-relay, or a bare digit of application/dtmf.
fn info_digit(message: &Message) -> Option<char> {
    let body = message.body();
    let text = std::str::from_utf8(&body).ok()?;
    let signal = if message.has_content_type("application/dtmf-relay") {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
        })?
    } else if message.has_content_type("application/dtmf") {
        text.trim()
    } else {
        return None;
    };
    match signal {
        // RFC 4733 numbers, as some phones write them.
        "10" => Some('*'),
        "11" => Some('#'),
        "12" => Some('A'),
        "13" => Some('B'),
        "14" => Some('C'),
        "15" => Some('D'),
        _ => {
            let mut chars = signal.chars();
            let digit = chars.next()?.to_ascii_uppercase();
            (chars.next().is_none() && matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D')).then_some(digit)
        }
    }
}
