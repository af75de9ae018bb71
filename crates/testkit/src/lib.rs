//! A simulated world driven by one seed: model, tools, jobs, people and crashes around one
//! session, and a witness that checks every step of it. For tests only.
//!
//! [`simulate`] lives one life. Whatever goes wrong in it panics with the seed, and the same seed
//! goes wrong again in the same way.

mod actors;
mod dice;
mod flight;
mod provider;
mod summary;
mod witness;
mod world;

pub use dice::Dice;
pub use summary::{EXPECTED, Summary};
pub use world::simulate;
