//! Header field names: the registered ones, their compact forms, and any other.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use smol_str::SmolStr;

macro_rules! header_names {
    ($($variant:ident $text:literal $($compact:literal)?),+ $(,)?) => {
        /// The name of a header field. Names compare without regard to case (RFC 3261 §7.3.1), and a compact form (§7.3.3)
        /// is the same name as the long one.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum HeaderName {
            $(#[doc = concat!("`", $text, "`.")] $variant,)+
            /// Any other name, as spelled. Made by `HeaderName::from`, which never puts a name from above in here.
            Other(SmolStr),
        }

        /// Position of each known name in [`KNOWN`]; the index of a message stores it in one byte.
        #[repr(u8)]
        enum Position { $($variant),+ }

        const TEXTS: &[&str] = &[$($text),+];
        const KNOWN: &[HeaderName] = &[$(HeaderName::$variant),+];

        impl HeaderName {
            #[inline]
            pub(crate) const fn id(&self) -> NameId {
                match self {
                    $(HeaderName::$variant => NameId(Position::$variant as u8),)+
                    HeaderName::Other(_) => NameId::OTHER,
                }
            }
        }

        const fn compact(letter: u8) -> NameId {
            $($(if letter == $compact { return NameId(Position::$variant as u8); })?)+
            NameId::OTHER
        }
    };
}

header_names! {
    Accept "Accept",
    AcceptContact "Accept-Contact" b'a',
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" b'u',
    AnswerMode "Answer-Mode",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallId "Call-ID" b'i',
    CallInfo "Call-Info",
    Contact "Contact" b'm',
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" b'e',
    ContentLanguage "Content-Language",
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" b'o',
    Expires "Expires",
    FlowTimer "Flow-Timer",
    From "From" b'f',
    Geolocation "Geolocation",
    HistoryInfo "History-Info",
    Identity "Identity" b'y',
    InReplyTo "In-Reply-To",
    InfoPackage "Info-Package",
    Join "Join",
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAccessNetworkInfo "P-Access-Network-Info",
    PAssertedIdentity "P-Asserted-Identity",
    PAssociatedUri "P-Associated-URI",
    PCalledPartyId "P-Called-Party-ID",
    PChargingVector "P-Charging-Vector",
    PEarlyMedia "P-Early-Media",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    RSeq "RSeq",
    Reason "Reason",
    RecordRoute "Record-Route",
    RecvInfo "Recv-Info",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    RejectContact "Reject-Contact" b'j',
    RemotePartyId "Remote-Party-ID",
    Replaces "Replaces",
    ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" b'd',
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" b'x',
    SessionId "Session-ID",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" b's',
    SubscriptionState "Subscription-State",
    Supported "Supported" b'k',
    TargetDialog "Target-Dialog",
    Timestamp "Timestamp",
    To "To" b't',
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    UserToUser "User-to-User",
    Via "Via" b'v',
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

impl HeaderName {
    /// The long name in its canonical spelling; of an unknown name, as it was spelled.
    pub fn as_str(&self) -> &str {
        match self {
            HeaderName::Other(text) => text,
            known => TEXTS[usize::from(known.id().0)],
        }
    }
}

impl From<&str> for HeaderName {
    /// Long or compact, in any case.
    fn from(text: &str) -> Self {
        NameId::of(text.as_bytes())
            .known()
            .unwrap_or_else(|| HeaderName::Other(SmolStr::new(text)))
    }
}

impl From<&HeaderName> for HeaderName {
    fn from(name: &HeaderName) -> Self {
        name.clone()
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
            && (self.id() != NameId::OTHER || self.as_str().eq_ignore_ascii_case(other.as_str()))
    }
}

impl Eq for HeaderName {}

impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |name: &HeaderName| name.as_str().to_ascii_lowercase();
        self.id()
            .0
            .cmp(&other.id().0)
            .then_with(|| lower(self).cmp(&lower(other)))
    }
}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_str().bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

/// A header name in one byte: a position in the list of known names, or [`NameId::OTHER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameId(u8);

impl NameId {
    /// Not a known name: the spelling decides.
    pub(crate) const OTHER: NameId = NameId(u8::MAX);

    /// One bit for each known name; none for another.
    pub(crate) const fn bit(self) -> u128 {
        if self.0 < 128 { 1 << self.0 } else { 0 }
    }

    /// The id of a name, long or compact, in any case.
    pub(crate) fn of(name: &[u8]) -> NameId {
        if let [letter] = name {
            return compact(letter.to_ascii_lowercase());
        }
        if name.is_empty() {
            return NameId::OTHER;
        }
        let mut slot = slot_of(name);
        loop {
            let id = SLOTS[slot];
            if id == u8::MAX {
                return NameId::OTHER;
            }
            let text = TEXTS[usize::from(id)].as_bytes();
            // Most peers spell names as the RFCs do.
            if text == name || text.eq_ignore_ascii_case(name) {
                return NameId(id);
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
    }

    /// The name, when it is a known one.
    pub(crate) fn known(self) -> Option<HeaderName> {
        KNOWN.get(usize::from(self.0)).cloned()
    }
}

/// A hash table fixed at compile time: a name is found in one or two probes, without allocation.
const SLOT_COUNT: usize = 512;
static SLOTS: [u8; SLOT_COUNT] = fill_slots();

const fn fill_slots() -> [u8; SLOT_COUNT] {
    let mut slots = [u8::MAX; SLOT_COUNT];
    let mut id = 0;
    while id < TEXTS.len() {
        let mut slot = slot_of(TEXTS[id].as_bytes());
        while slots[slot] != u8::MAX {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = id as u8;
        id += 1;
    }
    slots
}

/// Folds case by setting bit 5, which leaves `-` and digits as they are. `name` is not empty. The factors are those that make
/// the fewest known names share a slot.
const fn slot_of(name: &[u8]) -> usize {
    let length = name.len();
    let first = (name[0] | 0x20) as usize;
    let last = (name[length - 1] | 0x20) as usize;
    (first * 7 + last * 21 + length * 16) % SLOT_COUNT
}
