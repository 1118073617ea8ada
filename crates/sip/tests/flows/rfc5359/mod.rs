//! RFC 5359: the services.

mod services;
