//! A library out of cargo's own registry folder, with a fault planted in a copy of it. The repository
//! holds none of its text but the line of the fault; which version it is, `Cargo.lock` says.

use std::collections::BTreeMap;
use std::env::var_os;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::run::Place;

/// Variables for the program under test.
pub(crate) type Environment = Vec<(&'static str, OsString)>;

/// A library that this workspace is built from, and a fault that a task is about.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    /// Where the fault is.
    pub(crate) file: &'static str,
    /// What is there, once.
    pub(crate) whole: &'static str,
    /// What comes in its place.
    pub(crate) broken: &'static str,
}

/// The files of a copy, as they are without the fault.
pub(crate) struct Copied {
    files: BTreeMap<String, Vec<u8>>,
}

impl Library {
    /// Copies the library into the workspace and plants the fault.
    pub(crate) fn plant(&self, place: &Place) -> Copied {
        let (folder, mut files) = (self.folder(), BTreeMap::new());
        collect(&folder, "", &mut files);
        let manifest = files.get_mut("Cargo.toml").unwrap();
        manifest.extend_from_slice(b"\n[workspace]\n");
        for (path, bytes) in &files {
            place.write(path, bytes);
        }
        let text = place.read(self.file);
        let found = text.matches(self.whole).count();
        assert_eq!(
            found,
            1,
            "{}/{}: `{}` is there {found} times. The library is another version than the recorded one: \
             plant the fault elsewhere and record the task again (tests/golden/README.md)",
            folder.display(),
            self.file,
            self.whole,
        );
        place.write(self.file, text.replace(self.whole, self.broken));
        Copied { files }
    }

    /// Where cargo keeps the version that `Cargo.lock` names.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test asks cargo where it keeps a library"
    )]
    fn folder(&self) -> PathBuf {
        let name = self.name;
        let asked = Command::new(var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--offline", "--locked"])
            .args(["--filter-platform", "host-tuple"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap_or_else(|error| panic!("cargo, which knows where {name} is: {error}"));
        assert!(
            asked.status.success(),
            "cargo cannot say offline where {name} is: run `cargo fetch --locked` once, with a network\n{}",
            String::from_utf8_lossy(&asked.stderr)
        );
        let metadata: Value = serde_json::from_slice(&asked.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let found: Vec<&Path> = packages
            .iter()
            .filter(|package| package["name"] == name && package["source"].is_string())
            .map(|package| Path::new(package["manifest_path"].as_str().unwrap()))
            .collect();
        let [manifest] = found.as_slice() else {
            panic!(
                "Cargo.lock has {} packages called {name} for this machine, and this task needs one: \
                 record a task about another library (tests/golden/README.md)",
                found.len()
            );
        };
        manifest.parent().unwrap().to_owned()
    }
}

impl Copied {
    /// Says that the workspace has these files again, byte for byte.
    pub(crate) fn check_restored(&self, place: &Place) {
        for (path, bytes) in &self.files {
            let found = fs::read(place.work().join(path)).unwrap_or_default();
            assert!(found == *bytes, "{path} is not what it was");
        }
    }
}

/// Reads the files beneath a folder, except for cargo's own notes about the download.
fn collect(folder: &Path, beneath: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(".cargo") {
            continue;
        }
        let path = format!("{beneath}{name}");
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

/// What `cargo` in the workspace needs, since its home is a folder of the test.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own environment says where cargo is"
)]
pub(crate) fn cargo_environment(place: &Place) -> Environment {
    let at_home = |name, folder: &str| {
        var_os(name).or_else(|| Some(PathBuf::from(var_os("HOME")?).join(folder).into()))
    };
    let variables = [
        ("CARGO_HOME", at_home("CARGO_HOME", ".cargo")),
        ("RUSTUP_HOME", at_home("RUSTUP_HOME", ".rustup")),
        ("RUSTUP_TOOLCHAIN", var_os("RUSTUP_TOOLCHAIN")),
        ("CARGO_TARGET_DIR", Some(place.work().join("target").into())),
    ];
    variables
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
