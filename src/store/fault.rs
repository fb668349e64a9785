//! The errors that a client is told. The texts are those of the original, since clients look at them.

use std::borrow::Cow;

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    WrongType,
    NotInteger,
    NotFloat,
    OutOfRange,
    NoSuchKey,
    /// The name of the command, as it is told.
    Arity(String),
    /// The whole text, with its code.
    Text(Cow<'static, str>),
}

pub(crate) type Outcome<T = ()> = Result<T, Fault>;

impl Fault {
    pub(crate) fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Syntax => "ERR syntax error".into(),
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value".into(),
            Self::NotInteger => "ERR value is not an integer or out of range".into(),
            Self::NotFloat => "ERR value is not a valid float".into(),
            Self::OutOfRange => "ERR value is out of range".into(),
            Self::NoSuchKey => "ERR no such key".into(),
            Self::Arity(name) => format!("ERR wrong number of arguments for '{name}' command").into(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A refusal with a text of its own.
pub(crate) fn refuse<T>(text: impl Into<Cow<'static, str>>) -> Outcome<T> {
    Err(Fault::Text(text.into()))
}
