//! What an exchange begins with.

use super::{Close, Core};
use crate::{
    app::ConnId,
    http::{BodyLength, RequestHead},
    proxy::{headers, record::Record},
};

impl Core {
    /// A request of `client` that nothing has happened to: nothing was tried, nothing sent.
    pub(in crate::proxy) fn new(
        key: u32,
        client: ConnId,
        head: RequestHead,
        body: BodyLength,
        close: Close,
        record: Record,
    ) -> Self {
        Self {
            key,
            client,
            upgrade: headers::may_upgrade(&head),
            overrides_method: false,
            request_complete: body == BodyLength::Empty,
            last_request: false,
            needed: None,
            sent: false,
            asked: false,
            body_begun: false,
            tried: Vec::new(),
            fresh: false,
            interims: 0,
            continued: false,
            caching: None,
            close,
            until: None,
            record,
            head,
            body,
        }
    }
}
