//! What the crate promises, through its public face: recorded answers, request bodies that only
//! grow, and no panic whatever comes in.

mod echo;
mod errors;
mod fixtures;
mod flat;
mod golden;
mod prefix;
mod requests;
mod robust;
mod stable;
mod whole;
