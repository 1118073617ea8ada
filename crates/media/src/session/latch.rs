//! Where packets may come from, and where they go: symmetric RTP (RFC 4961) without serving whoever asks.
//!
//! A description can name an address that the other side does not send from: behind a NAT, or a gateway that knows no
//! better. So RTP goes to where valid packets come from; but nobody takes a stream over by sending to its port.
//!
//! | packets come from | what happens |
//! | --- | --- |
//! | the address described | taken, and sent to, from the first one on; it wins over a guess |
//! | elsewhere, authenticated (SRTP), while nothing was settled | taken, and sent to, from the first one on |
//! | elsewhere, otherwise, while nothing was settled | two in sequence, of one source, settle it |
//! | elsewhere, afterwards | refused |
//! | where the other side was before its description moved | refused |
//! | anywhere, before there is a description | the first is taken (early media); nothing is sent |
//!
//! A description that moves the other side unsettles it; what is still on its way from where it was does not settle it
//! again. An address of zeros, the old way to hold a call, moves nobody.

use std::net::SocketAddr;

use crate::plane::Remote;

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Take it.
    Taken,
    /// Take it, and send there from now on.
    Latched,
    /// Not yet: another must follow.
    OnProbation,
    /// Not from there.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
}

/// The addresses of the other side.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub(crate) struct Latch {
    rtp: Option<SocketAddr>,
    described: Option<Remote>,
    /// The last description that named an address.
    placed: Option<Remote>,
    /// Early media came from there before there was a description: heard, not sent to.
    early: Option<SocketAddr>,
    rtcp: Option<SocketAddr>,
    /// Where RTP and RTCP went, as described and as found out, before the description moved.
    former_rtp: [Option<SocketAddr>; 2],
    former_rtcp: [Option<SocketAddr>; 2],
    candidate: Option<Candidate>,
}

impl Latch {
    /// What the other side's description says. The same as before changes nothing.
    pub(crate) fn describe(&mut self, remote: Option<Remote>) {
        if self.described == remote {
            return;
        }
        let before = std::mem::replace(&mut self.described, remote);
        let Some(remote) = remote else {
            *self = Latch::default();
            return;
        };
        if before.is_none() {
            self.early = self.rtp.take();
            self.candidate = None;
        }
        if !is_somewhere(remote.rtp) {
            return;
        }
        if let Some(placed) = self.placed.replace(remote) {
            if placed.rtp != remote.rtp {
                self.former_rtp = [Some(placed.rtp), self.rtp.take()];
                self.early = None;
                self.candidate = None;
            }
            if placed.rtcp != remote.rtcp {
                self.former_rtcp = [Some(placed.rtcp), self.rtcp.take()];
            }
        }
    }

    /// Where RTP goes.
    pub(crate) fn rtp(&self) -> Option<SocketAddr> {
        // Before there is a description there is nothing that was agreed to be sent.
        let described = self.described?;
        is_somewhere(described.rtp).then(|| self.rtp.unwrap_or(described.rtp))
    }

    /// Where RTCP goes, on a port of its own.
    pub(crate) fn rtcp(&self) -> Option<SocketAddr> {
        let described = self.described?;
        is_somewhere(described.rtcp).then(|| self.rtcp.unwrap_or(described.rtcp))
    }

    /// True when packets from there are expected: no proof is asked for.
    pub(crate) fn takes(&self, from: SocketAddr) -> bool {
        self.rtp == Some(from)
            || self.early == Some(from)
            || self.described.is_some_and(|remote| remote.rtp == from)
    }

    /// Judges a valid RTP packet.
    pub(crate) fn judge(
        &mut self,
        from: SocketAddr,
        ssrc: u32,
        sequence: u16,
        authenticated: bool,
    ) -> Verdict {
        if self.rtp == Some(from) {
            return Verdict::Taken;
        }
        let described = self.described.map(|remote| remote.rtp);
        if described == Some(from) {
            let guessed = self.rtp.is_some();
            self.rtp = Some(from);
            self.early = None;
            return if guessed { Verdict::Latched } else { Verdict::Taken };
        }
        if self.rtp.is_some() || self.former_rtp.contains(&Some(from)) {
            return Verdict::Refused;
        }
        let follows = self.candidate.is_some_and(|candidate| {
            candidate.from == from && candidate.ssrc == ssrc && candidate.sequence.wrapping_add(1) == sequence
        });
        if authenticated || follows || described.is_none() {
            self.rtp = Some(from);
            self.early = None;
            self.candidate = None;
            return if described.is_some() {
                Verdict::Latched
            } else {
                Verdict::Taken
            };
        }
        self.candidate = Some(Candidate { from, ssrc, sequence });
        if self.early == Some(from) {
            Verdict::Taken
        } else {
            Verdict::OnProbation
        }
    }

    /// Judges a valid RTCP packet: it must come from the host that RTP comes from or was described.
    pub(crate) fn judge_rtcp(&mut self, from: SocketAddr, authenticated: bool) -> bool {
        let described = self.described.map(|remote| remote.rtcp);
        let hosts = [described, self.described.map(|remote| remote.rtp), self.rtp];
        let known = hosts
            .into_iter()
            .flatten()
            .any(|address| address.ip() == from.ip());
        let taken = known || authenticated || self.described.is_none();
        if described == Some(from) {
            self.rtcp = None;
        } else if taken && self.rtcp.is_none() && !self.former_rtcp.contains(&Some(from)) {
            self.rtcp = Some(from);
        }
        taken
    }
}

/// An address of zeros is the old way to say: send nothing (RFC 3264 §8.4).
fn is_somewhere(address: SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}
