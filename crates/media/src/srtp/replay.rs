//! Which packets were received before: RFC 3711 §3.3.2.

/// Packets so far behind the newest are too old to tell.
const WINDOW: u64 = 128;

/// A window of 128 packets behind the newest one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayWindow {
    newest: Option<u64>,
    /// Bit n: `newest - n` was received.
    seen: u128,
}

impl ReplayWindow {
    /// The newest index received.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// True when the packet is new enough, and was not received.
    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.newest {
            None => true,
            Some(newest) if index > newest => true,
            Some(newest) => newest - index < WINDOW && self.seen & 1 << (newest - index) == 0,
        }
    }

    /// Notes a packet whose authentication held.
    pub(super) fn receive(&mut self, index: u64) {
        match self.newest {
            Some(newest) if index <= newest => {
                if newest - index < WINDOW {
                    self.seen |= 1 << (newest - index);
                }
            }
            newest => {
                let ahead = newest.map_or(WINDOW, |newest| index - newest);
                self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
                self.newest = Some(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_is_fresh_once_and_old_ones_never() {
        let mut window = ReplayWindow::default();
        for index in [1_000, 1_002, 1_001, 1_129] {
            assert!(window.is_fresh(index), "{index}");
            window.receive(index);
            assert!(!window.is_fresh(index), "{index}");
        }
        // 127 behind the newest is the last that the window holds.
        assert!(!window.is_fresh(1_002));
        assert!(window.is_fresh(1_003));
        assert!(!window.is_fresh(1_001));
        assert!(!window.is_fresh(1_000));
        window.receive(u64::MAX);
        assert!(!window.is_fresh(1_129));
    }
}
