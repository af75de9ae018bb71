//! What is never told, and texts without it. Pure.

/// What is shorter than this is no secret.
const SHORTEST: usize = 8;

/// Texts that are never told: values of variables and headers. They do not print themselves.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// The longest first: a whole one before its parts.
    all: Vec<String>,
}

impl Secrets {
    pub(crate) fn new(all: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<String> = all
            .into_iter()
            .filter(|one| one.len() >= SHORTEST)
            .collect();
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { all }
    }

    /// A text without those that a server may have put into it.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.all {
            if text.contains(secret) {
                text = text.replace(secret, "…");
            }
        }
        text
    }
}
