//! Handles: what the caller of the API holds instead of references.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $letter:literal),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name {
                pub(crate) index: u32,
                pub(crate) generation: u32,
            }

            impl Handle for $name {
                fn new(index: u32, generation: u32) -> Self {
                    $name { index, generation }
                }

                fn parts(self) -> (u32, u32) {
                    (self.index, self.generation)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($letter, "{}.{}"), self.index, self.generation)
                }
            }
        )+
    };
}

/// What every handle has: a place, and a generation that tells apart what stood there one after the other.
pub(crate) trait Handle: Copy {
    /// The handle of this place and generation.
    fn new(index: u32, generation: u32) -> Self;
    /// Its place and generation.
    fn parts(self) -> (u32, u32);
}

ids! {
    /// A local identity: an address-of-record with its credentials, contact and routes.
    IdentityId "identity",
    /// A call: what one INVITE began, from that INVITE to its end. (Not the Call-ID header field.)
    CallId "call",
    /// A REFER, sent or received, with its implicit subscription.
    ReferId "refer",
    /// A request that was sent by `Endpoint::request` or `Endpoint::send_request`.
    RequestId "request",
    /// A request that was received and waits for `Endpoint::respond`.
    IncomingId "incoming",
    /// A registration.
    RegistrationId "registration",
    /// A subscription, of the subscriber's side.
    SubscriptionId "subscription",
}

impl IdentityId {
    /// The identity of nobody: of a call that came for none of ours.
    pub(crate) const NOBODY: IdentityId = IdentityId {
        index: u32::MAX,
        generation: 0,
    };
}
