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

pub mod answers;
pub mod args;
pub mod audience;
pub mod collapse;
pub mod conditional;
pub mod date;
pub mod directives;
pub mod encoding;
pub mod fill;
pub mod flights;
pub mod freshness;
pub mod invalidate;
pub mod key;
pub mod mail;
pub mod partial;
pub mod policy;
pub mod purge;
pub mod range;
pub mod readers;
mod representation;
pub mod reuse;
pub mod status;
pub mod store;
pub mod stored;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod validators;
pub mod vary;

pub use answers::{Answer, Incomplete, answer};
pub use args::{CacheArgs, CacheConfig, Pattern};
pub use audience::Audience;
pub use collapse::{Join, Lead};
pub use directives::{FieldNames, MaxStale, RequestDirectives, ResponseDirectives, Seconds};
pub use flights::Flights;
pub use freshness::{Freshness, Source};
pub use invalidate::invalidated;
pub use key::{Key, Seed, Uri};
pub use mail::{Mail, Ticket};
pub use policy::{NotStored, Rules, may_look_up, may_store};
pub use representation::Representation;
pub use reuse::{Reuse, Situation, Stale, Validate, is_server_failure, reuse};
pub use status::{CacheStatus, Did, Forward};
pub use store::{Found, Mark, Place, Store};
pub use stored::{Body, Extent, Stored, storable};
pub use validate::{Freshened, freshened};
pub use vary::Selecting;
