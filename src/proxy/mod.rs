//! The reverse proxy: the parts put together.
