//! Services as sessions.
