//! All names in the book exist: files, functions, pages and headings. A page about code that has moved on is worse than
//! none.

#![allow(clippy::unwrap_used)] // In tests a failed unwrap is the report.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The prose of a page: without its code blocks.
fn prose(page: &str) -> String {
    let mut fenced = false;
    let outside = page.lines().filter(|line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    outside.collect::<Vec<_>>().join("\n")
}

/// The text in code font.
fn code(prose: &str) -> impl Iterator<Item = &str> {
    prose.split('`').skip(1).step_by(2)
}

/// Whether `source` defines a function or a type of that name.
fn defines(source: &str, name: &str) -> bool {
    let bounded = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    ["fn ", "struct ", "enum ", "trait ", "const "].iter().any(|kind| {
        let wanted = format!("{kind}{name}");
        source.match_indices(&wanted).any(|(at, _)| bounded(&source[at + wanted.len()..]))
    })
}

/// The mistake in a name in code font, if there is one: `src/app.rs` is a file, `app/cx.rs::forward` a function in it.
fn check_name(root: &Path, name: &str) -> Option<String> {
    if let Some((file, item)) = name.split_once(".rs::") {
        let source = fs::read_to_string(root.join("src").join(file).with_extension("rs"));
        return match source {
            Ok(source) if defines(&source, item) => None,
            Ok(_) => Some(format!("{name}: no such item")),
            Err(_) => Some(format!("{name}: no such file")),
        };
    }
    let is_path = ["src/", "bin/", "tests/", "benches/", "docs/"].iter().any(|start| name.starts_with(start))
        && !name.contains([' ', '*', '…']);
    (is_path && !root.join(name).exists()).then(|| format!("{name}: no such file"))
}

/// A heading as GitHub names it in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The mistake in the target of a link on `page`, if there is one.
fn check_link(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let linked = if file.is_empty() { page.to_owned() } else { page.with_file_name(file) };
    match fs::read_to_string(&linked) {
        Err(_) if linked.is_dir() => None,
        Err(_) => Some(format!("link to {target}: no such page")),
        Ok(text) => {
            let found = heading.is_empty() || text.lines().any(|l| l.starts_with('#') && anchor(l) == heading);
            (!found).then(|| format!("link to {target}: no such heading"))
        }
    }
}

fn check_page(root: &Path, page: &Path) -> Vec<String> {
    let prose = prose(&fs::read_to_string(page).expect("pages are text"));
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let wrong_links = links.filter_map(|target| check_link(page, target));
    code(&prose).filter_map(|name| check_name(root, name)).chain(wrong_links).collect()
}

fn pages(root: &Path) -> Vec<PathBuf> {
    let directories = ["docs", "docs/architectures", "docs/course"].map(|directory| fs::read_dir(root.join(directory)));
    let entries = directories.into_iter().flat_map(|entries| entries.expect("there is a book"));
    let chapters = entries.filter_map(Result::ok).map(|entry| entry.path());
    chapters.filter(|path| path.extension().is_some_and(|end| end == "md")).chain([root.join("README.md")]).collect()
}

#[test]
fn the_names_in_the_book_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages(root);
    assert!(pages.len() > 5, "{pages:?}");
    for page in pages {
        assert_eq!(check_page(root, &page), Vec::<String>::new(), "{}", page.display());
    }
}

#[test]
fn a_name_that_does_not_exist_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, right) in [
        ("app/cx.rs::forward", true),
        ("app/cx.rs::forwar", false),
        ("app/cx.rs::forwards", false),
        ("apps.rs::forward", false),
        ("src/app.rs", true),
        ("src/apps.rs", false),
        ("src/http/", true),
        ("cargo test", true),
    ] {
        assert_eq!(check_name(root, name).is_none(), right, "{name}");
    }
    let readme = root.join("README.md");
    for (target, right) in [
        ("docs/README.md", true),
        ("docs/missing.md", false),
        ("#the-map", true),
        ("#the-moon", false),
        ("https://example.org/", true),
    ] {
        assert_eq!(check_link(&readme, target).is_none(), right, "{target}");
    }
    assert_eq!(prose("a\n```\nb\n```\nc"), "a\nc");
    assert_eq!(code("a `b` c `d`").collect::<Vec<_>>(), ["b", "d"]);
}

/// Where the words come from that a section of `docs/log.md` lists.
enum Words {
    /// The strings of the functions of this name in a file.
    Function(&'static str, &'static str),
    /// The string right behind this text, in any file of a directory.
    Behind(&'static str, &'static str),
}

use Words::{Behind, Function};

/// The sections of `docs/log.md`, and the code that has their words.
const SECTIONS: &[(&str, &[Words])] = &[
    ("`pool=`", &[Function("proxy/record.rs", "as_str")]),
    ("`cache=`", &[Function("cache/status.rs", "as_str")]),
    (
        "`failure=` and `retries=`",
        &[
            Function("proxy/failure.rs", "as_str"),
            Function("proxy/forward/denied.rs", "as_str"),
            Function("proxy/access/barred.rs", "as_str"),
            Function("proxy/forward/reserved.rs", "as_str"),
            Function("http/error.rs", "as_str"),
        ],
    ),
    ("`not_retried=`", &[Function("proxy/exchange/retry.rs", "as_str"), Behind("proxy", "not_retried = Some(")]),
    (
        "`close=`",
        &[
            Function("http/persistence.rs", "as_str"),
            Function("proxy/client/mod.rs", "as_str"),
            Function("proxy/client/http1.rs", "as_str"),
            Behind("proxy", "Ending::Broken => "),
        ],
    ),
    ("`pool_closed` in `/stats`", &[Function("pool/stats.rs", "as_str")]),
    (
        "`cause=` of HTTP/2",
        &[
            Function("http2/cause.rs", "as_str"),
            Function("http2/cause.rs", "flood"),
            Function("http2/cause.rs", "compression"),
        ],
    ),
    (
        "`goaway_to_client` in `/stats`",
        &[Function("proxy/leaving.rs", "as_str"), Function("proxy/streams/counters.rs", "as_str")],
    ),
    ("`failure=` of a handshake", &[Function("tls/failure.rs", "as_str"), Function("tls/failure.rs", "alert_name")]),
];

/// The strings in the functions called `name`, which end at their closing brace.
fn strings_of(source: &str, name: &str) -> Vec<String> {
    let begin = format!("fn {name}(");
    let bodies = source.match_indices(&begin).filter_map(|(at, _)| source[at..].split("\n    }\n").next());
    bodies.flat_map(|body| body.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The strings that stand right behind `text`.
fn strings_behind(source: &str, text: &str) -> Vec<String> {
    let begin = format!("{text}\"");
    let found = source.match_indices(&begin).filter_map(|(at, _)| source[at + begin.len()..].split('"').next());
    found.map(str::to_owned).collect()
}

fn sources(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let below = directories.iter().filter(|path| !path.ends_with("tests")).flat_map(|path| sources(path));
    here.chain(below).collect()
}

/// The words of a section's tables: what stands in code font in their first column.
fn listed(page: &str, section: &str) -> Vec<String> {
    let heading = format!("\n## {section}\n");
    let text = page.split(&heading).nth(1).unwrap_or_else(|| panic!("docs/log.md has no section {section}"));
    let lines = text.lines().take_while(|line| !line.starts_with("## "));
    let words = lines.filter_map(|line| line.strip_prefix("| `")?.split("` |").next());
    words.map(str::to_owned).collect()
}

#[test]
fn every_word_of_the_log_is_in_the_book_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/log.md")).unwrap();
    for (section, words) in SECTIONS {
        let in_code = words.iter().flat_map(|words| match words {
            Function(file, name) => strings_of(&fs::read_to_string(root.join("src").join(file)).unwrap(), name),
            Behind(directory, text) => sources(&root.join("src").join(directory))
                .iter()
                .flat_map(|source| strings_behind(source, text))
                .collect(),
        });
        let in_code: BTreeSet<String> = in_code.filter(|word| word != "-").collect();
        let in_book: BTreeSet<String> = listed(&page, section).into_iter().collect();
        assert!(in_code.len() > 1, "{section}: the words are somewhere else now: see SECTIONS");
        let missing: Vec<_> = in_code.difference(&in_book).collect();
        let gone: Vec<_> = in_book.difference(&in_code).collect();
        assert!(missing.is_empty(), "docs/log.md, {section}: add {missing:?}");
        assert!(gone.is_empty(), "docs/log.md, {section}: the code has no {gone:?}");
    }
}

#[test]
fn words_are_found_in_code_and_page() {
    let source = "    fn as_str(self) -> &str {\n        match self {\n            A => \"a b\",\n            B => \"c\",\n        }\n    }\n\n    fn b() { \"d\" }\n";
    assert_eq!(strings_of(source, "as_str"), ["a b", "c"]);
    assert_eq!(strings_behind("x(\"a\"); y(\"b\"); x(c); x(\"d\")", "x("), ["a", "d"]);
    let page = "# P\n\n## A\n\n| word | x |\n|---|---|\n| `a b` | `c` |\n\n## B\n\n| `d` | |\n";
    assert_eq!((listed(page, "A"), listed(page, "B")), (vec!["a b".to_owned()], vec!["d".to_owned()]));
}

#[test]
fn every_picture_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text: String = pages(root).iter().map(|page| fs::read_to_string(page).expect("pages are text")).collect();
    let pictures = fs::read_dir(root.join("docs/pictures")).expect("there are pictures");
    for picture in pictures.map(|entry| entry.expect("it can be read").file_name()) {
        let name = picture.to_str().expect("a plain name");
        assert!(text.contains(&format!("(pictures/{name})")), "no page shows docs/pictures/{name}");
    }
}
