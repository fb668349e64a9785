//! Which programs a command starts, and which of them go on running.

/// The programs that serve until they are stopped.
const SERVERS: &[&str] = &[
    "milestone1",
    "milestone2",
    "milestone3",
    "milestone4",
    "milestone5",
    "broker",
    "chat",
    "store",
    "gateway",
    "file-server",
    "proxy",
    "forward-proxy",
    "multi",
    "origin",
    "iterative",
    "fork",
    "thread-per-client",
    "thread-pool",
    "event-driven",
    "hybrid",
    "io-uring",
];

/// A part of a command between two of the signs that separate commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub text: &'a str,
    /// The operator after it: `;`, `&`, `&&`, `|`, `||`, a bracket or nothing.
    pub end: &'a str,
    /// Within how many brackets it is.
    pub depth: usize,
}

/// Takes a command apart, as a shell would that knows only quotes and separators.
pub fn parts(command: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote, mut escaped) = (0, 0_usize, None, false);
    let mut chars = command.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match quote {
            _ if escaped => escaped = false,
            Some('"') | None if c == '\\' => escaped = true,
            Some(open) => quote = quote.filter(|_| c != open),
            None if c == '"' || c == '\'' => quote = Some(c),
            // `2>&1` is no separator.
            None if c == '&' && command[..at].ends_with('>') => {}
            None if ";&|()\n".contains(c) => {
                let twice = (c == '&' || c == '|') && chars.next_if(|(_, next)| *next == c).is_some();
                let after = at + 1 + usize::from(twice);
                parts.push(Part { text: command[start..at].trim(), end: &command[at..after], depth });
                depth = match c {
                    '(' => depth + 1,
                    ')' => depth.saturating_sub(1),
                    _ => depth,
                };
                start = after;
            }
            None => {}
        }
    }
    parts.push(Part { text: command[start..].trim(), end: "", depth });
    parts.retain(|part| !part.text.is_empty() || part.end == "&");
    parts
}

impl Part<'_> {
    /// The program that it runs, if it is a plain command.
    pub fn program(&self) -> Option<&str> {
        let mut words = self.text.split_whitespace();
        let is_before = |word: &&str| ["do", "then", "else", "time", "!"].contains(word) || is_assignment(word);
        let first = words.find(|word| !is_before(word))?;
        let name = first.strip_prefix("target/release/").unwrap_or(first);
        if (name, words.next()) != ("cargo", Some("run")) {
            return Some(name);
        }
        words.find(|word| *word == "--bin").map_or(Some("milestone4"), |_| words.next())
    }

    /// Whether it is one of our servers, asked to serve.
    fn serves(&self) -> bool {
        let asks = ["--help", "--version", "--check", "--diff", "--print-config", "--schema", "--hash-password"]
            .iter()
            .any(|flag| self.text.contains(flag));
        !asks && self.program().is_some_and(|program| SERVERS.contains(&program))
    }

    /// Whether it goes on while the next command is typed.
    fn stays(&self) -> bool {
        self.end == "&" && self.depth == 0
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// Whether the command keeps its terminal: it ends with a server that is not sent to the background.
pub fn keeps_terminal(command: &str) -> bool {
    let parts = parts(command);
    let piped = parts.iter().any(|part| part.end == "|");
    !piped && parts.last().is_some_and(|last| last.end.is_empty() && last.serves())
}

/// How many `READY` lines the command will print.
pub fn ready_lines(command: &str) -> usize {
    let parts = parts(command);
    let serving = parts.iter().filter(|part| part.serves() && !part.text.contains('>'));
    let started = serving.filter(|part| part.stays() || keeps_terminal(command));
    started.count()
}

/// Programs of others that the command leaves running, as they were typed: they do not say when they are ready.
pub fn others(command: &str) -> Vec<&str> {
    let parts = parts(command);
    let stay = parts.iter().filter(|part| part.stays());
    let others = stay.filter(|part| part.program().is_some_and(|program| ["python3", "nginx"].contains(&program)));
    others.map(|part| part.text).collect()
}

/// Whether the command starts one of our servers.
pub fn starts_a_server(command: &str) -> bool {
    parts(command).iter().any(Part::serves)
}

/// The programs that a plain `kill` ends, as they were typed: `$server`.
pub fn ended(command: &str) -> Vec<&str> {
    let parts = parts(command);
    let kills = parts.iter().filter_map(|part| part.text.strip_prefix("kill "));
    let ended = kills.map(|what| what.split_whitespace().collect::<Vec<_>>());
    ended.filter(|what| what.iter().all(|word| word.len() > 1 && word.starts_with('$'))).flatten().collect()
}

/// Whether the command shows a file and does nothing else.
pub fn only_looks(command: &str) -> bool {
    matches!(&*parts(command), [only] if only.program() == Some("cat") && only.end.is_empty())
}

/// Whether something of the command goes on while the next is typed.
pub fn leaves_something(command: &str) -> bool {
    parts(command).iter().any(|part| part.end == "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_apart_at_its_separators() {
        let command = "a 'b; c' \"d|e\" && f 2>&1 | g & (h; i) \\; j\nk";
        let texts: Vec<_> = parts(command).iter().map(|part| (part.text, part.end, part.depth)).collect();
        let expected = [
            ("a 'b; c' \"d|e\"", "&&", 0),
            ("f 2>&1", "|", 0),
            ("g", "&", 0),
            ("h", ";", 1),
            ("i", ")", 1),
            ("\\; j", "\n", 0),
            ("k", "", 0),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_command_only_looks_if_it_changes_nothing() {
        assert!(only_looks("cat access.log"));
        assert!(["cat a | tee b", "cat a; rm a", "cat a &", "date"].iter().all(|other| !only_looks(other)));
    }

    #[test]
    fn only_a_plain_kill_ends_programs() {
        assert_eq!(ended("kill $server; kill $a $b"), ["$server", "$a", "$b"]);
        for other in ["kill -STOP $server", "kill $(jobs -p)", "echo kill $server", "killall x"] {
            assert!(ended(other).is_empty(), "{other}");
        }
    }

    #[test]
    fn servers_are_known_in_every_spelling() {
        for (command, keeps, ready) in [
            ("milestone1 --backend localhost:3000", true, 1),
            ("milestone3 --admin 127.0.0.1:9090", true, 1),
            ("cargo run --release --bin milestone4 -- --backend localhost:3000", true, 1),
            ("cargo run --release", true, 1),
            ("target/release/origin", true, 1),
            ("A=\"b c\"; milestone2 $A", true, 1),
            ("origin --name a & milestone1", true, 2),
            ("origin --name a & a=$!", false, 1),
            ("cargo run --release --bin origin -- --name a &", false, 1),
            ("milestone1 --help", false, 0),
            ("cat bin/milestone1.rs", false, 0),
            ("(sleep 1; origin &) | client", false, 0),
            ("fork 2>log &", false, 0),
            ("curl -s a & curl b", false, 0),
        ] {
            assert_eq!((keeps_terminal(command), ready_lines(command)), (keeps, ready), "{command}");
        }
        assert_eq!(others("python3 a.py & nginx -c b & python3 c.py"), ["python3 a.py", "nginx -c b"]);
        assert!(
            leaves_something("for i in 1 2; do a & done")
                && leaves_something("(a; b) &")
                && !leaves_something("a && b 2>&1")
        );
    }
}
