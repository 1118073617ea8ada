//! Bounds on what the parser holds, each with a name, so that a refusal can say which one was met.

/// Sizes above which a message is refused. Every field can be set by itself:
/// `Limits { body: 1 << 20, ..Limits::default() }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message, head and body. Default 65,535: what a UDP datagram can carry.
    pub message: usize,
    /// Bytes of the head: start line and all header fields. Default 49,152.
    pub head: usize,
    /// Bytes of the start line. Default 8,192.
    pub start_line: usize,
    /// Number of header fields. Default 256.
    pub headers: usize,
    /// Bytes of one header field with its folded lines. Default 16,384.
    pub header: usize,
    /// Number of Via header fields, counted by field and not by element. Default 70, the usual Max-Forwards.
    pub vias: usize,
    /// Number of `;` in one header field, hence of parameters. Default 256.
    pub params: usize,
    /// Bytes of the body. Default 65,535.
    pub body: usize,
}

/// The default of [`Limits::start_line`].
pub(crate) const START_LINE: usize = 8_192;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message: 65_535,
            head: 49_152,
            start_line: START_LINE,
            headers: 256,
            header: 16_384,
            vias: 70,
            params: 256,
            body: 65_535,
        }
    }
}

impl Limits {
    /// No bound but that of the 32-bit offsets in the index (4 GiB): for messages of one's own.
    pub const NONE: Limits = Limits {
        message: u32::MAX as usize,
        head: u32::MAX as usize,
        start_line: u32::MAX as usize,
        headers: usize::MAX,
        header: usize::MAX,
        vias: usize::MAX,
        params: usize::MAX,
        body: u32::MAX as usize,
    };
}

/// The limit that an input exceeded, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {name} limit of {max} is exceeded: raise `Limits::{name}` if such messages are wanted")]
pub struct LimitExceeded {
    /// The name of the field of [`Limits`].
    pub name: &'static str,
    /// Its value: bytes or a count, as that field says.
    pub max: usize,
}

/// `Err` when `actual` is above `max`, the limit called `name`.
pub(crate) fn within(name: &'static str, max: usize, actual: usize) -> Result<(), LimitExceeded> {
    if actual > max {
        return Err(LimitExceeded { name, max });
    }
    Ok(())
}
