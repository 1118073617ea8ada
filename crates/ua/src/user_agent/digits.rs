//! Sending digits: in RTP, in the audio, or as INFO requests.

use std::time::Duration;

use bytes::Bytes;
use callwright_media::plane::{Command, Dtmf};
use callwright_sdp::Direction;
use callwright_sip::command::{Body, DialogRequest};
use callwright_sip_message::Method;

use crate::account::DtmfMode;
use crate::call::{Call, CallKey, InfoDigits};
use crate::verb::{Done, VerbError};

use super::verbs::Meant;
use super::{Alarm, Context, UserAgent};

/// The pause between two digits sent by INFO, unless told otherwise.
const INFO_GAP: Duration = Duration::from_millis(100);
/// What the Signal line of application/dtmf-relay tells of the length of a digit, in milliseconds.
const INFO_DURATION_MS: u32 = 160;

impl UserAgent {
    /// Sends digits on the newest established call.
    pub(crate) fn dtmf(
        &mut self,
        ctx: &mut Context<'_>,
        meant: Meant,
        digits: &str,
        gap: Option<Duration>,
    ) -> Result<Done, VerbError> {
        let key = self.pick(meant, "established call", Call::is_answered)?;
        let Some(call) = self.call_mut(key) else {
            return Err(VerbError::CallEnded);
        };
        let by_events = call
            .negotiation
            .as_ref()
            .and_then(|n| n.negotiated())
            .is_some_and(|n| n.telephone_event_send.is_some());
        let session = call.open_session();
        let held_by_peer = matches!(call.direction, Direction::RecvOnly | Direction::Inactive);
        let mode = match self.account.dtmf {
            DtmfMode::RtpEvent => callwright_media::plane::DtmfMode::Rfc4733,
            DtmfMode::Auto if by_events => callwright_media::plane::DtmfMode::Rfc4733,
            DtmfMode::Inband => callwright_media::plane::DtmfMode::Inband,
            DtmfMode::Info | DtmfMode::Auto => return self.dtmf_by_info(ctx, key, digits, gap),
        };
        let Some(session) = session else {
            return Err(VerbError::CallEnded);
        };
        let mut dtmf = Dtmf::new(digits, mode);
        if let Some(gap) = gap {
            dtmf.gap = gap;
        }
        ctx.media.command(ctx.now, session, Command::Dtmf(dtmf))?;
        Ok(match held_by_peer {
            true => Done::with_note("the peer holds the call: the digits go out when it resumes"),
            false => Done::QUIETLY,
        })
    }

    fn dtmf_by_info(
        &mut self,
        ctx: &mut Context<'_>,
        key: CallKey,
        digits: &str,
        gap: Option<Duration>,
    ) -> Result<Done, VerbError> {
        if let Some(wrong) = digits
            .chars()
            .find(|c| !matches!(c, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d'))
        {
            return Err(callwright_media::plane::CommandError::NotADigit { character: wrong }.into());
        }
        let Some(call) = self.call_mut(key) else {
            return Err(VerbError::CallEnded);
        };
        let info = call.info.get_or_insert_with(Box::<InfoDigits>::default);
        info.waiting
            .extend(digits.chars().map(|digit| digit.to_ascii_uppercase()));
        info.gap = gap.unwrap_or(INFO_GAP);
        info.cause = ctx.cause;
        if info.in_flight.is_none() && self.alarms.at(Alarm::NextInfoDigit(key)).is_none() {
            self.send_next_info_digit(ctx, key);
        }
        Ok(Done::QUIETLY)
    }

    pub(super) fn send_next_info_digit(&mut self, ctx: &mut Context<'_>, key: CallKey) {
        let Some(call) = self.call_mut(key) else { return };
        let (Some(sip), Some(info)) = (call.sip, &mut call.info) else {
            return;
        };
        let Some(digit) = info.waiting.pop_front() else {
            call.info = None;
            return;
        };
        let cause = info.cause;
        let body = format!("Signal={digit}\r\nDuration={INFO_DURATION_MS}\r\n");
        let mut request = DialogRequest::new(Method::Info);
        request.body = Some(Body::new("application/dtmf-relay", Bytes::from(body)));
        let sent = self.endpoint.request(ctx.now, sip, request, cause).ok();
        if let Some(info) = self.call_mut(key).and_then(|call| call.info.as_mut()) {
            info.in_flight = sent;
        }
    }
}
