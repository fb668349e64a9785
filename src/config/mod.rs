//! A proxy from a file: the flags of the milestones as keys, and what flags cannot say: several addresses, sites, upstreams.
//!
//! ```text
//!   proxy.toml ──▶ tree.rs ──▶ listens.rs  upstreams.rs  sites.rs ──▶ Settings ──▶ proxy::Setup
//!   sites/*.toml  with places     ╰──▶ flags.rs: the other keys, read as the flags that they stand for
//! ```
//!
//! SIGHUP has all of it read again (`reload.rs`).
//!
//! A mistake has a file, a line and a column, and says what to write instead. Nothing is guessed, and nothing is ignored.
//!
//! Reading order: `keys` (which key is which flag), `settings`, `sites`, `flags` (how a mistake of a flag is told of its key), `tree`.

mod access;
mod demo;
mod diff;
mod edits;
mod fields;
mod flags;
mod keys;
mod listens;
mod policy;
mod print;
mod rates;
mod reload;
mod run;
mod schema;
mod settings;
mod shown;
mod sites;
mod targets;
#[cfg(test)]
mod tests;
mod times;
mod tree;
mod upstreams;
mod world;

pub use run::{ConfigArgs, run};
pub use settings::Settings;
pub use world::{Memory, System, World};
