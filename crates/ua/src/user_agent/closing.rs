//! Closing: every call is hung up, the binding taken back, and the peers know of it.

use std::time::Duration;

use callwright_sip::command::Hangup;

use crate::call::Call;
use crate::verb::VerbError;

use super::{Alarm, Change, Context, UserAgent};

/// How long closing may take: Timer F, and a second for the answer to what was cancelled (RFC 3261 §17.1.2.2).
const CLOSING: Duration = Duration::from_secs(33);

impl UserAgent {
    /// Hangs up every call, unregisters, and refuses everything from now on. [`Change::Closed`] follows.
    pub(crate) fn close(&mut self, ctx: &mut Context<'_>) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        let live: Vec<_> = self
            .calls
            .iter()
            .filter(|call| call.is_live())
            .map(Call::key)
            .collect();
        for key in live {
            self.hangup_call(ctx, key, Hangup::default());
        }
        if let Some(subscription) = self.subscription {
            // It ended meanwhile.
            let _ = self.endpoint.unsubscribe(ctx.now, subscription, ctx.cause);
        }
        self.leave_registrar(ctx);
        self.alarms.set(Alarm::Close, ctx.now + CLOSING);
    }

    /// Nothing is left that the peers do not know of: whoever leaves before the answer to its BYE may leave a call behind.
    pub(super) fn is_quiet(&self) -> bool {
        !self.leaving_registrar && !self.calls.iter().any(Call::is_live) && !self.endpoint.awaits_peer()
    }

    pub(super) fn finish_closing(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            self.alarms.clear(Alarm::Close);
            self.change(Change::Closed);
        }
    }

    pub(super) fn refuse_when_closing(&self) -> Result<(), VerbError> {
        if self.closing {
            Err(VerbError::Closing)
        } else {
            Ok(())
        }
    }
}
