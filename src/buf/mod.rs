//! Bytes on their way out: [`Output`] keeps what the peer has not taken yet, [`FilePart`] names bytes of a file, [`Sink`] is where
//! framing writes to; [`relax`] gives back what a list has grown by.

mod file;
mod output;

pub use file::{FilePart, Readable, Unreadable};
pub use output::Output;

use bytes::Bytes;

/// Elements for which an emptied list keeps its room. A busy turn of an event loop has a few dozen actions; one that answers
/// thousands of requests at once, or closes ten thousand connections, is the exception.
pub const ROOM: usize = 1024;

/// Gives back the memory of a list that was emptied, if one unusual call has made it grow beyond [`ROOM`]. Lists of an event
/// loop are reused for as long as the process lives.
pub fn relax<T>(list: &mut Vec<T>) {
    if list.is_empty() && list.capacity() > ROOM {
        *list = Vec::new();
    }
}

/// Where framed bytes go: into an [`Output`], or straight to a connection.
///
/// Two verbs, because the callee may keep the first by reference for nothing, and has to look at the second: it may be
/// part of the input being heard, which a driver sends on without a copy.
pub trait Sink {
    /// Bytes that the callee may keep.
    fn owned(&mut self, bytes: Bytes);
    /// Bytes that the callee copies, unless it finds another way, before it returns.
    fn borrowed(&mut self, bytes: &[u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_a_usual_room_and_gives_back_more() {
        for (room, kept) in [(ROOM, true), (ROOM + 1, false)] {
            let mut list: Vec<u64> = Vec::with_capacity(room);
            list.push(1);
            relax(&mut list);
            assert_eq!((list.len(), list.capacity()), (1, room), "what is in use stays");
            list.clear();
            relax(&mut list);
            assert_eq!(list.capacity() == room, kept, "{room}");
        }
    }
}
