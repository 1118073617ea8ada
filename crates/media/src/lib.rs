//! RTP, RTCP, SRTP, codecs, telephone-event, tones, WAV and quality: media that paces itself, without IO.

pub mod codec;
pub mod concealment;
pub mod detect;
pub mod dtmf_inband;
pub mod emodel;
pub mod jitter;
pub mod level;
pub mod plane;
pub mod reception;
pub mod resample;
pub mod rtcp;
pub mod rtp;
mod session;
pub mod srtp;
pub mod telephone_event;
pub mod tone;
pub mod wav;

pub use plane::{Command, CommandError, Event, Plane, PlaneConfig, SessionId};
