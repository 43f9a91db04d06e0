//! TLS for the public listener, when it is wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file does not hold PEM of the kind needed.
    #[error("{0}: not readable as PEM; give a certificate chain, or a PKCS#8, PKCS#1 or SEC 1 key")]
    Pem(PathBuf, #[source] pem::Error),
    /// The file of the chain holds no certificate.
    #[error("{0}: holds no certificate")]
    Empty(PathBuf),
    /// The key does not fit the certificate, or neither fits TLS.
    #[error("certificate and key do not make a TLS server: {0}")]
    Unusable(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3 with the chain and key of two PEM files, HTTP/1.1 only.
///
/// # Errors
/// [`TlsError`].
pub fn config(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |error| TlsError::Pem(path, error)
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem(chain))?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(chain.to_owned()));
    }
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, private_key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A handshake that did not come about ends the connection and nothing else.
pub(super) fn acceptor(config: Arc<ServerConfig>) -> tokio_rustls::TlsAcceptor {
    tokio_rustls::TlsAcceptor::from(config)
}
