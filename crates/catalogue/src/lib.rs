//! What is known of models by name: windows, prices, efforts, thinking, and the tools they were trained on.
//!
//! Data and pure functions; what a person sets goes over it. Nothing here speaks to a provider.

mod card;
mod catalogue;
mod effort;
mod models;
mod price;

pub use card::{CardLine, Origin};
pub use catalogue::{
    Catalogue, Images, ModelFacts, Override, ThinkingKind, ToolDialect, without_window,
};
pub use effort::{Asked, EffortLine};
pub use price::{Billing, Factor, PriceRow, Prices};
