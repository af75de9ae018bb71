//! Servers whose tools come, change and go.

use std::collections::BTreeMap;

use quire_kernel::{Input, Offer};
use quire_protocol::{ToolInput, ToolSpec, USE_TOOL};

use super::{Checked, World};

/// The servers of one life.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// The versions of their tools, by the tools' names. None where a life has no servers.
    tools: Option<BTreeMap<String, u32>>,
    absent: Vec<String>,
}

/// So large that not all such tools can open every request.
pub(crate) const LARGE: usize = 20_000;

/// A tool, now and then a large one.
fn spec(name: &str, version: u32) -> ToolSpec {
    let bytes = if name.ends_with(['5', '6', '7']) {
        LARGE
    } else {
        40
    };
    ToolSpec {
        name: name.to_owned(),
        description: format!("{:.<bytes$}", format!("Version {version} of {name}. It")),
        input: ToolInput::Text {
            grammar: format!("{version}"),
        },
    }
}

impl World {
    /// The session begins, perhaps with tools that are there already.
    pub(super) fn begin_with_servers(&mut self) -> Checked {
        if self.dice.chance(60) {
            self.servers.tools = Some(BTreeMap::new());
            if self.dice.chance(60) {
                return self.servers_change();
            }
        }
        Ok(())
    }

    /// A tool comes or is another one, all go for a while, or a server cannot be had.
    pub(super) fn servers_change(&mut self) -> Checked {
        let Some(mut tools) = self.servers.tools.take() else {
            return Ok(());
        };
        let (name, server) = (self.dice.roll(8), self.dice.roll(3));
        match self.dice.roll(10) {
            0 => {
                let line = format!("server{server}: it broke");
                if !self.servers.absent.contains(&line) {
                    self.servers.absent.push(line);
                }
                self.summary.see("servers:absent");
            }
            1 => self.servers.absent.clear(),
            _ => *tools.entry(format!("tool{name}")).or_default() += 1,
        }
        let gone = self.dice.chance(10);
        if gone {
            self.summary.see("servers:gone");
        }
        let there = tools.iter().filter(|_| !gone);
        let there = there.map(|(name, version)| spec(name, *version));
        let by_name = spec(USE_TOOL, 0);
        let offer = Offer {
            tools: std::iter::once(by_name).chain(there).collect(),
            absent: self.servers.absent.clone(),
        };
        self.servers.tools = Some(tools);
        let late = self.session.prefix().late.len();
        self.feed(&Input::Offered(offer))?;
        if self.session.prefix().late.len() > late {
            self.summary.see("servers:late");
        }
        Ok(())
    }
}
