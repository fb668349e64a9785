//! The checks, a file an exercise.

pub(crate) mod e06;
