//! One request explained: from its first byte to the last decision about it.
//!
//! ```text
//!   Explain: TOKEN ──▶ begin ──▶ Explanation ──a fact for each thing that happens──▶ finish ──▶ Book ──▶ GET /explain/17
//!   a failure, a sample ──╯       held by the exchange                                         the last 1,000
//! ```
//!
//! Facts are values: an id, a reason, a time. They become sentences when somebody reads them, and most are never read. Without the key
//! `explain` in the file, an exchange has no explanation, and each place that could note a fact costs it one look at an `Option`.
//!
//! | file | question |
//! |---|---|
//! | `fact.rs` | what can be noted |
//! | `explanation.rs` | how facts are collected, and which are missing |
//! | `watcher.rs` | which requests are explained |
//! | `book.rs` | which explanations are kept |
//! | `telling.rs`, `shown.rs` | how facts become sentences, and a page |
//! | `args.rs` | the keys of the file |

mod args;
mod book;
mod explanation;
mod fact;
mod shown;
mod telling;
mod watcher;

pub use args::ExplainArgs;
pub(super) use book::Book;
pub(super) use explanation::{Explanation, Known, Record};
pub(super) use fact::{About, CacheFact, Candidate, Fact, Pooled, Second, Standing, Timer};
pub use watcher::ExplainConfig;
pub(super) use watcher::{FIELD, Watcher};
