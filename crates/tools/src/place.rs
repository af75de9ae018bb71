//! Where file tools may read and write. Paths are resolved through symbolic links before they are
//! judged, and what was judged is checked again on the open folder before it is used.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use quire_protocol::{Phase, Policy, SandboxMode};
use quire_walk::{handle_path, open_checked};

use crate::bare;
use crate::proposal::Proposal;

/// The workspace under a policy.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The workspace, absolute and without symbolic links.
    pub(crate) workspace: PathBuf,
    /// What confines it.
    pub(crate) policy: Policy,
    /// What is never read.
    pub(crate) hidden: Arc<[PathBuf]>,
}

/// A file that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where it really is, absolute.
    pub(crate) path: PathBuf,
    /// How a person knows it: relative to the workspace where it is in it.
    pub(crate) shown: PathBuf,
    /// The folder that lets it be written; none where everything is.
    root: Option<PathBuf>,
}

impl Place {
    /// The absolute path that `path` means, `.` and `..` resolved by name.
    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        let mut absolute = PathBuf::new();
        for component in self.workspace.join(path).components() {
            match component {
                Component::ParentDir => {
                    absolute.pop();
                }
                Component::CurDir => {}
                other => absolute.push(other),
            }
        }
        absolute
    }

    /// The path as a person knows it.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.workspace) {
            Ok(relative) if relative.as_os_str().is_empty() => PathBuf::from("."),
            Ok(relative) => relative.to_owned(),
            Err(_) => path.to_owned(),
        }
    }

    /// The real path of something that exists and may be read.
    pub(crate) fn readable(&self, path: &str) -> Result<PathBuf, String> {
        let absolute = self.absolute(path);
        let real = fs::canonicalize(&absolute).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => crate::names::missing(self, &absolute),
            _ => format!("cannot read {path}: {error}"),
        })?;
        if self.is_hidden(&real) || self.is_hidden(&absolute) {
            return Err(format!("{path} holds secrets and is not shown to models"));
        }
        Ok(real)
    }

    /// Whether a path is beneath one that is never read.
    pub(crate) fn is_hidden(&self, path: &Path) -> bool {
        self.policy.sandbox != SandboxMode::Off
            && self.hidden.iter().any(|hidden| path.starts_with(hidden))
    }

    /// The file that a write to `path` would change, if it may be.
    pub(crate) fn writable(&self, path: &str) -> Result<Target, String> {
        if path.trim().is_empty() || path.contains('\0') {
            return Err("the path is empty or not a path".to_owned());
        }
        if path.ends_with('/') {
            return Err(format!("{path} is a folder's name, not a file's"));
        }
        if self.policy.phase == Phase::Plan {
            return Err(crate::verdict::PLANNED_FIRST.to_owned());
        }
        if self.policy.sandbox == SandboxMode::ReadOnly {
            return Err("this run may only read: nothing was changed".to_owned());
        }
        let mut real = self.absolute(path);
        if fs::symlink_metadata(&real).is_ok_and(|found| found.is_symlink()) {
            real = fs::canonicalize(&real).map_err(|error| {
                format!("{path} is a symbolic link that leads nowhere: {error}")
            })?;
        }
        let name = real
            .file_name()
            .ok_or_else(|| format!("{path} is not a file's name"))?;
        let parent = real.parent().unwrap_or(Path::new("/"));
        let real = real_folder(parent)
            .map_err(|error| format!("cannot write {path}: {error}"))?
            .join(name);
        Ok(Target {
            root: self.root_of(path, &real)?,
            shown: self.shown(&real),
            path: real,
        })
    }

    /// Whether changes are refused whatever a person says, since one of them is where nothing may be
    /// written, by its name and after all links too: a link that is made meanwhile opens nothing that
    /// whoever made it could not write anyway.
    pub(crate) fn refuses(&self, changes: &[Proposal]) -> bool {
        let paths = changes
            .iter()
            .flat_map(|change| std::iter::once(&change.path).chain(&change.moved_to));
        let mut refused =
            paths.filter(|path| !self.may_be_written(path) && self.writable(path).is_err());
        refused.next().is_some()
    }

    /// Whether a path may be written, judged by its name alone.
    fn may_be_written(&self, path: &str) -> bool {
        let absolute = self.absolute(path);
        let mut roots = std::iter::once(&self.workspace).chain(&self.policy.writable);
        self.policy.sandbox == SandboxMode::Off
            || !self.is_hidden(&absolute)
                && roots
                    .find_map(|root| absolute.strip_prefix(root).ok())
                    .is_some_and(|relative| protected(relative).is_none())
    }

    /// The folder that lets a file be written; an error where none does.
    fn root_of(&self, path: &str, real: &Path) -> Result<Option<PathBuf>, String> {
        if self.policy.sandbox == SandboxMode::Off {
            return Ok(None);
        }
        let inside = std::iter::once(self.workspace.clone())
            .chain(
                self.policy
                    .writable
                    .iter()
                    .filter_map(|root| fs::canonicalize(root).ok()),
            )
            .find_map(|root| Some((real.strip_prefix(&root).ok()?, root.clone())));
        let Some((relative, root)) = inside else {
            return Err(format!(
                "{path} is outside the workspace ({}), where nothing may be written",
                self.workspace.display()
            ));
        };
        if self.is_hidden(real) {
            return Err(format!("{path} may not be written"));
        }
        match protected(relative) {
            Some(name) => Err(format!(
                "{path} is protected: `{name}` decides what runs later; use git's own commands"
            )),
            None => Ok(Some(root)),
        }
    }
}

/// The folder in a path whose files decide what runs later.
fn protected(relative: &Path) -> Option<String> {
    let mut names = relative
        .components()
        .map(|component| component.as_os_str().to_string_lossy().to_ascii_lowercase());
    names.find(|name| name == ".git" || name == ".quire")
}

/// The real path of what may not exist yet, as far as it does.
pub(crate) fn real(path: PathBuf) -> PathBuf {
    path.ancestors()
        .find_map(|above| {
            let real = fs::canonicalize(above).ok()?;
            Some(real.join(path.strip_prefix(above).ok()?))
        })
        .unwrap_or(path)
}

/// The real path of a folder of which only a part may exist yet.
fn real_folder(folder: &Path) -> io::Result<PathBuf> {
    let mut missing = Vec::new();
    let mut existing = folder;
    loop {
        match fs::canonicalize(existing) {
            Ok(real) => {
                return Ok(missing
                    .iter()
                    .rev()
                    .fold(real, |path, name| path.join(name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::symlink_metadata(existing).is_ok() {
                    return Err(io::Error::other(
                        "a symbolic link in the path leads nowhere",
                    ));
                }
                match (existing.parent(), existing.file_name()) {
                    (Some(parent), Some(name)) => {
                        missing.push(name.to_owned());
                        existing = parent;
                    }
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// An open folder whose real path was checked while it was open, so that what is done in it
/// happens there even if a link on the way to it is changed meanwhile.
struct Anchor {
    folder: PathBuf,
    _open: File,
}

impl Anchor {
    fn open(path: &Path, real: &Path) -> io::Result<Self> {
        let open = File::open(path)?;
        if !open.metadata()?.is_dir() {
            return Err(io::Error::other(format!(
                "{} is not a folder",
                real.display()
            )));
        }
        let folder = handle_path(&open, path);
        if fs::canonicalize(&folder)? != real {
            return Err(io::Error::other(format!(
                "{} changed while it was being used",
                real.display()
            )));
        }
        Ok(Self {
            folder,
            _open: open,
        })
    }

    /// Opens a folder, making it and those above it as needed.
    fn made(real: &Path) -> io::Result<Self> {
        match Self::open(real, real) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
                    return Err(error);
                };
                let above = Self::made(parent)?;
                match fs::create_dir(above.folder.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                    _ => Self::open(&above.folder.join(name), real),
                }
            }
            opened => opened,
        }
    }
}

/// A new file beside the one it will replace. Nobody else may look into it before it is as closed
/// as that one; what replaces nothing gets the usual permissions.
fn temporary(
    folder: &Path,
    replaced: Option<&fs::Permissions>,
) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".quire-tmp-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = if replaced.is_some() { 0o600 } else { 0o666 };
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    builder.tempfile_in(folder)
}

impl Target {
    /// The file's bytes; none if there is no such file. Fails on what is not a file or is larger
    /// than `most` bytes.
    pub(crate) fn read(&self, most: u64) -> Result<Option<Vec<u8>>, String> {
        let shown = self.shown.display();
        let found = match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {shown}: {error}")),
            Ok(found) => found,
        };
        if found.is_dir() {
            return Err(format!("{shown} is a folder, not a file"));
        }
        if !found.is_file() {
            return Err(format!("{shown} is not a regular file"));
        }
        if found.len() > most {
            return Err(format!(
                "{shown} has {}, too much to change as a whole: use a command for it",
                crate::text::size(found.len())
            ));
        }
        let mut bytes = Vec::new();
        open_checked(&self.path)
            .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
            .map(|_| Some(bytes))
            .map_err(|error| format!("cannot read {shown}: {error}"))
    }

    /// Replaces the file in one step, or makes it and the folders above it. Its permissions stay.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), String> {
        self.try_write(bytes)
            .map_err(|error| self.cannot("write", &error))
    }

    /// Removes the file.
    pub(crate) fn remove(&self) -> Result<(), String> {
        let (folder, name) = self.parts();
        Anchor::open(folder, folder)
            .and_then(|anchor| fs::remove_file(anchor.folder.join(name)))
            .map_err(|error| self.cannot("remove", &error))
    }

    fn parts(&self) -> (&Path, &std::ffi::OsStr) {
        (
            self.path.parent().unwrap_or(Path::new("/")),
            self.path.file_name().expect("a target has a file name"),
        )
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<()> {
        let (folder, name) = self.parts();
        let root = self.root.as_deref();
        if let Some(made) = root.and_then(|root| bare::made_by(&self.path, root)) {
            return Err(io::Error::other(format!(
                "git would then take {} for a repository and obey its `config`; use other names, \
                 or have git itself make a repository (`git init` in a folder of its own)",
                made.display()
            )));
        }
        let anchor = Anchor::made(folder)?;
        let place = anchor.folder.join(name);
        let permissions = fs::symlink_metadata(&place)
            .ok()
            .map(|found| found.permissions());
        if permissions.as_ref().is_some_and(fs::Permissions::readonly) {
            return Err(io::Error::other(
                "it is write-protected; change its mode first if that is meant",
            ));
        }
        let mut file = temporary(&anchor.folder, permissions.as_ref())?;
        file.write_all(bytes)?;
        if let Some(permissions) = permissions {
            file.as_file().set_permissions(permissions)?;
        }
        file.persist(&place).map_err(|error| error.error)?;
        Ok(())
    }

    fn cannot(&self, what: &str, error: &io::Error) -> String {
        let shown = self.shown.display();
        match error.kind() {
            io::ErrorKind::StorageFull => {
                format!("cannot {what} {shown}: the disk is full; the file is as it was")
            }
            io::ErrorKind::NotADirectory => {
                format!("cannot {what} {shown}: something on the way to it is a file, not a folder")
            }
            _ => format!("cannot {what} {shown}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quire_protocol::ApprovalMode;

    use super::*;

    #[test]
    fn nobody_looks_into_what_will_be_secret() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let secret = fs::Permissions::from_mode(0o640);
        let file = temporary(folder.path(), Some(&secret)).unwrap();
        let mode = file.as_file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    fn place(workspace: &Path) -> Place {
        Place {
            workspace: fs::canonicalize(workspace).unwrap(),
            policy: Policy {
                sandbox: SandboxMode::WorkspaceWrite,
                approvals: ApprovalMode::Auto,
                rules: Vec::new(),
                domains: Vec::new(),
                writable: Vec::new(),
                environment: Vec::new(),
                phase: Phase::Work,
            },
            hidden: Arc::from([]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_path_leads_out(
            segments in proptest::collection::vec(proptest::sample::select(vec![
                "..", ".", "a", "new", "up", "out", "loop", ".git", "/", "", "a/b",
            ]), 1..8),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let workspace = folder.path().join("work");
            fs::create_dir_all(workspace.join("a/b")).unwrap();
            std::os::unix::fs::symlink("..", workspace.join("up")).unwrap();
            std::os::unix::fs::symlink("/", workspace.join("out")).unwrap();
            std::os::unix::fs::symlink("loop", workspace.join("loop")).unwrap();
            let place = place(&workspace);
            if let Ok(target) = place.writable(&segments.join("/")) {
                prop_assert!(target.path.starts_with(&place.workspace), "{target:?}");
                prop_assert!(!target.shown.components().any(|part| part.as_os_str() == ".git"));
                let parent = target.path.parent().unwrap();
                if let Ok(real) = fs::canonicalize(parent) {
                    prop_assert_eq!(real.as_path(), parent);
                }
            }
        }
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join("work");
        let outside = folder.path().join("outside");
        fs::create_dir_all(workspace.join("a")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "safe").unwrap();
        let target = place(&workspace).writable("a/file").unwrap();
        fs::remove_dir(workspace.join("a")).unwrap();
        std::os::unix::fs::symlink(&outside, workspace.join("a")).unwrap();
        assert!(target.write(b"bad").unwrap_err().contains("changed while"));
        assert!(target.remove().unwrap_err().contains("changed while"));
        assert!(target.read(100).unwrap_err().contains("changed while"));
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "safe");
    }
}
