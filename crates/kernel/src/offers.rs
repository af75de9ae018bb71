//! Tools that come and go while a session is at work. What opens every request stays as it is: a tool
//! that comes later is told of in the context, behind all that was sent, and called by another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quire_protocol::{
    Compaction, CompactionKind, Event, Prefix, ToolInput, ToolSpec, USE_TOOL, first_sentence,
};

use crate::draft::Draft;
use crate::{Offer, weight};

/// What all tools may weigh that open every request: about 12,000 tokens. What is more is told of in
/// the context.
const MOST_OPENING: u64 = 48_000;
/// What is told of tools at once may weigh so much with all that they take; more of them are told of
/// in short.
const MOST_TOLD: u64 = 16_000;
/// Tools of a session at most, those of Quire with them: what has more is of no use to a model.
const MOST_TOOLS: usize = 1_500;
/// Names in a reason.
const NAMED: usize = 5;
/// What is told in short of a tool has so many characters.
const SHORT: usize = 120;
/// What a tool takes may change so often until the context begins anew; what is more is not told.
const MOST_CHANGES: u32 = 4;

/// What opens every request, and what the model was told of besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    prefix: Arc<Prefix>,
    /// Whether a request was sent that begins as the next one will: a provider may have kept that.
    warm: bool,
    /// Whether what was told of late tools is gone from the context.
    faded: bool,
    /// How often tools changed since the context began anew.
    changes: BTreeMap<String, u32>,
}

impl Offers {
    pub(crate) fn prefix(&self) -> &Arc<Prefix> {
        &self.prefix
    }

    /// A request was sent.
    pub(crate) fn sent(&mut self) {
        self.warm = true;
    }

    /// No provider has kept anything that is of use.
    pub(crate) fn cooled(&mut self) {
        self.warm = false;
    }

    /// Takes another prefix; what the model is to be told of it, if anything.
    pub(crate) fn set(&mut self, prefix: &Prefix) -> Option<String> {
        self.warm &= self.prefix.opens_as(prefix);
        let changed = |tool: &&ToolSpec| {
            let (before, now) = (known(&self.prefix, &tool.name), known(prefix, &tool.name));
            before.is_some_and(|before| now.is_some_and(|now| before.input != now.input))
        };
        let tools = self.prefix.tools.iter().chain(&self.prefix.late);
        let changed: BTreeSet<String> = tools
            .filter(changed)
            .map(|tool| tool.name.clone())
            .collect();
        for tool in changed {
            *self.changes.entry(tool).or_default() += 1;
        }
        let before = std::mem::replace(&mut self.prefix, Arc::new(prefix.clone()));
        let faded = std::mem::take(&mut self.faded);
        let late = prefix.late.iter();
        let late = told(late.filter(|tool| faded || !before.late.contains(tool)));
        let absent = prefix.absent.iter();
        let absent = absent.filter(|line| !lists(&before.absent, line));
        let absent = absent.map(|line| {
            let (server, why) = line.split_once(": ").unwrap_or((line, "it is not there"));
            format!("The tools of the server `{server}` cannot be had: {why}")
        });
        let news: Vec<String> = late.into_iter().chain(absent).collect();
        (!news.is_empty()).then(|| quoted(&news.join("\n\n")))
    }

    /// The context was compacted; what the model is to be told once more.
    pub(crate) fn compacted(&mut self, compaction: &Compaction) -> Option<String> {
        if compaction.kind == CompactionKind::Clear {
            return None;
        }
        if !begins_anew(compaction) {
            return told(self.prefix.late.iter()).map(|told| quoted(&told));
        }
        self.faded = !self.prefix.late.is_empty();
        self.warm = false;
        self.changes.clear();
        None
    }

    /// Whether the model knows of this tool and what it takes, or what it took when that had changed too
    /// often. Other words for it are not told: some servers have a time in theirs, and others change
    /// what a person has looked at.
    fn knows(&self, tool: &ToolSpec) -> bool {
        let same = |known: &ToolSpec| known.input == tool.input;
        let changes = self.changes.get(&tool.name);
        known(&self.prefix, &tool.name).is_some_and(same)
            || changes.is_some_and(|many| *many >= MOST_CHANGES)
    }
}

/// The tool of this name, as the model knows it.
fn known<'a>(prefix: &'a Prefix, name: &str) -> Option<&'a ToolSpec> {
    let mut known = prefix.late.iter().chain(&prefix.tools);
    known.find(|known| known.name == name)
}

/// Whether nothing of what requests began with is left.
fn begins_anew(compaction: &Compaction) -> bool {
    compaction.kind != CompactionKind::Clear && compaction.replaced.from == 0
}

impl Draft<'_> {
    /// Takes what servers offer. A tool that went is kept: to take it away costs what it costs to add
    /// one, and a call of it says that it is gone.
    pub(crate) fn offered(&mut self, offer: Offer) {
        let offers = &self.state.offers;
        let before = &offers.prefix;
        let mut room = MOST_TOOLS.saturating_sub(before.tools.len() + before.late.len());
        let mut fits = |tool: &ToolSpec| {
            let is_new = known(before, &tool.name).is_none();
            let fits = !is_new || room > 0;
            room -= usize::from(is_new && fits);
            fits
        };
        let new = offer.tools.into_iter();
        let new = new.filter(|tool| !offers.knows(tool) && fits(tool));
        let new: Vec<ToolSpec> = new.collect();
        let is_missed = offer.absent.iter().any(|line| !lists(&before.absent, line));
        if new.is_empty() && !is_missed {
            return;
        }
        let mut prefix = Prefix::clone(before);
        prefix.absent = offer.absent;
        if new.is_empty() {
            let reason = format!("servers are not there: {}", prefix.absent.join("; "));
            return self.record(Event::PrefixSet { prefix, reason });
        }
        let names = names(&new);
        prefix.late = replaced(prefix.late, new);
        if !offers.warm {
            self.open_with(prefix, format!("tools came: {names}"));
        } else if prefix.tools.iter().any(|tool| tool.name == USE_TOOL) {
            let reason = format!("tools came and were told of in the context: {names}");
            self.record(Event::PrefixSet { prefix, reason });
        } else {
            let reason = format!("tools came that could not be called otherwise: {names}");
            self.open_with(prefix, reason);
        }
    }

    /// After a compaction that left nothing of what requests began with, tools that came late open
    /// requests as all others do: that costs nothing now, and what was told of them is gone.
    pub(crate) fn settle_offers(&mut self, compaction: &Compaction) {
        let prefix = &self.state.offers.prefix;
        if begins_anew(compaction) && !prefix.late.is_empty() {
            let names = names(&prefix.late);
            let reason = format!("tools that came late have their place: {names}");
            self.open_with(Prefix::clone(prefix), reason);
        }
    }

    /// Has the late tools of a prefix open every request, as far as there is room. The model is told of
    /// the others.
    fn open_with(&mut self, mut prefix: Prefix, reason: String) {
        for tool in std::mem::take(&mut prefix.late) {
            let tools = prefix.tools.iter();
            let weight: u64 = tools.clone().chain([&tool]).map(weight::of_tool).sum();
            if weight <= MOST_OPENING || tools.clone().any(|known| known.name == tool.name) {
                prefix.tools = replaced(prefix.tools, vec![tool]);
            } else {
                prefix.late.push(tool);
            }
        }
        self.record(Event::PrefixSet { prefix, reason });
    }
}

/// Whether the server that a line is about is among these.
fn lists(absent: &[String], line: &str) -> bool {
    let server = |line: &str| line.split(':').next().map(str::to_owned);
    absent.iter().any(|known| server(known) == server(line))
}

/// The tools with these, each in the place of the one that has its name, or else behind all.
fn replaced(mut tools: Vec<ToolSpec>, new: Vec<ToolSpec>) -> Vec<ToolSpec> {
    for tool in new {
        match tools.iter_mut().find(|known| known.name == tool.name) {
            Some(known) => *known = tool,
            None => tools.push(tool),
        }
    }
    tools
}

fn names<T: std::borrow::Borrow<ToolSpec>>(tools: &[T]) -> String {
    let names = tools.iter().map(|tool| tool.borrow().name.as_str());
    let names = names.take(NAMED);
    let names = names.collect::<Vec<_>>().join(", ");
    match tools.len().saturating_sub(NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// What a model is told of tools that came.
fn told<'a>(tools: impl Iterator<Item = &'a ToolSpec>) -> Option<String> {
    let tools: Vec<&ToolSpec> = tools.collect();
    if tools.is_empty() {
        return None;
    }
    let whole = tools.iter().map(|tool| weight::of_tool(tool)).sum::<u64>() <= MOST_TOLD;
    let short = if whole {
        ""
    } else {
        "; with a name alone it says what that tool takes"
    };
    let mut room = MOST_TOLD;
    let lines = tools.iter().map(|tool| match &tool.input {
        ToolInput::Json(schema) if whole => {
            format!("`{}`: {}\nArguments: {schema}", tool.name, tool.description)
        }
        ToolInput::Json(_) | ToolInput::Text { .. } => in_short(tool, &mut room),
    });
    let lines: Vec<String> = lines.collect();
    Some(format!(
        "Tools came: {}. They are called by `{USE_TOOL}`, which takes `name` and `arguments`{short}. \
         What follows is what their servers say of them.\n\n{}",
        names(&tools),
        lines.join("\n\n")
    ))
}

/// Words of servers, in which no notice ends and another one begins: those are Quire's own.
fn quoted(text: &str) -> String {
    text.replace("system-notice", "system notice")
}

/// A tool in a line: its name alone where there is no room for what it does.
fn in_short(tool: &ToolSpec, room: &mut u64) -> String {
    let name = &tool.name;
    let does: String = first_sentence(&tool.description)
        .chars()
        .take(SHORT)
        .collect();
    let line = format!("`{name}`: {does}");
    match room.checked_sub(line.len() as u64) {
        Some(left) => {
            *room = left;
            line
        }
        None => format!("`{name}`"),
    }
}
