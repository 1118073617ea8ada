//! The B2BUA (RFC 7092).

use callwright_media::plane::SessionId;
use callwright_wire::{BindError, SocketId, Time};
use std::net::SocketAddr;

use crate::fact::CallKey;
use crate::machine::Machine;

/// The number of a leg: never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LegKey(pub(crate) u64);

/// The calls.
#[derive(Debug, Default)]
pub(crate) struct Switch {}

impl Switch {
    pub(crate) fn calls(&self) -> usize {
        0
    }
    pub(crate) fn legs(&self) -> usize {
        0
    }
}
impl Machine {
    pub(crate) fn on_answer_stored(&mut self, _now: Time, _call: CallKey, _stored: bool) {}
    pub(crate) fn on_media_event(&mut self, _now: Time, _s: SessionId, _e: callwright_media::Event) {}
    pub(crate) fn on_ports(&mut self, _now: Time, _s: SocketId, _l: SocketAddr) {}
    pub(crate) fn on_no_ports(&mut self, _now: Time, _s: SocketId, _l: &BindError) {}
    pub(crate) fn on_no_answer(&mut self, _now: Time, _call: CallKey) {}
    pub(crate) fn on_transfer_unanswered(&mut self, _now: Time, _call: CallKey) {}
    pub(crate) fn leave_now(&mut self, _now: Time, _call: LegKey) {}
}
