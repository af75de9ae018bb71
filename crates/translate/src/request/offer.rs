//! The tools as the target gets them, and whether what is left of them is what the client meant.

use std::borrow::Cow;

use quire_dialect::Dialect;
use serde_json::Value;

use super::losses::{Losses, refused};
use super::names::{self, flattens};
use super::plan::Plan;
use super::{Choice, Edit, Request, Target, Tool, ToolKind};
use crate::refusal::Refusal;

/// A tool with the common name it stood under, where it stands alone at the target.
pub(super) type Offer<'a> = (Option<&'a str>, &'a Tool);

/// The tools of a request at a target.
pub(super) fn offers<'a>(
    request: &'a Request,
    target: &Target<'_>,
    losses: &Losses,
) -> Result<Vec<Offer<'a>>, Refusal> {
    let mut offers = Vec::with_capacity(request.tools.len());
    for tool in &request.tools {
        match &tool.kind {
            ToolKind::Vendor(value) if request.from != target.dialect => {
                let why = "only the vendor of the API that the request came in has this tool";
                losses.note(format!("tools.{}", kind_of(value)), why);
            }
            ToolKind::Namespace { name, tools, .. } if flattens(target) => {
                offers.extend(tools.iter().map(|tool| (Some(name.as_str()), tool)));
            }
            ToolKind::Function { .. }
            | ToolKind::Custom { .. }
            | ToolKind::Namespace { .. }
            | ToolKind::Vendor(_) => offers.push((None, tool)),
        }
    }
    if request.from != target.dialect {
        offers.retain(|(_, tool)| !matches!(tool.kind, ToolKind::Vendor(_)));
        demands(request, &offers)?;
        if let (Dialect::Messages, Some(Choice::Allowed { tools, .. })) =
            (target.dialect, &request.choice)
        {
            offers.retain(|(_, tool)| tools.iter().any(|pick| name_of(tool) == Some(&pick.name)));
        }
    }
    Ok(offers)
}

fn kind_of(tool: &Value) -> &str {
    tool.get("type").and_then(Value::as_str).unwrap_or("tool")
}

fn name_of(tool: &Tool) -> Option<&String> {
    match &tool.kind {
        ToolKind::Function { name, .. }
        | ToolKind::Custom { name, .. }
        | ToolKind::Namespace { name, .. } => Some(name),
        ToolKind::Vendor(_) => None,
    }
}

/// Refuses where a tool must be called that the target does not have.
fn demands(request: &Request, offers: &[Offer<'_>]) -> Result<(), Refusal> {
    let there = |wanted: &String| offers.iter().any(|(_, tool)| name_of(tool) == Some(wanted));
    let had = |wanted: &String| {
        request
            .tools
            .iter()
            .any(|tool| vendor_name(tool) == Some(wanted))
    };
    let instead = "Offer a tool of your own for it, or choose `auto`.";
    match &request.choice {
        Some(Choice::Other(_)) => Err(refused("tool_choice", instead)),
        Some(Choice::Any) if offers.is_empty() && !request.tools.is_empty() => {
            Err(refused("tool_choice", instead))
        }
        Some(Choice::Tool { name, .. }) if !there(name) && had(name) => {
            Err(refused("tool_choice", instead))
        }
        Some(
            Choice::Any
            | Choice::Tool { .. }
            | Choice::Auto
            | Choice::None
            | Choice::Allowed { .. },
        )
        | None => Ok(()),
    }
}

fn vendor_name(tool: &Tool) -> Option<&str> {
    match &tool.kind {
        ToolKind::Vendor(value) => value.get("name").and_then(Value::as_str),
        ToolKind::Function { .. } | ToolKind::Custom { .. } | ToolKind::Namespace { .. } => None,
    }
}

/// The edits of a long context that the target knows.
pub(super) fn edits<'a>(
    request: &'a Request,
    target: &Target<'_>,
    losses: &Losses,
) -> Vec<&'a Edit> {
    if request.from == target.dialect {
        return request.edits.iter().collect();
    }
    let mut kept = Vec::new();
    for edit in &request.edits {
        match edit {
            Edit::Compact {
                pause,
                instructions,
                ..
            } if compacts(target) => {
                if target.dialect == Dialect::Responses
                    && (*pause == Some(true) || instructions.is_some())
                {
                    let why = "OpenAI compacts by its own rules";
                    losses.note("context_management.compact_20260112", why);
                }
                kept.push(edit);
            }
            Edit::Compact { .. } => {
                losses.note(
                    "context_management.compaction",
                    "this model does not compact",
                );
            }
            Edit::Other(value) => {
                let why = "only the API that the request came in edits contexts so";
                losses.note(format!("context_management.{}", kind_of(value)), why);
            }
        }
    }
    kept
}

fn compacts(target: &Target<'_>) -> bool {
    target.can.compaction && target.dialect != Dialect::Chat
}

impl<'a> Plan<'a> {
    /// The tools at the target.
    pub(super) fn tools(&self) -> &[Offer<'a>] {
        &self.offers
    }

    /// The edits at the target.
    pub(super) fn edits(&self) -> impl Iterator<Item = &'a Edit> {
        self.edits.iter().copied()
    }

    /// What the target calls a tool that stands alone.
    pub(super) fn name<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        self.name_in(None, name)
    }

    /// What the target calls a tool.
    pub(super) fn name_in<'n>(&'n self, namespace: Option<&str>, name: &'n str) -> Cow<'n, str> {
        self.names
            .upstream(namespace, name, self.request.from, self.target)
    }

    /// Whether tools with free text become functions.
    pub(super) fn wraps(&self) -> bool {
        names::wraps(self.target)
    }
}
