//! Which environment variables commands get. A list of allowed names: what is not on it, keys
//! and tokens above all, does not reach them.

use std::path::{Path, PathBuf};

use quire_protocol::Command;

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

/// What a command gets of an environment, and its own variables, which win over those. Its own may
/// have any name, for the person gave them; but they are held to the same as all others: what names
/// places beneath `distrusted` folders is taken out of them. What the sandbox sets itself it sets
/// after this (where temporary files may be written, how the network is reached): no wall rests on
/// a variable, but with other values a command would be led to what its walls refuse.
///
/// # Errors
/// In words, for what is no variable: a name with `=` would be another name's value.
pub(crate) fn command_environment(
    all: &[(String, String)],
    command: &Command,
) -> Result<Vec<(String, String)>, String> {
    let mut environment = allowed_environment(all, &command.policy.environment);
    for (name, value) in &command.variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("{name:?} cannot be set as a variable"));
        }
        set(&mut environment, name, value);
    }
    Ok(without_distrusted(environment, &command.distrusted))
}

/// Sets a variable, whatever it was.
pub(crate) fn set(environment: &mut Vec<(String, String)>, name: &str, value: &str) {
    environment.retain(|(known, _)| known != name);
    environment.push((name.to_owned(), value.to_owned()));
}

/// Takes out of an environment what names places beneath `distrusted` folders, where a confined
/// command may have put programs: entries of lists such as `PATH`, and variables that say nothing
/// else. `HOME` stays what it is.
fn without_distrusted(
    environment: Vec<(String, String)>,
    distrusted: &[PathBuf],
) -> Vec<(String, String)> {
    if distrusted.is_empty() {
        return environment;
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let roots: Vec<PathBuf> = distrusted.iter().map(|root| real(root)).collect();
    let is_trusted = |name: &str, entry: &str| {
        let path = Path::new(entry);
        if !path.is_absolute() {
            // In a list of folders it means one beneath wherever the command runs.
            return !name.ends_with("PATH");
        }
        let (path, named) = (real(path), path);
        let beneath = |root: &PathBuf| path.starts_with(root) || named.starts_with(root);
        !roots.iter().any(beneath)
    };
    let cleaned = |(name, value): (String, String)| {
        if name == "HOME" {
            return Some((name, value));
        }
        let entries = value.split(':').filter(|entry| is_trusted(&name, entry));
        let kept = entries.collect::<Vec<_>>().join(":");
        (value.is_empty() || !kept.is_empty()).then_some((name, kept))
    };
    environment.into_iter().filter_map(cleaned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_confined_commands_may_write_are_not_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("work");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(root.join("bin"), &link).unwrap();
        let (link, bin) = (link.display(), root.join("bin"));
        let bin = bin.display();
        let all = [
            ("PATH", format!("{bin}:/usr/bin:{link}:.::/bin")),
            ("CARGO_HOME", format!("{bin}/cargo")),
            ("HOME", root.display().to_string()),
            ("PYTHONPATH", format!("lib:{bin}")),
            ("NODE_PATH", ":/opt/lib".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("NO_COLOR", String::new()),
        ];
        let all: Vec<(String, String)> = all
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        assert_eq!(without_distrusted(all.clone(), &[]), all);
        let kept: Vec<String> = without_distrusted(all, std::slice::from_ref(&root))
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let home = format!("HOME={}", root.display());
        let expected = [
            "PATH=/usr/bin:/bin",
            &home,
            "NODE_PATH=/opt/lib",
            "LANG=C.UTF-8",
            "NO_COLOR=",
        ];
        assert_eq!(kept, expected);
    }

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
