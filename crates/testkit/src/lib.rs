//! A simulated world driven by one seed: model, tools, jobs, people and crashes around one
//! session, and a witness that checks every step of it. For tests only.
//!
//! [`simulate`] lives one life, [`forks`] forks one wherever a person can. Whatever goes wrong in it panics with the seed, and the same seed
//! goes wrong again in the same way.

mod actors;
mod dice;
mod flight;
mod forks;
mod provider;
mod summary;
mod witness;
mod world;

pub use dice::Dice;
pub use forks::{Fork, forks, heard};
pub use summary::{EXPECTED, Summary};
pub use world::simulate;
