//! Which environment variables commands get. A list of allowed names: what is not on it, keys
//! and tokens above all, does not reach them.

/// Names that are safe and that tools need.
const ALLOWED: [&str; 42] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "COLORTERM",
    "TZ",
    "TMPDIR",
    "EDITOR",
    "PAGER",
    "NO_COLOR",
    "FORCE_COLOR",
    "CI",
    "COLUMNS",
    "LINES",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "CARGO_TARGET_DIR",
    "RUST_BACKTRACE",
    "GOPATH",
    "GOROOT",
    "GOCACHE",
    "GOMODCACHE",
    "GOFLAGS",
    "JAVA_HOME",
    "MAVEN_HOME",
    "GRADLE_HOME",
    "NVM_DIR",
    "NODE_PATH",
    "PYENV_ROOT",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONPATH",
    "RBENV_ROOT",
    "GEM_HOME",
    "PKG_CONFIG_PATH",
    "NIX_PROFILES",
    "SSL_CERT_FILE",
];

/// Beginnings of names that are as safe.
const ALLOWED_FAMILIES: [&str; 1] = ["LC_"];

/// The part of an environment that commands get: the built-in names and the `extra` ones, in the
/// order in which they stand in `all`.
///
/// ```
/// let all = [("PATH", "/bin"), ("API_KEY", "secret"), ("LC_ALL", "C")];
/// let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
/// let names: Vec<String> = quire_sandbox::allowed_environment(&all, &[])
///     .into_iter()
///     .map(|(name, _)| name)
///     .collect();
/// assert_eq!(names, ["PATH", "LC_ALL"]);
/// ```
pub fn allowed_environment(all: &[(String, String)], extra: &[String]) -> Vec<(String, String)> {
    let allowed = |name: &str| {
        ALLOWED.contains(&name)
            || ALLOWED_FAMILIES
                .iter()
                .any(|family| name.starts_with(family))
            || extra.iter().any(|extra| extra == name)
    };
    all.iter()
        .filter(|(name, _)| allowed(name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_behind_unless_they_are_named() {
        let all = ["ANTHROPIC_API_KEY", "SSH_AUTH_SOCK", "LD_PRELOAD", "HOME"];
        let all = all.map(|name| (name.to_owned(), "x".to_owned()));
        let names = |extra: &[String]| -> Vec<String> {
            let kept = allowed_environment(&all, extra);
            kept.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[]), ["HOME"]);
        assert_eq!(names(&["LD_PRELOAD".to_owned()]), ["LD_PRELOAD", "HOME"]);
    }
}
