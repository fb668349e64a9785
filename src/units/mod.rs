//! How people write durations and sizes, in every flag: `250ms`, `30s`, `5m` ([`duration()`]), `512`, `16k`, `1m` ([`size()`]);
//! and how many of something ([`at_least_one()`]).

mod count;
mod duration;
mod size;

pub use count::at_least_one;
pub use duration::{MAX_DURATION, duration, nonzero_duration};
pub use size::size;
