//! From a file that was found to what goes over the wire. Whether the client has it already, and which part of it is wanted, is decided by
//! the code of the cache ([`crate::cache::answer`]): a file is a response that is stored elsewhere.
//!
//! ```text
//! which coding? ── none is acceptable ──▶ 406                                       found
//!       │
//! does the request still apply? ── no ──▶ 412                                       condition
//!       │
//! does the client have it? a part? ─────▶ 304, 206, 416, 200                        cache::answers
//! ```

use super::{
    condition::applies,
    found::{Chosen, Found},
    respond::{Asked, Own, USUAL},
    version::{Content, Version},
};
use crate::{
    buf::{FilePart, Output},
    cache::{Answer, answer},
    http::{RequestHead, Status},
};
use bytes::Bytes;
use std::{borrow::Cow, collections::VecDeque, ops::Range, time::SystemTime};

/// A piece of content that is not in the output yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Bytes),
    Part(FilePart),
}

/// The content behind the head, in order. One piece is the rule, and costs no heap.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    first: Option<Piece>,
    rest: VecDeque<Piece>,
}

impl Pieces {
    fn push(&mut self, piece: Piece) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.rest.push_back(piece);
        }
    }

    /// Moves bytes to `output`, up to the next part of a file. Whether nothing is left.
    pub(super) fn flush(&mut self, output: &mut Output) -> bool {
        loop {
            match self.first.take() {
                None => return true,
                Some(Piece::Bytes(bytes)) => output.push(bytes),
                Some(part) => {
                    self.first = Some(part);
                    return false;
                }
            }
            self.first = self.rest.pop_front();
        }
    }

    /// The part of a file that comes next, if it does.
    pub(super) fn part(&mut self) -> Option<FilePart> {
        match self.first.take() {
            Some(Piece::Part(part)) => {
                self.first = self.rest.pop_front();
                Some(part)
            }
            other => {
                self.first = other;
                None
            }
        }
    }
}

/// The outcome of a request for a file.
#[derive(Debug)]
pub(super) enum Answered {
    /// Its head is in the output.
    Whole { status: Status, length: u64, pieces: Pieces },
    /// It is another response.
    Own(Own),
    /// The file has to be compressed first.
    Pack,
}

/// Answers a request for `found`: writes the head to `output`, and tells what follows it.
pub(super) fn respond(
    request: &RequestHead,
    found: &Found,
    asked: &Asked,
    may_pack: bool,
    boundary: fn() -> u128,
    wall: SystemTime,
    output: &mut Output,
) -> Answered {
    let version = match found.choose(request, may_pack) {
        Chosen::Version(version) => version,
        Chosen::Pack => return Answered::Pack,
        Chosen::Busy => return Answered::Own(Own::later("there is no time to compress the file")),
        Chosen::None => return Answered::Own(Own::not_acceptable()),
    };
    if version.head.status == Status::OK && !applies(request, &version.head.fields, wall) {
        return Answered::Own(Own::text(Status::PRECONDITION_FAILED, "the file is not the version that was meant"));
    }
    // All of it is there.
    let is_plain = version.has_parts() || !request.fields.contains("range");
    let request = if is_plain { Cow::Borrowed(request) } else { Cow::Owned(without_range(request)) };
    let answer = answer(&request, version.representation(), wall, boundary).unwrap_or(Answer::Whole);
    let out = output.tail(USUAL);
    answer.write_head(version.representation(), out);
    asked.end_head(wall, out);
    let status = answer.status(version.representation());
    let mut pieces = Pieces::default();
    if asked.head_only {
        return Answered::Whole { status, length: 0, pieces };
    }
    match &answer {
        Answer::Whole => version.cut(version.extent.range(), &mut pieces),
        Answer::Part { range, .. } => version.cut(range.clone(), &mut pieces),
        Answer::Parts(parts) => {
            for (head, range) in parts.parts() {
                pieces.push(Piece::Bytes(head.clone()));
                version.cut(range.clone(), &mut pieces);
            }
            pieces.push(Piece::Bytes(parts.end()));
        }
        Answer::Head | Answer::NotModified | Answer::Unsatisfiable => {}
    }
    Answered::Whole { status, length: answer.length(version.representation()), pieces }
}

/// The request for all of it.
fn without_range(request: &RequestHead) -> RequestHead {
    let mut request = request.clone();
    request.fields.remove("range");
    request
}

impl Version {
    /// Appends these bytes of the content.
    fn cut(&self, range: Range<u64>, pieces: &mut Pieces) {
        match &self.content {
            _ if range.is_empty() => {}
            Content::Kept(bytes) => {
                // A range of what is in memory fits its lengths.
                let (start, end) = (range.start as usize, range.end as usize);
                pieces.push(Piece::Bytes(bytes.slice(start..end)));
            }
            Content::File(file) => {
                let (file, at, length) = (file.clone(), range.start, range.end - range.start);
                pieces.push(Piece::Part(FilePart { file, at, length }));
            }
        }
    }
}
