//! Where a phone registers, as it is named on a command line.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use callwright_ua as ua;

/// The port of SIP (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// Whose phone it is, and where it registers.
#[derive(Clone, Debug)]
pub struct Place {
    /// The user.
    pub username: String,
    /// The server, `host` or `host:port`.
    pub server: String,
    /// The domain; that of the server by default.
    pub domain: Option<String>,
    /// The password, where one is asked for.
    pub password: Option<ua::Password>,
    /// The local port; any by default.
    pub port: Option<u16>,
    /// Rings so long, then answers.
    pub answer_after: Duration,
}

/// Why there is no account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The server.
    #[error("--server {0:?} is neither host nor host:port, such as 127.0.0.1:5060")]
    Server(String),
    /// The domain.
    #[error("--domain {0:?} is not a host")]
    Domain(String),
    /// The name of the user.
    #[error("--username {0:?} is not the name of a user: no `@`, no `:`, and not empty")]
    Username(String),
    /// Name resolution.
    #[error("no address of {host}: {detail}; name one with --server")]
    NoAddress {
        /// The host.
        host: String,
        /// What the system said.
        detail: String,
    },
}

impl Place {
    /// The account of its phone.
    ///
    /// # Errors
    ///
    /// When something in it is not what it should be, or the server has no address.
    pub fn account(&self) -> Result<ua::Account, PlaceError> {
        if self.username.is_empty() || self.username.contains(['@', ':']) {
            return Err(PlaceError::Username(self.username.clone()));
        }
        let wrong_server = || PlaceError::Server(self.server.clone());
        let (host, port) = split(&self.server).ok_or_else(wrong_server)?;
        let mut account = match &self.domain {
            Some(domain) => {
                let parsed = domain.parse().map_err(|_| PlaceError::Domain(domain.clone()))?;
                let mut account = ua::Account::new(self.username.as_str(), parsed);
                let proxy = match port {
                    Some(port) => format!("sip:{host}:{port};lr"),
                    None => format!("sip:{host};lr"),
                };
                account.outbound = Some(proxy.parse().map_err(|_| wrong_server())?);
                account
            }
            None => {
                let parsed = host.parse().map_err(|_| wrong_server())?;
                let mut account = ua::Account::new(self.username.as_str(), parsed);
                account.port = port;
                account
            }
        };
        account.password = self.password.clone();
        account.auto_answer = Some(self.answer_after);
        account.registration_retry = true;
        if let Some(local) = self.port {
            let ip = route(host, port.unwrap_or(SIP_PORT))?;
            account.local = Some(ua::LocalAddress::Socket(SocketAddr::new(ip, local)));
        }
        Ok(account)
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let after_address = text.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match text[after_address..].rfind(':') {
        Some(colon) => {
            let colon = after_address + colon;
            (&text[..colon], Some(text[colon + 1..].parse().ok()?))
        }
        None => (text, None),
    };
    (!host.is_empty()).then_some((host, port))
}

/// The local address from which packets to a host leave.
fn route(host: &str, port: u16) -> Result<IpAddr, PlaceError> {
    let no_address = |detail: String| PlaceError::NoAddress {
        host: host.to_owned(),
        detail,
    };
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let remote = (name, port)
        .to_socket_addrs()
        .map_err(|error| no_address(error.to_string()))?
        .next()
        .ok_or_else(|| no_address("the name has none".to_owned()))?;
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => [0, 0, 0, 0].into(),
        SocketAddr::V6(_) => [0; 16].into(),
    };
    // udp(7): connecting looks up the route and sends nothing.
    let socket = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(remote)?;
        socket.local_addr()
    });
    socket
        .map(|local| local.ip())
        .map_err(|error| no_address(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(server: &str, domain: Option<&str>) -> Place {
        Place {
            username: "alice".to_owned(),
            server: server.to_owned(),
            domain: domain.map(str::to_owned),
            password: None,
            port: None,
            answer_after: Duration::ZERO,
        }
    }

    #[test]
    fn without_a_domain_the_server_is_the_domain() {
        let account = place("127.0.0.1:5070", None).account().expect("an account");
        assert_eq!(account.domain.to_string(), "127.0.0.1");
        assert_eq!(account.port, Some(5070));
        assert!(account.outbound.is_none());
    }

    #[test]
    fn a_domain_is_reached_through_the_server() {
        let account = place("[::1]:5070", Some("example.com"))
            .account()
            .expect("an account");
        assert_eq!(account.domain.to_string(), "example.com");
        let outbound = account.outbound.map(|uri| uri.to_string());
        assert_eq!(outbound.as_deref(), Some("sip:[::1]:5070;lr"));
    }

    #[test]
    fn what_is_wrong_names_its_option() {
        for (server, domain, says) in [
            ("127.0.0.1:x", None, "--server"),
            (":5060", None, "--server"),
            ("127.0.0.1", Some("not a host"), "--domain"),
        ] {
            let error = place(server, domain)
                .account()
                .expect_err("it is wrong")
                .to_string();
            assert!(error.starts_with(says), "{error}");
        }
        let nobody = Place {
            username: "a@b".to_owned(),
            ..place("127.0.0.1", None)
        };
        assert!(nobody.account().is_err());
    }

    #[test]
    fn a_local_port_is_bound_where_the_server_is_reached() {
        let place = Place {
            port: Some(5071),
            ..place("127.0.0.1:5060", None)
        };
        let local = place.account().expect("an account").local;
        let expected = ua::LocalAddress::Socket(([127, 0, 0, 1], 5071).into());
        assert_eq!(local, Some(expected));
    }

    #[test]
    fn neither_the_place_nor_its_account_shows_the_password() {
        let place = Place {
            password: Some("open-sesame".into()),
            ..place("127.0.0.1:5060", None)
        };
        let account = place.account().expect("an account");
        assert_eq!(account.password, place.password);
        let shown = format!("{place:?} {account:?}");
        assert!(!shown.contains("open-sesame"), "{shown}");
    }
}
