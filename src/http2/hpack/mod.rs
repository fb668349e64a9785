//! Field lines as HTTP/2 writes them (RFC 7541): numbers instead of lines that both sides know, and strings in a Huffman code.
//!
//! ```text
//!   82                  the static table's second line, ":method: GET"         RFC 7541 §6.1
//!   41 8c f1e3…         its first name, ":authority", with a value in the Huffman code;
//!                       both sides keep this line in their dynamic tables      §6.2.1
//!   be                  the newest line of the dynamic table                   §6.1
//! ```
//!
//! An [`Encoder`] and the [`Decoder`] at the other end hold the same dynamic table. A block that is not decoded, or is decoded
//! wrongly, makes all later ones meaningless: every error here ends the connection (RFC 9113 §4.3).

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod known;
mod table;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use encoder::Encoder;

/// The size of a dynamic table before anybody says otherwise (RFC 9113 §6.5.2).
pub const DEFAULT_TABLE: usize = 4096;

/// Why a field block cannot be decoded. The RFC asks for a connection error of type `COMPRESSION_ERROR` in each case (RFC 9113 §4.3);
/// a bomb is not malformed, so it is ended with `ENHANCE_YOUR_CALM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Error {
    /// The block ends in the middle of an instruction.
    Truncated,
    /// An integer above 2^32 - 1, or written with more bytes than such a one needs (RFC 7541 §5.1).
    IntegerTooLarge,
    /// A string that ends in the middle of a symbol, with wrong padding, or that contains the symbol for its end (RFC 7541 §5.2).
    BadHuffman,
    /// A number that stands for no line: zero, or beyond both tables (RFC 7541 §2.3.3, §6.1).
    BadIndex,
    /// A change of the table's size behind a field line (RFC 7541 §4.2).
    LateSizeUpdate,
    /// A table larger than the one that was offered (RFC 7541 §6.3).
    TableTooLarge,
    /// A block that decodes to more than the caller's limit: few bytes can name the same long line thousands of times.
    Bomb,
}
