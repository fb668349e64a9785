//! The line of the access log about one request.

use crate::http::{RequestHead, Status};
use std::{net::IpAddr, time::Duration};

/// The facts about a request and its response.
#[derive(Debug)]
pub(super) struct Record<'r> {
    pub(super) client: Option<IpAddr>,
    pub(super) head: &'r RequestHead,
    pub(super) status: Status,
    /// Bytes of content that follow the head. If they do not all arrive, a line about the connection says so.
    pub(super) length: u64,
    /// From the head of the request to that of the response.
    pub(super) took: Duration,
}

impl Record<'_> {
    /// Writes the line: one event of target `access`, in the words of the proxies.
    pub(super) fn write(&self) {
        let client = self.client.map_or_else(|| "-".to_owned(), |client| client.to_string());
        tracing::info!(
            target: "access",
            %client,
            request = format_args!("\"{} {}\"", self.head.method, self.head.target()),
            status = self.status.code(),
            length = self.length,
            ms = format_args!("{:.3}", self.took.as_secs_f64() * 1e3),
        );
    }
}
