//! The command language, the same for lines and for WebSockets: a line that begins with `/` is a command, any other is said in the room
//! that was joined last.

use super::name::{RULE, is_name};

/// A line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command<'l> {
    /// Nothing.
    Blank,
    /// Text for the current room.
    Say(&'l str),
    /// Text for a room, with a number of the speaker's own by which a repetition is known.
    Send(&'l str, u64, &'l str),
    Nick(&'l str),
    Join(&'l str),
    /// `None`: the current room.
    Leave(Option<&'l str>),
    Rooms,
    People(Option<&'l str>),
    Direct(&'l str, &'l str),
    /// Whether one's own messages come back.
    Echo(bool),
    /// Come back with a token; the last number that was seen of each room.
    Resume(&'l str, Vec<Seen<'l>>),
    Help,
    Quit,
}

/// The last message of a room that a client has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen<'l> {
    /// `@` stands for messages to oneself.
    pub(crate) room: &'l str,
    pub(crate) seq: u64,
}

/// Rooms in one `/resume`: more than anybody is in.
const MAX_SEEN: usize = 100;

/// Answer to `/help`.
pub(crate) const HELP: &str = "\
/nick NAME             take a name
/join ROOM, /leave [ROOM]
/rooms, /who [ROOM]    rooms, and the people in one
/msg NAME TEXT         say something to one person
/echo on|off           whether your own messages come back to you
/send ROOM ID TEXT     say something once: ID is a number that only grows, and a repetition is not said again
/resume TOKEN [ROOM:SEQ ...]   come back after a lost connection; SEQ is the last message that you have of a room
/quit
Anything else is said in the room that you joined last; begin with a space to say a line that begins with /.";

/// Reads a line.
///
/// # Errors
///
/// A sentence that says what to write instead.
pub(crate) fn parse(line: &str) -> Result<Command<'_>, &'static str> {
    let Some(command) = line.strip_prefix('/') else {
        let text = line.trim();
        return Ok(if text.is_empty() { Command::Blank } else { Command::Say(text) });
    };
    let (word, rest) = split(command);
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("nick") {
        named(rest).map(Command::Nick)
    } else if is("join") {
        room(rest).map(Command::Join)
    } else if is("leave") {
        optional_room(rest).map(Command::Leave)
    } else if is("rooms") {
        Ok(Command::Rooms)
    } else if is("who") {
        optional_room(rest).map(Command::People)
    } else if is("msg") {
        let (to, text) = split(rest);
        Ok(Command::Direct(named(to)?, said(text)?))
    } else if is("send") {
        let (to, rest) = split(rest);
        let (id, text) = split(rest);
        let id = id.parse().map_err(|_| "write /send ROOM ID TEXT; ID is a number")?;
        Ok(Command::Send(room(to)?, id, said(text)?))
    } else if is("echo") {
        match rest {
            "on" => Ok(Command::Echo(true)),
            "off" => Ok(Command::Echo(false)),
            _ => Err("write /echo on or /echo off"),
        }
    } else if is("resume") {
        let (token, rest) = split(rest);
        Ok(Command::Resume(said(token)?, seen(rest)?))
    } else if is("help") {
        Ok(Command::Help)
    } else if is("quit") {
        Ok(Command::Quit)
    } else {
        Err("no such command: /help lists them; begin with a space to say a line that begins with /")
    }
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

fn named(word: &str) -> Result<&str, &'static str> {
    if is_name(word) { Ok(word) } else { Err(RULE) }
}

/// `#tea` is `tea` to those who know other chats.
fn room(word: &str) -> Result<&str, &'static str> {
    named(word.strip_prefix('#').unwrap_or(word))
}

fn optional_room(word: &str) -> Result<Option<&str>, &'static str> {
    if word.is_empty() { Ok(None) } else { room(word).map(Some) }
}

/// `lobby:12 @:3`
fn seen(text: &str) -> Result<Vec<Seen<'_>>, &'static str> {
    let pair = |word| {
        let (room, seq) = str::split_once(word, ':')?;
        Some(Seen { room, seq: seq.parse().ok().filter(|seq| *seq < u64::MAX)? })
    };
    let seen: Option<Vec<_>> = text.split_whitespace().map(pair).collect();
    seen.filter(|seen| seen.len() <= MAX_SEEN).ok_or("write /resume TOKEN ROOM:SEQ, as in lobby:12")
}

fn said(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() { Err("there is nothing to say: add a text") } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_one_command() {
        let cases = [
            ("", Ok(Command::Blank)),
            (" \t", Ok(Command::Blank)),
            ("hello there ", Ok(Command::Say("hello there"))),
            (" /quit", Ok(Command::Say("/quit"))),
            ("/nick ann", Ok(Command::Nick("ann"))),
            ("/NICK  ann ", Ok(Command::Nick("ann"))),
            ("/nick", Err(RULE)),
            ("/nick a b", Err(RULE)),
            ("/join #tea", Ok(Command::Join("tea"))),
            ("/leave", Ok(Command::Leave(None))),
            ("/leave tea", Ok(Command::Leave(Some("tea")))),
            ("/rooms", Ok(Command::Rooms)),
            ("/who", Ok(Command::People(None))),
            ("/who tea", Ok(Command::People(Some("tea")))),
            ("/msg bob  hi  there", Ok(Command::Direct("bob", "hi  there"))),
            ("/msg bob", Err("there is nothing to say: add a text")),
            ("/send tea 7 hi", Ok(Command::Send("tea", 7, "hi"))),
            ("/send tea x hi", Err("write /send ROOM ID TEXT; ID is a number")),
            ("/send tea 18446744073709551616 hi", Err("write /send ROOM ID TEXT; ID is a number")),
            ("/echo on", Ok(Command::Echo(true))),
            ("/echo", Err("write /echo on or /echo off")),
            ("/resume t0", Ok(Command::Resume("t0", vec![]))),
            (
                "/resume t0 lobby:12 @:3",
                Ok(Command::Resume("t0", vec![Seen { room: "lobby", seq: 12 }, Seen { room: "@", seq: 3 }])),
            ),
            ("/resume t0 lobby", Err("write /resume TOKEN ROOM:SEQ, as in lobby:12")),
            ("/resume t0 a:18446744073709551615", Err("write /resume TOKEN ROOM:SEQ, as in lobby:12")),
            ("/help", Ok(Command::Help)),
            ("/quit", Ok(Command::Quit)),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), expected, "{line:?}");
        }
        assert!(parse("/dance").is_err_and(|why| why.starts_with("no such command")));
        assert!(parse("/").is_err());
    }
}
