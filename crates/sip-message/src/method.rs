//! Request methods (RFC 3261 §7.1 and the IANA registry "SIP Methods").

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

macro_rules! methods {
    ($($variant:ident $text:literal $source:literal),+ $(,)?) => {
        /// A request method. Methods are case-sensitive (RFC 3261 §7.1): `invite` is `Other("invite")`.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Method {
            $(#[doc = concat!("`", $text, "`, ", $source, ".")] $variant,)+
            /// Any other method, as spelled on the wire.
            Other(SmolStr),
        }

        impl Method {
            /// All registered methods, in alphabetical order.
            pub const REGISTERED: &[Method] = &[$(Method::$variant),+];

            /// The method as on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $text,)+
                    Method::Other(text) => text,
                }
            }

            fn of(text: &str) -> Method {
                match text {
                    $($text => Method::$variant,)+
                    _ => Method::Other(SmolStr::new(text)),
                }
            }
        }
    };
}

methods! {
    Ack "ACK" "RFC 3261",
    Bye "BYE" "RFC 3261",
    Cancel "CANCEL" "RFC 3261",
    Info "INFO" "RFC 6086",
    Invite "INVITE" "RFC 3261",
    Message "MESSAGE" "RFC 3428",
    Notify "NOTIFY" "RFC 6665",
    Options "OPTIONS" "RFC 3261",
    Prack "PRACK" "RFC 3262",
    Publish "PUBLISH" "RFC 3903",
    Refer "REFER" "RFC 3515",
    Register "REGISTER" "RFC 3261",
    Subscribe "SUBSCRIBE" "RFC 6665",
    Update "UPDATE" "RFC 3311",
}

impl From<&str> for Method {
    fn from(text: &str) -> Self {
        Method::of(text)
    }
}

impl FromStr for Method {
    type Err = Infallible;

    /// Never fails: what is not registered becomes [`Method::Other`].
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Method::of(text))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
