//! Which stored response a request may get: matching does not depend on which of two requests came first, nor on how many
//! lines a list was sent in, if each of them can be read alone; and it agrees with a second, slower definition that writes both values out.

use super::lines::{fields, is_open, joined, lines};
use socket_patterns::{
    cache::{Selecting, vary},
    http::Fields,
};

/// Of each kind of field one, with what its members ignore: the second definition knows only these.
const KNOWN: [(&str, Kind); 4] = [
    ("foo", Kind { list: true, skips_empty: false, caseless: false }),
    ("accept", Kind { list: true, skips_empty: true, caseless: false }),
    ("accept-language", Kind { list: true, skips_empty: true, caseless: true }),
    ("cookie", Kind { list: false, skips_empty: false, caseless: false }),
];

struct Kind {
    list: bool,
    skips_empty: bool,
    caseless: bool,
}

/// Panics if a rule is broken. The input is lines: what `Vary` says, and then requests with an empty line between them.
pub fn judge(data: &[u8]) {
    let lines = lines(data);
    let (vary, lines) = lines.split_first().expect("there is at least one line");
    let response: Fields = [("Vary", vary)].into_iter().collect();
    let requests: Vec<Fields> = lines.split(|line| line.is_empty()).take(8).map(fields).collect();
    let stored: Vec<Selecting> = requests.iter().map(|request| Selecting::of(&response, request)).collect();
    for (one, selecting) in requests.iter().zip(&stored) {
        assert!(selecting.matches(one) || *selecting == Selecting::Nothing, "a request matches itself: {one:?}");
        for (other, of_other) in requests.iter().zip(&stored) {
            let matches = selecting.matches(other);
            assert_eq!(matches, of_other.matches(one), "{one:?} {other:?}");
            assert_eq!(matches, selecting.matches(&folded(other)), "{one:?} {other:?} in one line");
            if let Some(expected) = are_same(&response, one, other) {
                assert_eq!(matches, expected, "{one:?} {other:?}");
            }
        }
    }
    choice(&requests, &stored);
}

/// The one that is chosen is the last stored of those that match.
fn choice(requests: &[Fields], stored: &[Selecting]) {
    for request in requests {
        let candidates = stored.iter().enumerate().rev();
        let chosen = vary::choose(candidates, request, |(at, selecting)| (*selecting, *at)).map(|(at, _)| at);
        assert_eq!(chosen, stored.iter().rposition(|selecting| selecting.matches(request)), "{request:?}");
    }
}

/// The same request with each list in one line, where that says the same.
fn folded(request: &Fields) -> Fields {
    let whole = |name: &str| request.get_all(name).all(|line| !is_open(line));
    let mut folded = Fields::new();
    for (name, value) in request.iter() {
        let list =
            !matches!(KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)), Some((_, kind)) if !kind.list);
        if !(list && whole(name) && KNOWN.iter().any(|(known, _)| name.eq_ignore_ascii_case(known))) {
            folded.push(name, value);
        } else if !folded.contains(name) {
            folded.push(name, joined(request, name).unwrap_or_default());
        }
    }
    folded
}

/// Whether both have the same in all fields that `Vary` names. `None`: one of them is not among those known here.
fn are_same(response: &Fields, one: &Fields, other: &Fields) -> Option<bool> {
    let mut same = true;
    for name in response.tokens("vary") {
        let name = std::str::from_utf8(name).ok()?;
        let (name, kind) = KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
        let whole = !kind.list || is_whole(one, name) && is_whole(other, name);
        same &= whole && written(one, name, kind) == written(other, name, kind);
    }
    Some(same)
}

/// Whether every line but the last ends outside of a quoted string.
fn is_whole(request: &Fields, name: &str) -> bool {
    let lines: Vec<&[u8]> = request.get_all(name).collect();
    lines.split_last().is_none_or(|(_, before)| !before.iter().any(|line| is_open(line)))
}

/// A field's value in the one way that stands for all that mean the same (RFC 9111 §4.1).
fn written(request: &Fields, name: &str, kind: &Kind) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = request.get_all(name).collect();
    let members = lines.iter().flat_map(|line| if kind.list { members(line) } else { vec![*line] });
    let members = members.map(<[u8]>::trim_ascii).filter(|member| !(kind.skips_empty && member.is_empty()));
    let value = members.collect::<Vec<_>>().join(&b',');
    (!lines.is_empty()).then(|| if kind.caseless { value.to_ascii_lowercase() } else { value })
}

/// Parted at commas that no quoted string has.
fn members(line: &[u8]) -> Vec<&[u8]> {
    let mut members = Vec::new();
    let mut start = 0;
    for (at, byte) in line.iter().enumerate() {
        if *byte == b',' && !is_open(&line[start..at]) {
            members.push(&line[start..at]);
            start = at + 1;
        }
    }
    members.push(&line[start..]);
    members
}
