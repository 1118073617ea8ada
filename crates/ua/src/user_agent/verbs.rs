//! The verbs: which call each one means, and what it does there.

use callwright_media::plane::Command;
use callwright_sip::command::{Answer, Hangup, Headers, Invite, Redirect, Reject};
use callwright_sip::endpoint::CallId;
use callwright_sip_message::{HeaderName, Uri, check_value};

use crate::call::{Call, CallKey, Ended, Origin, Peer, Progress, Waiting};
use crate::target;
use crate::verb::{ArmedResponse, Audio, Done, VerbError};

use super::{Alarm, Change, Context, UserAgent};

/// Which call a verb means: that one, or the newest that fits.
pub(super) type Meant = Option<CallKey>;

impl UserAgent {
    /// Places a call.
    pub(crate) fn dial(
        &mut self,
        ctx: &mut Context<'_>,
        target: &str,
        headers: &[(String, String)],
    ) -> Result<Done, VerbError> {
        self.refuse_when_closing()?;
        let target = target::resolve(target, &self.account)?;
        let headers = named(self.account.headers.iter().chain(headers))?;
        self.place_call(ctx, target, |invite| invite.headers = headers);
        Ok(Done::QUIETLY)
    }

    /// Begins a call: the INVITE goes out when there are ports for its media.
    pub(super) fn place_call(
        &mut self,
        ctx: &mut Context<'_>,
        target: Uri,
        adjust: impl FnOnce(&mut Invite),
    ) -> CallKey {
        let peer = Peer {
            uri: target.to_string(),
            name: None,
        };
        let mut invite = Invite::new(self.identity_id(), target);
        adjust(&mut invite);
        let cause = ctx.cause;
        let call = self.begin_call(ctx, Origin::Outgoing, peer);
        call.waiting = Some(Waiting::Invite(Box::new(invite), cause));
        let key = call.key;
        self.open_media(ctx, key);
        self.change(Change::Calls);
        key
    }

    pub(super) fn send_invite(&mut self, ctx: &mut Context<'_>, key: CallKey, mut invite: Invite) {
        let offer = match self.account.delayed_offer {
            true => Ok(None),
            false => self.make_offer(ctx, key).map(Some),
        };
        match offer {
            Ok(offer) => invite.offer = offer,
            Err(error) => {
                self.end_call(
                    ctx,
                    key,
                    Ended {
                        status: None,
                        reason: error.to_string(),
                    },
                );
                return;
            }
        }
        match self.endpoint.invite(ctx.now, invite, ctx.cause) {
            Ok(sip) => {
                if let Some(call) = self.call_mut(key) {
                    call.sip = Some(sip);
                }
            }
            Err(misuse) => self.end_call(
                ctx,
                key,
                Ended {
                    status: None,
                    reason: misuse.to_string(),
                },
            ),
        }
    }

    /// Answers the newest incoming call that rings.
    pub(crate) fn accept(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let key = self.pick(meant, "incoming call that rings", Call::rings_here)?;
        self.accept_call(ctx, key);
        Ok(Done::QUIETLY)
    }

    pub(super) fn accept_call(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        let cause = ctx.cause;
        let Some(call) = self.call_mut(key) else { return };
        match call.open_session() {
            Some(_) => self.answer(ctx, key),
            None => call.waiting = Some(Waiting::Accept(cause)),
        }
    }

    pub(super) fn answer(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        let Some(call) = self.call_mut(key) else { return };
        let Some(sip) = call.sip else { return };
        let offered = call.remote_offer.take().is_some();
        let description = match offered {
            true => self.make_answer(ctx, key),
            false => self.make_offer(ctx, key),
        };
        let result = match description {
            Ok(description) => {
                let answer = Answer {
                    description: Some(description),
                    ..Default::default()
                };
                self.endpoint.answer(ctx.now, sip, answer, ctx.cause)
            }
            Err(error) => self
                .endpoint
                .reject(ctx.now, sip, Reject::new(error.status()), ctx.cause),
        };
        // It ended meanwhile: its end was told by an event.
        if result.is_ok()
            && let Some(call) = self.call_mut(key).filter(|call| call.is_live())
        {
            call.progress = Progress::Answered;
        }
        self.alarms.clear(Alarm::AutoAnswer(key));
        self.change(Change::Calls);
    }

    /// Ends the newest call that rings, else the newest established.
    pub(crate) fn hangup(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let key = match meant {
            Some(key) if self.call(key).is_some_and(Call::is_live) => key,
            Some(_) => return Ok(Done::with_note("that call had ended already")),
            None => {
                let ringing = self.newest(|call| call.is_live() && call.is_unanswered());
                match ringing.or_else(|| self.newest(Call::is_answered)) {
                    Some(key) => key,
                    None => return Ok(Done::with_note("there was no call to hang up")),
                }
            }
        };
        self.hangup_call(ctx, key, Hangup::default());
        Ok(Done::QUIETLY)
    }

    pub(super) fn hangup_call(&mut self, ctx: &mut Context<'_>, key: CallKey, hangup: Hangup) {
        let Some(call) = self.call_mut(key).filter(|call| call.is_live()) else {
            return;
        };
        match call.sip {
            // Its end was told by an event when it is gone.
            Some(sip) => {
                let _ = self.endpoint.hangup(ctx.now, sip, hangup, ctx.cause);
            }
            None => self.end_call(
                ctx,
                key,
                Ended {
                    status: None,
                    reason: "cancelled before it was sent".into(),
                },
            ),
        }
    }

    /// Ends the newest call that was placed and rings, else the newest that was answered, by BYE and at once.
    pub(crate) fn bye(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let wanted = "call with a dialog to end";
        let rings_there = |call: &Call| call.origin == Origin::Outgoing && call.progress == Progress::Ringing;
        let key = match meant {
            None => match self.newest(rings_there) {
                Some(key) => key,
                None => self.pick(None, wanted, Call::is_answered)?,
            },
            meant => self.pick(meant, wanted, |call| rings_there(call) || call.is_answered())?,
        };
        let sip = self.sip_of(key)?;
        self.endpoint.bye(ctx.now, sip, Hangup::default(), ctx.cause)?;
        Ok(Done::QUIETLY)
    }

    /// Rejects the newest incoming call that rings.
    pub(crate) fn reject(
        &mut self,
        ctx: &mut Context<'_>,
        meant: Meant,
        status: u16,
        reason: Option<String>,
    ) -> Result<Done, VerbError> {
        let key = self.pick(meant, "incoming call that rings", Call::rings_here)?;
        let sip = self.sip_of(key)?;
        let rejected = Reject {
            status,
            reason: reason.clone(),
            headers: Headers::new(),
        };
        self.endpoint.reject(ctx.now, sip, rejected, ctx.cause)?;
        self.set_own_phrase(key, status, reason);
        Ok(Done::QUIETLY)
    }

    /// Sends silence on the newest established call, or audio again.
    pub(crate) fn toggle_mute(&mut self, ctx: &mut Context<'_>, meant: Meant) -> Result<Done, VerbError> {
        let key = self.pick(meant, "established call", Call::is_answered)?;
        let Some(call) = self.call_mut(key) else {
            return Err(VerbError::CallEnded);
        };
        call.muted = !call.muted;
        let muted = call.muted;
        if let Some(session) = call.open_session() {
            self.tell_plane(ctx, session, Command::Mute(muted));
        }
        self.change(Change::Calls);
        Ok(Done::QUIETLY)
    }

    /// Changes what is sent: now, or on the next call.
    pub(crate) fn send_audio(
        &mut self,
        ctx: &mut Context<'_>,
        meant: Meant,
        audio: Audio,
    ) -> Result<Done, VerbError> {
        self.refuse_when_closing()?;
        if let Audio::Tones { hz } = &audio {
            hz.iter().try_for_each(|hz| super::audio::check_frequency(*hz))?;
        }
        let key = match meant {
            Some(key) => Some(self.pick(Some(key), "call", Call::is_live)?),
            None => self
                .newest(Call::is_answered)
                .or_else(|| self.newest(Call::is_live)),
        };
        match key.and_then(|key| self.call(key)).and_then(Call::open_session) {
            Some(session) => self.play(ctx, session, &audio),
            None => self.next_audio = Some(audio),
        }
        Ok(Done::QUIETLY)
    }

    /// Answers the calls that come with 302 to this target.
    pub(crate) fn deflect(&mut self, target: &str) -> Result<Done, VerbError> {
        self.refuse_when_closing()?;
        self.deflect_to = Some(target::resolve(target, &self.account)?);
        Ok(Done::QUIETLY)
    }

    /// No longer deflects.
    pub(crate) fn stop_deflect(&mut self) -> Done {
        match self.deflect_to.take() {
            Some(_) => Done::QUIETLY,
            None => Done::with_note("no calls were deflected"),
        }
    }

    /// Answers the next incoming call with this response, by itself.
    pub(crate) fn respond_incoming(&mut self, response: ArmedResponse) -> Result<Done, VerbError> {
        self.refuse_when_closing()?;
        if !(100..=699).contains(&response.status) || (200..=299).contains(&response.status) {
            let detail = format!(
                "{} is not a status that refuses or delays a call; use accept() to answer it",
                response.status
            );
            return Err(VerbError::BadArgument { what: "code", detail });
        }
        named(response.headers.iter())?;
        self.armed = Some(response);
        Ok(Done::QUIETLY)
    }

    /// Records what is sent and heard, from now on and on every later call.
    pub(crate) fn record(&mut self, ctx: &mut Context<'_>) -> Done {
        self.recording = true;
        let sessions: Vec<_> = self.sessions().collect();
        for session in sessions {
            self.tell_plane(ctx, session, Command::Record(true));
        }
        Done::QUIETLY
    }

    pub(super) fn newest(&self, fits: impl Fn(&Call) -> bool) -> Option<CallKey> {
        self.calls.iter().rev().find(|call| fits(call)).map(Call::key)
    }

    /// The call that a verb means: that one when it is given and fits, else the newest that fits.
    pub(super) fn pick(
        &self,
        meant: Meant,
        wanted: &'static str,
        fits: impl Fn(&Call) -> bool,
    ) -> Result<CallKey, VerbError> {
        self.refuse_when_closing()?;
        match meant {
            None => self.newest(fits).ok_or(VerbError::NoCall { wanted }),
            Some(key) => match self.call(key) {
                Some(call) if fits(call) => Ok(key),
                Some(call) if call.is_live() => Err(VerbError::NoCall { wanted }),
                Some(_) | None => Err(VerbError::CallEnded),
            },
        }
    }

    pub(super) fn sip_of(&self, key: CallKey) -> Result<CallId, VerbError> {
        self.call(key)
            .and_then(|call| call.sip)
            .ok_or(VerbError::CallEnded)
    }

    /// A 302 for a call that is deflected.
    pub(super) fn deflection(&self, target: &Uri) -> Redirect {
        Redirect {
            diversion: Some((self.aor(), "deflection".into())),
            ..Redirect::to(target.clone())
        }
    }
}

/// Header fields with their names understood.
pub(super) fn named<'a>(headers: impl Iterator<Item = &'a (String, String)>) -> Result<Headers, VerbError> {
    headers
        .map(|(name, value)| {
            let refuse = |detail: String| VerbError::BadArgument {
                what: "headers",
                detail: format!("{name}: {detail}"),
            };
            // RFC 3261 §25.1: a token.
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
            {
                return Err(refuse("that is not the name of a header field".into()));
            }
            let field = HeaderName::from(name.as_str());
            check_value(&field, value).map_err(|error| refuse(error.to_string()))?;
            Ok((field, value.clone()))
        })
        .collect()
}
