//! Files of one folder do not use each other in a circle: each can be read with what stands below it, and nothing else.
//!
//! A file and the folder of its name are one here, so that the rule holds in each folder by itself. A name that a
//! folder's `mod.rs` hands on (`pub use`) counts as a name of its own file. Code that is written in `mod.rs` is common
//! to its files, and using it is no arrow.

use super::{code_of, first_name, mentions, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Circles that stay, with the reason. A circle may be smaller than its line says.
const KNOWN: &[(&str, &[&str], &str)] = &[
    ("http", &["body", "chunked"], "a chunked body hands out the same pieces as one with a length"),
    (
        "http",
        &["claims", "framing", "head", "hop"],
        "a head is checked for its options, which are told from claims and framing",
    ),
    ("http", &["host", "target"], "a target contains an authority, and a host is taken from a target"),
    ("http", &["parse", "section"], "a section is parsed by rules that depend on who sent it"),
    ("net", &["connect", "error"], "an error says what was connected to, and connecting ends in an error"),
    (
        "net/driver",
        &["closing", "common", "table"],
        "what closes a connection, and where it stands, are parts of one loop",
    ),
    ("net/proactor", &["accept", "connection", "io", "splice"], "a connection splices to another one of its kind"),
    ("net/proactor", &["buffers", "operations", "ring"], "an operation holds the buffers that the ring fills"),
    ("net/reactor", &["accept", "io"], "accepting is one of the things that sockets are watched for"),
    (
        "proxy",
        &[
            "backends", "client", "clients", "exchange", "leaving", "parked", "probe", "shared", "stats", "streams",
            "table", "turns", "versions", "worker",
        ],
        "an exchange acts on the worker that holds it",
    ),
    (
        "proxy/admin",
        &["desk", "paths", "purge", "reload", "upstreams", "visitor"],
        "a visitor keeps what it waits for, and the desk, which answers, keeps the visitors",
    ),
    ("proxy/exchange", &["cache", "join"], "what the cache has decides whether a request joins a fetch"),
];

/// A path of names: of a module, or of something in it.
type Path = Vec<String>;

/// One name that a file brings into scope, and the path that it stands for.
struct Use {
    name: String,
    path: Path,
}

struct File {
    module: Path,
    uses: Vec<Use>,
    /// The code that is not a `use`.
    code: String,
}

/// All files by their modules.
struct Tree(BTreeMap<Path, File>);

/// The module that a file is.
fn module(path: &str) -> Path {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.strip_suffix("/mod").unwrap_or(path).split('/').map(ToOwned::to_owned).collect()
}

impl File {
    fn read(path: &str, source: &str) -> Self {
        let source = code_of(source);
        let (mut uses, mut code, mut rest) = (Vec::new(), String::new(), &*source);
        while let Some((before, statement, after)) = next_use(rest) {
            code.push_str(before);
            leaves(&[], statement, &mut uses);
            rest = after;
        }
        Self { module: module(path), uses, code: code + rest }
    }

    /// A path as it stands in this file, from the root of the library. `None`: it leads elsewhere.
    fn absolute(&self, path: &[String], tree: &Tree) -> Option<Path> {
        let supers = path.iter().take_while(|name| *name == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([&self.module, &path[1..]].concat()),
            "super" => Some([&self.module[..self.module.len().checked_sub(supers)?], &path[supers..]].concat()),
            child => {
                let inside = [&self.module[..], &[child.to_owned()]].concat();
                tree.0.contains_key(&inside).then(|| [&self.module, path].concat())
            }
        }
    }

    /// Paths that are written out where something is used: `super::limits::MAX`, `child::function`.
    fn spelled_out(&self) -> Vec<Path> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
        let words = self.code.split(|c| !is_part(c)).filter(|word| word.contains("::"));
        words.map(|word| word.split("::").map(ToOwned::to_owned).collect()).collect()
    }
}

/// The next `use` of a file: what is before it, what it says, what follows.
fn next_use(code: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let at = from + code[from..].find("use ")?;
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = code[line..at].trim();
        if before.is_empty() || before == "pub" || before.starts_with("pub(") && before.ends_with(')') {
            let (statement, after) = code[at + "use ".len()..].split_once(';')?;
            return Some((&code[..line], statement, after));
        }
        from = at + 1;
    }
}

/// The names that a `use` brings in: `a::{b, c as d}` are two.
fn leaves(prefix: &[String], tree: &str, into: &mut Vec<Use>) {
    let tree = tree.trim();
    if let Some((path, group)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) {
        let names = path.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let prefix: Path = prefix.iter().cloned().chain(names).collect();
        let mut depth = 0;
        for member in group.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        }) {
            leaves(&prefix, member, into);
        }
    } else if !tree.is_empty() {
        let (path, name) = tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, first_name(name)));
        let mut path: Path =
            prefix.iter().cloned().chain(path.split("::").map(|name| name.trim().to_owned())).collect();
        path.retain(|name| name != "self" || prefix.is_empty());
        let Some(last) = path.last().cloned() else { return };
        into.push(Use { name: name.unwrap_or(last), path });
    }
}

impl Tree {
    fn of(files: &[(String, String)]) -> Self {
        let read = |(path, source): &(String, String)| File::read(path, source);
        Self(files.iter().map(read).map(|file| (file.module.clone(), file)).collect())
    }

    /// The module in which the thing at this path is defined, whichever module hands it on.
    fn home(&self, path: &[String], depth: usize) -> Option<&File> {
        let file = (1..=path.len()).rev().find_map(|length| self.0.get(&path[..length]))?;
        let Some(name) = path.get(file.module.len()) else { return Some(file) };
        let handed_on = file.uses.iter().find(|other| other.name == *name).filter(|_| depth < 8);
        let origin = handed_on.and_then(|other| file.absolute(&other.path, self));
        match origin {
            Some(origin) => self.home(&[&origin[..], &path[file.module.len() + 1..]].concat(), depth + 1),
            None => Some(file),
        }
    }

    /// The modules that a file uses.
    fn used_by(&self, file: &File) -> BTreeSet<&Path> {
        // A name that a file hands on without using it is no arrow.
        let named = file.uses.iter().filter(|other| other.name == "*" || mentions(&file.code, &other.name));
        let paths = named.map(|other| other.path.clone()).chain(file.spelled_out());
        let homes = paths.filter_map(|path| self.home(&file.absolute(&path, self)?, 0));
        homes.map(|home| &home.module).filter(|module| **module != file.module).collect()
    }

    /// Every folder with the arrows between its files.
    fn folders(&self) -> BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> {
        let mut folders: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
        for file in self.0.values() {
            for used in self.used_by(file) {
                let common = file.module.iter().zip(used).take_while(|(one, other)| one == other).count();
                // Between a folder's own file and one inside there is none.
                let (Some(from), Some(to)) = (file.module.get(common), used.get(common)) else { continue };
                folders
                    .entry(&file.module[..common])
                    .or_default()
                    .entry(from.as_str())
                    .or_default()
                    .insert(to.as_str());
            }
        }
        folders
    }

    /// Files of a folder that reach each other.
    fn circles(&self) -> BTreeSet<(String, Vec<&str>)> {
        let mut circles = BTreeSet::new();
        // The root is drawn in layers, with rules of its own.
        for (folder, arrows) in self.folders().into_iter().filter(|(folder, _)| !folder.is_empty()) {
            for from in arrows.keys() {
                let reached = reach(from, &arrows);
                let circle: Vec<&str> =
                    reached.iter().copied().filter(|to| reach(to, &arrows).contains(from)).collect();
                if reached.contains(from) {
                    circles.insert((folder.join("/"), circle));
                }
            }
        }
        circles
    }
}

/// The files that can be reached from a file by following arrows.
fn reach<'a>(from: &str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = arrows.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(arrows.get(file).into_iter().flatten());
        }
    }
    reached
}

#[test]
fn files_of_a_folder_use_each_other_in_no_circle() {
    let files = sources();
    let tree = Tree::of(&files);
    let found = tree.circles();
    let is_known = |folder: &str, circle: &[&str], known: &(&str, &[&str], &str)| {
        known.0 == folder && circle.iter().all(|file| known.1.contains(file))
    };
    let new = found.iter().filter(|(folder, circle)| !KNOWN.iter().any(|known| is_known(folder, circle, known)));
    let new: Vec<_> = new.collect();
    assert!(new.is_empty(), "these use each other in a circle: {new:#?}");
    let gone = KNOWN.iter().filter(|known| !found.iter().any(|(folder, circle)| is_known(folder, circle, known)));
    let gone: Vec<_> = gone.collect();
    assert!(gone.is_empty(), "no circle any more: take it off the list: {gone:#?}");
}

/// Files by path and text.
type Files<'f> = &'f [(&'f str, &'f str)];

#[test]
fn circles_are_noticed() {
    let cases: &[(Files<'_>, &[&str])] = &[
        (&[("a/x.rs", "use super::y::Y;"), ("a/y.rs", "struct Y;")], &[]),
        (&[("a/x.rs", "use super::y::Y; fn f(_: Y) {}"), ("a/y.rs", "fn g() { super::x::f() }")], &["x", "y"]),
        // Through what the folder hands on.
        (
            &[
                ("a/mod.rs", "pub use x::{X as Z}; use y::{self, Y};"),
                ("a/x.rs", "use super::Y; struct X(Y);"),
                ("a/y.rs", "use crate::{a::Z, b}; struct Y(Z);"),
            ],
            &["x", "y"],
        ),
        // A file that only hands a name on does not use it; and names of the folder's own file are for all files in it.
        (
            &[
                ("a/mod.rs", "struct M; use x::X; fn f(_: X) {}"),
                ("a/x.rs", "use super::M; pub use super::y::Y; struct X(M);"),
                ("a/y.rs", "use super::x::X; struct Y(X);"),
            ],
            &[],
        ),
        // A folder counts as one with the file of its name.
        (
            &[
                ("a/x/mod.rs", ""),
                ("a/x/deep.rs", "use super::super::y::Y; struct D(Y);"),
                ("a/y.rs", "use super::x::deep::D; struct Y(D);"),
            ],
            &["x", "y"],
        ),
        (
            &[
                ("a/x.rs", "#[cfg(test)]\nmod tests {\n use super::super::y::Y; fn f(_: Y) {} }"),
                ("a/y.rs", "use super::x::X; struct Y(X);"),
            ],
            &[],
        ),
    ];
    for (files, circle) in cases {
        let files: Vec<_> = files.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())).collect();
        let expected = (!circle.is_empty()).then(|| ("a".to_owned(), circle.to_vec()));
        assert_eq!(Tree::of(&files).circles().into_iter().collect::<Vec<_>>(), Vec::from_iter(expected), "{files:?}");
    }
}
