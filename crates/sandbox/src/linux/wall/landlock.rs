//! What confined commands may touch on the disk, as the kernel's Landlock keeps it. It grants
//! and never takes away, so it comes second to mounts where there are mounts.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::linux::sys::process::landlock_version;

/// The newest version whose rights are asked for; older kernels enforce what they know.
const NEWEST: ABI = ABI::V6;

/// Rights that make a command's view of its device folder and its temporary folders whole.
const PRIVATE: [&str; 4] = ["/dev", "/dev/shm", "/tmp", "/var/tmp"];

/// Single devices for a command that sees the machine's own device folder.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Which view of the disk the rules are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// A cell's: its device and temp folders are its own.
    Cell,
    /// The machine's.
    Machine,
}

/// Rules that are ready to be imposed.
pub(crate) fn rules(
    view: View,
    readable: &[PathBuf],
    writable: &[PathBuf],
) -> Result<RulesetCreated, String> {
    if landlock_version() == 0 {
        return Err("this kernel has no Landlock, or it is switched off".to_owned());
    }
    make(view, readable, writable).map_err(|error| error.to_string())
}

fn make(
    view: View,
    readable: &[PathBuf],
    writable: &[PathBuf],
) -> Result<RulesetCreated, landlock::RulesetError> {
    let all = AccessFs::from_all(NEWEST);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for path in readable {
        rules = grant(rules, path, AccessFs::from_read(NEWEST))?;
    }
    for path in writable {
        rules = grant(rules, path, all)?;
    }
    let own: &[&str] = match view {
        View::Cell => &PRIVATE,
        View::Machine => {
            rules = grant(rules, Path::new("/"), AccessFs::ReadDir.into())?;
            &DEVICES
        }
    };
    for path in own {
        rules = grant(rules, Path::new(path), all)?;
    }
    Ok(rules)
}

/// Grants rights at a path; one that cannot be opened gets none.
fn grant(
    rules: RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(descriptor) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    rules.add_rule(PathBeneath::new(descriptor, access))
}

/// Imposes the rules on this process for good.
pub(crate) fn impose(rules: RulesetCreated) -> Result<(), String> {
    match rules.restrict_self() {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(_) => Err("Landlock enforced nothing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What Landlock does here, in words.
pub(crate) fn describe() -> String {
    let version = landlock_version();
    let missing = match version {
        0 => return "none in this kernel".to_owned(),
        1 => "; without: moving between folders, truncation, devices, signals",
        2 => "; without: truncation, devices, signals",
        3 | 4 => "; without: devices, signals",
        5 => "; without: signals",
        _ => "",
    };
    format!("version {version} of the kernel's interface{missing}")
}
