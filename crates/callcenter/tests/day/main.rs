//! Days and hours of a call center in the simulated world: a crowd of callers, agents with phones, and a model of what is right.

mod day;
mod erlang;
mod hour;
mod model;
mod phone;
mod regressions;
mod shares;
mod sound;
mod town;
mod watched;
mod wire;
