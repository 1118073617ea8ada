//! An INVITE that begins a call: whether it may, whom it is for, and what is handed on of it.

use callwright_media::codec::Codec;
use callwright_sip::command::{Headers, Progress, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip::event::IncomingCall;
use callwright_sip_message::{HeaderName, Message, NameAddr};
use callwright_wire::{Flow, Time};
use std::net::IpAddr;

use super::call::{Invitation, Story};
use super::hunt::CALL_HEADER;
use super::talk::{Talk, TalkError};
use super::{Call, Hunt, Leg, LegKey, Media, Part, Stage};
use crate::agent::AgentRequest;
use crate::config::Auth;
use crate::denial::{Asker, Denial};
use crate::fact::CallKey;
use crate::guard::Kind;
use crate::machine::{Alarm, Machine};
use crate::queueing::{AgentKey, QueueKey};
use crate::registrar::UserKey;

/// Whom a call is for.
enum Target {
    User(UserKey),
    Queue(QueueKey),
    /// An agent who says something about itself.
    Code(AgentKey, AgentRequest),
}

/// A call that may be.
struct Admitted {
    target: Target,
    invitation: Invitation,
    /// The user who calls, where that is known.
    sender: Option<UserKey>,
}

/// What is left of Max-Forwards when a request has none (RFC 3261 §16.6, 3).
const USUAL_MAX_FORWARDS: u8 = 70;

impl Machine {
    /// Somebody calls.
    pub(crate) fn on_incoming_call(&mut self, now: Time, incoming: IncomingCall) {
        let sip = incoming.call;
        match self.admit(now, &incoming) {
            Ok(admitted) => self.begin_call(now, incoming, admitted),
            Err(denial) => self.deny(now, Asker::Call(sip), incoming.flow, denial),
        }
    }

    /// Whether a call may be, and whom it is for.
    fn admit(&mut self, now: Time, incoming: &IncomingCall) -> Result<Admitted, Denial> {
        let message = &incoming.message;
        self.hear(now, incoming.flow, Kind::Invite)?;
        if self.endpoint.is_own(message) {
            // RFC 3261 §16.3, 4: it left here and came back.
            self.counters.loops += 1;
            return Err(Reject::new(482).into());
        }
        let max_forwards = match message.max_forwards() {
            Ok(left) => left.unwrap_or(USUAL_MAX_FORWARDS),
            Err(_) => return Err(Reject::new(400).into()),
        };
        // RFC 3261 §16.3, 3; RFC 7332: a B2BUA counts hops as a proxy does.
        if max_forwards == 0 {
            return Err(Reject::new(483).into());
        }
        if !self.takes_calls() {
            return Err(self.unavailable().into());
        }
        let Ok(uri) = message.request_uri() else {
            return Err(Reject::new(400).into());
        };
        let queue = self.queue_at(&uri);
        // Customers have no passwords.
        let proved = match queue {
            None => self.admit_sender(now, message, incoming.flow)?,
            Some(_) => None,
        };
        if self.switch.calls() >= self.config.limits.calls {
            self.counters.over_limit += 1;
            return Err(self.unavailable().into());
        }
        if incoming.replaces.is_some() {
            // RFC 3891 §3 leaves it to policy: transfers are carried out here, by REFER.
            let reject = Reject {
                reason: Some("Replaces Is Not Served".to_owned()),
                ..Reject::new(403)
            };
            return Err(reject.into());
        }
        if !uri.is_sip() {
            return Err(Reject::new(416).into());
        }
        let (Ok(from), Ok(to)) = (message.from(), message.to()) else {
            return Err(Reject::new(400).into());
        };
        let mut sender = proved.or_else(|| self.user_behind(now, &from.uri, incoming.flow));
        let target = match (queue, self.code_at(&uri)) {
            (Some(queue), _) => Target::Queue(queue),
            (None, Some(request)) => {
                let (user, agent) = self.agent_who_dials(now, message, incoming.flow, &from.uri, sender)?;
                sender = Some(user);
                Target::Code(agent, request)
            }
            (None, None) => {
                let Some(callee) = self.user_at(&uri) else {
                    return Err(self.nobody(now, message, incoming.flow));
                };
                if self.registrar.account(callee).bound(now).next().is_none() {
                    return Err(self.absent(now, message, incoming.flow));
                }
                Target::User(callee)
            }
        };
        let invitation = Invitation {
            from: plain(from),
            to: plain(to),
            max_forwards: max_forwards - 1,
            headers: handed_on(message),
            referred_by: None,
        };
        if !self.guard.place(now, incoming.flow.remote.ip()) {
            self.counters.rate_limited += 1;
            return Err(self.unavailable().into());
        }
        Ok(Admitted {
            target,
            invitation,
            sender,
        })
    }

    /// Whether a sender may ask for something outside a dialog (RFC 3261 §22.2): the user, where it had to prove who it is.
    pub(crate) fn admit_sender(
        &mut self,
        now: Time,
        message: &Message,
        flow: Flow,
    ) -> Result<Option<UserKey>, Denial> {
        match self.config.auth {
            Auth::None | Auth::Registrations => return Ok(None),
            Auth::Everything => {}
        }
        let user = self.prove(now, message, flow)?;
        // Nobody calls in the name of somebody else.
        let own = message
            .from()
            .is_ok_and(|from| self.is_ours(&from.uri) && from.uri.user_unescaped().as_deref() == Some(&user));
        let user = self.registrar.find(&user).filter(|_| own);
        user.map(Some).ok_or(Reject::new(403).into())
    }

    fn begin_call(&mut self, now: Time, incoming: IncomingCall, admitted: Admitted) {
        let Admitted {
            target,
            invitation,
            sender,
        } = admitted;
        let ip = self.media_ip(incoming.flow);
        let mut talk = self.new_talk(ip, &[]);
        if let Some(offer) = incoming.offer
            && let Err(error) = talk.invite(&offer)
        {
            self.guard.clear(incoming.flow.remote.ip());
            return self.reject(now, incoming.call, refusal_of(&error));
        }
        let address = invitation.from.clone();
        let part = match sender.and_then(|user| self.floor.agent_of(user)) {
            Some(agent) => Part::Other(agent),
            None => Part::Outside,
        };
        let call = self.switch.next_call();
        let caller = self.switch.next_leg();
        let story = Story {
            arrived: now,
            answered: None,
            caller: address.uri.to_string(),
            dialled: incoming
                .message
                .request_uri()
                .map(|uri| uri.to_string())
                .unwrap_or_default(),
            silent: matches!(target, Target::Code(..)),
            source: incoming.flow.remote.ip(),
        };
        self.switch
            .calls
            .insert(call, Call::new(Stage::Ringing, caller, invitation, story));
        self.add_leg(Leg {
            key: caller,
            call,
            sip: Some(incoming.call),
            invite: None,
            media: Media::Closed,
            talk,
            ip,
            address,
            leaving: false,
            part,
        });
        match target {
            Target::User(callee) => self.ring_user(now, call, callee),
            Target::Queue(queue) => self.come_to_queue(now, call, queue),
            Target::Code(agent, request) => self.carry_out_code(now, call, agent, &request),
        }
    }

    /// The contacts of a user ring for the caller.
    pub(super) fn ring_user(&mut self, now: Time, key: CallKey, callee: UserKey) {
        if let Some(call) = self.switch.call_mut(key) {
            call.stage = Stage::Ringing;
            call.hunt = Some(Hunt::new(call.caller, None));
        }
        self.alarms
            .set(Alarm::NoAnswer(key), now + self.config.ring_timeout);
        self.ring(now, key, callee);
    }

    /// Adds a leg to its call, and asks for its ports.
    pub(super) fn add_leg(&mut self, mut leg: Leg) {
        match leg.part {
            Part::Outside => {}
            Part::Queue(agent) => self.floor.change(agent, |agent| agent.queue_legs += 1),
            Part::Other(agent) => self.floor.change(agent, |agent| agent.other_legs += 1),
        }
        leg.media = Media::Opening(self.media.want(leg.key, leg.ip));
        if let Some(call) = self.switch.call_mut(leg.call) {
            call.legs += 1;
        }
        self.switch.add_leg(leg);
    }

    /// The descriptions of a new leg. RFC 8866 §5.2: unique for this host; 62 bits, since some stacks read a signed number.
    pub(super) fn new_talk(&mut self, ip: IpAddr, first: &[Codec]) -> Talk {
        Talk::new(ip, self.entropy.next_u64() >> 2, first)
    }

    /// Where RTP of a leg is received.
    pub(super) fn media_ip(&self, flow: Flow) -> IpAddr {
        self.config.media_address.unwrap_or(flow.local.ip())
    }

    pub(crate) fn reject(&mut self, now: Time, sip: CallId, reject: Reject) {
        // It may have been cancelled meanwhile: its end is told by an event.
        let _gone = self.endpoint.reject(now, sip, reject, None);
    }

    /// 503 with Retry-After.
    pub(crate) fn unavailable(&self) -> Reject {
        Reject {
            headers: vec![self.retry_after()],
            ..Reject::new(503)
        }
    }

    /// Tells the caller that something goes on.
    pub(super) fn tell_progress(&mut self, now: Time, caller: LegKey, progress: Progress) {
        if let Some(sip) = self.switch.sip_of(caller) {
            let _gone = self.endpoint.progress(now, sip, progress, None);
        }
    }

    /// The call of a leg.
    pub(super) fn call_of_leg(&self, leg: LegKey) -> Option<CallKey> {
        self.switch.leg(leg).map(|leg| leg.call)
    }
}

/// A refusal of an offer.
pub(super) fn refusal_of(error: &TalkError) -> Reject {
    let warning = error.warning();
    Reject {
        headers: warning
            .map(|text| (HeaderName::Warning, text))
            .into_iter()
            .collect(),
        ..Reject::new(error.status())
    }
}

/// An address without the tag of its dialog.
fn plain(mut address: NameAddr) -> NameAddr {
    address.params.remove("tag");
    address
}

/// Header fields that are about the call and not about a hop or a dialog: they pass (RFC 7092 §3.1). What names a leg does not:
/// it would name one of somebody else.
fn handed_on(message: &Message) -> Headers {
    let passes = |name: &str| {
        let name = name.to_ascii_lowercase();
        let own = name.eq_ignore_ascii_case(CALL_HEADER);
        (name.starts_with("x-") && !own) || ["subject", "alert-info", "priority"].contains(&name.as_str())
    };
    message
        .all_headers()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (HeaderName::from(name.as_ref()), value.into_owned()))
        .collect()
}
