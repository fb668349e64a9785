//! A shared HTTP cache (RFC 9111): what may be kept, how long it is fresh, when it may be used. Pure: no clock, no socket,
//! no thread; messages and times come in, decisions with their reasons go out.
//!
//! ```text
//!            request                                                      response of the backend
//!               │                                                                   │
//!      directives (may we look?)                                           directives, date
//!               │                                                                   │
//!         key, vary ──▶ store ──▶ stored response                       policy (may we keep it?)
//!                                     │                                             │
//!                          reuse (may we use it now?)                  freshness (for how long?)
//!                          │          │           │                                 │
//!                        Fresh      Stale      Validate ──▶ backend ──▶ 304 ──▶ freshened entry ──▶ store
//! ```

pub mod conditional;
pub mod date;
pub mod directives;
pub mod entry;
pub mod freshness;
pub mod key;
pub mod partial;
pub mod policy;
pub mod range;
pub mod reuse;
pub mod serve;
#[cfg(test)]
mod testing;
pub mod validate;
pub mod validators;
pub mod vary;

pub use directives::{FieldNames, MaxStale, RequestDirectives, ResponseDirectives, Seconds};
pub use entry::{Body, Extent, Stored, storable};
pub use freshness::{Freshness, Source};
pub use key::{Key, Seed, Uri};
pub use policy::{NotStored, Rules, may_store};
pub use reuse::{Reuse, Situation, Stale, Validate, is_server_failure, reuse};
pub use serve::{Answer, Incomplete, answer};
pub use validate::{Freshened, freshened};
pub use vary::Selecting;
