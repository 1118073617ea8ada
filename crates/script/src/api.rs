//! The functions of the language, by chapter.

mod agents;
mod assertions;
mod audio;
mod calls;
mod getters;
mod http;
mod messages;
mod mock;
mod network;
mod scenarios;
mod top_level;

use crate::entry::Api;

pub(crate) use assertions::refuse_unmatched;
pub(crate) use getters::{Figures, Peer, Registered, Waiting};
pub(crate) use http::OPTIONS as HTTP_OPTIONS;
pub(crate) use messages::Message;
pub(crate) use scenarios::{Collected, Collector, OPTIONS as SCENARIO_OPTIONS, registration};

/// Registers everything.
pub(crate) fn register(api: &mut Api) {
    top_level::register(api);
    scenarios::register(api);
    agents::register(api);
    getters::register(api);
    calls::register(api);
    messages::register(api);
    audio::register(api);
    assertions::register(api);
    http::register(api);
    mock::register(api);
    network::register(api);
}
