//! What the model sees, in order.

use serde::{Deserialize, Serialize};

use crate::{CallId, JobId, MessageId, ToolStatus};

/// One entry of the context. Serialised tagged by `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// Words from a person.
    User {
        /// The message this item delivers.
        message: MessageId,
        /// What was said, in order.
        content: Vec<Content>,
    },
    /// Words from the harness to the model (a crash happened, a job ended, a limit is near).
    /// Dialects send it in the user's role, marked as coming from the system.
    Notice {
        /// What the model is told.
        text: String,
    },
    /// Words from the model.
    Assistant {
        /// The words.
        text: String,
        /// The provider's own form of this block, to be echoed exactly (annotations, phase).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opaque: Option<Opaque>,
    },
    /// The model's thinking, as far as the provider shows it.
    Thinking {
        /// Readable text, possibly empty.
        text: String,
        /// The provider's own block with its signature or encrypted content, echoed exactly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opaque: Option<Opaque>,
    },
    /// The model asks for a tool. Exactly one [`Item::ToolResult`] answers it, always.
    ToolCall(ToolCall),
    /// The answer to a tool call.
    ToolResult {
        /// The call it answers.
        call: CallId,
        /// How it went.
        status: ToolStatus,
        /// What the model is shown.
        content: Vec<Content>,
    },
    /// What compaction may never lose, as it stood at a compaction: goal, rules, what was said, plan,
    /// decisions, files, jobs. Written by the harness from facts, never by a model.
    Ledger {
        /// It, for the model.
        text: String,
    },
    /// What a compaction left of the items before it, besides the ledger.
    Summary {
        /// In words; empty where only the provider can read it.
        text: String,
        /// The provider's own compaction block, echoed exactly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opaque: Option<Opaque>,
    },
    /// A provider's block that has no word here; echoed exactly to the provider it came from and
    /// left out for any other.
    Foreign {
        /// The block.
        opaque: Opaque,
    },
}

/// A tool call as the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Our id, unique in the session.
    pub call: CallId,
    /// The provider's id, echoed to it; may repeat within a session.
    pub provider_id: String,
    /// The tool's name, which the model may have invented.
    pub name: String,
    /// The arguments as the model wrote them: JSON text (perhaps malformed) for a
    /// [`crate::ToolInput::Json`] tool, free text for a [`crate::ToolInput::Text`] tool.
    pub arguments: String,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
        media_type: String,
        /// The bytes in standard base64.
        data: String,
    },
}

impl Content {
    /// A piece of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The text, if this is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } => Some(text),
            Self::Image { .. } => None,
        }
    }
}

/// The texts of a content, one a line.
#[must_use]
pub fn joined_text(content: &[Content]) -> String {
    let texts: Vec<&str> = content.iter().filter_map(Content::as_text).collect();
    texts.join("\n")
}

/// The media type of an image that models take (png, jpeg, gif, webp), by its first bytes.
#[must_use]
pub fn image_media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some("image/webp"),
        _ => None,
    }
}

/// A provider's block kept as it came, to be echoed byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// Which dialect wrote it: `messages`, `responses` or `chat`.
    pub origin: String,
    /// The block: compact JSON text.
    pub json: String,
}

/// How a background job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// The job.
    pub job: JobId,
    /// In words: `exit code 0`, `killed`, `lost in a crash`.
    pub outcome: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_by_their_first_bytes() {
        assert_eq!(image_media_type(b"\x89PNG\r\n"), Some("image/png"));
        assert_eq!(image_media_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(image_media_type(b"GIF89a"), Some("image/gif"));
        assert_eq!(image_media_type(b"RIFF\0\0\0\0WEBPVP8"), Some("image/webp"));
        assert_eq!(image_media_type(b"RIFF\0\0\0\0WAVE"), None);
        assert_eq!(image_media_type(b""), None);
    }
}
