//! The flags of marks, which only a configuration file gives.

use super::Marks;
use crate::{
    http::claims::{Claim, claim},
    proxy::edits::{Side, check_name},
    units::{Flags, Pointless},
};
use clap::{Args, ValueEnum};

/// The treatment of the place of a request in a trace (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TraceContext {
    /// Its fields are fields like all others.
    #[default]
    Off,
    /// The client's word goes on, with us as the parent; a word that cannot be read does not.
    Pass,
    /// The same, and a request without a trace begins one.
    Make,
}

/// Marks of requests.
#[derive(Debug, Clone, Args)]
pub struct MarkArgs {
    /// Give each request an id: that of a trusted proxy, or one made here. Server and client are told
    #[arg(long)]
    request_id: bool,
    /// The field of the id
    #[arg(long, value_name = "NAME", default_value = "X-Request-ID", requires = "request_id", value_parser = field)]
    request_id_field: Box<str>,
    /// Leave traceparent and tracestate alone, pass them on with this proxy as the parent, or also make them
    #[arg(long, value_name = "off|pass|make", default_value = "off", hide_possible_values = true)]
    trace_context: TraceContext,
}

impl Flags for MarkArgs {
    const POINTLESS: &'static [Pointless] = &[];
}

impl MarkArgs {
    /// The flags as a value.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let request_id = self.request_id.then(|| self.request_id_field.clone());
        Marks { request_id, trace: self.trace_context }
    }
}

/// A field without a meaning for us or for gateways.
fn field(text: &str) -> Result<Box<str>, String> {
    check_name(text, Side::Request).and_then(|()| check_name(text, Side::Response))?;
    if claim(text.as_bytes()) != Claim::None || ["traceparent", "tracestate"].contains(&&*text.to_ascii_lowercase()) {
        return Err("it says something else to servers: use a name like X-Request-ID".to_owned());
    }
    Ok(text.into())
}
