//! Whether a program printed what the page shows. All that may differ is listed here.

/// Text that is different in each run: characters of this kind after the text count as one `#`.
const VARIES: &[(&str, &str)] = &[
    // Ports that the system chose. Those of listeners are compared.
    ("peer=127.0.0.1:", DIGITS),
    // Times.
    ("ms=", NUMBER),
    ("trying again in ", TIME),
    ("open for another ", TIME),
    ("took ", NUMBER),
    ("Age: ", DIGITS),
    ("Retry-After: ", DIGITS),
    ("ttl=", DIGITS),
    ("ttl=-", DIGITS),
    // Numbers that depend on the machine.
    ("pid=", DIGITS),
    ("child=", DIGITS),
    ("memory=", DIGITS),
    ("descriptors=", DIGITS),
    ("answers ", " 0123456789."),  // in a second, as `load` counts them
    (" 127.0.0.1:8080, ", DIGITS), // workers: one for each processor
    ("VmRSS:", "\t 0123456789"),
    ("User-Agent: curl/", NUMBER),
    ("Server: BaseHTTP/", NUMBER),
    (" Python/", NUMBER),
    // Which of the demo servers answered: each worker of the proxy has a turn of its own.
    ("demo-", DIGITS),
];
const DIGITS: &str = "0123456789";
const NUMBER: &str = "0123456789.";
const TIME: &str = "0123456789.hmsuµn";

/// Stands for any text within a line, or alone for any lines.
const ANYTHING: &str = "…";

/// Without what varies.
pub fn normal(line: &str) -> String {
    let mut line = without_date(without_clock(line.trim_end())).to_owned();
    for (before, digits) in VARIES {
        line = replaced(&line, before, digits);
    }
    line
}

fn replaced(line: &str, before: &str, digits: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(before) {
        let (head, tail) = rest.split_at(at + before.len());
        let after = tail.trim_start_matches(|c| digits.contains(c));
        out.push_str(head);
        if after.len() < tail.len() {
            out.push('#');
        }
        rest = after;
    }
    out + rest
}

/// A log line without its time: the book cuts the date off and the digits after the millisecond.
fn without_clock(line: &str) -> &str {
    let Some((time, rest)) = line.split_once(' ') else { return line };
    let is_time = time.starts_with(|c: char| c.is_ascii_digit())
        && time.contains(':')
        && time.chars().all(|c| c.is_ascii_digit() || "-:.TZ".contains(c));
    if is_time { rest.trim_start() } else { line }
}

/// The field `Date` has a value; which one is not compared.
fn without_date(line: &str) -> &str {
    if line.starts_with("Date: ") && line.ends_with(" GMT") { "Date: #" } else { line }
}

/// Whether `got` is what the page shows as `shown`; both [`normal`].
pub fn same_line(shown: &str, got: &str) -> bool {
    let mut parts = shown.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = got.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some(at) = rest.find(middle) else { return false };
            rest = &rest[at + middle.len()..];
        }
    }
    last.map_or(rest.is_empty(), |end| rest.ends_with(end))
}

/// Whether the lines are those that the page shows. `aside` tells which may stand between them: what programs in the
/// background say.
pub fn same_output(shown: &[String], got: &[String], aside: fn(&str) -> bool) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| normal(line)).collect();
    // Which prefixes of `shown` the lines so far can be.
    let mut prefixes = vec![false; shown.len() + 1];
    prefixes[0] = true;
    skip_ellipses(&shown, &mut prefixes);
    for got in got {
        let line = &normal(got);
        let mut next = vec![false; shown.len() + 1];
        for (i, _) in prefixes.iter().enumerate().filter(|(_, reached)| **reached) {
            if i > 0 && shown[i - 1] == ANYTHING || aside(got) {
                next[i] = true;
            }
            if i < shown.len() && shown[i] != ANYTHING && same_line(&shown[i], line) {
                next[i + 1] = true;
            }
        }
        prefixes = next;
        skip_ellipses(&shown, &mut prefixes);
    }
    prefixes[shown.len()]
}

fn skip_ellipses(shown: &[String], prefixes: &mut [bool]) {
    for (i, line) in shown.iter().enumerate() {
        prefixes[i + 1] |= prefixes[i] && line == ANYTHING;
    }
}

/// After how many lines of `log` all lines of `shown` have come, in their order, others between them; or the first that
/// has not.
pub fn find_lines<'a>(shown: &'a [String], log: &[String]) -> Result<usize, &'a str> {
    let mut at = 0;
    for line in shown.iter().filter(|line| *line != ANYTHING) {
        let wanted = normal(line);
        match log[at..].iter().position(|got| same_line(&wanted, &normal(got))) {
            Some(found) => at += found + 1,
            None => return Err(line),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn text_that_varies_is_not_compared() {
        for (shown, got, same) in [
            ("02:29:04.985 INFO a ms=1.5", "2026-11-29T08:00:00.123456Z  INFO a ms=0.071", true),
            ("INFO a ms=1.5", "2026-11-29T08:00:00.123456Z INFO a ms=0.071", true),
            ("INFO a sent=1", "INFO a sent=2", false),
            ("INFO a", "WARN a", false),
            ("INFO peer=127.0.0.1:1 b", "INFO peer=127.0.0.1:23456 b", true),
            ("INFO peer=127.0.0.1:1 b", "INFO peer=127.0.0.2:1 b", false),
            ("Date: Sat, 21 Nov 2026 02:32:02 GMT", "Date: Sun, 29 Nov 2026 08:00:00 GMT", true),
            ("Content-Length: 12", "Content-Length: 13", false),
            ("c; hit; ttl=58", "c; hit; ttl=57", true),
            ("c; hit; ttl=-1", "c; hit; ttl=1", false),
            ("trying again in 118ms (1 of 10)", "trying again in 1.293s (1 of 10)", true),
            ("trying again in 118ms (1 of 10)", "trying again in 118ms (2 of 10)", false),
            ("12 items of 3", "13 items of 3", false),
        ] {
            assert_eq!(same_line(&normal(shown), &normal(got)), same, "{shown:?} and {got:?}");
        }
    }

    #[test]
    fn an_ellipsis_is_any_text() {
        for (shown, got, same) in [
            ("a … d", "a b c d", true),
            ("a …", "a b", true),
            ("… d", "c d", true),
            ("a … c … e", "a b c d e", true),
            ("a … c … e", "a b d e", false),
            ("a … d", "a d e", false),
            ("aa…aa", "aaa", false),
            ("…", "anything", true),
        ] {
            assert_eq!(same_line(shown, got), same, "{shown:?} and {got:?}");
        }
    }

    #[test]
    fn output_is_compared_line_by_line() {
        let aside = |line: &str| line.starts_with("READY");
        for (shown, got, same) in [
            (&["a", "b"][..], &["a", "b"][..], true),
            (&["a", "b"], &["a"], false),
            (&["a"], &["a", "b"], false),
            (&["a", "…"], &["a", "b", "c"], true),
            (&["a", "…", "c"], &["a", "b", "c"], true),
            (&["a", "…", "c"], &["a", "b"], false),
            (&["a", "b"], &["a", "READY 1", "b", "READY 2"], true),
            (&["READY 1"], &["READY 1"], true),
            (&["READY 1"], &["READY 2"], false),
            (&[], &["a"], false),
        ] {
            assert_eq!(same_output(&lines(shown), &lines(got), aside), same, "{shown:?} and {got:?}");
        }
    }

    #[test]
    fn lines_of_a_log_are_found_in_their_order() {
        let log = lines(&["INFO a", "INFO b", "INFO c"]);
        assert_eq!(find_lines(&lines(&["INFO a", "INFO b"]), &log), Ok(2));
        assert_eq!(find_lines(&lines(&["INFO a", "…", "INFO c"]), &log), Ok(3));
        assert_eq!(find_lines(&lines(&["INFO b", "INFO a"]), &log), Err("INFO a"));
        assert_eq!(find_lines(&lines(&["WARN a"]), &log), Err("WARN a"));
    }
}
