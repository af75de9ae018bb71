//! The order of Responses' events.

use serde_json::Value;

use crate::answer::validate::{Verdict, list_at, must, number_at, text_at};

/// What was seen of a response.
#[derive(Debug, Default)]
pub(crate) struct ResponsesRules {
    /// Events seen; each says its number.
    events: u64,
    stage: Stage,
    id: String,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Created,
    InProgress,
    Ended,
}

#[derive(Debug)]
struct Item {
    id: String,
    kind: String,
    /// As it is at its end.
    done: Option<Value>,
    /// Parts of a message, or of a summary; or the one input of a call.
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    text: String,
    notes: u64,
    /// Its words are done.
    is_said: bool,
    /// The part as it is at its end.
    done: Option<Value>,
}

/// Members that every response has.
const REQUIRED: &[&str] = &[
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "incomplete_details",
    "model",
    "previous_response_id",
    "instructions",
    "output",
    "error",
    "tools",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "reasoning",
    "usage",
    "max_output_tokens",
    "max_tool_calls",
    "store",
    "background",
    "service_tier",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
];

impl ResponsesRules {
    pub(crate) fn event(&mut self, name: &str, data: &Value) -> Verdict {
        must!(self.stage != Stage::Ended, "it comes after the end");
        let number = number_at(data, "/sequence_number")?;
        must!(
            number == self.events,
            "its number is {number} in place of {}",
            self.events
        );
        self.events += 1;
        must!(
            data.get("error").is_none_or(Value::is_null),
            "a member `error` makes clients take it for one"
        );
        match name {
            "error" => {
                text_at(data, "/code")?;
                text_at(data, "/message")?;
                self.stage = Stage::Ended;
                Ok(())
            }
            "response.created" => self.begins(data, Stage::Before, Stage::Created),
            "response.queued" => self.begins(data, Stage::Created, Stage::Created),
            "response.in_progress" => self.begins(data, Stage::Created, Stage::InProgress),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.ends(data, name.trim_start_matches("response."))
            }
            _ => {
                must!(
                    self.stage == Stage::InProgress,
                    "the response is not in progress"
                );
                self.of_item(name, data)
            }
        }
    }

    pub(crate) fn finish(&self) -> Verdict {
        must!(
            self.stage == Stage::Ended,
            "the stream ends before the response does"
        );
        Ok(())
    }

    /// A response, with all its members.
    fn response<'a>(&mut self, data: &'a Value) -> Result<&'a Value, String> {
        let id = text_at(data, "/response/id")?;
        if self.id.is_empty() {
            id.clone_into(&mut self.id);
        }
        must_ok(
            self.id == id && !id.is_empty(),
            "its id is another than before",
        )?;
        let response = &data["response"];
        for key in REQUIRED {
            must_ok(response.get(key).is_some(), &format!("`{key}` is missing"))?;
        }
        for key in [
            "temperature",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
        ] {
            must_ok(response[key].is_number(), &format!("`{key}` is no number"))?;
        }
        text_at(response, "/service_tier")?;
        Ok(response)
    }

    fn begins(&mut self, data: &Value, from: Stage, to: Stage) -> Verdict {
        must!(self.stage == from, "it is not in its place");
        let response = self.response(data)?;
        must!(
            list_at(response, "/output")?.is_empty(),
            "it begins with output"
        );
        self.stage = to;
        Ok(())
    }

    fn ends(&mut self, data: &Value, status: &str) -> Verdict {
        must!(
            self.stage == Stage::InProgress,
            "it ends before it is in progress"
        );
        let response = self.response(data)?;
        must!(
            response["status"] == status,
            "its status is {}",
            response["status"]
        );
        let done: Vec<&Value> = self
            .items
            .iter()
            .filter_map(|item| item.done.as_ref())
            .collect();
        if status == "failed" {
            text_at(response, "/error/code")?;
            text_at(response, "/error/message")?;
        } else {
            must!(done.len() == self.items.len(), "an item is not done");
            must!(response["error"].is_null(), "it has an error");
            for key in ["input_tokens", "output_tokens", "total_tokens"] {
                number_at(&response["usage"], &format!("/{key}"))?;
            }
            must!(
                (status == "incomplete") == response["incomplete_details"].is_object(),
                "it does not say why it is incomplete, or says so of one that is not"
            );
        }
        let output: Vec<&Value> = list_at(response, "/output")?.iter().collect();
        must!(output == done, "its output is not what was done");
        self.stage = Stage::Ended;
        Ok(())
    }

    fn of_item(&mut self, name: &str, data: &Value) -> Verdict {
        let index = number_at(data, "/output_index")?;
        if name == "response.output_item.added" {
            must!(
                index == self.items.len() as u64,
                "the item {index} skips one"
            );
            let id = text_at(data, "/item/id")?;
            must!(!id.is_empty(), "an item without an id");
            must!(
                self.items.iter().all(|item| item.id != id),
                "the id {id} comes twice"
            );
            self.items.push(Item {
                id: id.to_owned(),
                kind: text_at(data, "/item/type")?.to_owned(),
                done: None,
                parts: Vec::new(),
            });
            return Ok(());
        }
        let item = usize::try_from(index)
            .ok()
            .and_then(|at| self.items.get_mut(at));
        let item = item.ok_or_else(|| format!("there is no item {index}"))?;
        must!(item.done.is_none(), "the item {index} is done");
        if name == "response.output_item.done" {
            return item.finish(&data["item"]);
        }
        if let Some(id) = data.get("item_id") {
            must!(*id == item.id.as_str(), "the item {index} has another id");
        }
        item.event(name, data)
    }
}

fn must_ok(holds: bool, what: &str) -> Verdict {
    must!(holds, "{what}");
    Ok(())
}

impl Item {
    fn event(&mut self, name: &str, data: &Value) -> Verdict {
        match name {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                self.part_added(name, data)
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta" => self.words(name, data),
            "response.output_text.annotation.added" => {
                let part = self.part(name, data)?;
                let at = number_at(data, "/annotation_index")?;
                must!(at == part.notes, "the annotation {at} skips one");
                part.notes += 1;
                Ok(())
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_text.done" => self.words_done(name, data),
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                self.part_done(name, data)
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let more = text_at(data, "/delta")?;
                self.input()?.text.push_str(more);
                Ok(())
            }
            "response.function_call_arguments.done" => {
                self.input_done(text_at(data, "/arguments")?)
            }
            "response.custom_tool_call_input.done" => self.input_done(text_at(data, "/input")?),
            // Events of tools that the vendor runs have rules of their own.
            _ => Ok(()),
        }
    }

    fn part_added(&mut self, name: &str, data: &Value) -> Verdict {
        let at = place(name, data)?;
        must!(at == self.parts.len(), "the part {at} skips one");
        must!(
            self.parts.iter().all(|part| part.done.is_some()),
            "the part before it is not done"
        );
        text_at(data, "/part/type")?;
        self.parts.push(Part::default());
        Ok(())
    }

    fn words(&mut self, name: &str, data: &Value) -> Verdict {
        if name == "response.output_text.delta" {
            list_at(data, "/logprobs")?;
        }
        let part = self.part(name, data)?;
        must!(!part.is_said, "words come after their end");
        part.text.push_str(text_at(data, "/delta")?);
        Ok(())
    }

    fn words_done(&mut self, name: &str, data: &Value) -> Verdict {
        if name == "response.output_text.done" {
            list_at(data, "/logprobs")?;
        }
        let key = match name {
            "response.refusal.done" => "/refusal",
            _ => "/text",
        };
        let part = self.part(name, data)?;
        must!(!part.is_said, "words end twice");
        must!(
            part.text == text_at(data, key)?,
            "the words are not those of the deltas"
        );
        part.is_said = true;
        Ok(())
    }

    fn part_done(&mut self, name: &str, data: &Value) -> Verdict {
        let part = self.part(name, data)?;
        must!(part.is_said, "a part is done before its words");
        let words = data["part"].get("text").or(data["part"].get("refusal"));
        must!(
            words.and_then(Value::as_str) == Some(&part.text),
            "the part's words are not those of the deltas"
        );
        part.done = Some(data["part"].clone());
        Ok(())
    }

    fn input_done(&mut self, all: &str) -> Verdict {
        let input = self.input()?;
        must!(input.text == all, "the input is not that of the deltas");
        input.is_said = true;
        Ok(())
    }

    /// The open part that an event is about.
    fn part(&mut self, name: &str, data: &Value) -> Result<&mut Part, String> {
        let at = place(name, data)?;
        match self.parts.get_mut(at) {
            Some(part) if part.done.is_none() => Ok(part),
            _ => Err(format!("the part {at} is not open")),
        }
    }

    /// The one input of a call, which is not done.
    fn input(&mut self) -> Result<&mut Part, String> {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        match self.parts.first_mut() {
            Some(input) if !input.is_said => Ok(input),
            _ => Err("the input has ended".to_owned()),
        }
    }

    fn finish(&mut self, item: &Value) -> Verdict {
        must!(
            item["id"] == self.id.as_str() && item["type"] == self.kind.as_str(),
            "the item is another than the one that was added"
        );
        must!(
            item["status"] != "in_progress",
            "the item is still in progress"
        );
        match self.kind.as_str() {
            "message" => self.same_parts(list_at(item, "/content")?)?,
            "reasoning" => {
                let content = item.get("content").and_then(Value::as_array);
                let summary = list_at(item, "/summary")?;
                self.same_parts(content.filter(|list| !list.is_empty()).unwrap_or(summary))?;
            }
            "function_call" => self.same_input(text_at(item, "/arguments")?)?,
            "custom_tool_call" => self.same_input(text_at(item, "/input")?)?,
            _ => {}
        }
        self.done = Some(item.clone());
        Ok(())
    }

    fn same_parts(&self, given: &[Value]) -> Verdict {
        let done: Vec<&Value> = self
            .parts
            .iter()
            .filter_map(|part| part.done.as_ref())
            .collect();
        must!(done.len() == self.parts.len(), "a part is not done");
        must!(
            given.iter().eq(done.iter().copied()),
            "the item's parts are not those that were done"
        );
        Ok(())
    }

    fn same_input(&self, given: &str) -> Verdict {
        let input = self.parts.first().filter(|input| input.is_said);
        must!(
            input.is_some_and(|input| input.text == given),
            "the item's input is not the one that was told"
        );
        Ok(())
    }
}

/// Which part an event is about.
fn place(name: &str, data: &Value) -> Result<usize, String> {
    let pointer = if name.contains("summary") {
        "/summary_index"
    } else {
        "/content_index"
    };
    let at = number_at(data, pointer)?;
    usize::try_from(at).map_err(|error| error.to_string())
}
