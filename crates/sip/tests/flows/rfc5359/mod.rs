//! RFC 5359: the services.

mod forwarding;
mod hold;
mod monitoring;
mod transfer;
