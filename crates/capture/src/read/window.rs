//! The part of a file that is in memory.

use std::io::{self, Read};

/// What is read at once.
const FIRST: usize = 1 << 20;

/// A window of a file: what was read and not taken yet.
#[derive(Debug)]
pub(crate) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where the window starts in the file.
    offset: u64,
    longest: usize,
}

impl<R: Read> Window<R> {
    /// A window that grows to `longest` bytes at most.
    pub(crate) fn new(input: R, longest: usize) -> Self {
        Window {
            input,
            buffer: vec![0; FIRST.min(longest)],
            start: 0,
            end: 0,
            offset: 0,
            longest,
        }
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where in the file the data begin.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn take(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(crate) fn fill(&mut self) -> io::Result<Filled> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.end >= self.longest {
                return Ok(Filled::Full);
            }
            let longer = (self.buffer.len() * 2).min(self.longest);
            self.buffer.resize(longer, 0);
        }
        let before = self.end;
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if self.end > before {
            Filled::More
        } else {
            Filled::Ended
        })
    }
}

/// What reading on brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// More data.
    More,
    /// The file has ended.
    Ended,
    /// No room is left.
    Full,
}
