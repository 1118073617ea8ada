//! Call flows, one module for each RFC section or story: between endpoints, or between an endpoint and a scripted peer.

mod parties;
mod script;
mod strangers;
#[path = "../support/mod.rs"]
mod support;

mod random_walk;
mod rfc3261_10_registration;
mod rfc3261_12_dialogs;
mod rfc3261_13_2_2_late;
mod rfc3261_13_invite;
mod rfc3261_14_changes;
mod rfc3261_22_challenges;
mod rfc3261_8_2_server;
mod rfc3262_reliable;
mod rfc3515_refer;
mod rfc3665;
mod rfc3891_replaces;
mod rfc4028_session_timer;
mod rfc5359;
mod rfc5407_3_1_moratorium;
mod rfc5407_3_2_mortal;
mod rfc5407_3_3_other;
mod rfc6665_subscription;
mod server_addressing;
