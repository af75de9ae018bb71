//! The order of Messages' events.

use serde_json::Value;

use crate::answer::validate::{Verdict, list_at, must, must_be_object, number_at, text_at};

/// What was seen of a message.
#[derive(Debug, Default)]
pub(crate) struct MessagesRules {
    stage: Stage,
    /// Blocks that were begun.
    blocks: u64,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Content,
    /// After a `message_delta`.
    Closing,
    Ended,
}

#[derive(Debug)]
struct Open {
    kind: String,
    input: String,
    /// Deltas that hold the whole of something.
    whole: Vec<String>,
}

impl MessagesRules {
    pub(crate) fn event(&mut self, name: &str, data: &Value) -> Verdict {
        must!(self.stage != Stage::Ended, "it comes after the end");
        if name == "error" {
            text_at(data, "/error/type")?;
            text_at(data, "/error/message")?;
            self.stage = Stage::Ended;
            return Ok(());
        }
        must!(
            (name == "message_start") == (self.stage == Stage::Before),
            "`message_start` comes first, and once"
        );
        match name {
            "message_start" => self.start(data),
            "content_block_start" => self.block_start(data),
            "content_block_delta" => self.block_delta(data),
            "content_block_stop" => self.block_stop(data),
            "message_delta" => self.message_delta(data),
            "message_stop" => {
                must!(
                    self.stage == Stage::Closing,
                    "no `message_delta` came before it"
                );
                self.stage = Stage::Ended;
                Ok(())
            }
            // Other names are legal and hold nothing that matters.
            _ => Ok(()),
        }
    }

    pub(crate) fn finish(&self) -> Verdict {
        must!(
            self.stage == Stage::Ended,
            "the stream ends before `message_stop`"
        );
        Ok(())
    }

    fn start(&mut self, data: &Value) -> Verdict {
        text_at(data, "/message/id")?;
        text_at(data, "/message/model")?;
        let message = &data["message"];
        must!(message["type"] == "message", "its message has no type");
        must!(message["role"] == "assistant", "its message has no role");
        must!(
            list_at(data, "/message/content")?.is_empty(),
            "its message has content"
        );
        must!(
            message.get("stop_reason").is_some_and(Value::is_null)
                && message.get("stop_sequence").is_some_and(Value::is_null),
            "its message has stopped"
        );
        number_at(data, "/message/usage/input_tokens")?;
        number_at(data, "/message/usage/output_tokens")?;
        self.stage = Stage::Content;
        Ok(())
    }

    fn block_start(&mut self, data: &Value) -> Verdict {
        must!(
            self.stage == Stage::Content,
            "a block comes after `message_delta`"
        );
        must!(self.open.is_none(), "the block before it is open");
        let index = number_at(data, "/index")?;
        must!(
            index == self.blocks,
            "its index is {index} in place of {}",
            self.blocks
        );
        let kind = text_at(data, "/content_block/type")?;
        match kind {
            "text" => drop(text_at(data, "/content_block/text")?),
            "thinking" => {
                text_at(data, "/content_block/thinking")?;
                text_at(data, "/content_block/signature")?;
            }
            "redacted_thinking" => drop(text_at(data, "/content_block/data")?),
            "tool_use" => {
                must!(
                    !text_at(data, "/content_block/id")?.is_empty(),
                    "a call without an id"
                );
                must!(
                    !text_at(data, "/content_block/name")?.is_empty(),
                    "a call without a name"
                );
                must!(
                    data["content_block"]["input"].is_object(),
                    "a call without an input"
                );
            }
            _ => {}
        }
        self.blocks += 1;
        self.open = Some(Open {
            kind: kind.to_owned(),
            input: String::new(),
            whole: Vec::new(),
        });
        Ok(())
    }

    fn opened(&mut self, data: &Value) -> Result<&mut Open, String> {
        let index = number_at(data, "/index")?;
        let last = self.blocks.checked_sub(1);
        match &mut self.open {
            Some(open) if last == Some(index) => Ok(open),
            _ => Err(format!("the block {index} is not open")),
        }
    }

    fn block_delta(&mut self, data: &Value) -> Verdict {
        let kind = text_at(data, "/delta/type")?;
        let open = self.opened(data)?;
        let (fits, member) = match kind {
            "text_delta" => (open.kind == "text", "/delta/text"),
            "thinking_delta" => (open.kind == "thinking", "/delta/thinking"),
            "input_json_delta" => (open.kind.ends_with("tool_use"), "/delta/partial_json"),
            "signature_delta" => (
                open.kind == "thinking" || open.kind == "compaction",
                "/delta/signature",
            ),
            "citations_delta" => (open.kind == "text", "/delta/citation/type"),
            "compaction_delta" => (open.kind == "compaction", "/delta/type"),
            _ => (open.kind != "redacted_thinking", "/delta/type"),
        };
        must!(fits, "a `{kind}` in a block of `{}`", open.kind);
        let text = text_at(data, member)?;
        match kind {
            "input_json_delta" => open.input.push_str(text),
            // These assign.
            "signature_delta" | "compaction_delta" => {
                let again = open.whole.iter().any(|known| known == kind);
                must!(!again, "a second `{kind}`");
                open.whole.push(kind.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn block_stop(&mut self, data: &Value) -> Verdict {
        let open = self.opened(data)?;
        if !open.input.is_empty() {
            must_be_object(&open.input)?;
        }
        if open.kind == "compaction" {
            must!(!open.whole.is_empty(), "a compaction without its delta");
        }
        self.open = None;
        Ok(())
    }

    fn message_delta(&mut self, data: &Value) -> Verdict {
        must!(self.open.is_none(), "a block is open");
        number_at(data, "/usage/output_tokens")?;
        text_at(data, "/delta/stop_reason")?;
        must!(
            data["delta"].get("stop_sequence").is_some(),
            "it does not say which sequence stopped it"
        );
        self.stage = Stage::Closing;
        Ok(())
    }
}
