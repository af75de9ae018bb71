//! Building a cell from inside: its view of the disk, its network, and what its commands will be
//! confined by. Runs in the cell's own process, before any command.

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use landlock::RulesetCreated;
use seccompiler::BpfProgram;

use crate::linux::PROXY_PORT;
use crate::linux::cgroup::Cgroup;
use crate::linux::mounted::Mounted;
use crate::linux::plan::{Mount, MountKind};
use crate::linux::sys::{files, mounts, process};
use crate::linux::traps::Traps;
use crate::linux::wall::landlock::View;
use crate::linux::wall::seccomp::Sockets;
use crate::linux::wall::{landlock as landlock_wall, seccomp};
use crate::linux::wire::{CellOrder, Ground};

/// What a cell's process holds ready for each command.
pub(crate) struct Cell {
    pub(crate) ground: Ground,
    pub(crate) landlock: Option<RulesetCreated>,
    pub(crate) landlock_detail: Result<String, String>,
    pub(crate) filters: Option<[BpfProgram; 2]>,
    pub(crate) cgroup: Option<Cgroup>,
    /// What no command may bring about.
    pub(crate) traps: Traps,
    /// What is mounted over to protect it.
    pub(crate) mounted: Mounted,
}

impl Cell {
    /// How many processes in it were killed so far because its memory was used up.
    pub(crate) fn kills(&self) -> u64 {
        self.cgroup.as_ref().map_or(0, Cgroup::kills)
    }
}

/// The largest private temp folder, in bytes.
const TEMP_BYTES: u64 = 2 << 30;

/// The largest shared-memory folder, in bytes.
const SHARED_MEMORY_BYTES: u64 = 512 << 20;

/// Builds what the order asks for. With a proxy, its listening socket comes with the cell.
pub(crate) fn build(
    order: CellOrder,
    cgroup: Option<Cgroup>,
    user: (u32, u32),
) -> Result<(Cell, Option<OwnedFd>), String> {
    let mut proxy = None;
    if let Ground::Namespaces {
        mounts,
        proxy: wanted,
    } = &order.ground
    {
        let temp = (order.limits.memory_bytes / 2).min(TEMP_BYTES);
        become_owner(user).map_err(|error| format!("user namespace: {error}"))?;
        show_disk(mounts, temp)?;
        process::loopback_up().map_err(|error| format!("loopback interface: {error}"))?;
        if *wanted {
            let listener = TcpListener::bind(("127.0.0.1", PROXY_PORT))
                .map_err(|error| format!("proxy socket: {error}"))?;
            proxy = Some(listener.into());
        }
    }
    let (view, sockets) = match order.ground {
        Ground::Namespaces { .. } => (Some(View::Cell), Some(Sockets::Internet)),
        Ground::Bubblewrap { .. } => (None, Some(Sockets::Internet)),
        Ground::Landlock => (Some(View::Machine), Some(Sockets::None)),
        Ground::Open => (None, None),
    };
    let filters = sockets.map(seccomp::programs).transpose();
    let filters = filters.map_err(|reason| format!("seccomp: {reason}"))?;
    let (landlock, landlock_detail) = match view {
        None => (None, Err("not used behind this wall".to_owned())),
        Some(view) => match landlock_wall::rules(view, &order.readable, &order.writable) {
            Ok(rules) => (Some(rules), Ok(landlock_wall::describe())),
            Err(reason) if view == View::Machine => return Err(format!("Landlock: {reason}")),
            Err(reason) => (None, Err(reason)),
        },
    };
    order.traps.read();
    let cell = Cell {
        ground: order.ground,
        landlock,
        landlock_detail,
        filters,
        cgroup,
        traps: order.traps,
        mounted: Mounted::survey(order.guarded),
    };
    Ok((cell, proxy))
}

/// Gives this process its own user and group in the new user namespace.
fn become_owner(user: (u32, u32)) -> std::io::Result<()> {
    let (user, group) = user;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Builds the cell's view of the disk. Copies are taken first, while everything can still be
/// written; then all is made read-only; then the copies go where they belong.
fn show_disk(wanted: &[Mount], temp_bytes: u64) -> Result<(), String> {
    mounts::make_private().map_err(|error| format!("private mounts: {error}"))?;
    let mut copies = Vec::new();
    for mount in wanted {
        copies.push(copy(mount)?);
    }
    let devices = copy_devices();
    let restricted = mounts::READ_ONLY | mounts::NO_SETUID | mounts::NO_DEVICES;
    mounts::restrict_everything(restricted).map_err(|error| format!("read-only disk: {error}"))?;
    show_devices(&devices).map_err(|error| format!("/dev: {error}"))?;
    let fresh = [MountKind::Temp, MountKind::Empty];
    let fresh = wanted.iter().filter(|mount| fresh.contains(&mount.kind));
    let fresh: Vec<&Path> = fresh.map(|mount| mount.path.as_path()).collect();
    for (mount, copy) in wanted.iter().zip(&copies) {
        place(mount, copy.as_ref(), &fresh, temp_bytes)
            .map_err(|error| format!("{}: {error}", mount.path.display()))?;
    }
    let empty = wanted.iter().filter(|mount| mount.kind == MountKind::Empty);
    for path in empty
        .map(|mount| mount.path.as_path())
        .chain([Path::new("/dev")])
    {
        files::open_straight(path)
            .and_then(|place| mounts::restrict_one(place.as_fd(), restricted & !mounts::NO_DEVICES))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Paths are looked up without following links, here and where a copy is placed: an older cell's
/// commands may change the workspace while this one is built.
fn copy(mount: &Mount) -> Result<Option<OwnedFd>, String> {
    let (source, attributes) = match mount.kind {
        MountKind::Writable => (mount.path.as_path(), 0),
        MountKind::ReadOnly => (mount.path.as_path(), mounts::READ_ONLY),
        MountKind::Blank => (Path::new("/dev/null"), mounts::READ_ONLY),
        MountKind::Empty | MountKind::Temp => return Ok(None),
    };
    let devices = match mount.kind {
        MountKind::Blank => 0,
        _ => mounts::NO_DEVICES,
    };
    files::open_straight(source)
        .and_then(|place| mounts::copy_tree(place.as_fd()))
        .and_then(|tree| {
            let attributes = attributes | mounts::NO_SETUID | devices;
            mounts::restrict_tree(tree.as_fd(), attributes).map(|()| Some(tree))
        })
        .map_err(|error| format!("{}: {error}", mount.path.display()))
}

fn place(
    mount: &Mount,
    copy: Option<&OwnedFd>,
    fresh: &[&Path],
    temp_bytes: u64,
) -> std::io::Result<()> {
    let mut others = fresh.iter().filter(|folder| **folder != mount.path);
    let in_fresh = others.any(|folder| mount.path.starts_with(folder));
    if in_fresh && mount.path.symlink_metadata().is_err() {
        make_place(mount)?;
    }
    let place = files::open_straight(&mount.path)?;
    match (mount.kind, copy) {
        (MountKind::Temp, _) => {
            let temp = mounts::new_temp(temp_bytes, "1777")?;
            mounts::attach(temp.as_fd(), place.as_fd())
        }
        (MountKind::Empty, _) => {
            let empty = mounts::new_temp(1 << 20, "0755")?;
            mounts::attach(empty.as_fd(), place.as_fd())
        }
        (kind, Some(copy)) => {
            let identity = |handle| files::identify(handle).map(|found| found.identity);
            let own = identity(copy.as_fd())? == identity(place.as_fd())?;
            if !own && !in_fresh && kind != MountKind::Blank {
                return Err(std::io::Error::other(
                    "it was replaced while the cell was built",
                ));
            }
            mounts::attach(copy.as_fd(), place.as_fd())
        }
        (_, None) => Ok(()),
    }
}

/// A place inside a folder that starts empty here must be made first. Only folders are ever
/// copied to such a place: the files that are protected lie in a folder that is copied too.
fn make_place(mount: &Mount) -> std::io::Result<()> {
    if mount.kind == MountKind::Blank {
        if let Some(parent) = mount.path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        return std::fs::File::create(&mount.path).map(drop);
    }
    std::fs::create_dir_all(&mount.path)
}

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Copies of the harmless devices that exist.
fn copy_devices() -> Vec<(&'static str, OwnedFd)> {
    let copy = |name| {
        let place = files::open_straight(&Path::new("/dev").join(name)).ok()?;
        Some((name, mounts::copy_tree(place.as_fd()).ok()?))
    };
    DEVICES.into_iter().filter_map(copy).collect()
}

fn show_devices(devices: &[(&str, OwnedFd)]) -> std::io::Result<()> {
    use std::os::unix::fs::symlink;
    let folder = Path::new("/dev");
    let fresh = |path: &Path, bytes, mode| {
        let temp = mounts::new_temp(bytes, mode)?;
        mounts::attach(temp.as_fd(), files::open_straight(path)?.as_fd())
    };
    fresh(folder, 1 << 20, "0755")?;
    for (name, device) in devices {
        let path = folder.join(name);
        std::fs::File::create(&path)?;
        mounts::attach(device.as_fd(), files::open_straight(&path)?.as_fd())?;
    }
    for name in ["shm", "pts"] {
        std::fs::create_dir(folder.join(name))?;
    }
    fresh(&folder.join("shm"), SHARED_MEMORY_BYTES, "1777")?;
    if mounts::mount_terminals(&folder.join("pts")).is_ok() {
        symlink("pts/ptmx", folder.join("ptmx"))?;
    }
    symlink("/proc/self/fd", folder.join("fd"))?;
    for (number, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), folder.join(name))?;
    }
    Ok(())
}
