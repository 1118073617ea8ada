//! The real world: the only sockets, the only clock, TLS and the resolver.
