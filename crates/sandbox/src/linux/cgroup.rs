//! A cgroup per cell, where one can be had: the hard bound behind the supervisors' sampling.
//! Version 1 as root; version 2 in a subtree that is delegated to this user.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use quire_protocol::ProcessLimits;

/// A cgroup that exists; removed when dropped, once nothing is in it.
pub(crate) struct Cgroup {
    folders: Vec<PathBuf>,
    /// Where "0" moves the writer into it.
    entrances: Vec<fs::File>,
    /// Counts processes killed for memory.
    kills: Option<fs::File>,
    /// In words.
    pub(crate) detail: String,
}

/// One that is not there is no reason to fail; why it is not is told.
pub(crate) fn create(name: &str, limits: &ProcessLimits) -> Result<Cgroup, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    version_2(&mounts, &own, name, limits).or_else(|second| {
        version_1(&mounts, name, limits).map_err(|first| format!("{second}; {first}"))
    })
}

/// The sampling comes first, so this bound lies a little higher.
fn above(value: u64, room: u64) -> u64 {
    value.saturating_add(value / 8).saturating_add(room)
}

/// How often, and at what distance, its removal is tried.
const REMOVAL_ATTEMPTS: usize = 50;
const REMOVAL_PAUSE: std::time::Duration = std::time::Duration::from_millis(2);

const MEMORY_ROOM: u64 = 32 << 20;
const PROCESS_ROOM: u64 = 32;

fn version_1(mounts: &str, name: &str, limits: &ProcessLimits) -> Result<Cgroup, String> {
    let mut cgroup = Cgroup {
        folders: Vec::new(),
        entrances: Vec::new(),
        kills: None,
        detail: "version 1: memory and processes of the cell".to_owned(),
    };
    let bounds = [
        (
            "memory",
            "memory.limit_in_bytes",
            above(limits.memory_bytes, MEMORY_ROOM),
        ),
        (
            "pids",
            "pids.max",
            above(limits.processes.into(), PROCESS_ROOM),
        ),
    ];
    for (controller, file, value) in bounds {
        let root = mount_of(mounts, "cgroup", Some(controller))
            .ok_or_else(|| format!("no version 1 controller `{controller}`"))?;
        cgroup
            .enter_folder(&root.join(name), &[(file, value)])
            .map_err(|error| format!("version 1 controller `{controller}`: {error}"))?;
    }
    cgroup.kills = fs::File::open(cgroup.folders[0].join("memory.oom_control")).ok();
    Ok(cgroup)
}

fn version_2(
    mounts: &str,
    own: &str,
    name: &str,
    limits: &ProcessLimits,
) -> Result<Cgroup, String> {
    let root = mount_of(mounts, "cgroup2", None).ok_or("no cgroup version 2")?;
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or("not in a cgroup of version 2")?;
    let place = root.join(own);
    let parent = place
        .ancestors()
        .take_while(|folder| folder.starts_with(&root))
        .find(|folder| delegated(folder))
        .ok_or("no cgroup version 2 subtree with memory and pids is delegated to this user")?;
    let mut cgroup = Cgroup {
        folders: Vec::new(),
        entrances: Vec::new(),
        kills: None,
        detail: "version 2: memory and processes of the cell".to_owned(),
    };
    let bounds = [
        ("memory.max", above(limits.memory_bytes, MEMORY_ROOM)),
        ("pids.max", above(limits.processes.into(), PROCESS_ROOM)),
    ];
    cgroup
        .enter_folder(&parent.join(name), &bounds)
        .map_err(|error| format!("version 2: {error}"))?;
    cgroup.kills = fs::File::open(cgroup.folders[0].join("memory.events")).ok();
    Ok(cgroup)
}

/// Whether folders made here get both controllers and are ours to make.
fn delegated(folder: &Path) -> bool {
    let controllers = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
    let has = |name| controllers.split_whitespace().any(|word| word == name);
    has("memory")
        && has("pids")
        && fs::OpenOptions::new()
            .write(true)
            .open(folder.join("cgroup.procs"))
            .is_ok()
}

/// Where a cgroup hierarchy is mounted.
fn mount_of(mounts: &str, kind: &str, controller: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, rest) = line.split_once(" - ")?;
        let mut rest = rest.split(' ');
        let (found, options) = (rest.next()?, rest.nth(1)?);
        let controls = controller.is_none_or(|name| options.split(',').any(|word| word == name));
        (found == kind && controls).then(|| place.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// Removes what spawners left that were killed: their process ids are in the names.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("quire-"));
        let owner = owner.and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

impl Cgroup {
    fn enter_folder(&mut self, folder: &Path, bounds: &[(&str, u64)]) -> io::Result<()> {
        if let Some(parent) = folder.parent() {
            sweep(parent);
        }
        fs::create_dir(folder)?;
        self.folders.push(folder.to_path_buf());
        for (file, value) in bounds {
            fs::write(folder.join(file), value.to_string())?;
        }
        let entrance = fs::OpenOptions::new()
            .write(true)
            .open(folder.join("cgroup.procs"))?;
        self.entrances.push(entrance);
        Ok(())
    }

    /// Moves this process, and with it everything it starts, into the cgroup.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        self.entrances
            .iter_mut()
            .try_for_each(|entrance| entrance.write_all(b"0"))
    }

    /// How many processes were killed in it because its memory was used up.
    pub(crate) fn kills(&self) -> u64 {
        let mut text = [0; 1024];
        let Some(Ok(length)) = self.kills.as_ref().map(|file| file.read_at(&mut text, 0)) else {
            return 0;
        };
        let text = String::from_utf8_lossy(&text[..length]);
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Removes it. The kernel refuses as long as something is in it, and the last processes may
    /// still be on their way out.
    pub(crate) fn remove(&self) {
        for folder in &self.folders {
            for _ in 0..REMOVAL_ATTEMPTS {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(REMOVAL_PAUSE);
                    }
                    _ => break,
                }
            }
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_by_kind_and_controller() {
        let mounts = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            35 31 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let found = |kind, controller| mount_of(mounts, kind, controller);
        assert_eq!(
            found("cgroup", Some("memory")),
            Some("/sys/fs/cgroup/memory".into())
        );
        assert_eq!(found("cgroup", Some("pids")), None);
        assert_eq!(
            found("cgroup2", None),
            Some("/sys/fs/cgroup/unified".into())
        );
    }
}
