//! RFC 3665: the basic call flows. Our endpoints play the user agents, and the tests the registrar and the proxies.
//!
//! | section | flow | where |
//! | --- | --- | --- |
//! | 2.1, 2.5 | registration, new and refused | `rfc3261_10_registration`, where both are part of a longer story |
//! | 2.2 to 2.4 | contacts added, asked for, removed | `registration` |
//! | 3.1 | a session without proxies | `session` |
//! | 3.2 to 3.5 | through proxies, of which one may fail, and an ALG | `proxies` |
//! | 3.6 | redirection, and the answer in the ACK | `session` |
//! | 3.7 | another IP address | `session` |
//! | 3.8 to 3.11 | sessions that come to nothing | `unsuccessful` |
//!
//! Left out of them, since no user agent sees or makes it: TLS and TCP between the hops (`rfc3261_18_streams`), SDP (it passes
//! through an endpoint unread), and what proxies say to each other beyond what they do to a message.

mod proxies;
mod registration;
mod session;
mod unsuccessful;
