//! A certificate authority of the test's own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A private certificate authority with one server certificate for `localhost`, `callwright.test` and 127.0.0.1,
/// all as PEM files of one folder.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes the keys and certificates and writes them into `folder`.
    pub fn create(folder: &Path) -> Self {
        let authority = Self {
            folder: folder.to_owned(),
        };
        let mut root = named("Callwright test authority", Vec::new());
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_key = KeyPair::generate().expect("a key for the authority");
        let root_certificate = root
            .self_signed(&root_key)
            .expect("the certificate of the authority");

        let names = ["localhost", "callwright.test", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .to_vec();
        let server_key = KeyPair::generate().expect("a key for the server");
        let server_certificate = named("Callwright test server", names)
            .signed_by(&server_key, &Issuer::new(root, root_key))
            .expect("the certificate of the server");

        for (path, text) in [
            (authority.root(), root_certificate.pem()),
            (authority.certificate(), server_certificate.pem()),
            (authority.key(), server_key.serialize_pem()),
        ] {
            std::fs::write(path, text).expect("a PEM file");
        }
        authority
    }

    /// The root certificate: what `SSL_CERT_FILE` names for a client to trust the server.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// The certificate of the server.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// The private key of the server.
    pub fn key(&self) -> PathBuf {
        self.folder.join("server.key")
    }
}

fn named(common_name: &str, subject_alternative_names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(subject_alternative_names).expect("names of a certificate");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}
