//! The order of Chat's chunks.

use serde_json::Value;

use crate::answer::validate::{Verdict, list_at, must, must_be_object, number_at, text_at};

/// What was seen of a completion.
#[derive(Debug, Default)]
pub(crate) struct ChatRules {
    pub(crate) expects_usage: bool,
    stage: Stage,
    /// What all chunks have in common.
    head: Option<[Value; 3]>,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Content,
    /// After a reason to finish.
    Finished,
    Counted,
    Failed,
    /// After `[DONE]`.
    Done,
}

#[derive(Debug)]
struct Call {
    is_function: bool,
    input: String,
}

impl ChatRules {
    pub(crate) fn event(&mut self, data: &Value) -> Verdict {
        must!(
            !matches!(self.stage, Stage::Failed | Stage::Done),
            "it comes after the end"
        );
        if data.get("error").is_some_and(|error| !error.is_null()) {
            text_at(data, "/error/message")?;
            text_at(data, "/error/type")?;
            self.stage = Stage::Failed;
            return Ok(());
        }
        must!(data["object"] == "chat.completion.chunk", "it is no chunk");
        text_at(data, "/id")?;
        number_at(data, "/created")?;
        text_at(data, "/model")?;
        let head = ["id", "created", "model"].map(|key| data[key].clone());
        must!(
            self.head.as_ref().is_none_or(|known| *known == head),
            "its id, time or model is another than before"
        );
        self.head = Some(head);
        let choices = list_at(data, "/choices")?;
        match choices.as_slice() {
            [] => self.usage(data),
            [choice] => {
                must!(choice["index"] == 0, "its choice has no index");
                must!(data["usage"].is_null(), "usage beside a choice");
                self.choice(choice)
            }
            _ => Err("it has several choices".to_owned()),
        }
    }

    fn usage(&mut self, data: &Value) -> Verdict {
        must!(
            self.stage == Stage::Finished,
            "usage comes once, after the reason to finish"
        );
        number_at(data, "/usage/prompt_tokens")?;
        number_at(data, "/usage/completion_tokens")?;
        number_at(data, "/usage/total_tokens")?;
        self.stage = Stage::Counted;
        Ok(())
    }

    fn choice(&mut self, choice: &Value) -> Verdict {
        let delta = &choice["delta"];
        must!(delta.is_object(), "its choice has no delta");
        let is_first = self.stage == Stage::Before;
        must!(
            is_first == (delta["role"] == "assistant"),
            "the first chunk says the role, and no other"
        );
        must!(
            is_first || self.stage == Stage::Content,
            "a choice comes after the reason to finish"
        );
        self.stage = Stage::Content;
        for key in ["content", "refusal", "reasoning_content", "reasoning"] {
            let words = delta.get(key);
            must!(
                words.is_none_or(|words| words.is_string() || words.is_null()),
                "`{key}` is no text"
            );
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call)?;
        }
        match choice.get("finish_reason") {
            Some(Value::Null) => Ok(()),
            Some(Value::String(reason)) => self.finished(reason),
            _ => Err("`finish_reason` is missing".to_owned()),
        }
    }

    fn call(&mut self, call: &Value) -> Verdict {
        let index = number_at(call, "/index")?;
        let known = usize::try_from(index)
            .ok()
            .and_then(|at| self.calls.get_mut(at));
        let Some(known) = known else {
            must!(
                index == self.calls.len() as u64,
                "the call {index} skips one"
            );
            let is_function = text_at(call, "/type")? == "function";
            let (name, input) = if is_function {
                ("/function/name", "/function/arguments")
            } else {
                ("/custom/name", "/custom/input")
            };
            must!(!text_at(call, "/id")?.is_empty(), "a call without an id");
            must!(!text_at(call, name)?.is_empty(), "a call without a name");
            let input = text_at(call, input)?.to_owned();
            self.calls.push(Call { is_function, input });
            return Ok(());
        };
        must!(call.get("id").is_none(), "a call's id comes twice");
        let more = if known.is_function {
            text_at(call, "/function/arguments")?
        } else {
            text_at(call, "/custom/input")?
        };
        known.input.push_str(more);
        Ok(())
    }

    fn finished(&mut self, reason: &str) -> Verdict {
        must!(
            reason != "tool_calls" || !self.calls.is_empty(),
            "it finished for calls, and there are none"
        );
        if reason == "tool_calls" || reason == "stop" {
            for call in self.calls.iter().filter(|call| call.is_function) {
                must_be_object(&call.input)?;
            }
        }
        self.stage = Stage::Finished;
        Ok(())
    }

    /// `[DONE]`.
    pub(crate) fn done(&mut self) -> Verdict {
        match self.stage {
            Stage::Finished if self.expects_usage => Err("usage is missing".to_owned()),
            Stage::Finished | Stage::Counted | Stage::Failed => {
                self.stage = Stage::Done;
                Ok(())
            }
            Stage::Before | Stage::Content => Err("there is no reason to finish".to_owned()),
            Stage::Done => Err("`[DONE]` comes twice".to_owned()),
        }
    }

    pub(crate) fn finish(&self) -> Verdict {
        must!(
            matches!(self.stage, Stage::Done | Stage::Failed),
            "the stream ends before `[DONE]`"
        );
        Ok(())
    }
}
