//! Trying again, and when not to.
