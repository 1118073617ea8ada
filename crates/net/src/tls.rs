//! TLS 1.2 and 1.3: whom to trust, and who we are.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use callwright_wire::{ConnectionError, TlsClient};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig, ServerConnection,
};
use rustls::{SignatureScheme, version};

/// Whose certificates are believed.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// The system's roots, and those that the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    #[default]
    System,
    /// These roots alone.
    Roots(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// Roots from PEM text.
    ///
    /// # Errors
    ///
    /// When a certificate cannot be read, or there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, IdentityError> {
        certificates(pem).map(Trust::Roots)
    }
}

/// A certificate chain and its key: what a TLS listener shows.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// A chain, leaf first, and its key, both as PEM text.
    ///
    /// # Errors
    ///
    /// When either cannot be read, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| IdentityError::Key {
            detail: error.to_string(),
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| IdentityError::Mismatch {
                detail: error.to_string(),
            })?;
        Ok(Identity {
            config: Arc::new(config),
        })
    }
}

/// Why certificates or a key were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificates.
    #[error("the certificates cannot be read ({detail}); they must be PEM, the leaf first")]
    Certificates {
        /// What was wrong.
        detail: String,
    },
    /// The key.
    #[error("the private key cannot be read ({detail}); it must be PEM and not encrypted")]
    Key {
        /// What was wrong.
        detail: String,
    },
    /// Both together.
    #[error("the certificate and the key are not usable together: {detail}")]
    Mismatch {
        /// What was wrong.
        detail: String,
    },
}

const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// The one place that chooses a cryptographic library.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()))
        .clone()
}

/// What tells the loop that something it waits for is there.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

type Client = Result<Arc<ClientConfig>, ConnectionError>;

/// TLS of one world.
pub(crate) struct Tls {
    trust: Trust,
    identity: Option<Identity>,
    verifying: Arc<OnceLock<Client>>,
    accepting: OnceLock<Client>,
    loader: Option<JoinHandle<()>>,
    wake: Wake,
}

impl Tls {
    pub(crate) fn new(trust: Trust, identity: Option<Identity>, wake: Wake) -> Self {
        Tls {
            trust,
            identity,
            verifying: Arc::default(),
            accepting: OnceLock::new(),
            loader: None,
            wake,
        }
    }

    pub(crate) fn can_serve(&self) -> bool {
        self.identity.is_some()
    }

    /// The server's side of a new connection.
    pub(crate) fn server(&self) -> Option<rustls::Connection> {
        let config = self.identity.as_ref()?.config.clone();
        ServerConnection::new(config).ok().map(Into::into)
    }

    /// True when [`Tls::client`] can answer at once. The system's roots are many files and signatures: the first
    /// question starts a thread that reads them, and wakes the loop when they are there.
    pub(crate) fn is_ready(&mut self, client: &TlsClient) -> bool {
        if !client.verify || self.verifying.get().is_some() {
            return true;
        }
        match self.trust {
            Trust::Roots(_) => return true,
            Trust::System if self.loader.is_some() => return false,
            Trust::System => {}
        }
        let (verifying, wake) = (self.verifying.clone(), self.wake.clone());
        let thread = std::thread::Builder::new()
            .name("callwright-roots".into())
            .spawn(move || {
                verifying.get_or_init(|| load(&Trust::System));
                wake();
            });
        // Without a thread it is done here and now, and takes its time.
        self.loader = thread.ok();
        self.loader.is_none()
    }

    /// The thread that reads roots, for whoever ends the world.
    pub(crate) fn stop(&mut self) -> Option<JoinHandle<()>> {
        self.loader.take()
    }

    /// The client's side of a new connection.
    pub(crate) fn client(&self, client: &TlsClient) -> Result<rustls::Connection, ConnectionError> {
        let config = if client.verify {
            self.verifying.get_or_init(|| load(&self.trust)).clone()?
        } else {
            self.accepting.get_or_init(accepting).clone()?
        };
        let name = ServerName::try_from(client.server_name.clone()).map_err(|_| ConnectionError::Tls {
            detail: format!(
                "{:?} is not a name that a certificate can carry",
                client.server_name
            ),
        })?;
        ClientConnection::new(config, name)
            .map(Into::into)
            .map_err(|error| failed(&error))
    }
}

/// Where distributions keep the roots of the system in one file.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/share/ssl/certs/ca-bundle.crt",
];

/// The roots of the system, and those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name beside them. What cannot be read is
/// logged.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|variable| std::env::var_os(variable).is_some());
    // With one of the variables it reads what they name and nothing else.
    let mut found = rustls_native_certs::load_native_certs();
    if named && let Some(bundle) = BUNDLES.iter().map(Path::new).find(|bundle| bundle.exists()) {
        let system = rustls_native_certs::load_certs_from_paths(Some(bundle), None);
        found.certs.extend(system.certs);
        found.errors.extend(system.errors);
    }
    for error in &found.errors {
        tracing::warn!(%error, "some root certificates cannot be read");
    }
    found.certs
}

fn load(trust: &Trust) -> Client {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            roots.add_parsable_certificates(system_roots());
        }
        Trust::Roots(certificates) => {
            roots.add_parsable_certificates(certificates.iter().cloned());
        }
    }
    if roots.is_empty() {
        return Err(ConnectionError::Tls {
            detail: "there are no root certificates; install the system's, or name a file in SSL_CERT_FILE"
                .into(),
        });
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| ConnectionError::Tls {
            detail: error.to_string(),
        })?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| failed(&error))?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn accepting() -> Client {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate {
            algorithms: provider().signature_verification_algorithms,
        }))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn failed(error: &rustls::Error) -> ConnectionError {
    ConnectionError::Tls {
        detail: error.to_string(),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Certificates {
            detail: error.to_string(),
        })?;
    if found.is_empty() {
        return Err(IdentityError::Certificates {
            detail: "there is none in the text".into(),
        });
    }
    Ok(found)
}

/// Believes any certificate; the handshake itself is still checked, so that the peer does hold the key it shows.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
