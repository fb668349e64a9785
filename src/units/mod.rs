//! How people write durations and sizes, in every flag: `250ms`, `30s`, `5m` ([`duration()`]), `512`, `16k`, `1m` ([`size()`]);
//! and how many of something ([`number()`]). Which flags mean nothing beside others ([`Checked`]). And how a program writes
//! numbers of things ([`Counted`]), texts ([`json_text`]) and bytes ([`base64()`]), and counts by words ([`WordCounts`]).

mod base64;
mod count;
mod counted;
mod duration;
mod json;
mod pointless;
mod size;
mod word_counts;

pub use base64::{BASE64, base64};
pub use count::{MAX_COUNT, MAX_THREADS, MAX_WORKERS, at_least_one, number};
pub use counted::{Counted, grouped};
pub use duration::{MAX_DURATION, duration, nonzero_duration};
pub use json::{JsonText, json_text};
pub use pointless::{Checked, Flags, Pointless};
pub use size::size;
pub use word_counts::{OTHERS, WordCounts};
