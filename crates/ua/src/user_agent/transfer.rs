//! Transfers, on all three sides (RFC 5589): who asks for one, who carries it out, who is replaced.

use callwright_sip::command::{Hangup, Refer, Reject};
use callwright_sip::endpoint::ReferId;
use callwright_sip::event::{ReferOutcome, Referred};
use callwright_sip_message::Uri;

use crate::call::{Call, CallKey, Transfer};
use crate::target;
use crate::verb::{Done, VerbError};

use super::verbs::Meant;
use super::{Change, Context, UserAgent};

impl UserAgent {
    /// Asks the peer of the newest established call to call `target` instead.
    pub(crate) fn transfer(
        &mut self,
        ctx: &mut Context<'_>,
        meant: Meant,
        target: &str,
    ) -> Result<Done, VerbError> {
        let key = self.pick(meant, "established call", Call::is_answered)?;
        let target = target::resolve(target, &self.account)?;
        self.refuse_second_transfer(key)?;
        let sip = self.sip_of(key)?;
        let refer = self.endpoint.refer(ctx.now, sip, Refer::to(target), ctx.cause)?;
        self.set_transfer(key, Some(Transfer::Referred(refer)));
        Ok(Done::QUIETLY)
    }

    /// Holds the newest established call and calls `target` to consult it.
    pub(crate) fn attended_transfer(
        &mut self,
        ctx: &mut Context<'_>,
        meant: Meant,
        target: &str,
    ) -> Result<Done, VerbError> {
        let first = self.pick(meant, "established call", Call::is_answered)?;
        let target = target::resolve(target, &self.account)?;
        self.refuse_second_transfer(first)?;
        // A call that is held already stays so.
        let _ = self.set_hold(ctx, first, true)?;
        let headers = super::verbs::named(self.account.headers.iter())?;
        let consultation = self.place_call(ctx, target, |invite| invite.headers = headers);
        self.set_transfer(first, Some(Transfer::Consulting(consultation)));
        Ok(Done::QUIETLY)
    }

    /// Asks the peer of the first call to take the place of this side in the consultation call.
    pub(crate) fn complete_transfer(&mut self, ctx: &mut Context<'_>) -> Result<Done, VerbError> {
        let (first, consultation) = self.consulting()?;
        let Some(call) = self.call(consultation).filter(|call| call.is_live()) else {
            return Err(VerbError::NotNow(
                "the consultation call has ended: abort_transfer() resumes the first call".into(),
            ));
        };
        if !call.is_answered() {
            return Err(VerbError::NotNow(
                "the consultation call is not answered yet: wait until it is established".into(),
            ));
        }
        let replaces = self.sip_of(consultation)?;
        let sip = self.sip_of(first)?;
        let target = self.dialled(consultation).ok_or(VerbError::CallEnded)?;
        let refer = Refer {
            replaces: Some(replaces),
            ..Refer::to(target)
        };
        let refer = self.endpoint.refer(ctx.now, sip, refer, ctx.cause)?;
        self.set_transfer(first, Some(Transfer::Completing(refer, consultation)));
        Ok(Done::QUIETLY)
    }

    /// Ends the consultation call and resumes the first one.
    pub(crate) fn abort_transfer(&mut self, ctx: &mut Context<'_>) -> Result<Done, VerbError> {
        let Ok((first, consultation)) = self.consulting() else {
            return Ok(Done::with_note("there was no transfer to abort"));
        };
        self.set_transfer(first, None);
        if self.call(consultation).is_some_and(Call::is_live) {
            self.hangup_call(ctx, consultation, Hangup::default());
        }
        let _ = self.set_hold(ctx, first, false)?;
        Ok(Done::QUIETLY)
    }

    fn consulting(&self) -> Result<(CallKey, CallKey), VerbError> {
        self.calls
            .iter()
            .rev()
            .filter(|call| call.is_live())
            .find_map(|call| match call.transfer {
                Some(Transfer::Consulting(consultation)) => Some((call.key, consultation)),
                Some(Transfer::Referred(_) | Transfer::Completing(..)) | None => None,
            })
            .ok_or_else(|| {
                VerbError::NotNow(
                    "no attended transfer was begun: call attended_transfer(target) first".into(),
                )
            })
    }

    /// The URI that a call was placed to: it leads there through the proxies, as it did before.
    fn dialled(&self, key: CallKey) -> Option<Uri> {
        self.call(key)?.peer.uri.parse().ok()
    }

    fn refuse_second_transfer(&self, key: CallKey) -> Result<(), VerbError> {
        match self.call(key).and_then(|call| call.transfer.as_ref()) {
            Some(_) => Err(VerbError::NotNow(
                "a transfer of this call is under way already".into(),
            )),
            None => Ok(()),
        }
    }

    fn set_transfer(&mut self, key: CallKey, transfer: Option<Transfer>) {
        if let Some(call) = self.call_mut(key) {
            call.transfer = transfer;
        }
    }

    /// Our REFER is over: with success this side leaves, otherwise the call stays as it is.
    pub(super) fn handle_refer_ended(
        &mut self,
        ctx: &mut Context<'_>,
        refer: ReferId,
        outcome: &ReferOutcome,
    ) {
        let transferred = self.calls.iter_mut().find(|call| match call.transfer {
            Some(Transfer::Referred(id) | Transfer::Completing(id, _)) => id == refer,
            Some(Transfer::Consulting(_)) | None => false,
        });
        let Some(call) = transferred else { return };
        let key = call.key;
        let transfer = call.transfer.take();
        let succeeded = match outcome {
            ReferOutcome::Final { status, .. } => (200..300).contains(status),
            ReferOutcome::Unknown | ReferOutcome::Failed(_) => false,
        };
        match (succeeded, transfer) {
            (true, _) => self.hangup_call(ctx, key, Hangup::default()),
            // The consultation goes on: it can be completed again, or aborted.
            (false, Some(Transfer::Completing(_, consultation))) => {
                self.set_transfer(key, Some(Transfer::Consulting(consultation)));
            }
            (false, _) => {}
        }
        self.change(Change::Calls);
    }

    /// The peer asks this side to call somebody else: it does, as a real phone would, and reports.
    pub(super) fn handle_referred(&mut self, ctx: &mut Context<'_>, referred: Referred) {
        let Referred {
            refer,
            target,
            replaces,
            referred_by,
            ..
        } = referred;
        if self.closing || !target.is_sip() {
            let status = if self.closing { 480 } else { 416 };
            // The peer gave up meanwhile.
            let _ = self
                .endpoint
                .reject_refer(ctx.now, refer, Reject::new(status), ctx.cause);
            return;
        }
        if self.endpoint.accept_refer(ctx.now, refer, ctx.cause).is_err() {
            return;
        }
        // Checked when they were first used, and left out where they are none.
        let headers = super::verbs::named(self.account.headers.iter()).unwrap_or_default();
        let key = self.place_call(ctx, target, |invite| {
            invite.headers = headers;
            invite.replaces = replaces;
            invite.referred_by = referred_by;
        });
        if let Some(call) = self.call_mut(key) {
            call.referred = Some(refer);
        }
    }

    /// Tells who asked for the call how far it is; the last word takes the duty away.
    pub(super) fn report_to_referrer(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        status: u16,
        reason: &str,
    ) {
        let Some(call) = self.call_mut(key) else { return };
        let Some(refer) = call.referred else { return };
        if status >= 200 {
            call.referred = None;
        }
        // Who asked may be gone.
        let _ = self
            .endpoint
            .notify_refer(ctx.now, refer, status, reason, ctx.cause);
    }
}
