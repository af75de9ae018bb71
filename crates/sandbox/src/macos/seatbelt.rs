//! What confines commands on macOS: a profile for `sandbox-exec`. Text only; it runs nothing and
//! is tested everywhere.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use quire_protocol::{Policy, SandboxMode};

/// What a profile is made from. Paths must be canonical: the kernel compares real paths.
pub(crate) struct Wishes<'a> {
    pub(crate) workspace: &'a Path,
    pub(crate) policy: &'a Policy,
    /// A folder for this command's temporary files.
    pub(crate) temp: &'a Path,
    /// Folders and files that may be neither read nor written.
    pub(crate) unseen: &'a [PathBuf],
}

/// What every profile starts with. Later rules win over earlier ones.
const START: &str = "(version 1)
(deny default)
(allow process-exec)
(allow process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow mach-lookup
  (global-name \"com.apple.system.opendirectoryd.libinfo\")
  (global-name \"com.apple.system.logger\")
  (global-name \"com.apple.bsd.dirhelper\"))
(allow ipc-posix-sem)
(allow file-read*)
(allow file-ioctl (regex #\"^/dev/tty\"))
(allow file-write-data
  (literal \"/dev/null\") (literal \"/dev/zero\") (literal \"/dev/tty\"))
";

/// Writes the profile.
pub(crate) fn profile(wishes: &Wishes<'_>) -> String {
    let mut text = START.to_owned();
    let mut writable = vec![wishes.temp];
    if wishes.policy.sandbox == SandboxMode::WorkspaceWrite {
        writable.push(wishes.workspace);
        writable.extend(wishes.policy.writable.iter().map(PathBuf::as_path));
    }
    for folder in &writable {
        rule(&mut text, "allow file-write*", &[subpath(folder)]);
    }
    for folder in writable.iter().filter(|folder| **folder != wishes.temp) {
        guard(&mut text, folder);
    }
    for path in wishes.unseen {
        rule(&mut text, "deny file-read* file-write*", &[subpath(path)]);
    }
    text
}

/// Protects what configures git and Quire in a writable folder, at any depth. A folder that holds
/// something protected may not be moved away either.
fn guard(text: &mut String, folder: &Path) {
    let inside = pattern(folder);
    let git = format!(
        "(regex #\"^{inside}/(.*/)?\\.git/(.*/)?(hooks(/.*)?|config|config\\.worktree|commondir|info/attributes)$\")"
    );
    let own = subpath(&folder.join(".quire"));
    rule(text, "deny file-write*", &[git, own]);
    let marker = format!("(regex #\"^{inside}/(.*/)?\\.git$\")");
    rule(text, "deny file-write-unlink file-write-create", &[marker]);
}

fn rule(text: &mut String, head: &str, filters: &[String]) {
    let filters = filters.join(" ");
    writeln!(text, "({head} {filters})").expect("writing to a string cannot fail");
}

fn subpath(path: &Path) -> String {
    format!("(subpath {})", quoted(&path.to_string_lossy()))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A path as a regular expression. A quote cannot stand in one, and other characters may mean
/// something there: each such matches any character, which protects a little more than asked.
fn pattern(path: &Path) -> String {
    let plain = |character: char| character.is_alphanumeric() || "/_- ".contains(character);
    let text = path.to_string_lossy();
    text.chars()
        .map(|character| if plain(character) { character } else { '.' })
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use quire_protocol::{ApprovalMode, Phase};

    use super::*;

    fn rules(mode: SandboxMode) -> String {
        let policy = Policy {
            sandbox: mode,
            approvals: ApprovalMode::Never,
            rules: Vec::new(),
            domains: Vec::new(),
            writable: vec!["/more".into()],
            environment: Vec::new(),
            phase: Phase::Work,
        };
        let text = profile(&Wishes {
            workspace: Path::new("/w/my \"x\""),
            policy: &policy,
            temp: Path::new("/t"),
            unseen: &["/h/.ssh".into()],
        });
        text.strip_prefix(START)
            .expect("the common start")
            .to_owned()
    }

    #[test]
    fn a_writable_workspace_keeps_git_and_quire_protected() {
        expect![[r#"
            (allow file-write* (subpath "/t"))
            (allow file-write* (subpath "/w/my \"x\""))
            (allow file-write* (subpath "/more"))
            (deny file-write* (regex #"^/w/my .x./(.*/)?\.git/(.*/)?(hooks(/.*)?|config|config\.worktree|commondir|info/attributes)$") (subpath "/w/my \"x\"/.quire"))
            (deny file-write-unlink file-write-create (regex #"^/w/my .x./(.*/)?\.git$"))
            (deny file-write* (regex #"^/more/(.*/)?\.git/(.*/)?(hooks(/.*)?|config|config\.worktree|commondir|info/attributes)$") (subpath "/more/.quire"))
            (deny file-write-unlink file-write-create (regex #"^/more/(.*/)?\.git$"))
            (deny file-read* file-write* (subpath "/h/.ssh"))
        "#]].assert_eq(&rules(SandboxMode::WorkspaceWrite));
    }

    #[test]
    fn only_its_temp_folder_is_writable_for_a_read_only_one() {
        expect![[r#"
            (allow file-write* (subpath "/t"))
            (deny file-read* file-write* (subpath "/h/.ssh"))
        "#]]
        .assert_eq(&rules(SandboxMode::ReadOnly));
    }

    #[test]
    fn nothing_allows_the_network() {
        assert!(!START.contains("network"));
    }
}
