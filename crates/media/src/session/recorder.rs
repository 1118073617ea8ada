//! A recording on its way to whoever writes it: left sent, right heard, on the clock of what is sent.

use std::collections::VecDeque;

use crate::concealment::Concealer;

/// A piece that is handed over: 200 ms.
const PIECE: usize = 1_600;
/// What is heard is held back by so much, so that jitter leaves no holes: 60 ms.
const PREFILL: usize = 480;
/// More than this is waiting only when the other side's clock is faster: 400 ms.
const LIMIT: usize = 3_200;
/// Samples made up at once.
const CHUNK: usize = 160;

/// Pairs what was sent in an interval with what was heard meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    concealer: Concealer,
    heard: VecDeque<i16>,
    running: bool,
    piece: Vec<i16>,
}

impl Recorder {
    /// Takes audio that was heard, in order.
    pub(crate) fn hear(&mut self, samples: &mut [i16]) {
        self.concealer.received(samples);
        self.heard.extend(&*samples);
        self.trim();
    }

    fn trim(&mut self) {
        let surplus = self.heard.len().saturating_sub(LIMIT);
        self.heard.drain(..surplus);
    }

    /// Makes up audio that was lost.
    pub(crate) fn miss(&mut self, mut samples: usize) {
        let mut made_up = [0; CHUNK];
        while samples > 0 {
            let chunk = &mut made_up[..samples.min(CHUNK)];
            self.concealer.conceal(chunk);
            self.heard.extend(&*chunk);
            samples -= chunk.len();
        }
        self.trim();
    }

    /// Takes what was sent in an interval; gives a piece when one is full.
    pub(crate) fn send(&mut self, frame: &[i16]) -> Option<Box<[i16]>> {
        self.running = if self.running {
            !self.heard.is_empty()
        } else {
            self.heard.len() >= PREFILL
        };
        for &sent in frame {
            let heard = if self.running {
                self.heard.pop_front()
            } else {
                None
            };
            self.piece.push(sent);
            self.piece.push(heard.unwrap_or(0));
        }
        (self.piece.len() >= 2 * PIECE).then(|| self.take())
    }

    /// Everything that was not handed over, what is still held back included.
    pub(crate) fn finish(&mut self) -> Option<Box<[i16]>> {
        for heard in self.heard.drain(..) {
            self.piece.push(0);
            self.piece.push(heard);
        }
        (!self.piece.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Box<[i16]> {
        std::mem::take(&mut self.piece).into_boxed_slice()
    }
}
