//! The dealings with the cache of an exchange that was not answered from it at once: another exchange that it waits for, the
//! question that it asks a backend, the response that it stores.

use crate::{
    cache::{
        Did, Forward, Lead, RequestDirectives,
        encoding::Variants,
        fill::{Fill, Reader},
        partial::Part,
        store::Entry,
    },
    http::RequestHead,
    time::{Instant, Now},
};
use std::sync::Arc;

/// An exchange's dealings with the cache.
#[derive(Debug)]
pub(in crate::proxy) struct Caching {
    /// The client's words about stored responses.
    pub(super) asked: RequestDirectives,
    /// Why a backend is asked.
    pub(super) why: Forward,
    /// The backend's status.
    pub(super) status: Option<u16>,
    pub(super) waiting: Waiting,
    pub(super) question: Question,
    pub(super) storing: Storing,
    /// `None`: the second level was not asked.
    pub(super) second: Option<Box<Asked>>,
    /// A revalidation in the background: no client waits for the answer.
    pub(in crate::proxy) background: bool,
}

/// Waiting for a response that another exchange fetches.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Until when others are waited for.
    pub(super) until: Option<Instant>,
    /// It has waited for the fetch of another one, and that was enough, or it was not.
    pub(super) was_enough: Option<bool>,
    /// A response that was waited for and is another variant: it says what variants differ in.
    pub(super) varies: Option<Arc<Entry>>,
    /// How often that was so.
    pub(super) variants_tried: u8,
}

/// The question to a backend.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// The response that is stored for the request and cannot be used as it is.
    pub(super) stored: Option<Arc<Entry>>,
    /// The responses that the backend is asked about: all that are stored for the URI, the one above first.
    pub(super) nominated: Vec<Arc<Entry>>,
    /// The request in our own words: with our validators in place of the client's.
    pub(super) head: Option<RequestHead>,
    /// When it was sent, for the age of the response.
    pub(super) sent: Option<Now>,
}

/// The way of the response into the cache.
#[derive(Debug, Default)]
pub(super) struct Storing {
    /// The response may be stored, and others may wait for it.
    pub(super) lead: Option<Lead>,
    /// Where our client is in a response that it reads beside others, if it is not given each piece at once.
    pub(super) own: Option<Reader>,
    /// The part that is being stored, if it is one.
    pub(super) part: Option<Part>,
}

/// An exchange's dealings with the second level.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// It had the answer.
    pub(super) found: bool,
    /// The fields by which the responses of the URI differ there.
    pub(super) variants: Option<Variants>,
}

impl Storing {
    /// The response that others read with it, or that is being stored.
    pub(super) fn fill(&self) -> Option<&Arc<Fill>> {
        self.lead.as_ref()?.fill()
    }
}

impl Caching {
    /// Of a request that says this of stored responses, and for which a backend is asked for that reason.
    pub(super) fn new(asked: RequestDirectives, why: Forward) -> Box<Self> {
        Box::new(Self {
            asked,
            why,
            status: None,
            waiting: Waiting::default(),
            question: Question::default(),
            storing: Storing::default(),
            second: None,
            background: false,
        })
    }

    /// The work of the cache, if it finds an answer now: it may have waited for that.
    pub(super) fn after_waiting(&self, did: Did) -> Did {
        match did {
            _ if self.waiting.was_enough == Some(true) => Did::Collapsed,
            Did::Hit if self.second.as_ref().is_some_and(|asked| asked.found) => Did::SecondLevel,
            did => did,
        }
    }

    /// The fields by which the responses of the URI differ in the second level, as far as that is known.
    pub(super) fn variants(&self) -> Option<&Variants> {
        self.second.as_ref()?.variants.as_ref()
    }
}
