//! Which clients a route lets in: by their addresses, by how often they ask, and by a password.
//!
//! ```text
//!   route ──▶ lists.rs ─────▶ rates.rs, at_once.rs ──▶ login.rs ─────────────▶ cache, redirect, backend
//!             address  403    too many  429            asks its threads  401
//! ```
//!
//! The client is the one that the log names: the other end of the connection, or the address that trusted proxies tell of it
//! ([`super::identity`]). Each request is judged before the cache is asked, so a stored response goes to nobody who is not let in.

mod args;
mod at_once;
mod barred;
mod gate;
mod leases;
mod lists;
mod login;
mod passwords;
mod rates;
mod sharing;

pub use args::SharingArgs;
pub use at_once::AtOnce;
pub use barred::Barred;
pub(super) use gate::Gate;
pub use lists::Lists;
pub use login::Login;
pub(super) use login::{PATIENCE, Verdict};
pub use passwords::Passwords;
pub(super) use rates::Standing;
pub use rates::{MOST_BURST, Rate, RateKey};
pub(super) use sharing::Sharing;
