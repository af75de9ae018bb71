//! How far a command reaches, in words for a person who is asked about it. Pure.

use quire_protocol::SandboxMode;

use crate::place::Place;

/// What a command outside the sandbox reaches.
pub(crate) const EVERYTHING: &str = "everything you may do yourself: your files, the network";
/// Hosts that are named.
const HOSTS: usize = 5;

/// What a command in the sandbox would touch, in short lines.
pub(crate) fn touched(place: &Place) -> Vec<String> {
    if place.policy.sandbox == SandboxMode::Off {
        return vec![EVERYTHING.to_owned()];
    }
    let writes = match written(place) {
        folders if folders.is_empty() => "writes nothing but a temporary folder".to_owned(),
        folders => format!("writes in {}", folders.join(", ")),
    };
    let network = match hosts(place) {
        None => "no network".to_owned(),
        Some(hosts) => format!("network: {hosts}"),
    };
    vec![writes, network]
}

/// The limits of the sandbox, as what a command in it may do.
fn limits(place: &Place) -> String {
    let writes = match written(place) {
        folders if folders.is_empty() => "may write nothing".to_owned(),
        folders => format!("may write in {} only", folders.join(", ")),
    };
    match hosts(place) {
        None => format!("{writes} and has no network"),
        Some(hosts) => format!("{writes} and reaches {hosts} only"),
    }
}

/// That a command wants to leave the sandbox, with the limits that it would leave behind. What the
/// model says of it comes last, in quotes that it cannot end: nobody here vouches for it.
pub(crate) fn leaving(said: &str, place: &Place) -> String {
    format!(
        "it wants to leave the sandbox, where it {}, saying: \"{}\"",
        limits(place),
        said.trim().replace('"', "'")
    )
}

fn written(place: &Place) -> Vec<String> {
    let writes = place.policy.sandbox == SandboxMode::WorkspaceWrite;
    let own = writes.then_some(&place.workspace);
    let folders = own.into_iter().chain(&place.policy.writable);
    folders.map(|path| path.display().to_string()).collect()
}

/// The hosts that are within reach; none where there is no network.
fn hosts(place: &Place) -> Option<String> {
    let domains = &place.policy.domains;
    if domains.iter().any(|domain| domain == "*") {
        return Some("hosts of the internet, by a proxy".to_owned());
    }
    let shown = domains.get(..HOSTS).unwrap_or(domains).join(", ");
    match domains.len().saturating_sub(HOSTS) {
        _ if domains.is_empty() => None,
        0 => Some(shown),
        more => Some(format!("{shown} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use quire_protocol::{ApprovalMode, Phase, Policy};

    use super::*;

    #[test]
    fn what_is_within_reach() {
        use SandboxMode::{Off, ReadOnly, WorkspaceWrite};
        let hosts = ["a.org", "*.b.org", "c", "d", "e", "f", "g"];
        for (sandbox, domains, writable, touches, limited) in [
            (
                WorkspaceWrite,
                &hosts[..0],
                &[][..],
                "writes in /project; no network",
                "may write in /project only and has no network",
            ),
            (
                WorkspaceWrite,
                &hosts[..2],
                &["/srv"][..],
                "writes in /project, /srv; network: a.org, *.b.org",
                "may write in /project, /srv only and reaches a.org, *.b.org only",
            ),
            (
                ReadOnly,
                &hosts[..],
                &[][..],
                "writes nothing but a temporary folder; network: a.org, *.b.org, c, d, e and 2 more",
                "may write nothing and reaches a.org, *.b.org, c, d, e and 2 more only",
            ),
            (
                WorkspaceWrite,
                &["*"][..],
                &[][..],
                "writes in /project; network: hosts of the internet, by a proxy",
                "may write in /project only and reaches hosts of the internet, by a proxy only",
            ),
            (
                Off,
                &hosts[..0],
                &[][..],
                EVERYTHING,
                "may write nothing and has no network",
            ),
        ] {
            let place = Place {
                workspace: PathBuf::from("/project"),
                policy: Policy {
                    sandbox,
                    approvals: ApprovalMode::Ask,
                    rules: Vec::new(),
                    domains: domains.iter().map(|host| (*host).to_owned()).collect(),
                    writable: writable.iter().map(PathBuf::from).collect(),
                    environment: Vec::new(),
                    phase: Phase::Work,
                },
                hidden: Arc::from([]),
            };
            assert_eq!(touched(&place).join("; "), touches);
            assert_eq!(limits(&place), limited);
        }
    }
}
