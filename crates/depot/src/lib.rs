//! What the developer platform keeps: organisations, workspaces, keys, usage, files, batches, stored
//! responses and conversations; in SQLite or PostgreSQL, by one text of SQL for both. There is no
//! clock here: times are milliseconds since the Unix epoch, handed in by the caller, who mints ids too.
//!
//! Invariant: whatever belongs to a workspace is read and changed only with that workspace's id.

mod access;
mod batches;
mod conversations;
mod database;
mod debts;
mod depot;
mod error;
mod files;
mod id;
mod metering;
mod page;
mod replay;
mod responses;
mod schema;
mod spool;

pub use access::{
    Access, ApiKey, Budget, Changes, KeyFilter, KeyHash, Limits, Organisation, Period, Workspace,
};
pub use batches::{
    Batch, BatchCounts, BatchState, Batches, ClaimedItem, ItemResult, ItemState, NewBatch, NewItem,
};
pub use conversations::{Conversation, Conversations, Put};
pub use database::{Database, Outcome, Row, Statement, Value};
pub use debts::{Debt, Debts, Exchanged, MINUTE_MS, MOST_CAPACITY, MOST_DEBT, MOST_PAID_MS, Used};
pub use depot::{Depot, Place};
pub use error::Error;
pub use files::{FileReader, Files, StoredFile, Upload};
pub use id::{
    BatchId, ConversationId, FileId, KeyId, OrganisationId, RequestId, ResponseId, WorkspaceId,
};
pub use metering::{
    Bucket, ContextWindow, CsvRows, Dimension, Group, Metering, Report, Scope, Sums, UsageFilter,
    UsageReport, UsageRow, Width,
};
pub use page::{Listed, Order, Page};
pub use replay::{KeptHead, KeptRequest, Replay, Room};
pub use responses::{
    ClaimedResponse, Growth, ResponseStatus, Responses, StoredItem, StoredResponse,
};
pub use spool::{Rates, Recovered, Spool, Ticket};
