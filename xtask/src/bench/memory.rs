//! Memory and CPU time of process trees, from `/proc`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(5);
/// Clock ticks of `/proc` in a second: fixed in the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Watches the memory of processes and all their descendants until it is asked for the peak.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watch {
    /// Starts to watch.
    pub(crate) fn start(pid: u32) -> Self {
        Self::every(INTERVAL, vec![pid])
    }

    /// Starts to watch some processes, and looks this often.
    pub(crate) fn every(interval: Duration, roots: Vec<u32>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while !stopped.load(Ordering::Relaxed) {
                peak = peak.max(kib(&tree(&roots)));
                std::thread::park_timeout(interval);
            }
            peak
        });
        Self { stop, thread }
    }

    /// Stops watching. The peak of the proportional set size of the tree, in KiB: pages that
    /// processes share count once.
    pub(crate) fn peak_kib(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

/// Some processes and all their descendants, each once.
pub(crate) fn tree(roots: &[u32]) -> Vec<u32> {
    let mut open = roots.to_vec();
    let mut found = Vec::new();
    while let Some(pid) = open.pop() {
        if !found.contains(&pid) {
            found.push(pid);
            open.extend(children(pid));
        }
    }
    found
}

/// The proportional set size of some processes together, in KiB.
pub(crate) fn kib(processes: &[u32]) -> u64 {
    processes.iter().copied().map(pss_kib).sum()
}

/// How long the living threads of some processes have been on a CPU, to the nanosecond.
pub(crate) fn on_cpu(processes: &[u32]) -> Duration {
    let threads = processes
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok())
        .flat_map(Iterator::flatten);
    let spent = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    });
    spent.map(Duration::from_nanos).sum()
}

fn pss_kib(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|pids| {
            let pids: Vec<u32> = pids.split_whitespace().flat_map(str::parse).collect();
            pids
        })
        .collect()
}

/// CPU seconds of all child processes that this one has waited for, with theirs.
pub(crate) fn waited_cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields after the name, which may hold spaces, in brackets: the state is field 3.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |number: usize| -> f64 {
        fields
            .get(number - 3)
            .and_then(|field| field.parse().ok())
            .unwrap_or_default()
    };
    (ticks(16) + ticks(17)) / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_tree_is_seen_and_its_cpu_counted() {
        let mut child = Command::new("sh")
            .args(["-c", "cat; :"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(kib(&tree(&[child.id()])) > 0);
        let both = [child.id(), std::process::id()];
        assert!(tree(&both).contains(&child.id()));
        assert_eq!(tree(&both).len(), tree(&both[1..]).len());
        assert!(on_cpu(&both) > Duration::ZERO);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(kib(&tree(&[child.id()])), 0);
        assert!(waited_cpu_seconds() >= 0.0);
    }
}
