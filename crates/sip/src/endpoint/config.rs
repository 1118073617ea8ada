//! How an endpoint behaves.

use std::time::Duration;

use callwright_sip_message::Method;

/// Limits and defaults of an [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The transport and transactions below.
    pub core: crate::core::CoreConfig,
    /// `User-Agent` in requests, `Server` in responses; `None`: neither.
    pub product: Option<String>,
    /// What is allowed in `Allow`; any other registered method is answered 405, an unknown one 501.
    pub allow: Vec<Method>,
    /// Types of bodies that are understood (`Accept`); others are answered 415 unless their handling is optional.
    pub accept: Vec<String>,
    /// Methods out of INFO, MESSAGE, OPTIONS, PUBLISH and extensions that are not answered 200 by the endpoint but by
    /// `respond`.
    pub answer_above: Vec<Method>,
    /// Option tags that may be required in requests beyond those that the endpoint itself knows: whoever is above has to
    /// understand them. Others are answered 420.
    pub extensions: Vec<String>,
    /// Where there is no route set, requests go to where the peer's last message came from when its Contact names a
    /// private address that it does not send from, or a name under `.invalid`: so a server reaches user agents behind a NAT,
    /// which name addresses that nobody else can reach. Default false.
    pub symmetric: bool,
    /// The least session interval that is accepted (RFC 4028 §5).
    pub min_session: Duration,
    /// How many calls at once; an INVITE beyond is answered 503.
    pub max_calls: usize,
    /// How many early dialogs a call may fork into; further ones are ignored until one of them answers.
    pub max_forks: usize,
    /// How many INVITEs are remembered that got no final response in time, so that a 2xx which comes within the next 64·T1 is
    /// acknowledged and its dialog hung up (RFC 3261 §13.2.2.4); and those of calls in which another party answers once Timer M
    /// is over. Beyond, the oldest is forgotten. Default 10,000.
    pub max_given_up: usize,
    /// How long a call may ring, whichever side it was placed from: then it is refused with 480, or cancelled. A shorter `Expires`
    /// of the INVITE goes before. Proxies give up sooner, after three minutes without a word (RFC 3261 §16.6, Timer C), but a
    /// call need not pass one, and where one is told each minute that it still rings it waits too.
    pub max_ringing: Duration,
    /// How many operations of one call may wait.
    pub max_queued: usize,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        EndpointConfig {
            core: crate::core::CoreConfig::default(),
            product: Some(concat!("Callwright/", env!("CARGO_PKG_VERSION")).into()),
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Bye,
                Method::Cancel,
                Method::Prack,
                Method::Update,
                Method::Info,
                Method::Message,
                Method::Options,
                Method::Refer,
                Method::Notify,
            ],
            accept: [
                "application/sdp",
                "application/dtmf",
                "application/dtmf-relay",
                "application/simple-message-summary",
                "message/sipfrag",
                "multipart/mixed",
                "text/plain",
            ]
            .map(String::from)
            .to_vec(),
            answer_above: Vec::new(),
            extensions: Vec::new(),
            symmetric: false,
            min_session: crate::session_timer::LEAST_INTERVAL,
            max_calls: 20_000,
            max_forks: 16,
            max_given_up: 10_000,
            max_ringing: Duration::from_secs(1800),
            max_queued: 32,
        }
    }
}
