//! A cell's plan in the words of `bwrap`.

use std::path::Path;

use crate::linux::plan::{Mount, MountKind};

/// The arguments that come before a command.
pub(crate) fn arguments(mounts: &[Mount]) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    add(&["--unshare-all", "--die-with-parent", "--new-session"]);
    add(&["--cap-drop", "ALL"]);
    add(&["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]);
    // Root may write the kernel's settings even without capabilities.
    for settings in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"] {
        add(&["--ro-bind-try", settings, settings]);
    }
    for mount in mounts {
        let path = text(&mount.path);
        match mount.kind {
            MountKind::Writable => add(&["--bind", &path, &path]),
            MountKind::ReadOnly => add(&["--ro-bind", &path, &path]),
            MountKind::Blank => add(&["--ro-bind", "/dev/null", &path]),
            MountKind::Empty | MountKind::Temp => add(&["--tmpfs", &path]),
        }
    }
    for mount in mounts.iter().filter(|mount| mount.kind == MountKind::Empty) {
        add(&["--remount-ro", &text(&mount.path)]);
    }
    words
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_plan_becomes_arguments_in_its_order() {
        let mount = |path: &str, kind| Mount {
            path: path.into(),
            kind,
        };
        let words = arguments(&[
            mount("/tmp", MountKind::Temp),
            mount("/run", MountKind::Empty),
            mount("/w", MountKind::Writable),
            mount("/w/.git/config", MountKind::ReadOnly),
            mount("/h/.netrc", MountKind::Blank),
        ]);
        expect!["--unshare-all --die-with-parent --new-session --cap-drop ALL --ro-bind / / --dev /dev --proc /proc --ro-bind-try /proc/sys /proc/sys --ro-bind-try /proc/sysrq-trigger /proc/sysrq-trigger --ro-bind-try /proc/irq /proc/irq --ro-bind-try /proc/bus /proc/bus --tmpfs /tmp --tmpfs /run --bind /w /w --ro-bind /w/.git/config /w/.git/config --ro-bind /dev/null /h/.netrc --remount-ro /run"]
            .assert_eq(&words.join(" "));
    }
}
