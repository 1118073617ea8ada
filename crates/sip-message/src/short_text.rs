//! Numbers and IPv4 addresses as text. The formatter, which can pad and align, takes ten times as long.

use std::net::Ipv4Addr;

/// A text of digits and dots.
pub(crate) struct ShortText {
    bytes: [u8; 24],
    length: u8,
}

impl ShortText {
    /// A number in decimal.
    pub(crate) fn of(number: usize) -> ShortText {
        let mut text = ShortText {
            bytes: [0; 24],
            length: 0,
        };
        text.push_number(number);
        text
    }

    /// An address in dotted decimal.
    pub(crate) fn of_v4(address: Ipv4Addr) -> ShortText {
        let [first, rest @ ..] = address.octets();
        let mut text = ShortText::of(usize::from(first));
        for octet in rest {
            text.push(b'.');
            text.push_number(usize::from(octet));
        }
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        // 20 digits, or four octets and three dots: there is room.
        if let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            *place = byte;
            self.length += 1;
        }
    }

    fn push_number(&mut self, number: usize) {
        let mut scale = 1;
        while number / scale >= 10 {
            scale *= 10;
        }
        while scale > 0 {
            self.push(b'0' + (number / scale % 10) as u8);
            scale /= 10;
        }
    }
}
