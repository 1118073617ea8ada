//! RTP, RTCP, SRTP, codecs, telephone-event, tones, WAV and quality: media that paces itself, without IO.

pub mod codec;
pub mod level;
pub mod tone;
