//! Which wall stands on this machine: tried from the strongest down, and told.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use quire_protocol::{Layer, Policy, SandboxMode, SandboxReport, Wall};

use crate::linux::landmarks::Landmarks;
use crate::linux::mounted::Guarded;
use crate::linux::plan::{Mount, MountKind, Plan, Wishes, everything_but, plan};
use crate::linux::wire::{CellAnswer, CellOrder, Ground};
use crate::linux::{PROXY_PORT, bubblewrap};
use crate::options::Options;

/// From the strongest down.
pub(crate) const RUNGS: [Wall; 3] = [Wall::Cell, Wall::Bubblewrap, Wall::Landlock];

/// What trying the walls showed.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) wall: Wall,
    /// Walls above it, and why each cannot be had.
    pub(crate) failures: Vec<(Wall, String)>,
    /// What the wall's trial cell said of itself.
    pub(crate) answer: Option<CellAnswer>,
}

/// An order for a cell, with what the main process must know of it.
pub(crate) struct Order {
    pub(crate) cell: CellOrder,
    /// What is protected where; when it changes, a new cell is due.
    pub(crate) landmarks: Landmarks,
    /// A private temp folder on the disk, where none can be mounted.
    pub(crate) temp: Option<PathBuf>,
}

/// What is to be confined.
pub(crate) struct Place<'a> {
    pub(crate) workspace: &'a Path,
    pub(crate) policy: &'a Policy,
    pub(crate) limits: quire_protocol::ProcessLimits,
}

/// Writes the order for a wall.
pub(crate) fn order(wall: Wall, place: &Place<'_>, options: &Options) -> Result<Order, String> {
    let plan = match wall {
        Wall::Off => Plan::default(),
        _ => plan(&Wishes {
            workspace: place.workspace,
            policy: place.policy,
            protected: &options.protected,
            hidden: &options.hidden,
        })?,
    };
    match wall {
        Wall::Landlock => landlock_order(place, options, &plan),
        Wall::Cell => {
            let proxy = !place.policy.domains.is_empty();
            let writable = plan.writable.clone();
            let ground = Ground::Namespaces {
                mounts: plan.mounts.clone(),
                proxy,
            };
            Ok(confined(place, ground, plan, vec!["/".into()], writable))
        }
        Wall::Bubblewrap => {
            let ground = Ground::Bubblewrap {
                program: find_bubblewrap(options).ok_or("`bwrap` is not installed")?,
                arguments: bubblewrap::arguments(&plan.mounts),
            };
            Ok(confined(place, ground, plan, Vec::new(), Vec::new()))
        }
        Wall::Off | Wall::Seatbelt | Wall::Refused => {
            Ok(confined(place, Ground::Open, plan, Vec::new(), Vec::new()))
        }
    }
}

fn confined(
    place: &Place<'_>,
    ground: Ground,
    plan: Plan,
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
) -> Order {
    let guarded = plan.mounts.iter().filter(|mount| guards(mount));
    let guarded = guarded.map(|mount| Guarded {
        path: mount.path.clone(),
        writable: plan
            .writable
            .iter()
            .any(|root| mount.path.starts_with(root)),
    });
    let guarded = guarded.collect();
    Order {
        cell: CellOrder {
            ground,
            placeholders: plan.placeholders.clone(),
            readable,
            writable,
            limits: place.limits,
            traps: plan.traps,
            guarded,
        },
        landmarks: Landmarks::survey(&plan.mounts, &plan.missing, &plan.listed),
        temp: None,
    }
}

/// Landlock can only grant. So the workspace's entries are granted one by one, those that
/// configure git and Quire left out; new entries at the workspace's top cannot be made then.
fn landlock_order(place: &Place<'_>, options: &Options, plan: &Plan) -> Result<Order, String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let secret = options.protected.iter().chain(&options.hidden);
    let mut unseen: Vec<PathBuf> = secret.filter_map(|path| path.canonicalize().ok()).collect();
    let mut unwritten = unseen.clone();
    unwritten.extend(git_and_own(place.workspace));
    unwritten.extend(plan.writable.iter().flat_map(|folder| git_and_own(folder)));
    let guarded = plan.mounts.iter().filter(|mount| guards(mount));
    unwritten.extend(guarded.map(|mount| mount.path.clone()));
    let writable = plan.writable.iter();
    let mut writable: Vec<PathBuf> = writable
        .flat_map(|folder| everything_but(folder, &unwritten))
        .collect();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let temp = options
        .temp_root
        .join(format!("{}-{number}", std::process::id()));
    std::fs::create_dir_all(&temp).map_err(|error| format!("{}: {error}", temp.display()))?;
    writable.push(temp.clone());
    unseen.extend(["/dev".into(), "/run".into()]);
    let readable = everything_but(Path::new("/"), &unseen);
    let mut order = confined(place, Ground::Landlock, Plan::default(), readable, writable);
    order.landmarks = Landmarks::survey(&[], &plan.missing, &[]);
    order.temp = Some(temp);
    Ok(order)
}

/// Whether it is mounted to keep commands from what is there.
fn guards(mount: &Mount) -> bool {
    !matches!(mount.kind, MountKind::Writable | MountKind::Temp)
}

fn git_and_own(folder: &Path) -> Vec<PathBuf> {
    let mut paths = vec![folder.join(".git"), folder.join(".quire")];
    let nested = crate::linux::git::look_below(folder).repositories;
    paths.extend(nested.iter().map(|folder| folder.join(".git")));
    paths
}

fn find_bubblewrap(options: &Options) -> Option<PathBuf> {
    let path = options.environment.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or("/usr/bin:/bin", |(_, value)| value);
    path.split(':')
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| Path::new(folder).join("bwrap"))
        .find(|program| program.is_file())
}

/// The verdict in the form a person reads.
pub(crate) fn report(verdict: &Verdict, policy: &Policy) -> SandboxReport {
    let mut layers: Vec<Layer> = Vec::new();
    let mut add = |name: &str, holds, detail: String| {
        layers.push(Layer {
            name: name.to_owned(),
            holds,
            detail,
        });
    };
    for (wall, reason) in &verdict.failures {
        add(wall_name(*wall), false, reason.clone());
    }
    let wall = verdict.wall;
    let namespaces = matches!(wall, Wall::Cell | Wall::Bubblewrap);
    let confined = namespaces || wall == Wall::Landlock;
    add(wall_name(wall), confined, wall_detail(wall).to_owned());
    add("mounts", namespaces, mounts_detail(wall, policy).to_owned());
    add("network", confined, network_detail(wall, policy));
    add(
        "pid namespace",
        namespaces,
        pid_detail(namespaces).to_owned(),
    );
    add("seccomp", confined, seccomp_detail(confined).to_owned());
    if let Some(CellAnswer::Ready { cgroup, landlock }) = &verdict.answer {
        let (holds, detail) = split(landlock);
        add("landlock", holds, detail);
        let (holds, detail) = split(cgroup);
        let detail = if holds {
            detail
        } else {
            format!("{detail}. Memory and processes are bounded by sampling alone")
        };
        add("cgroup", holds, detail);
    }
    SandboxReport { wall, layers }
}

fn split(answer: &Result<String, String>) -> (bool, String) {
    match answer {
        Ok(detail) => (true, detail.clone()),
        Err(detail) => (false, detail.clone()),
    }
}

fn wall_name(wall: Wall) -> &'static str {
    match wall {
        Wall::Cell => "namespaces",
        Wall::Bubblewrap => "bubblewrap",
        Wall::Landlock => "landlock only",
        Wall::Seatbelt => "seatbelt",
        Wall::Off => "off",
        Wall::Refused => "refused",
    }
}

fn wall_detail(wall: Wall) -> &'static str {
    match wall {
        Wall::Cell => "user, mount, pid, network, IPC and host name",
        Wall::Bubblewrap => "namespaces made by `bwrap`; commands start slower",
        Wall::Landlock => {
            "no namespaces: nothing can be created at the top of the workspace, and commands see \
             the machine's processes"
        }
        Wall::Seatbelt => "macOS sandbox profile",
        Wall::Off => "commands may do everything that you may; the policy says so",
        Wall::Refused => {
            "no wall can be built, so no command runs. Allow unprivileged user namespaces, or \
             install bubblewrap, or use a kernel with Landlock; inside a container of your own \
             say `--sandbox off`"
        }
    }
}

fn mounts_detail(wall: Wall, policy: &Policy) -> &'static str {
    match (wall, policy.sandbox) {
        (Wall::Cell | Wall::Bubblewrap, SandboxMode::WorkspaceWrite) => {
            "disk read-only but for the workspace; git's hooks and configuration and .quire \
             read-only; secrets hidden; /tmp private"
        }
        (Wall::Cell | Wall::Bubblewrap, _) => "disk read-only; secrets hidden; /tmp private",
        (Wall::Landlock, SandboxMode::WorkspaceWrite) => {
            "none: .git and .quire are read-only as a whole, so commands cannot commit"
        }
        _ => "none",
    }
}

fn network_detail(wall: Wall, policy: &Policy) -> String {
    match (wall, policy.domains.is_empty()) {
        (Wall::Cell, false) => format!(
            "none but through the proxy at 127.0.0.1:{PROXY_PORT}: {}",
            policy.domains.join(", ")
        ),
        (Wall::Cell | Wall::Bubblewrap | Wall::Landlock, true) => "none".to_owned(),
        (Wall::Bubblewrap | Wall::Landlock, false) => {
            "none: allowed domains need a cell, which this machine does not give".to_owned()
        }
        _ => "not confined".to_owned(),
    }
}

fn pid_detail(holds: bool) -> &'static str {
    if holds {
        "a command's whole tree dies with it at once"
    } else {
        "none: a supervisor finds and kills a command's processes"
    }
}

fn seccomp_detail(holds: bool) -> &'static str {
    if holds {
        "no ptrace, keys, io_uring, bpf, mounts, namespaces, Unix or raw sockets; no new privileges"
    } else {
        "not used"
    }
}
