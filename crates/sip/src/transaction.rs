//! The four transaction machines of RFC 3261 §17, as corrected by RFC 6026 and RFC 4320.
//!
//! A machine knows no message, socket or clock: it is told what happened and appends [`Effect`]s, which its owner (the
//! [`Core`](crate::core::Core)) carries out in order. Each fits in a few words; the bytes to send lie with the owner.

mod invite_client;
mod invite_server;
mod key;
mod non_invite_client;
mod non_invite_server;

use std::time::Duration;

use crate::timer::{TimerName, TimerValues};

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub(crate) use key::{Branch, CopiedKey, ServerKey, ServerKeys, tag};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;

/// What a machine wants done. Order matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the request, or the response just given, for the first time.
    Send,
    /// Send the last request or response again, byte for byte.
    Resend,
    /// Send (again) the ACK to a final response other than 2xx (RFC 3261 §17.1.1.3).
    Ack,
    /// Send 100 Trying on behalf of the transaction user.
    Trying,
    /// Set this timer to this span from now.
    Set(TimerName, Duration),
    /// Forget this timer.
    Clear(TimerName),
    /// Pass the response that came to the transaction user.
    Tell,
    /// Tell the transaction user that this timer ended the transaction; [`Effect::End`] follows.
    TimedOut(TimerName),
    /// Tell the transaction user that the transport failed; [`Effect::End`] follows, unless what is left is only to absorb a request that
    /// was answered.
    TransportFailed,
    /// The transaction is over: its owner frees it. No timer is set any more.
    End,
}

/// The status class that machines tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 3xx to 6xx.
    Failure,
}

impl Class {
    /// The class of a status code; codes outside of 100–699 count as failures.
    pub const fn of(status: u16) -> Class {
        match status {
            100..=199 => Class::Provisional,
            200..=299 => Class::Success,
            _ => Class::Failure,
        }
    }
}

/// What all machines of one flow share.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// T1, T2, T4.
    pub timers: &'a TimerValues,
    /// True where the transport delivers by itself: nothing is sent again, and waiting times are zero.
    pub reliable: bool,
}

/// Why a server transaction refuses a response: a mistake of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// A final response went out before.
    #[error("the request has its final response already")]
    AlreadyAnswered,
    /// RFC 4320 §4.1: other than 100 never; 100 over UDP not before Timer E of the client reaches T2.
    #[error(
        "a request other than INVITE takes no provisional response here (RFC 4320 §4.1): send the final one"
    )]
    ProvisionalToNonInvite,
    /// RFC 4320 §4.2: the client timed out at the same time, and the 408 only makes servers look broken.
    #[error("a request other than INVITE is never answered with 408 (RFC 4320 §4.2): leave it unanswered")]
    TimeoutToNonInvite,
    /// The transaction is over, or never was.
    #[error("there is no such server transaction: it has ended")]
    NoSuchTransaction,
}
