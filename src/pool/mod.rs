//! Which connection carries a request.
