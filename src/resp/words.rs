//! The words of one command: the name and its arguments, as parts of the bytes they came in.

use std::ops::Range;

/// A command's words, borrowed from where they were heard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    bytes: &'a [u8],
    places: &'a [Range<usize>],
}

/// Words that are kept: a command that is queued by MULTI, or one that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl<'a> Words<'a> {
    /// The parts of `bytes` at `places`, each of which is within them.
    pub(crate) fn new(bytes: &'a [u8], places: &'a [Range<usize>]) -> Self {
        Self { bytes, places }
    }

    /// How many, the name included.
    pub(crate) fn len(self) -> usize {
        self.places.len()
    }

    /// The word at this place; empty behind the last one.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        self.places.get(index).map_or(&[], |place| &self.bytes[place.clone()])
    }

    /// The words from this place on.
    pub(crate) fn from(self, index: usize) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone {
        self.places[index.min(self.places.len())..].iter().map(move |place| &self.bytes[place.clone()])
    }

    /// Whether the word at this place is `word`, which is in lower case; cases do not matter.
    pub(crate) fn is(self, index: usize, word: &str) -> bool {
        self.at(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// A copy to keep.
    pub(crate) fn keep(self) -> Kept {
        Kept::new(self.from(0))
    }
}

impl Kept {
    pub(crate) fn new<'w>(words: impl IntoIterator<Item = &'w [u8]>) -> Self {
        let mut kept = Self::default();
        for word in words {
            let start = kept.bytes.len();
            kept.bytes.extend_from_slice(word);
            kept.places.push(start..kept.bytes.len());
        }
        kept
    }

    pub(crate) fn words(&self) -> Words<'_> {
        Words::new(&self.bytes, &self.places)
    }

    /// Bytes of memory.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Range<usize>>()
    }
}
