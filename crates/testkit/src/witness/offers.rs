//! What requests open with, and tools that come late: a provider's cache is lost for no tool, and every
//! tool that was ever offered is known to the model at the next request.

use std::collections::BTreeMap;

use quire_kernel::Input;
use quire_protocol::{
    CompactionKind, CompactionStep, Event, Item, Prefix, Purpose, Settings, ToolSpec, Transcript,
    USE_TOOL,
};

use super::{Cause, Checked, ensure};
use crate::world::servers::LARGE;

#[derive(Debug, Default)]
pub(super) struct Offers {
    prefix: Prefix,
    /// Whether a request was sent that begins as the next one will.
    sent: bool,
    /// The tools that were offered, each as it was last, or as it was when it had changed too often.
    offered: BTreeMap<String, ToolSpec>,
    /// How often each changed since the context began anew.
    changes: BTreeMap<String, u32>,
    /// Servers that could not be had and that the model was never told of.
    absent: Vec<String>,
    /// Whether what was told of late tools is gone.
    lost: bool,
    /// How many notices the model is still to have.
    untold: usize,
    model: String,
}

impl Offers {
    pub(super) fn configured(&mut self, settings: &Settings) {
        self.sent &= settings.model == self.model;
        self.model.clone_from(&settings.model);
    }

    pub(super) fn saw_notice(&mut self, text: &str) -> Checked {
        ensure!(self.untold > 0, "a notice of nothing: {text}");
        self.untold -= 1;
        let server = |line: &str| line.split(':').next().map(|name| format!("`{name}`"));
        self.absent
            .retain(|line| server(line).is_none_or(|server| !text.contains(&server)));
        Ok(())
    }

    pub(super) fn saw(
        &mut self,
        event: &Event,
        transcript: &Transcript,
        cause: &Cause<'_>,
    ) -> Checked {
        match event {
            Event::PrefixSet { prefix, .. } => self.set(prefix, cause),
            Event::ModelCalled { purpose, .. } if *purpose != Purpose::Judge => {
                self.sent = true;
                if purpose.is_work() {
                    return self.is_all_known(transcript);
                }
                Ok(())
            }
            Event::Compaction(CompactionStep::Done { compaction })
                if compaction.kind != CompactionKind::Clear =>
            {
                let whole = compaction.replaced.from == 0;
                self.sent &= !whole;
                if whole {
                    self.changes.clear();
                }
                self.lost |= whole && !self.prefix.late.is_empty();
                self.untold += usize::from(!whole && !self.prefix.late.is_empty());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set(&mut self, prefix: &Prefix, cause: &Cause<'_>) -> Checked {
        let before = std::mem::replace(&mut self.prefix, prefix.clone());
        if let Cause::Input(Input::Offered(offer)) = cause {
            for tool in &offer.tools {
                self.offered(tool);
            }
            let server = |line: &String| line.split(':').next().map(str::to_owned);
            let known: Vec<_> = before.absent.iter().map(server).collect();
            let new = offer
                .absent
                .iter()
                .filter(|line| !known.contains(&server(line)));
            self.absent.extend(new.cloned());
        }
        let can_call_late = before.tools.iter().any(|tool| tool.name == USE_TOOL);
        if !before.opens_as(prefix) {
            ensure!(
                !self.sent || !can_call_late,
                "a tool costs the provider's cache"
            );
            self.sent = false;
        }
        let small = |tool: &&ToolSpec| tool.description.len() < LARGE;
        let mut small = prefix.late.iter().filter(small);
        ensure!(
            self.sent || !small.any(|tool| !before.late.contains(tool)),
            "a tool comes late that costs nothing"
        );
        let names = |tools: &[ToolSpec]| -> Vec<String> {
            tools.iter().map(|tool| tool.name.clone()).collect()
        };
        let (old, new) = (names(&before.tools), names(&prefix.tools));
        ensure!(
            new.starts_with(&old),
            "a tool is not appended: {old:?} {new:?}"
        );
        let late = prefix.late.iter().any(|tool| !before.late.contains(tool));
        let absent = prefix
            .absent
            .iter()
            .any(|line| !before.absent.contains(line));
        let told_again = std::mem::take(&mut self.lost) && !prefix.late.is_empty();
        self.untold += usize::from(late || absent || told_again);
        Ok(())
    }

    /// A tool that changes again and again is not heard of for ever.
    fn offered(&mut self, tool: &ToolSpec) {
        const MOST_CHANGES: u32 = 4;
        if let Some(known) = self.offered.get(&tool.name) {
            let changes = self.changes.entry(tool.name.clone()).or_default();
            if known == tool || *changes == MOST_CHANGES {
                return;
            }
            *changes += 1;
        }
        self.offered.insert(tool.name.clone(), tool.clone());
    }

    /// Every tool stands among those that open the request, or was told of as it is.
    fn is_all_known(&self, transcript: &Transcript) -> Checked {
        let items = transcript.items().iter();
        let told = |words: &str| {
            let mut items = items.clone();
            items.any(|item| matches!(item.as_ref(), Item::Notice { text } if text.contains(words)))
        };
        for tool in self.offered.values() {
            let (words, _) = tool.description.split_once(". ").unwrap_or_default();
            let opens = self.prefix.tools.contains(tool);
            ensure!(opens || told(words), "the model does not know: {words}");
        }
        let unheard = self.absent.first();
        ensure!(unheard.is_none(), "the model was not told: {unheard:?}");
        Ok(())
    }
}
