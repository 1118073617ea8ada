//! Requests that are not carried out, and what is made of who sent them: a guess counts, and the answer to one guess too many comes
//! late.

use std::collections::BTreeMap;
use std::net::IpAddr;

use callwright_sip::command::Reject;
use callwright_sip::digest::Refusal;
use callwright_sip::endpoint::{CallId, IncomingId};
use callwright_sip_message::Message;
use callwright_wire::{Flow, Time};

use crate::challenger::Unproven;
use crate::config::Auth;
use crate::guard::{Answer, Kind, SourceSnapshot, Verdict};
use crate::machine::{Alarm, Machine};

/// Why a request is not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) reject: Reject,
    suspicion: Suspicion,
}

/// What is thought of who sent it.
#[derive(Clone, Copy, Debug)]
enum Suspicion {
    Nothing,
    /// It showed no password yet.
    Challenged,
    /// It tried a password, or an address.
    Guess,
}

impl From<Reject> for Denial {
    fn from(reject: Reject) -> Denial {
        Denial {
            reject,
            suspicion: Suspicion::Nothing,
        }
    }
}

impl From<Unproven> for Denial {
    fn from(unproven: Unproven) -> Denial {
        Denial {
            suspicion: match unproven.refusal {
                Some(Refusal::Wrong) => Suspicion::Guess,
                None | Some(Refusal::NotOurs | Refusal::Stale | Refusal::Replayed | Refusal::OtherUri) => {
                    Suspicion::Challenged
                }
            },
            reject: Reject {
                headers: unproven.headers,
                ..Reject::new(unproven.status)
            },
        }
    }
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    /// Who sent an INVITE.
    Call(CallId),
    /// Who sent another request.
    Request(IncomingId),
}

/// Answers that come late, by their number.
#[derive(Debug, Default)]
pub(crate) struct LateAnswers {
    waiting: BTreeMap<u64, (Asker, Reject)>,
    so_far: u64,
}

impl LateAnswers {
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}

impl Machine {
    /// The sources of requests that are known, by their address: how many calls each has, how often it guessed, and whether it is
    /// banned.
    pub fn sources(&self) -> Vec<SourceSnapshot> {
        self.guard.snapshots(self.now)
    }

    /// Hears a source again before its ban is over. False when it was not banned.
    pub fn pardon(&mut self, now: Time, source: IpAddr) -> bool {
        let pardoned = self.guard.pardon(now, source);
        self.tell_bans();
        pardoned
    }

    /// Hands on which bans began and ended, and waits for the next end.
    pub(crate) fn tell_bans(&mut self) {
        while let Some(event) = self.guard.poll_news() {
            self.tell(event);
        }
        // Not with the news alone: of a ban that becomes longer there is none.
        if self.guard.bans_changed() {
            match self.guard.next_end() {
                Some(at) => self.alarms.set(Alarm::BanOver, at),
                None => self.alarms.clear(Alarm::BanOver),
            }
        }
    }

    /// Whether a request is not even looked at. Only a datagram can be dropped so.
    pub(crate) fn drops(&mut self, now: Time, from: Flow, kind: Kind) -> bool {
        let verdict = self.guard.hear(now, from.remote.ip(), kind);
        self.count(verdict);
        verdict != Verdict::Heard
    }

    /// Whether a request may be looked at: of a stream each has to be answered.
    pub(crate) fn hear(&mut self, now: Time, from: Flow, kind: Kind) -> Result<(), Denial> {
        if !from.transport.is_reliable() {
            return Ok(());
        }
        let verdict = self.guard.hear(now, from.remote.ip(), kind);
        self.count(verdict);
        match verdict {
            Verdict::Heard => Ok(()),
            Verdict::TooMany => Err(self.unavailable().into()),
            Verdict::Banned => Err(Reject::new(403).into()),
        }
    }

    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Heard => {}
            Verdict::TooMany => self.counters.rate_limited += 1,
            Verdict::Banned => self.counters.banned += 1,
        }
    }

    /// Nobody has this address. Where users have passwords, whoever asks without one, and not over the way of a registration, is told
    /// the same as of one who is not there.
    pub(crate) fn nobody(&self, now: Time, message: &Message, flow: Flow) -> Denial {
        let (status, suspicion) = if self.may_know(now, message, flow) {
            (404, Suspicion::Nothing)
        } else {
            (480, Suspicion::Guess)
        };
        Denial {
            reject: Reject::new(status),
            suspicion,
        }
    }

    /// Somebody has this address, and is not there. Whoever may not know who is who is answered as if nobody had it, and as late.
    pub(crate) fn absent(&self, now: Time, message: &Message, flow: Flow) -> Denial {
        if self.may_know(now, message, flow) {
            Reject::new(480).into()
        } else {
            self.nobody(now, message, flow)
        }
    }

    /// Whether a sender may be told which addresses there are: it proved who it is, or sends over the way of its registration.
    fn may_know(&self, now: Time, message: &Message, flow: Flow) -> bool {
        match self.config.auth {
            Auth::None | Auth::Everything => true,
            Auth::Registrations => {
                let from = message.from().ok();
                from.is_some_and(|from| self.user_behind(now, &from.uri, flow).is_some())
            }
        }
    }

    /// Refuses a request: at once, or late.
    pub(crate) fn deny(&mut self, now: Time, asker: Asker, flow: Flow, denial: Denial) {
        let source = flow.remote.ip();
        let answer = match denial.suspicion {
            Suspicion::Nothing => Answer::AtOnce,
            Suspicion::Challenged => self.guard.challenge(now, source),
            Suspicion::Guess => self.guard.guess(now, source),
        };
        let full = self.late.waiting.len() >= self.config.limits.late_answers;
        match answer {
            Answer::Late(span) if !full => {
                self.late.so_far += 1;
                let number = self.late.so_far;
                self.late.waiting.insert(number, (asker, denial.reject));
                self.alarms.set(Alarm::LateAnswer(number), now + span);
            }
            Answer::Late(_) => {
                self.counters.over_limit += 1;
                let reject = self.unavailable();
                self.refuse(now, asker, reject);
            }
            Answer::AtOnce => self.refuse(now, asker, denial.reject),
        }
    }

    /// An answer that was held back is due.
    pub(crate) fn on_late_answer(&mut self, now: Time, number: u64) {
        if let Some((asker, reject)) = self.late.waiting.remove(&number) {
            self.refuse(now, asker, reject);
        }
    }

    fn refuse(&mut self, now: Time, asker: Asker, reject: Reject) {
        match asker {
            Asker::Call(sip) => self.reject(now, sip, reject),
            Asker::Request(request) => self.respond(now, request, reject.status, reject.headers),
        }
    }
}
