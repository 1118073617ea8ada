//! Who a user agent is, and how it behaves by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use callwright_media::codec::Codec;
use callwright_sip::digest::Password;
use callwright_sip_message::{Host, Uri};
use callwright_wire::Transport;

/// The settings of a user agent. They do not change while it lives.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user part of the address-of-record.
    pub username: String,
    /// The domain of the address-of-record.
    pub domain: Host,
    /// The port of the domain, where one was named.
    pub port: Option<u16>,
    /// The password for digest authentication.
    pub password: Option<Password>,
    /// The user name for digest authentication; `username` by default.
    pub auth_user: Option<String>,
    /// The display name in From and Contact.
    pub display_name: Option<String>,
    /// The transport to the domain or the outbound proxy.
    pub transport: Transport,
    /// The outbound proxy: where every request outside a dialog goes first.
    pub outbound: Option<Uri>,
    /// False accepts any certificate.
    pub tls_verify: bool,
    /// Where to bind; by default the address that routes to the domain, any port.
    pub local: Option<LocalAddress>,
    /// The expiry that a registration asks for; zero: registered once, never refreshed.
    pub registration_interval: Duration,
    /// Tries again by itself after a failed REGISTER: after `Retry-After`, else after 30 s, doubled up to 30 min
    /// (RFC 5626 §4.5).
    pub registration_retry: bool,
    /// Subscribe to message waiting when registered.
    pub message_waiting: bool,
    /// How digits are sent.
    pub dtmf: DtmfMode,
    /// Encryption of media.
    pub media_encryption: MediaEncryption,
    /// Codecs in order of preference; never empty.
    pub codecs: Vec<Codec>,
    /// Header fields added to every INVITE.
    pub headers: Vec<(String, String)>,
    /// Send INVITE without an offer: the callee offers, and the ACK answers (RFC 3261 §13.2.1).
    pub delayed_offer: bool,
    /// Answer calls with 302 to this target.
    pub deflect_to: Option<String>,
    /// Answer calls by itself, after ringing so long.
    pub auto_answer: Option<Duration>,
}

/// Where a user agent is to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// Any port of this address.
    Ip(IpAddr),
    /// Exactly here.
    Socket(SocketAddr),
}

/// How digits are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtmfMode {
    /// Telephone-event in RTP (RFC 4733); refused where the peer did not agree to it.
    #[default]
    RtpEvent,
    /// INFO requests with application/dtmf-relay.
    Info,
    /// Telephone-event where the peer agreed to it, else INFO.
    Auto,
    /// Tones in the audio (ITU-T Q.23).
    Inband,
}

/// Encryption of media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaEncryption {
    /// Plain RTP, profile RTP/AVP.
    #[default]
    None,
    /// SDES keys in an RTP/AVP offer; plain RTP when the peer does not answer with keys.
    Offered,
    /// RTP/SAVP with SDES keys (RFC 4568), or no call.
    Required,
    /// RTP/SAVPF (RFC 5124) with SDES keys, or no call.
    RequiredWithFeedback,
}

impl Account {
    /// A user agent `username@domain` with every default.
    pub fn new(username: impl Into<String>, domain: Host) -> Self {
        Account {
            username: username.into(),
            domain,
            port: None,
            password: None,
            auth_user: None,
            display_name: None,
            transport: Transport::Udp,
            outbound: None,
            tls_verify: true,
            local: None,
            registration_interval: Duration::from_secs(3600),
            registration_retry: false,
            message_waiting: false,
            dtmf: DtmfMode::default(),
            media_encryption: MediaEncryption::default(),
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            headers: Vec::new(),
            delayed_offer: false,
            deflect_to: None,
            auto_answer: None,
        }
    }
}
