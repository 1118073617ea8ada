//! RTP, RTCP, SRTP, codecs, telephone-event, tones, WAV and quality: media that paces itself, without IO.
//!
//! Top down:
//!
//! - [`plane`]: the media sessions of many user agents behind one deadline; most users need nothing else. It states the
//!   contract of this crate and the loop that drives it.
//! - What a session is made of: [`rtp`] packets, [`reception`] statistics, [`jitter`] (order), [`telephone_event`] digits,
//!   [`rtcp`] reports, [`srtp`].
//! - Audio: [`codec`], [`tone`] (sounds that are computed), [`wav`] and [`resample`], [`level`], [`concealment`].
//! - What is heard in it: [`detect`] (tones, silence), [`dtmf_inband`], and [`emodel`] (quality).

pub mod codec;
pub mod concealment;
pub mod detect;
pub mod dtmf_inband;
pub mod emodel;
pub mod jitter;
pub mod level;
pub mod plane;
pub mod reception;
mod recording;
pub mod resample;
pub mod rtcp;
pub mod rtp;
mod session;
pub mod srtp;
pub mod telephone_event;
pub mod tone;
pub mod wav;

pub use plane::{Command, CommandError, Event, Plane, PlaneConfig, SessionId};
