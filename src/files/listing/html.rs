//! A directory as a page: a table that its column heads sort. No script runs and nothing is loaded: the order is a link, and the style is
//! in the page, in the colours that the reader's system prefers.
//!
//! Names come from a disk, perhaps from strangers' uploads. In text they are escaped, and in references percent-encoded; a control or
//! direction character is shown as a sign, so that a name cannot look like another one.

use super::{super::path::encode, Directory, Entry, Listing, Order};
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#888}\
body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
h1{font-size:1.3rem;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}\
td:first-child,th:first-child{overflow-wrap:anywhere}\
td:nth-child(2),th:nth-child(2){text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
td:nth-child(3){white-space:nowrap;font-variant-numeric:tabular-nums}\
a{text-underline-offset:.2em}a:focus-visible{outline:3px solid Highlight;outline-offset:2px}\
th a{color:inherit}p{color:var(--soft)}tr:hover td{background:#8881}";

pub(super) fn write(directory: &Directory, listing: Listing) -> String {
    let mut page = String::with_capacity(2048 + directory.entries.len() * 160);
    let mut title = String::new();
    escape(&shown(directory.place.as_path().as_os_str().as_encoded_bytes()), &mut title);
    let slash = if title.is_empty() { "" } else { "/" };
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>/{title}{slash}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    write_heading(directory, &mut page);
    page.push_str("<table>\n<thead>\n<tr>");
    for (order, text) in [(Order::Name, "Name"), (Order::Size, "Size"), (Order::Date, "Changed (UTC)")] {
        write_column(order, text, listing, &mut page);
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    if directory.place.names().next().is_some() {
        page.push_str("<tr><td><a href=\"../\">the directory above</a></td><td></td><td></td></tr>\n");
    }
    directory.entries.iter().for_each(|entry| write_row(entry, &mut page));
    page.push_str("</tbody>\n</table>\n");
    write_count(directory, &mut page);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The path, each of its directories a link.
fn write_heading(directory: &Directory, page: &mut String) {
    page.push_str("<nav aria-label=\"Path\"><h1><a href=\"/\">/</a>");
    let mut href = String::from("/");
    for name in directory.place.names() {
        encode(name, &mut href);
        href.push('/');
        let _ = write!(page, "<a href=\"{href}\">");
        escape(&shown(name), page);
        page.push_str("</a>/");
    }
    page.push_str("</h1></nav>\n");
}

/// A head that sorts by its column, in the other direction if the page is sorted by it already.
fn write_column(order: Order, text: &str, listing: Listing, page: &mut String) {
    let is_sorted = order == listing.order;
    let now = match (is_sorted, listing.descending) {
        (false, _) => "",
        (true, false) => " aria-sort=\"ascending\"",
        (true, true) => " aria-sort=\"descending\"",
    };
    let next = if is_sorted && !listing.descending { "desc" } else { "asc" };
    let arrow = match (is_sorted, listing.descending) {
        (false, _) => "",
        (true, false) => "<span aria-hidden=\"true\"> \u{25b2}</span>",
        (true, true) => "<span aria-hidden=\"true\"> \u{25bc}</span>",
    };
    let sort = order.as_str();
    let _ = write!(page, "<th scope=\"col\"{now}><a href=\"?sort={sort}&amp;order={next}\">{text}{arrow}</a></th>");
}

fn write_row(entry: &Entry, page: &mut String) {
    let slash = if entry.length.is_none() { "/" } else { "" };
    page.push_str("<tr><td><a href=\"");
    encode(&entry.name, page);
    let _ = write!(page, "{slash}\">");
    escape(&shown(&entry.name), page);
    let _ = write!(page, "{slash}</a></td><td>");
    if let Some(length) = entry.length {
        let _ = write!(page, "<data value=\"{length}\">{}</data>", Size(length));
    }
    let date = humantime::format_rfc3339_seconds(entry.modified).to_string();
    let (day, time) = (date.get(..10).unwrap_or_default(), date.get(11..16).unwrap_or_default());
    let _ = writeln!(page, "</td><td><time datetime=\"{date}\">{day} {time}</time></td></tr>");
}

fn write_count(directory: &Directory, page: &mut String) {
    let count = directory.entries.len();
    let noun = if count == 1 { "name" } else { "names" };
    let more = if directory.is_cut { "; there are more, which are not shown" } else { "" };
    let _ = writeln!(page, "<p>{count} {noun}{more}</p>");
}

/// A name as text: what is not UTF-8, and characters that move or hide others, become U+FFFD.
fn shown(name: &[u8]) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    String::from_utf8_lossy(name).chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect()
}

fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            c => into.push(c),
        }
    }
}

/// `17 B`, `1.4 KiB`, `2.0 GiB`.
struct Size(u64);

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let unit = (self.0.ilog2() / 10) as usize - 1;
        // In tenths, cut off: exact for every length.
        let tenths = (u128::from(self.0) * 10) >> (10 * (unit + 1));
        write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Form,
            tests::{at, directory},
        },
        *,
    };

    const BY_NAME: Listing = Listing { order: Order::Name, descending: false, form: Form::Html };

    #[test]
    fn names_are_text_and_references() {
        let directory = directory(
            "/a%3Cb/",
            &[
                (b"<script>\"'&.txt", Some(5), 0),
                (b"javascript:alert(1)", Some(1), 0),
                (b"a?b#c%2F", Some(0), 0),
                (b"\xff\xfe", Some(2048), 0),
                ("\u{202e}txt.exe\n".as_bytes(), None, 61),
            ],
        );
        let page = write(&directory, BY_NAME);
        for line in [
            "<title>/a&lt;b/</title>",
            "<nav aria-label=\"Path\"><h1><a href=\"/\">/</a><a href=\"/a%3Cb/\">a&lt;b</a>/</h1></nav>",
            "<a href=\"%3Cscript%3E%22%27%26.txt\">&lt;script&gt;&quot;&#39;&amp;.txt</a></td><td><data value=\"5\">5 B</data>",
            "<a href=\"javascript%3Aalert%281%29\">",
            "<a href=\"a%3Fb%23c%252F\">a?b#c%2F</a>",
            "<a href=\"%FF%FE\">\u{fffd}\u{fffd}</a></td><td><data value=\"2048\">2.0 KiB</data>",
            "<a href=\"%E2%80%AEtxt.exe%0A/\">\u{fffd}txt.exe\u{fffd}/</a></td><td></td>",
            "<time datetime=\"2001-09-09T01:47:41Z\">2001-09-09 01:47</time>",
            "<p>5 names</p>",
            "<a href=\"../\">the directory above</a>",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_root_has_nothing_above_it_and_a_cut_is_told() {
        let mut directory = directory("/", &[(b"a", Some(1), 0)]);
        directory.is_cut = true;
        let page = write(&directory, BY_NAME);
        assert!(!page.contains("href=\"../\"") && page.contains("<title>/</title>"), "{page}");
        assert!(page.contains("<p>1 name; there are more, which are not shown</p>"), "{page}");
    }

    #[test]
    fn the_head_of_a_column_sorts_by_it() {
        let directory = directory("/", &[]);
        for (listing, lines) in [
            (
                BY_NAME,
                [
                    "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">",
                    "<th scope=\"col\"><a href=\"?sort=size&amp;order=asc\">",
                ],
            ),
            (
                Listing { order: Order::Size, descending: true, ..BY_NAME },
                [
                    "<th scope=\"col\"><a href=\"?sort=name&amp;order=asc\">",
                    "<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">",
                ],
            ),
        ] {
            let page = write(&directory, listing);
            assert!(lines.iter().all(|line| page.contains(line)), "{page}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        for (length, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1535, "1.4 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Size(length).to_string(), text);
        }
        assert!(at(0) < at(1));
    }
}
