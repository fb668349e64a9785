//! What an exchange begins with.

use super::Core;
use crate::{
    http::{BodyLength, RequestHead},
    proxy::{
        client::{Client, Ending},
        headers,
        record::Record,
    },
};

impl Core {
    /// A request of `client` that nothing has happened to: nothing was tried, nothing sent.
    pub(in crate::proxy) fn new(key: u32, client: Client, head: RequestHead, body: BodyLength, record: Record) -> Self {
        Self {
            key,
            client,
            upgrade: headers::may_upgrade(&head),
            overrides_method: false,
            request_complete: body == BodyLength::Empty,
            needed: None,
            sent: false,
            asked: false,
            body_begun: false,
            tried: Vec::new(),
            fresh: false,
            interims: 0,
            continued: false,
            caching: None,
            ending: Ending::Clean,
            until: None,
            record,
            head,
            body,
        }
    }
}
