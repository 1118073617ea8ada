//! What a phone is to be.

use std::net::IpAddr;
use std::time::Duration;

use callwright_sip::digest::Password;
use callwright_wire::Transport;

/// A phone to start. Everything was checked as far as that is possible without starting it.
#[derive(Clone, Debug)]
pub struct PhoneSpec {
    /// What the scenario calls it: the name in reports and captures.
    pub name: String,
    /// The user part of the address-of-record.
    pub username: String,
    /// The host part of the address-of-record, maybe with a port.
    pub domain: String,
    /// The password; without one, a challenge ends the request.
    pub password: Option<Password>,
    /// The user name for authentication, when it is not `username`.
    pub auth_user: Option<String>,
    /// The name in From and Contact.
    pub display_name: Option<String>,
    /// What carries its SIP.
    pub transport: Transport,
    /// The URI of the outbound proxy.
    pub outbound: Option<String>,
    /// How RTP is protected.
    pub media_encryption: MediaEncryption,
    /// How long a binding is to last; zero never registers again by itself.
    pub registration_interval: Duration,
    /// Subscribe to message waiting, once registered.
    pub mwi: bool,
    /// How digits are sent.
    pub dtmf_mode: DtmfMode,
    /// Header fields to add to each INVITE, in order.
    pub headers: Vec<(String, String)>,
    /// Send INVITE without an offer.
    pub delayed_offer: bool,
    /// Answer calls with 302 to this URI.
    pub deflect_to: Option<String>,
    /// Codecs in order of preference, never empty.
    pub codecs: Vec<AudioCodec>,
    /// Answer calls by itself, after ringing for so long.
    pub auto_answer: Option<Duration>,
    /// The address to bind; by default the one that routes to the domain, and any port.
    pub local: Option<LocalAddress>,
    /// False accepts any certificate of a TLS peer.
    pub tls_verify: bool,
}

impl PhoneSpec {
    /// A phone with nothing but a name and an address, everything else at its default.
    pub fn new(name: &str, username: &str, domain: &str) -> Self {
        PhoneSpec {
            name: name.to_owned(),
            username: username.to_owned(),
            domain: domain.to_owned(),
            password: None,
            auth_user: None,
            display_name: None,
            transport: Transport::Udp,
            outbound: None,
            media_encryption: MediaEncryption::None,
            registration_interval: Duration::from_secs(3600),
            mwi: false,
            dtmf_mode: DtmfMode::Rtp,
            headers: Vec::new(),
            delayed_offer: false,
            deflect_to: None,
            codecs: vec![AudioCodec::Pcmu, AudioCodec::Pcma],
            auto_answer: None,
            local: None,
            tls_verify: true,
        }
    }

    /// The address-of-record: `sip:username@domain`.
    pub fn aor(&self) -> String {
        format!("sip:{}@{}", self.username, self.domain)
    }
}

/// How RTP is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEncryption {
    /// Not at all.
    None,
    /// Keys are offered (RFC 4568); plain RTP is accepted.
    Srtp,
    /// SDES in an offer with RTP/SAVP, and a peer without keys is refused.
    SrtpMandatory,
    /// The same with RTP/SAVPF, the profile with feedback (RFC 5124).
    SrtpMandatoryProfile,
}

/// How digits are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfMode {
    /// Telephone events (RFC 4733).
    Rtp,
    /// SIP INFO with `application/dtmf-relay`.
    Info,
    /// Telephone events where the peer takes them, else INFO.
    Auto,
    /// Tones in the audio.
    Inband,
}

/// A codec that an agent can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioCodec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

/// Where to bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub ip: IpAddr,
    /// The port; `None` takes any.
    pub port: Option<u16>,
}
