//! The layers that `src/lib.rs` draws, held to: an arrow between modules may only point down.
//!
//! The table is read from the documentation of the library itself, so that what a reader learns there is what is
//! checked here. Test code is left alone: it may use whatever shows its point.

mod circles;

use std::{collections::BTreeMap, fs, path::Path};

/// Arrows between modules of one row. Each is a decision; the reason says why.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    ("cache", "http", "what a cache may do is said in the fields of HTTP messages"),
    ("gateway", "client", "its way to the command server is that of the resilient client"),
    ("health", "http", "what a probe asks is written in the words of an HTTP message"),
    ("health", "resilience", "a record of a backend contains its breaker"),
    ("http2", "http", "HTTP/2 carries the messages of HTTP, under the same rules"),
    ("service", "http", "a service that speaks HTTP reads and writes its messages"),
];

/// Names that a module below `net` may not even mention: time, threads, sockets and randomness come in as arguments.
const IMPURE: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "mio",
    "socket2",
    "Instant::now",
    "SystemTime::now",
    "thread::spawn",
    "thread::sleep",
    "rand::rng",
    "rand::random",
    "from_os_rng",
];

/// Modules by row, the lowest row first.
#[derive(Debug)]
struct Layers(BTreeMap<String, usize>);

impl Layers {
    /// Reads the table that follows the heading `# Layers` in a crate's documentation.
    fn of(documentation: &str) -> Self {
        let after = documentation.split_once("# Layers").expect("src/lib.rs draws its layers").1;
        let table = after.split("```").nth(1).expect("the layers are a code block");
        let rows: Vec<&str> =
            table.lines().filter_map(|line| line.strip_prefix("//! ")).filter(|row| !row.is_empty()).collect();
        let mut layers = BTreeMap::new();
        for (height, row) in rows.iter().rev().enumerate() {
            // Names are two spaces apart, what they are about comes after a wider gap.
            let names = row.split("    ").next().unwrap_or_default();
            for name in names.split_whitespace().filter(|name| !name.contains('/')) {
                layers.insert(name.to_owned(), height);
            }
        }
        Self(layers)
    }

    fn height(&self, module: &str) -> Option<usize> {
        self.0.get(module).copied()
    }

    fn is_pure(&self, module: &str) -> bool {
        self.height(module) < self.height("net")
    }

    /// The mistakes of one file.
    fn check(&self, path: &str, source: &str) -> Vec<String> {
        let from = module_of(path);
        let Some(height) = self.height(from) else {
            return vec![format!("{path}: `{from}` is in no layer: add it to the table in src/lib.rs")];
        };
        let code = code_of(source);
        let mut wrong = Vec::new();
        for to in imports(&code).iter().filter(|to| *to != from) {
            match self.height(to) {
                // Not a module: a macro at the root, or a name that the compiler will reject.
                None => {}
                Some(other) if other < height => {}
                Some(other) if other == height && is_listed(SIDEWAYS, from, to) => {}
                Some(other) if other == height => {
                    wrong.push(format!("{path}: `{from}` and `{to}` are in one layer and may not know each other"));
                }
                Some(_) => wrong.push(format!("{path}: `{from}` uses `{to}`, which is above it")),
            }
        }
        if self.is_pure(from) {
            let mentioned = IMPURE.iter().filter(|word| mentions(&code, word));
            wrong.extend(mentioned.map(|word| format!("{path}: `{from}` is pure and mentions `{word}`")));
        }
        wrong
    }
}

fn module_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

fn is_listed(list: &[(&str, &str, &str)], from: &str, to: &str) -> bool {
    list.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

/// A file without its comments and its tests.
fn code_of(source: &str) -> String {
    let line = |line: &str| line.split("//").next().unwrap_or_default().to_owned() + "\n";
    let mut rest: String = source.lines().map(line).collect();
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        code.push_str(before);
        rest = after[end_of_item(after)..].to_owned();
    }
    code + &rest
}

/// Where the item at the start of `code` ends: after its body, or its semicolon.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 1 => depth -= 1,
            '}' => return at + 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The modules named right after `crate::`, alone or in braces.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group)),
            None => found.extend(first_name(rest)),
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The first names of a brace's members, up to its end.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut found, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.extend(first_name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Whether a word occurs as a word.
fn mentions(code: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

/// Every source file of the library that is not a test, as path below `src/` and text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut files);
    files.retain(|(path, _)| path != "lib.rs");
    files.sort();
    assert!(files.len() > 20, "the sources were not found");
    files
}

fn collect(folder: &Path, prefix: &str, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("the folder is part of the repository") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            collect(&path, &format!("{prefix}{name}/"), into);
        } else if name.ends_with(".rs") && !matches!(name.as_str(), "tests.rs" | "testing.rs") {
            into.push((format!("{prefix}{name}"), fs::read_to_string(&path).expect("sources are UTF-8")));
        }
    }
}

fn layers() -> Layers {
    Layers::of(&fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("src/lib.rs"))
}

#[test]
fn arrows_point_down() {
    let layers = layers();
    let wrong: Vec<String> = sources().iter().flat_map(|(path, source)| layers.check(path, source)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// An exception that is not needed any more is a hole.
#[test]
fn every_exception_is_in_use() {
    let files = sources();
    let uses = |from: &str, to: &str| {
        let of_module = files.iter().filter(|(path, _)| module_of(path) == from);
        of_module.flat_map(|(_, source)| imports(&code_of(source))).any(|name| name == to)
    };
    for (from, to, _) in SIDEWAYS {
        assert!(uses(from, to), "`{from}` does not use `{to}`: take that off the list");
    }
}

/// `make check` builds the programs for tests only. That is enough as long as a release build is of the same code.
#[test]
fn no_code_asks_whether_it_is_a_release_build() {
    let asks = |source: &str| code_of(source).contains("debug_assertions");
    assert!(asks("#[cfg(not(debug_assertions))]\nfn f() {}"), "it would not be noticed");
    let found: Vec<String> = sources().into_iter().filter(|(_, source)| asks(source)).map(|(path, _)| path).collect();
    assert!(found.is_empty(), "no check compiles the release build of {found:?}");
}

#[test]
fn the_table_is_read_as_it_is_drawn() {
    let layers = layers();
    let height = |module| layers.height(module).unwrap_or_else(|| panic!("{module} is in no layer"));
    assert_eq!(height("time"), 0);
    assert_eq!(height("buf"), 0);
    assert_eq!(height("http"), height("lb"));
    for pair in ["time", "app", "http", "net", "proxy"].windows(2) {
        assert!(height(pair[0]) < height(pair[1]), "{pair:?}");
    }
    assert!(layers.is_pure("pool") && !layers.is_pure("net") && !layers.is_pure("proxy"));
}

/// A checker that finds nothing proves nothing.
#[test]
fn violations_are_noticed() {
    let layers = layers();
    const CASES: &[(&str, &str, Option<&str>)] = &[
        ("lb/mod.rs", "use crate::{app::ConnId, backend::BackendId, time::Now};", None),
        ("lb/mod.rs", "use crate::net::clock;", Some("`lb` uses `net`")),
        ("lb/pick.rs", "use crate::{backend::{Backend, BackendId}, net};", Some("`lb` uses `net`")),
        ("http/head.rs", "fn f() { crate::proxy::run() }", Some("`http` uses `proxy`")),
        ("lb/mod.rs", "use crate::pool::Pool;", Some("in one layer")),
        ("health/record.rs", "use crate::resilience::Breaker;", None),
        ("session.rs", "use crate::http::Method;", Some("`session` uses `http`")),
        ("proxy/mod.rs", "use crate::{net, http, pool, time};", None),
        ("time/wheel.rs", "use crate::app::TimerKey;", Some("`time` uses `app`")),
        ("time/wheel.rs", "use crate::session::Session;", Some("`time` uses `session`")),
        ("elsewhere/mod.rs", "", Some("in no layer")),
        ("pool/mod.rs", "let now = Instant::now();", Some("mentions `Instant::now`")),
        ("pool/mod.rs", "// Instant::now() is called in `net`\nlet now = MyInstant::now();", None),
        ("http/mod.rs", "use std::net::{IpAddr, TcpStream};", Some("mentions `TcpStream`")),
        ("net/mod.rs", "use mio::net::TcpStream;", None),
        ("lb/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::net::clock;\n}", None),
        ("lb/mod.rs", "#[cfg(test)]\nmod tests;\nuse crate::net::clock;", Some("`lb` uses `net`")),
    ];
    for (path, source, expected) in CASES {
        let wrong = layers.check(path, source);
        match expected {
            None => assert!(wrong.is_empty(), "{source:?}: {wrong:?}"),
            Some(text) => assert!(wrong.iter().any(|line| line.contains(text)), "{source:?}: {wrong:?}"),
        }
    }
}
