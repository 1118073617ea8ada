//! Call flows between endpoints, one module for each RFC section or story.

mod parties;
mod rfc3665_3_session;
