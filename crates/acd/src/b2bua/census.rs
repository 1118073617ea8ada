//! What calls look like at a moment.

use std::collections::BTreeMap;

use callwright_sdp::Direction;

use super::{Call, Stage};
use crate::fact::CallKey;
use crate::machine::Machine;
use crate::snapshot::{CallSnapshot, CallState};

/// Where calls that wait stand in their queues, and their priorities.
type Positions = BTreeMap<CallKey, (usize, i32)>;

impl Machine {
    /// Every call that is not over, the oldest first. What agents dial to say what they do is none.
    pub fn calls(&self) -> Vec<CallSnapshot> {
        let positions = self.floor.positions();
        let calls = self.switch.all_calls();
        let calls = calls.filter(|(_, call)| !call.story.silent);
        calls
            .filter_map(|(key, call)| self.call_snapshot(key, call, &positions))
            .collect()
    }

    fn call_snapshot(&self, key: CallKey, call: &Call, positions: &Positions) -> Option<CallSnapshot> {
        let queue = call.queued.as_ref().map(|queued| queued.queue);
        let agent = call.service.as_ref().map(|service| service.agent);
        Some(CallSnapshot {
            call: key,
            state: self.state_of(key, call, positions)?,
            caller: call.story.caller.clone(),
            dialled: call.story.dialled.clone(),
            queue: queue.map(|queue| self.floor.queue(queue).config.name.clone()),
            agent: agent.map(|agent| self.floor.agent(agent).name.clone()),
            arrived: call.story.arrived,
            answered: call.story.answered,
        })
    }

    fn state_of(&self, key: CallKey, call: &Call, positions: &Positions) -> Option<CallState> {
        Some(match call.stage {
            Stage::Arriving { .. } => CallState::Arriving,
            Stage::Waiting => {
                let queued = call.queued.as_ref();
                match queued.filter(|queued| !queued.presented.is_empty()) {
                    Some(queued) => CallState::Presented {
                        attempt: queued.attempts,
                    },
                    None => {
                        let (position, priority) = *positions.get(&key)?;
                        CallState::Queued { position, priority }
                    }
                }
            }
            Stage::Speaking { .. } => CallState::Message,
            Stage::Storing { .. } if call.service.is_some() => CallState::Presented {
                attempt: call.queued.as_ref().map_or(0, |queued| queued.attempts),
            },
            Stage::Ringing | Stage::Storing { .. } => CallState::Ringing,
            Stage::Talking { ends } => {
                let held = ends.iter().any(|leg| {
                    let wish = self.switch.leg(*leg).map(|leg| leg.talk.wish);
                    wish.is_some_and(|wish| wish != Direction::SendRecv)
                });
                if held {
                    CallState::Held
                } else {
                    CallState::Connected
                }
            }
            Stage::Over => return None,
        })
    }
}
