//! What the book names exists: files, functions, pages and headings. A page about code that has moved on is worse than none.

use std::{
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

/// What stands in code font.
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

/// What is wrong with a name in code font: `src/app.rs` is a file, `app.rs::forward` a function in it.
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

/// What is wrong with the target of a link on `page`.
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
    let directories = ["docs", "docs/architectures"].map(|directory| fs::read_dir(root.join(directory)));
    let entries = directories.into_iter().flat_map(|entries| entries.expect("there is a book"));
    let chapters = entries.filter_map(Result::ok).map(|entry| entry.path());
    chapters.filter(|path| path.extension().is_some_and(|end| end == "md")).chain([root.join("README.md")]).collect()
}

#[test]
fn what_the_book_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages(root);
    assert!(pages.len() > 5, "{pages:?}");
    for page in pages {
        assert_eq!(check_page(root, &page), Vec::<String>::new(), "{}", page.display());
    }
}

#[test]
fn what_does_not_exist_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, right) in [
        ("app.rs::forward", true),
        ("app.rs::forwar", false),
        ("app.rs::forwards", false),
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
