//! The rules over real engines in a simulated world: silent where nothing is wrong, and each speaks when it is broken. And what is
//! made of a capture of such engines.

mod joined;
mod mutant;
mod mutations;
mod relay;
mod stories;
mod town;
mod walks;
