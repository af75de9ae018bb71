//! The ids under which tool calls travel: the provider's own where it can be used, unique always.

use std::collections::HashSet;

use quire_protocol::ToolCall;

/// Longest id that every provider takes.
const MAX_LEN: usize = 64;

/// Ids given out in one request body.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireIds {
    used: HashSet<String>,
}

impl WireIds {
    /// The id under which `call` and its result are sent. It depends only on the calls before it.
    pub(crate) fn assign(&mut self, call: &ToolCall) -> String {
        let own = &call.provider_id;
        if is_fit(own) && self.used.insert(own.clone()) {
            return own.clone();
        }
        let mut id = format!("call_{}", call.call);
        while !self.used.insert(id.clone()) {
            id.push('x');
        }
        id
    }
}

fn is_fit(id: &str) -> bool {
    (1..=MAX_LEN).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use quire_protocol::CallId;

    use super::*;

    fn call(number: u32, provider_id: &str) -> ToolCall {
        ToolCall {
            call: CallId(number),
            provider_id: provider_id.into(),
            name: "shell".into(),
            arguments: String::new(),
        }
    }

    #[test]
    fn ids_are_echoed_while_they_are_fit_and_new() {
        let mut ids = WireIds::default();
        let given = [
            (1, "toolu_01"),
            (2, "toolu_01"),
            (3, ""),
            (4, "a.b"),
            (5, "call_6"),
            (6, "call_6"),
            (7, &"x".repeat(65)),
        ]
        .map(|(number, id)| ids.assign(&call(number, id)));
        assert_eq!(
            given,
            [
                "toolu_01", "call_2", "call_3", "call_4", "call_6", "call_6x", "call_7"
            ]
        );
    }
}
