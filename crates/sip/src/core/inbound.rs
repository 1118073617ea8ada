//! What arrives: told apart, matched, checked (RFC 3261 §17.1.3, §17.2.3, §18.1.2, §18.2.1).

use bytes::Bytes;
use callwright_sip_message::{
    Builder, Datagram, HeaderName, Message, Method, Problem, SmolStr, Via, classify,
};
use callwright_wire::{Flow, SocketId, Time};

use super::server::{Held, Live, Machine, Server, way_back};
use super::{ClientId, Core, CoreEvent, Direction, Malformed, Note, Seen, ServerId, TransactionId, echo};
use crate::arena::Slot;
use crate::transaction::{Branch, InviteServer, NonInviteServer, tag};
use crate::transport::{Exit, Way};

impl Core {
    pub(super) fn datagram(&mut self, now: Time, socket: SocketId, flow: Flow, bytes: Bytes) {
        match classify(&bytes) {
            Datagram::Sip => {}
            Datagram::KeepAlive => {
                self.counters.keep_alives += 1;
                return;
            }
            Datagram::Stun => {
                self.counters.stun += 1;
                return;
            }
            Datagram::Garbage => {
                self.counters.garbage += 1;
                let error = Malformed::NotSip {
                    reason: "the first line is not one of SIP".to_owned(),
                };
                return self.tell(CoreEvent::Malformed {
                    flow,
                    error,
                    answered: None,
                });
            }
        }
        match Message::parse(bytes, &self.config.message_limits) {
            Ok(message) => self.message(
                now,
                Way {
                    exit: Exit::Socket(socket),
                    flow,
                },
                message,
            ),
            Err(error) => {
                self.counters.garbage += 1;
                let error = Malformed::NotSip {
                    reason: error.to_string(),
                };
                self.tell(CoreEvent::Malformed {
                    flow,
                    error,
                    answered: None,
                });
            }
        }
    }

    pub(super) fn message(&mut self, now: Time, way: Way, message: Message) {
        self.counters.received += 1;
        if message.is_response() {
            return self.response(now, &way, message);
        }
        match message.via() {
            Ok(via) => self.request_in(now, way, message, &via),
            Err(error) => self.drop_malformed(&way, &message, error.to_string()),
        }
    }

    /// Nobody can tell whose message it is, or it cannot be answered.
    fn drop_malformed(&mut self, way: &Way, message: &Message, reason: String) {
        self.seen_in(message, way, false, None);
        self.counters.malformed += 1;
        self.tell(CoreEvent::Malformed {
            flow: way.flow,
            error: Malformed::Invalid { reason },
            answered: None,
        });
    }

    fn seen_in(&mut self, message: &Message, way: &Way, again: bool, transaction: Option<TransactionId>) {
        self.counters.received_again += u64::from(again);
        self.tell(CoreEvent::Seen(Seen {
            direction: Direction::In,
            bytes: message.raw().clone(),
            flow: way.flow,
            retransmission: again,
            transaction,
            cause: None,
        }));
    }

    fn response(&mut self, now: Time, way: &Way, message: Message) {
        // The branch alone is looked for: parsing all of Via would tell no more.
        let top = message.header_bytes(HeaderName::Via).unwrap_or_default();
        let branch = Branch::in_via(top);
        // RFC 3261 §8.1.3.3: a response with another Via below ours was meant for somebody else.
        let alone = !top.contains(&b',') && message.headers(HeaderName::Via).nth(1).is_none();
        let client = branch
            .filter(|_| alone)
            .and_then(|branch| self.client_of(branch, &message));
        let Some(slot) = client else {
            return match message.via() {
                Ok(_) => self.stray(now, way, message, branch.filter(|_| alone)),
                Err(error) => self.drop_malformed(way, &message, error.to_string()),
            };
        };
        if let Some(Err(fault)) = self
            .transactions
            .clients
            .get(slot)
            .map(|client| echo::check(client, &message))
        {
            // Its timers run on: a response that can be read may follow.
            return self.drop_malformed(way, &message, fault);
        }
        let status = message.status().unwrap_or_default();
        let again = self
            .transactions
            .clients
            .get(slot)
            .is_some_and(|client| status >= 200 && !client.is_pending());
        self.seen_in(&message, way, again, Some(TransactionId::Client(ClientId(slot))));
        self.client_response(now, slot, message, way.flow);
    }

    /// RFC 3261 §17.1.3: the branch is that of the request, and the method of CSeq too.
    fn client_of(&self, branch: Branch, message: &Message) -> Option<Slot> {
        if Core::answers_cancel(message) {
            return self.transactions.cancels.get(&branch).copied();
        }
        let (slot, client) = self.transactions.clients.at_index(branch.index)?;
        (client.nonce == branch.nonce && !client.is_waiting()).then_some(slot)
    }

    /// A response without a transaction (RFC 3261 §18.1.2, RFC 6026 §8.9).
    fn stray(&mut self, now: Time, way: &Way, message: Message, branch: Option<Branch>) {
        self.seen_in(&message, way, branch.is_some(), None);
        if let Some((back, ack)) = branch
            .and_then(|branch| self.transactions.left.get(&branch))
            .cloned()
            && message.status().is_some_and(|status| status >= 300)
        {
            self.transmit(
                now,
                &back,
                &ack,
                Note {
                    again: true,
                    ..Note::default()
                },
            );
            return;
        }
        self.counters.stray_responses += 1;
        let answer = message
            .status()
            .is_some_and(|status| (200..300).contains(&status));
        if answer && branch.is_some() && message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite) {
            self.tell(CoreEvent::StrayAnswer {
                message,
                flow: way.flow,
            });
        }
    }

    fn request_in(&mut self, now: Time, way: Way, message: Message, via: &Via) {
        let Some(method) = message.method() else { return };
        let key = self.transactions.keys.transaction(&message, via, &method);
        if let Some(slot) = self.transactions.by_key.get(&key.get()).copied() {
            let transaction = Some(TransactionId::Server(ServerId(slot)));
            if method == Method::Ack {
                self.seen_in(&message, &way, false, transaction);
                if self.server_ack(now, slot) {
                    self.tell(CoreEvent::Ack {
                        message,
                        flow: way.flow,
                    });
                }
                return;
            }
            self.seen_in(&message, &way, true, transaction);
            return self.server_retransmission(now, slot, way, &message, via);
        }
        if !is_plain(&message, &method)
            && let Err(violations) = message.validate()
            && let Some((status, problem)) = violations.refusal()
        {
            return self.refuse_malformed(now, &way, &message, status, problem);
        }
        if method == Method::Ack {
            self.seen_in(&message, &way, false, None);
            return self.tell(CoreEvent::Ack {
                message,
                flow: way.flow,
            });
        }
        let max = self.config.limits.server_transactions;
        if self.transactions.servers.len() >= max {
            self.counters.over_limit += 1;
            self.seen_in(&message, &way, false, None);
            self.refuse(now, &way, &message, 503, "Service Unavailable");
            return;
        }
        let id = self.add_server(now, way, &message, via, &method, key);
        self.seen_in(&message, &way, false, Some(TransactionId::Server(id)));
        if method == Method::Cancel {
            return self.cancel_in(now, id, message, via, way.flow);
        }
        let merged = self.merged(id);
        self.tell(CoreEvent::Request {
            id,
            message,
            flow: way.flow,
            merged,
        });
    }

    fn refuse_malformed(&mut self, now: Time, way: &Way, message: &Message, status: u16, problem: &Problem) {
        self.seen_in(message, way, false, None);
        self.counters.malformed += 1;
        let error = match problem {
            Problem::Version { .. } => Malformed::Version,
            problem => Malformed::Invalid {
                reason: problem.to_string(),
            },
        };
        let phrase = match status {
            416 => "Unsupported URI Scheme".to_owned(),
            505 => "Version Not Supported".to_owned(),
            // RFC 3261 §21.4.1: the phrase should say which header field is at fault.
            _ => format!("Bad Request: {problem}"),
        };
        let answered = self.refuse(now, way, message, status, &phrase);
        self.tell(CoreEvent::Malformed {
            flow: way.flow,
            error,
            answered,
        });
    }

    fn add_server(
        &mut self,
        now: Time,
        way: Way,
        message: &Message,
        via: &Via,
        method: &Method,
        key: crate::transaction::ServerKey,
    ) -> ServerId {
        let mut effects = std::mem::take(&mut self.effects);
        let terms = Core::terms(&self.config, way.reliable());
        let machine = if *method == Method::Invite {
            Machine::Invite(InviteServer::start(terms, &mut effects))
        } else {
            Machine::NonInvite(NonInviteServer::start(terms, &mut effects))
        };
        let merge = self.transactions.keys.merge(message);
        if let Some(merge) = merge {
            *self.transactions.merges.entry(merge.get()).or_default() += 1;
        }
        let slot = self.transactions.servers.insert(Server {
            machine,
            key,
            merge,
            held: Held::Live(Box::new(Live {
                flow: way.flow,
                way: way_back(way, via),
                request: Some(message.clone()),
                response: Bytes::new(),
                tag: SmolStr::default(),
                cause: None,
                sent_by_port: via.port_or_default(),
                sent_by: via.host.ip(),
            })),
        });
        self.transactions.by_key.insert(key.get(), slot);
        self.run_server(now, slot, effects, None);
        ServerId(slot)
    }

    fn merged(&self, id: ServerId) -> bool {
        let merge = self
            .transactions
            .servers
            .get(id.0)
            .and_then(|server| server.merge);
        merge.is_some_and(|merge| {
            self.transactions
                .merges
                .get(&merge.get())
                .is_some_and(|count| *count > 1)
        })
    }

    /// RFC 3261 §9.2: a CANCEL has a transaction of its own, and is answered here: 200, or 481 when nothing matches.
    fn cancel_in(&mut self, now: Time, id: ServerId, message: Message, via: &Via, flow: Flow) {
        let key = self.transactions.keys.transaction(&message, via, &Method::Invite);
        let invite = self.transactions.by_key.get(&key.get()).copied();
        let (status, reason) = match invite {
            Some(_) => (200, "OK"),
            None => (481, "Call/Transaction Does Not Exist"),
        };
        // RFC 3261 §9.2: the To tag should be the one of the INVITE's responses.
        let known = invite.and_then(|slot| self.transactions.servers.get(slot)?.tag());
        let tag = known.map(String::from).unwrap_or_else(|| self.entropy.token(10));
        let response = Builder::response_to(&message, status, reason)
            .to_tag(&tag)
            .finish();
        // A new transaction takes its first final response.
        let _ = self.respond(now, id, response, None);
        let pending = invite.filter(|slot| {
            self.transactions
                .servers
                .get(*slot)
                .is_some_and(|server| server.machine.is_pending())
        });
        if let Some(slot) = pending {
            self.tell(CoreEvent::Cancel {
                invite: ServerId(slot),
                message,
                flow,
            });
        }
    }
}

/// Whether a request inside a dialog has all that matters there, told without parsing everything: what is left over is whoever
/// reads its header fields to refuse. In doubt [`Message::validate`] says what is wrong.
fn is_plain(message: &Message, method: &Method) -> bool {
    let has_tag = |name| {
        message
            .header_bytes(name)
            .is_some_and(|value| tag(value).is_some())
    };
    *method != Method::Invite
        && message.has_sound_lines()
        && has_tag(HeaderName::To)
        && has_tag(HeaderName::From)
        && message.call_id().is_ok()
        && message
            .cseq()
            .is_ok_and(|cseq| cseq.method == *method && cseq.number < 1 << 31)
        && message.header_bytes(HeaderName::ContentLength) == Some(b"0")
}
