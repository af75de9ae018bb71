//! Finding and measuring the processes of one command, as `/proc` shows them.

use std::collections::HashMap;
use std::fs;

use quire_protocol::ProcessLimits;

/// Which processes belong to the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All that `/proc` shows but this one: they share a pid namespace.
    Namespace,
    /// Those that descend from this one.
    Children,
}

/// The processes of one command, at one moment.
pub(crate) struct Descendants(Vec<Entry>);

struct Entry {
    pid: i32,
    parent: i32,
    threads: u32,
}

impl Descendants {
    /// Looks for them.
    pub(crate) fn find(scope: Scope) -> Self {
        let own = std::process::id().cast_signed();
        let mut all = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let Some(pid) = pid.filter(|pid| *pid != own) {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                all.extend(parse_stat(pid, &stat));
            }
        }
        if scope == Scope::Children {
            all = below(own, all);
        }
        Self(all)
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i32> {
        self.0.iter().map(|entry| entry.pid)
    }

    /// Whether together they are more, or hold more memory of their own, than they may.
    pub(crate) fn exceed(&self, limits: &ProcessLimits) -> bool {
        let threads: u32 = self.0.iter().map(|entry| entry.threads).sum();
        if threads > limits.processes {
            return true;
        }
        let pages: u64 = self.ids().map(own_pages).sum();
        pages.saturating_mul(PAGE_BYTES) > limits.memory_bytes
    }
}

/// Smaller than the truth on machines with larger pages, never larger.
const PAGE_BYTES: u64 = 4096;

/// Resident pages that a process shares with no file and no other memory mapping.
fn own_pages(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let mut words = text
        .split(' ')
        .skip(1)
        .map(|word| word.parse().unwrap_or(0_u64));
    let (resident, shared) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
    resident.saturating_sub(shared)
}

/// The state, the parent and the number of threads follow the name, which may hold anything.
fn parse_stat(pid: i32, stat: &str) -> Option<Entry> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    Some(Entry {
        pid,
        parent: words.get(1)?.parse().ok()?,
        threads: words.get(17)?.parse().ok()?,
    })
}

/// Those that descend from `root`.
fn below(root: i32, all: Vec<Entry>) -> Vec<Entry> {
    let mut children: HashMap<i32, Vec<Entry>> = HashMap::new();
    for entry in all {
        children.entry(entry.parent).or_default().push(entry);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for entry in children.remove(&parent).into_iter().flatten() {
            open.push(entry.pid);
            found.push(entry);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_spaces_and_brackets() {
        let stat = "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 1 2 3";
        let entry = parse_stat(7, stat).expect("parses");
        assert_eq!((entry.parent, entry.threads), (3, 9));
    }

    #[test]
    fn only_descendants_are_below() {
        let entry = |pid, parent| Entry {
            pid,
            parent,
            threads: 1,
        };
        let all = vec![
            entry(2, 1),
            entry(3, 2),
            entry(4, 3),
            entry(5, 1),
            entry(6, 5),
        ];
        let mut found: Vec<i32> = below(2, all).iter().map(|entry| entry.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4]);
    }
}
