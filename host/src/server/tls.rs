//! HTTPS: certificate and key, read once at start.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::StartError;

/// Accepts TLS connections, and offers HTTP/2 before HTTP/1.1.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, StartError> {
    let broken = |path: &Path, reason: String| StartError::Tls { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_slice_iter(&read("--tls-cert", certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(certificate, format!("not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(broken(certificate, "holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read("--tls-key", key)?)
        .map_err(|error| broken(key, format!("holds no private key in PEM: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| broken(key, format!("is not the key of {}: {error}", certificate.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::File { option, path: path.to_owned(), source })
}
