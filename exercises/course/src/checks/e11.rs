//! Exercise 11, a chat with rooms, private lines, passwords and a history.

use crate::{
    catalog::Check,
    checks::e10::{self, asked, hears, joined, says},
    client::Client,
    problem::{Problem, Resource, Seen, Topic},
    stage::Stage,
};

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "talk", promise: "in the lobby a line goes to all others, and not to its sender", run: talk },
    Check { name: "rooms-are-apart", promise: "what is said in a room is heard there and nowhere else", run: apart },
    Check { name: "moving", promise: "/join refuses bad names and the room where a client is", run: moving },
    Check {
        name: "a-room-ends",
        promise: "a room without members is gone, with all that was said there",
        run: room_ends,
    },
    Check { name: "private", promise: "/tell reaches one client in whatever room, and no other", run: private },
    Check { name: "passwords", promise: "a name with a password is for those who know it", run: passwords },
    Check { name: "three-tries", promise: "three wrong passwords end the conversation, two do not", run: three_tries },
    Check { name: "password-limit", promise: "a hundred names have a password, and no more", run: password_limit },
    Check {
        name: "history",
        promise: "those who come hear the last 20 lines of the room, and then what is said",
        run: history,
    },
    Check {
        name: "no-gap",
        promise: "between the history and what is said no line is lost, and none comes twice",
        run: no_gap,
    },
    Check { name: "history-is-bounded", promise: "however much is said, a room keeps 20 lines of it", run: bounded },
    Check {
        name: "a-slow-reader",
        promise: "a client that reads nothing keeps no other waiting, and is let go",
        run: e10::slow_reader,
    },
    Check { name: "rests", promise: "while the clients are silent, it uses no processor", run: e10::rests },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: e10::leaves_nothing },
];

/// The lines that a room remembers.
const HISTORY: usize = 20;

fn about(topic: Topic) -> impl Fn(Problem) -> Problem {
    move |problem| problem.about(topic)
}

fn quiet(client: &mut Client, why: &str, topic: Topic) -> Result<(), Problem> {
    client.expect_quiet(why).map_err(about(topic))
}

/// A client goes into another room. Those in the old one hear that it has left, those in the new one that it has come.
fn moves(
    client: &mut Client,
    name: &str,
    room: &str,
    old: &mut [&mut Client],
    new: &mut [&mut Client],
) -> Result<(), Problem> {
    says(client, &format!("/join {room}"))?;
    hears(client, &format!("You are in {room}")).map_err(about(Topic::Moving))?;
    for other in old {
        hears(other, &format!("* {name} has left")).map_err(about(Topic::Left))?;
    }
    for other in new {
        hears(other, &format!("* {name} has come")).map_err(about(Topic::Rooms))?;
    }
    Ok(())
}

/// The client goes, and has heard the goodbye.
fn quits(mut client: Client) -> Result<(), Problem> {
    says(&mut client, "/quit")?;
    hears(&mut client, "Goodbye!")?;
    client.expect_end("FIN after the goodbye")
}

fn talk(stage: &mut Stage) -> Result<(), Problem> {
    let mut zoe = joined(stage, "zoe", &mut [])?;
    let mut yan = joined(stage, "yan", &mut [&mut zoe])?;
    quiet(&mut yan, "nothing: no line was said so far", Topic::History)?;
    quits(yan)?;
    hears(&mut zoe, "* yan has left").map_err(about(Topic::Left))?;
    quits(zoe)?;
    e10::three_talk(stage)
}

fn apart(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    let mut eve = joined(stage, "eve", &mut [&mut ada, &mut bob])?;
    moves(&mut eve, "eve", "rust", &mut [&mut ada, &mut bob], &mut [])?;
    moves(&mut bob, "bob", "rust", &mut [&mut ada], &mut [&mut eve])?;
    let in_lobby = stage.text();
    says(&mut ada, &in_lobby)?;
    quiet(&mut bob, "nothing: ada is in another room", Topic::Rooms)?;
    quiet(&mut eve, "nothing: ada is in another room", Topic::Rooms)?;
    let said = stage.text();
    says(&mut eve, &said)?;
    hears(&mut bob, &format!("eve: {said}"))?;
    quiet(&mut ada, "nothing: eve is in another room", Topic::Rooms)?;
    says(&mut bob, "/who")?;
    hears(&mut bob, "here: bob, eve").map_err(about(Topic::Rooms))?;
    says(&mut ada, "/who")?;
    hears(&mut ada, "here: ada").map_err(about(Topic::Rooms))?;
    says(&mut ada, "/rooms")?;
    hears(&mut ada, "rooms: lobby, rust")?;
    // Each room remembers what was said there.
    let mut zoe = joined(stage, "zoe", &mut [&mut ada])?;
    hears(&mut zoe, &format!("ada: {in_lobby}")).map_err(about(Topic::Rooms))?;
    quiet(&mut zoe, "nothing more: the rest was said in another room", Topic::Rooms)?;
    quits(zoe)?;
    hears(&mut ada, "* zoe has left").map_err(about(Topic::Left))?;
    bob.abort();
    hears(&mut eve, "* bob has left").map_err(about(Topic::Left))?;
    quiet(&mut eve, "nothing more: that was told", Topic::Left)?;
    quiet(&mut ada, "nothing: bob was in another room", Topic::Rooms)
}

fn moving(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    for bad in ["/join", "/join two words", "/join caf\u{e9}", "/join seventeen17171717"] {
        says(&mut bob, bad)?;
        hears(&mut bob, "No such room")?;
    }
    says(&mut bob, "/join lobby")?;
    hears(&mut bob, "You are there already")?;
    quiet(&mut ada, "nothing: bob has gone nowhere", Topic::Rooms)?;
    moves(&mut bob, "bob", "sixteen161616161", &mut [&mut ada], &mut [])?;
    moves(&mut bob, "bob", "lobby", &mut [], &mut [&mut ada])?;
    let said = stage.text();
    says(&mut bob, &said)?;
    hears(&mut ada, &format!("bob: {said}"))
}

fn room_ends(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    for at in 0..60 {
        let mut bob = joined(stage, "bob", &mut [&mut ada])?;
        moves(&mut bob, "bob", &format!("room{at}"), &mut [&mut ada], &mut [])?;
        says(&mut bob, "hello")?;
        match at % 3 {
            0 => moves(&mut bob, "bob", "lobby", &mut [], &mut [&mut ada])?,
            1 => {
                moves(&mut bob, "bob", "other", &mut [], &mut [])?;
                says(&mut bob, "hello")?;
            }
            _ => {}
        }
        quits(bob).map_err(about(Topic::EmptyRoom))?;
        if at % 3 == 0 {
            hears(&mut ada, "* bob has left").map_err(about(Topic::Left))?;
        }
    }
    says(&mut ada, "/rooms")?;
    hears(&mut ada, "rooms: lobby").map_err(about(Topic::EmptyRoom))?;
    let mut eve = joined(stage, "eve", &mut [&mut ada])?;
    moves(&mut eve, "eve", "other", &mut [&mut ada], &mut [])?;
    quiet(&mut eve, "nothing: the room was empty, so it is a new one", Topic::EmptyRoom)
}

/// Whether it is the blanks alone that are wrong.
fn blanks(problem: Problem) -> Problem {
    let words = |text: &[u8]| String::from_utf8_lossy(text).split_whitespace().collect::<String>();
    match &problem.seen {
        Seen::Wrong(got) if words(got) == words(&problem.expected) => problem.about(Topic::Blanks),
        _ => problem,
    }
}

fn private(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    let mut eve = joined(stage, "eve", &mut [&mut ada, &mut bob])?;
    moves(&mut bob, "bob", "rust", &mut [&mut ada, &mut eve], &mut [])?;
    let secret = stage.text() + "  and more";
    says(&mut ada, &format!("/tell bob {secret}"))?;
    let heard = hears(&mut bob, &format!("ada tells you: {secret}")).map_err(blanks);
    if heard.is_err() {
        quiet(&mut eve, "nothing: that was for bob", Topic::Secret)?;
        hears(&mut ada, "Told bob")?;
    }
    heard?;
    hears(&mut ada, "Told bob")?;
    says(&mut bob, &format!("/tell eve {secret}"))?;
    hears(&mut eve, &format!("bob tells you: {secret}"))?;
    hears(&mut bob, "Told eve")?;
    says(&mut ada, "/tell zoe hello")?;
    hears(&mut ada, "No zoe here")?;
    quiet(&mut ada, "nothing: that was for eve", Topic::Secret)?;
    quiet(&mut eve, "nothing more: the rest was for others", Topic::Secret)?;
    // Nor does the history tell it.
    let mut zoe = joined(stage, "zoe", &mut [&mut ada, &mut eve])?;
    quiet(&mut zoe, "nothing: what was told to one is in no history", Topic::Secret)?;
    moves(&mut zoe, "zoe", "rust", &mut [&mut ada, &mut eve], &mut [&mut bob])?;
    quiet(&mut zoe, "nothing: what was told to one is in no history", Topic::Secret)
}

/// A client that wants a name which has a password.
fn asked_for_password(stage: &mut Stage, name: &str) -> Result<Client, Problem> {
    let mut client = asked(stage)?;
    says(&mut client, name)?;
    hears(&mut client, "Password?").map_err(about(Topic::Password))?;
    Ok(client)
}

fn wrong(client: &mut Client, password: &str) -> Result<(), Problem> {
    says(client, password)?;
    hears(client, "Wrong password").map_err(about(Topic::Password))
}

fn passwords(stage: &mut Stage) -> Result<(), Problem> {
    let mut bob = joined(stage, "bob", &mut [])?;
    let mut ada = joined(stage, "ada", &mut [&mut bob])?;
    let password = format!("{} 7", stage.text());
    says(&mut ada, &format!("/password {password}"))?;
    hears(&mut ada, "Password set")?;
    quiet(&mut bob, "nothing: a password is for nobody's ears", Topic::Secret)?;
    ada.abort();
    hears(&mut bob, "* ada has left").map_err(about(Topic::Left))?;
    for bad in ["", &password[..password.len() - 1], &format!("{password} "), &password.to_uppercase()] {
        let mut client = asked_for_password(stage, "ada")?;
        wrong(&mut client, bad)?;
        hears(&mut client, "Name?").map_err(about(Topic::Tries))?;
        // Another name needs none.
        says(&mut client, "eve")?;
        hears(&mut client, "You are eve")?;
        hears(&mut bob, "* eve has come")?;
        quits(client)?;
        hears(&mut bob, "* eve has left").map_err(about(Topic::Left))?;
    }
    let mut ada = asked_for_password(stage, "ada")?;
    says(&mut ada, &password)?;
    hears(&mut ada, "You are ada")?;
    hears(&mut bob, "* ada has come")?;
    // A client that knows it does not put out the one that is there.
    let mut other = asked_for_password(stage, "ada")?;
    says(&mut other, &password)?;
    hears(&mut other, "Taken").map_err(about(Topic::NameTaken))?;
    hears(&mut other, "Name?")?;
    let mut zoe = joined(stage, "zoe", &mut [&mut ada, &mut bob])?;
    quiet(&mut zoe, "nothing: a password is in no history", Topic::Secret)
}

/// Two tries with a wrong password, both forgiven.
fn guesses_twice(client: &mut Client) -> Result<(), Problem> {
    for _ in 0..2 {
        wrong(client, "guess")?;
        hears(client, "Name?").map_err(about(Topic::Tries))?;
        says(client, "ada")?;
        hears(client, "Password?").map_err(about(Topic::Password))?;
    }
    Ok(())
}

fn three_tries(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let password = stage.text();
    says(&mut ada, &format!("/password {password}"))?;
    hears(&mut ada, "Password set")?;
    quits(ada)?;
    let mut client = asked_for_password(stage, "ada")?;
    guesses_twice(&mut client)?;
    wrong(&mut client, "guess")?;
    client.expect_end("the end: that was the third").map_err(about(Topic::Tries))?;
    // And two are forgiven.
    let mut client = asked_for_password(stage, "ada")?;
    guesses_twice(&mut client)?;
    says(&mut client, &password)?;
    hears(&mut client, "You are ada").map_err(about(Topic::Tries))
}

const MOST_PASSWORDS: usize = 100;

fn password_limit(stage: &mut Stage) -> Result<(), Problem> {
    for at in 0..MOST_PASSWORDS {
        let mut client = joined(stage, &format!("name{at}"), &mut [])?;
        says(&mut client, "/password one")?;
        hears(&mut client, "Password set").map_err(about(Topic::StoreFull))?;
        quits(client)?;
    }
    let mut next = joined(stage, "next", &mut [])?;
    says(&mut next, "/password one")?;
    hears(&mut next, "Too many passwords").map_err(about(Topic::StoreFull))?;
    // A name that has one may change it.
    let mut client = asked_for_password(stage, "name7")?;
    says(&mut client, "one")?;
    hears(&mut client, "You are name7")?;
    says(&mut client, "/password two")?;
    hears(&mut client, "Password set").map_err(about(Topic::StoreFull))?;
    quits(client)?;
    let mut client = asked_for_password(stage, "name7")?;
    wrong(&mut client, "one")
}

/// The answer to a new name in the lobby, with these lines after it.
fn comes_and_hears(
    stage: &mut Stage,
    name: &str,
    lines: &[String],
    others: &mut [&mut Client],
) -> Result<Client, Problem> {
    let mut client = joined(stage, name, others)?;
    let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let wanted = format!("the last {} lines of the room, in their order", lines.len());
    client.expect(all.as_bytes(), &wanted).map_err(about(Topic::History))?;
    Ok(client)
}

fn history(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let mut bob = joined(stage, "bob", &mut [&mut ada])?;
    let mut lines: Vec<String> = Vec::new();
    for number in [3, HISTORY, HISTORY + 1, 2 * HISTORY + 7] {
        while lines.len() < number {
            let said = stage.text();
            says(&mut ada, &said)?;
            lines.push(format!("ada: {said}"));
            hears(&mut bob, lines.last().map_or("", String::as_str))?;
            // None of these is a line that was said.
            says(&mut bob, "/who")?;
            hears(&mut bob, "here: ada, bob")?;
        }
        let last = &lines[lines.len().saturating_sub(HISTORY)..];
        let mut eve = comes_and_hears(stage, "eve", last, &mut [&mut ada, &mut bob])?;
        let said = stage.text();
        says(&mut bob, &said)?;
        lines.push(format!("bob: {said}"));
        let wanted = lines.last().map_or("", String::as_str);
        hears(&mut eve, wanted).map_err(about(Topic::History))?;
        hears(&mut ada, wanted)?;
        quits(eve)?;
        hears(&mut ada, "* eve has left")?;
        hears(&mut bob, "* eve has left")?;
    }
    // Those who come back into a room hear it, too, with their own lines.
    moves(&mut ada, "ada", "rust", &mut [&mut bob], &mut [])?;
    quiet(&mut ada, "nothing: that room has no history", Topic::Rooms)?;
    moves(&mut ada, "ada", "lobby", &mut [], &mut [&mut bob])?;
    let all: String = lines[lines.len() - HISTORY..].iter().map(|line| format!("{line}\n")).collect();
    ada.expect(all.as_bytes(), "the last 20 lines of the room").map_err(about(Topic::History))
}

/// The number of a line `ada: line 12`.
fn number_of(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line.strip_prefix(b"ada: line ")?).ok()?.parse().ok()
}

fn no_gap(stage: &mut Stage) -> Result<(), Problem> {
    const ROUNDS: usize = 40;
    /// With the history, fewer than may wait for a client.
    const LINES: usize = 26;
    let mut ada = joined(stage, "ada", &mut [])?;
    for round in 0..ROUNDS {
        let mut new = Vec::new();
        for at in 0..3 {
            new.push((asked(stage)?, format!("new{at}")));
        }
        let first = round * LINES;
        if round % 2 == 0 {
            // Lines are said one by one, and meanwhile clients come.
            for at in 0..LINES {
                says(&mut ada, &format!("line {}", first + at))?;
                if let Some((client, name)) = new.get_mut(at / 8).filter(|_| at % 8 == 2) {
                    says(client, name)?;
                }
            }
        } else {
            // Stopped, it hears nothing; then all of that is there at once.
            stage.pause()?;
            let lines: String = (0..LINES).map(|at| format!("line {}\n", first + at)).collect();
            ada.send(lines.as_bytes())?;
            for (client, name) in &mut new {
                says(client, name)?;
            }
            stage.resume()?;
        }
        for (client, name) in &mut new {
            hears(client, &format!("You are {name}"))?;
            hears_without_gap(client, first + LINES - 1)?;
        }
        for (client, _) in &mut new {
            says(client, "/quit")?;
            // The others still come and leave.
            client.expect_gone("the end after the goodbye")?;
        }
        for _ in 0..6 {
            ada.expect_line("* new", "that clients have come, and have left")?;
        }
    }
    Ok(())
}

/// The lines that a client hears are numbered, one after the other, up to `last`.
fn hears_without_gap(client: &mut Client, last: usize) -> Result<(), Problem> {
    let mut next = None;
    while next.is_none_or(|next| next <= last) {
        let wanted = next.map_or_else(|| "a line of ada".to_owned(), |next| format!("`ada: line {next}`"));
        let line = client.expect_line("", &wanted).map_err(about(Topic::NoGap))?;
        if line.starts_with(b"* ") {
            continue;
        }
        let number = number_of(&line);
        if number.is_none() || next.is_some_and(|next| number != Some(next)) {
            let expected = next.map_or_else(String::new, |next| format!("ada: line {next}"));
            return Err(client.complaint(&wanted, expected.as_bytes(), &line).about(Topic::NoGap));
        }
        next = number.map(|number| number + 1);
    }
    Ok(())
}

/// In KiB: 20 lines of 8,000 bytes are far below this, all of them far above.
const MUCH: u64 = 6 * 1024;

fn bounded(stage: &mut Stage) -> Result<(), Problem> {
    let mut ada = joined(stage, "ada", &mut [])?;
    let before = stage.amount(Resource::Memory);
    let said = format!("{}\n", "x".repeat(8000)).repeat(32);
    for _ in 0..64 {
        ada.send(said.as_bytes())?;
        says(&mut ada, "/who")?;
        hears(&mut ada, "here: ada")?;
    }
    if let Some((from, to)) = before.zip(stage.amount(Resource::Memory)).filter(|(from, to)| *to > from + MUCH) {
        let seen = Seen::Grew { what: Resource::Memory, from, to };
        return Err(Problem::new("that the room keeps 20 lines", seen).about(Topic::History));
    }
    Ok(())
}
