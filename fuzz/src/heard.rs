//! The events of a reader, in a form that does not depend on how the bytes were cut.

use bytes::Bytes;
use socket_patterns::{
    buf::Sink,
    http::{BodyLength, BodyWriter, Error, Fields, hop},
};

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<H> {
    pub head: H,
    pub length: BodyLength,
    pub content: Vec<u8>,
    /// `None`: it did not come to its end.
    pub trailers: Option<Fields>,
}

/// Messages, in order, and how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard<H> {
    pub messages: Vec<Message<H>>,
    pub outcome: Result<(), Error>,
}

impl<H> Default for Heard<H> {
    fn default() -> Self {
        Self { messages: Vec::new(), outcome: Ok(()) }
    }
}

impl<H> Heard<H> {
    pub fn head(&mut self, head: H, length: BodyLength) {
        assert!(self.messages.last().is_none_or(|last| last.trailers.is_some()), "a head inside a message");
        self.messages.push(Message { head, length, content: Vec::new(), trailers: None });
    }

    pub fn data(&mut self, data: &[u8]) {
        assert!(!data.is_empty(), "an empty piece of content");
        self.open().content.extend_from_slice(data);
    }

    pub fn end(&mut self, trailers: Fields) {
        self.open().trailers = Some(trailers);
    }

    fn open(&mut self) -> &mut Message<H> {
        self.messages.last_mut().filter(|last| last.trailers.is_none()).expect("content belongs to a message")
    }
}

impl<H: PartialEq + std::fmt::Debug> Heard<H> {
    /// However it was cut, the same messages were heard and the same verdict was given. Which of two rules was broken
    /// first may depend on how much was seen at once.
    pub fn assert_same(&self, other: &Self) {
        let (ours, theirs) = (self.settled(), other.settled());
        assert_eq!(self.messages[..ours], other.messages[..theirs], "{:?} {:?}", self.outcome, other.outcome);
        assert_eq!(self.messages.len(), other.messages.len(), "{:?} {:?}", self.outcome, other.outcome);
        assert_eq!(self.outcome.is_ok(), other.outcome.is_ok(), "{:?} {:?}", self.outcome, other.outcome);
    }
}

impl<H> Heard<H> {
    /// Messages that do not depend on how the bytes were cut. The content of a body that went over a limit before that
    /// was noticed does depend on it.
    fn settled(&self) -> usize {
        let over = |last: &&Message<H>| self.outcome.is_err() && last.length == BodyLength::UntilClose;
        self.messages.len() - usize::from(self.messages.last().filter(over).is_some())
    }
}

impl<H> Message<H> {
    /// Appends the body of a complete message as we would write it.
    pub fn write_body(&self, wire: &mut Wire) {
        let mut writer = BodyWriter::of(self.length);
        writer.data(wire, &self.content).expect("as much as was declared");
        assert!(writer.is_complete(), "{:?} was complete after {} bytes", self.length, self.content.len());
        writer.end(wire, self.trailers.as_ref().expect("it is complete")).expect("nothing is owed");
    }

    /// The message that must be heard when this one is written and read again: some fields are no trailers.
    pub fn rewritten(mut self) -> Self {
        if let Some(trailers) = &mut self.trailers {
            trailers.retain(|name, _| !hop::forbidden_in_trailers(name));
        }
        self
    }
}

/// Bytes in the order they were handed over.
#[derive(Debug, Default)]
pub struct Wire(pub Vec<u8>);

impl Sink for Wire {
    fn owned(&mut self, bytes: Bytes) {
        self.0.extend_from_slice(&bytes);
    }

    fn borrowed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
