//! Opaque texts that travel through a client: a vendor's proof of thinking goes out in the words of another
//! API, comes back in the next request, and is told apart from what others made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quire_dialect::Dialect;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How every seal of ours begins; no vendor's does.
pub(crate) const MARK: &str = "qs1.";
/// Bytes of the proof that it is ours.
const PROOF: usize = 16;

/// What a seal of ours holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Whose API the text belongs to.
    pub from: Dialect,
    /// The text, as that API wrote it.
    pub text: String,
}

/// Makes seals, and knows its own again.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
}

impl Sealer {
    /// Seals by a secret. Servers that stand side by side need the same one.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self {
            key: Sha256::digest(secret).into(),
        }
    }

    /// A text for a client of another API.
    #[must_use]
    pub fn seal(&self, seal: &Seal) -> String {
        let body = [seal.from.name().as_bytes(), b"\0", seal.text.as_bytes()].concat();
        let mut all = self.proof(&body).to_vec();
        all.extend_from_slice(&body);
        format!("{MARK}{}", URL_SAFE_NO_PAD.encode(all))
    }

    /// What a client sent back, if it is of our making and nobody changed it.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<Seal> {
        let all = URL_SAFE_NO_PAD.decode(text.strip_prefix(MARK)?).ok()?;
        let (proof, body) = all.split_at_checked(PROOF)?;
        if !bool::from(self.proof(body).ct_eq(proof)) {
            return None;
        }
        let end = body.iter().position(|byte| *byte == 0)?;
        let from = Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.name().as_bytes() == &body[..end])?;
        let text = String::from_utf8(body[end + 1..].to_vec()).ok()?;
        Some(Seal { from, text })
    }

    /// HMAC-SHA-256, cut short.
    fn proof(&self, body: &[u8]) -> [u8; PROOF] {
        let pad = |with: u8| {
            let mut block = [with; 64];
            block
                .iter_mut()
                .zip(self.key)
                .for_each(|(byte, key)| *byte ^= key);
            block
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(body)
            .finalize();
        let outer = Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize();
        let mut proof = [0; PROOF];
        proof.copy_from_slice(&outer[..PROOF]);
        proof
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_secret_sealed_opens() {
        let seal = Seal {
            from: Dialect::Responses,
            text: "gAAAA\0ü".to_owned(),
        };
        let ours = Sealer::new(b"one");
        let text = ours.seal(&seal);
        assert_eq!(ours.open(&text), Some(seal));
        assert_eq!(Sealer::new(b"two").open(&text), None);
        for at in MARK.len()..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            if other != text {
                assert_eq!(ours.open(&other), None, "{at}");
            }
        }
        for foreign in ["", "qs1.", "qs1.AAAA", "EqQBCgIYAhIM", "gAAAAA"] {
            assert_eq!(ours.open(foreign), None);
        }
    }
}
