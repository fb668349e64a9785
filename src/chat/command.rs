//! The command language, the same for lines and for WebSockets: a line that begins with `/` is a command, any other is said in the room
//! that was joined last.

use super::{
    name::{RULE, is_name},
    record::{Limit, Role},
};
use crate::units::duration;
use std::time::Duration;

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
    /// Something about a person in a room that takes a part in it: [`Act`].
    Moderate(Option<&'l str>, Act<'l>),
    /// A message to a room that stands out.
    Announce(Option<&'l str>, &'l str),
    Register(&'l str),
    /// A name and its password.
    Login(&'l str, &'l str),
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

/// Moderation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act<'l> {
    /// Out of the room, and why.
    Kick(&'l str, &'l str),
    /// Out of the room for so long, or not speaking in it.
    Limit(Limit, &'l str, Duration),
    /// In again, or speaking again.
    Lift(Limit, &'l str),
    /// An account's part in the room.
    Role(&'l str, Role),
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
/register PASSWORD     keep your name: only who knows the password can have it
/login NAME PASSWORD
/kick NAME [WHY], /ban NAME TIME, /unban NAME, /mute NAME TIME, /unmute NAME     for moderators; TIME is 30s, 10m or 2h
/announce TEXT         for moderators
/op NAME, /deop NAME   for owners: make a moderator, or a member again
/echo on|off           whether your own messages come back to you
/send ROOM ID TEXT     say something once: ID is a number that only grows, and a repetition is not said again
/resume TOKEN [ROOM:SEQ ...]   come back after a lost connection; SEQ is the last message that you have of a room
/quit
/kick #ROOM NAME       and so on: in another room than the one that you joined last
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
    let word = word.to_ascii_lowercase();
    match word.as_str() {
        "nick" => named(rest).map(Command::Nick),
        "join" => room(rest).map(Command::Join),
        "leave" => optional_room(rest).map(Command::Leave),
        "rooms" => Ok(Command::Rooms),
        "who" => optional_room(rest).map(Command::People),
        "msg" => {
            let (to, text) = split(rest);
            Ok(Command::Direct(named(to)?, said(text)?))
        }
        "send" => {
            let (to, rest) = split(rest);
            let (id, text) = split(rest);
            let id = id.parse().map_err(|_| "write /send ROOM ID TEXT; ID is a number")?;
            Ok(Command::Send(room(to)?, id, said(text)?))
        }
        "echo" => match rest {
            "on" => Ok(Command::Echo(true)),
            "off" => Ok(Command::Echo(false)),
            _ => Err("write /echo on or /echo off"),
        },
        "resume" => {
            let (token, rest) = split(rest);
            Ok(Command::Resume(said(token)?, seen(rest)?))
        }
        "register" => password(rest).map(Command::Register),
        "login" => {
            let (name, secret) = split(rest);
            Ok(Command::Login(named(name)?, password(secret)?))
        }
        "help" => Ok(Command::Help),
        "quit" => Ok(Command::Quit),
        _ => moderation(&word, rest),
    }
}

/// The commands that take a part in a room. Each may begin with `#ROOM`.
fn moderation<'l>(word: &str, rest: &'l str) -> Result<Command<'l>, &'static str> {
    let (at, rest) = match split(rest) {
        (first, rest) if first.starts_with('#') => (Some(room(first)?), rest),
        _ => (None, rest),
    };
    let (name, more) = split(rest);
    let act = match word {
        "announce" => return Ok(Command::Announce(at, said(rest)?)),
        "kick" => Act::Kick(named(name)?, more),
        "ban" => Act::Limit(Limit::Ban, named(name)?, time(more)?),
        "mute" => Act::Limit(Limit::Mute, named(name)?, time(more)?),
        "unban" => Act::Lift(Limit::Ban, named(name)?),
        "unmute" => Act::Lift(Limit::Mute, named(name)?),
        "op" => Act::Role(named(name)?, Role::Moderator),
        "deop" => Act::Role(named(name)?, Role::Member),
        _ => return Err("no such command: /help lists them; begin with a space to say a line that begins with /"),
    };
    Ok(Command::Moderate(at, act))
}

/// The longest ban: a room that needs a longer one needs another name.
const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

fn time(text: &str) -> Result<Duration, &'static str> {
    let time = duration(text).ok().filter(|time| (Duration::from_secs(1)..=MAX_TIME).contains(time));
    time.ok_or("write how long, as in 30s, 10m or 2h; at most a year")
}

fn password(text: &str) -> Result<&str, &'static str> {
    let fits = (8..=128).contains(&text.len());
    if fits { Ok(text) } else { Err("a password has 8 to 128 bytes") }
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
            ("/register 12345678", Ok(Command::Register("12345678"))),
            ("/register 1234567", Err("a password has 8 to 128 bytes")),
            ("/login ann pass word", Ok(Command::Login("ann", "pass word"))),
            ("/kick bob too loud", Ok(Command::Moderate(None, Act::Kick("bob", "too loud")))),
            ("/kick #tea bob", Ok(Command::Moderate(Some("tea"), Act::Kick("bob", "")))),
            ("/ban bob 10m", Ok(Command::Moderate(None, Act::Limit(Limit::Ban, "bob", Duration::from_secs(600))))),
            ("/mute bob", Err("write how long, as in 30s, 10m or 2h; at most a year")),
            ("/mute bob 0s", Err("write how long, as in 30s, 10m or 2h; at most a year")),
            ("/ban bob 9000h", Err("write how long, as in 30s, 10m or 2h; at most a year")),
            ("/unmute #tea bob", Ok(Command::Moderate(Some("tea"), Act::Lift(Limit::Mute, "bob")))),
            ("/op ann", Ok(Command::Moderate(None, Act::Role("ann", Role::Moderator)))),
            ("/announce #tea at five", Ok(Command::Announce(Some("tea"), "at five"))),
            ("/announce", Err("there is nothing to say: add a text")),
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
