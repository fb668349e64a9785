//! A second reader of structured fields (RFC 9651): dictionaries, from the grammar, rule by rule. Each rule is a function
//! that takes what it matches off the front, and fails without taking anything back: no rule needs to look ahead.

/// A member's value, as far as a cache has a use for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Boolean(bool),
    /// As it was written.
    Integer(String),
    Text(String),
    /// A value of another type.
    Other,
}

/// `sf-dictionary`, with white space around it as the algorithm of §4.2 has it. Members in order.
pub fn read(line: &[u8]) -> Option<Vec<(String, Value)>> {
    let mut rest = std::str::from_utf8(line).ok()?.trim_start_matches(' ');
    let mut members = Vec::new();
    while !rest.is_empty() {
        if !members.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start_matches(OWS);
        }
        members.push(member(&mut rest)?);
        rest = rest.trim_start_matches(OWS);
    }
    Some(members)
}

/// The value that counts for a key that comes several times: the last (§3.2).
pub fn last<'m>(members: &'m [(String, Value)], key: &str) -> Option<&'m Value> {
    members.iter().filter(|(other, _)| other == key).map(|(_, value)| value).next_back()
}

const OWS: [char; 2] = [' ', '\t'];

fn member(rest: &mut &str) -> Option<(String, Value)> {
    let key = key(rest)?;
    let value = match rest.strip_prefix('=') {
        None => Value::Boolean(true),
        Some(after) => {
            *rest = after;
            if after.starts_with('(') { inner_list(rest)? } else { bare_item(rest)? }
        }
    };
    parameters(rest)?;
    Some((key, value))
}

/// Takes the characters that `like` likes; at least `least`, at most `most`.
fn run(rest: &mut &str, least: usize, most: usize, like: impl Fn(char) -> bool) -> Option<String> {
    let end = rest.find(|next| !like(next)).unwrap_or(rest.len());
    let (run, after) = rest.split_at(end);
    *rest = after;
    (least..=most).contains(&run.len()).then(|| run.to_owned())
}

fn key(rest: &mut &str) -> Option<String> {
    let starts = |next: char| next.is_ascii_lowercase() || next == '*';
    if !rest.starts_with(starts) {
        return None;
    }
    run(rest, 1, usize::MAX, |next| starts(next) || next.is_ascii_digit() || "_-.".contains(next))
}

fn inner_list(rest: &mut &str) -> Option<Value> {
    *rest = rest.strip_prefix('(')?.trim_start_matches(' ');
    while !rest.starts_with(')') {
        bare_item(rest)?;
        parameters(rest)?;
        let after = rest.trim_start_matches(' ');
        if after.len() == rest.len() && !rest.starts_with(')') {
            return None;
        }
        *rest = after;
    }
    *rest = &rest[1..];
    Some(Value::Other)
}

fn parameters(rest: &mut &str) -> Option<()> {
    while let Some(after) = rest.strip_prefix(';') {
        *rest = after.trim_start_matches(' ');
        key(rest)?;
        if let Some(after) = rest.strip_prefix('=') {
            *rest = after;
            bare_item(rest)?;
        }
    }
    Some(())
}

fn bare_item(rest: &mut &str) -> Option<Value> {
    let first = rest.chars().next()?;
    let after = &rest[first.len_utf8()..];
    match first {
        '-' | '0'..='9' => number(rest),
        '"' => {
            *rest = after;
            text(rest, false).map(Value::Text)
        }
        '?' => {
            let value = match after.chars().next()? {
                '0' => false,
                '1' => true,
                _ => return None,
            };
            *rest = &after[1..];
            Some(Value::Boolean(value))
        }
        ':' => {
            let (content, after) = after.split_once(':')?;
            *rest = after;
            let base64 = |next: char| next.is_ascii_alphanumeric() || "+/".contains(next);
            let digits = content.trim_end_matches('=');
            let whole = match content.len() - digits.len() {
                0 => digits.len() % 4 != 1,
                padding => padding <= 2 && content.len().is_multiple_of(4),
            };
            (whole && digits.chars().all(base64)).then_some(Value::Other)
        }
        '@' => {
            *rest = after;
            matches!(number(rest)?, Value::Integer(_)).then_some(Value::Other)
        }
        '%' => {
            *rest = after.strip_prefix('"')?;
            text(rest, true).map(|_| Value::Other)
        }
        'a'..='z' | 'A'..='Z' | '*' => {
            let token = |next: char| next.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(next);
            run(rest, 1, usize::MAX, token).map(|_| Value::Other)
        }
        _ => None,
    }
}

/// `sf-integer`, `sf-decimal`.
fn number(rest: &mut &str) -> Option<Value> {
    let start = *rest;
    *rest = rest.strip_prefix('-').unwrap_or(rest);
    let digits = |rest: &mut &str, most| run(rest, 1, most, |next| next.is_ascii_digit());
    let whole = digits(rest, 15)?;
    let Some(after) = rest.strip_prefix('.') else {
        return Some(Value::Integer(start[..start.len() - rest.len()].to_owned()));
    };
    *rest = after;
    digits(rest, 3)?;
    (whole.len() <= 12).then_some(Value::Other)
}

/// The text after the quote of an `sf-string`, or of an `sf-displaystring`, in which `%` escapes bytes.
fn text(rest: &mut &str, display: bool) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' if !display => bytes.push(u8::try_from(chars.next().filter(|next| "\"\\".contains(*next))?).ok()?),
            '%' if display => {
                let hex: String = chars.by_ref().take(2).collect();
                let lower = hex.len() == 2 && hex.chars().all(|next| matches!(next, '0'..='9' | 'a'..='f'));
                bytes.push(u8::from_str_radix(&hex, 16).ok().filter(|_| lower)?);
            }
            next @ ' '..='~' => bytes.push(u8::try_from(next).ok()?),
            _ => return None,
        }
    }
    *rest = chars.as_str();
    String::from_utf8(bytes).ok()
}
