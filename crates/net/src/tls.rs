//! TLS settings with this machine's certificates, read once and only when TLS is first used.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;

use crate::Versions;

/// The settings for servers that may speak these versions.
pub(crate) fn settings(versions: Versions) -> Result<Arc<ClientConfig>, String> {
    static LOADED: OnceLock<Result<Settings, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(load).as_ref().map_err(Clone::clone)?;
    Ok(Arc::clone(match versions {
        Versions::Agreed => &loaded.agreed,
        Versions::Http1 => &loaded.http1,
    }))
}

struct Settings {
    agreed: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

fn load() -> Result<Settings, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found
            .errors
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        return Err(format!(
            "no trusted certificate was found on this machine {why}"
        ));
    }
    trusting(roots)
}

fn trusting(roots: rustls::RootCertStore) -> Result<Settings, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut http1 = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut agreed = http1.clone();
    agreed.alpn_protocols.insert(0, b"h2".to_vec());
    Ok(Settings {
        agreed: Arc::new(agreed),
        http1: Arc::new(http1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_is_offered_unless_http1_alone_is_spoken() {
        let settings = trusting(rustls::RootCertStore::empty()).unwrap();
        assert_eq!(settings.agreed.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(settings.http1.alpn_protocols, [b"http/1.1"]);
    }
}
