//! Decides whether a client already has a stored response, by its `If-None-Match` and `If-Modified-Since` (RFC 9111
//! §4.3.2, RFC 9110 §13).
//!
//! First match wins (RFC 9110 §13.2.2):
//!
//! | the request has | a cache |
//! |---|---|
//! | `If-Match`, `If-Unmodified-Since` | takes no notice: they are for the origin (RFC 9111 §4.3.2) |
//! | `If-None-Match: *` | 304 |
//! | `If-None-Match` with a tag that is weakly ours | 304 |
//! | any other `If-None-Match`, also one that nobody can read | the response; `If-Modified-Since` is ignored |
//! | `If-Modified-Since`, not before `Last-Modified`, or `Date` where that is missing | 304 |
//! | anything else | the response |
//!
//! `If-Range` is about a part and is decided with it: [`super::range`].

use super::{
    Representation,
    date::{date_of, parse_date},
    validators::{EntityTag, tags},
};
use crate::http::{Fields, Method, RequestHead, Status};
use std::time::SystemTime;

/// Whether the client has the response already: 304 (Not Modified) is all that it needs. `now` decides the century of
/// dates with two digits.
#[must_use]
pub fn not_modified<'a>(request: &RequestHead, stored: impl Into<Representation<'a>>, now: SystemTime) -> bool {
    let stored = stored.into();
    // Without the condition it has to be a success (RFC 9110 §13.2.1), and one with a representation (RFC 9111 §4.3.2).
    let applicable = matches!(request.method, Method::Get | Method::Head)
        && matches!(stored.head.status, Status::OK | Status::PARTIAL_CONTENT);
    if !applicable {
        return false;
    }
    if request.fields.contains("if-none-match") {
        return has_tag(request, &stored.head.fields);
    }
    is_unmodified_since(request, &stored.head.fields, stored.date, now)
}

/// RFC 9110 §13.1.2.
fn has_tag(request: &RequestHead, response: &Fields) -> bool {
    let mut lines = request.fields.get_all("if-none-match");
    if lines.next() == Some(b"*") && lines.next().is_none() {
        return true;
    }
    let Some(ours) = EntityTag::of(response) else { return false };
    tags(&request.fields, "if-none-match").any(|theirs| theirs.is_weakly(ours))
}

/// RFC 9110 §13.1.3. Two lines are more than one member, and so is no date: ignored.
fn is_unmodified_since(request: &RequestHead, response: &Fields, date: SystemTime, now: SystemTime) -> bool {
    let mut lines = request.fields.get_all("if-modified-since");
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let Some(since) = parse_date(line, now) else { return false };
    // Without Last-Modified, when it was made or came is the latest that it can have changed (RFC 9111 §4.3.2).
    date_of(response, "last-modified", now).unwrap_or(date) <= since
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Lines, head, now, request, response, stored, stored_as},
        *,
    };
    use crate::cache::Body;

    const EARLIER: &str = "Sun, 06 Nov 1994 08:00:00 GMT";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:10:00 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:20:00 GMT";

    /// Checks whether a request with these conditions is answered with 304 from this stored response.
    fn check(stored_fields: Lines<'_>, conditions: Lines<'_>, expected: bool) {
        let stored = stored(stored_fields, "content");
        assert_eq!(
            not_modified(&request(conditions), &stored, now().wall),
            expected,
            "{stored_fields:?} {conditions:?}"
        );
        assert_eq!(not_modified(&head(conditions), &stored, now().wall), expected, "HEAD {conditions:?}");
    }

    #[test]
    fn if_none_match_compares_weakly() {
        // RFC 9110 §13.1.2, RFC 9111 §4.3.2.
        let (strong, weak) = ([("ETag", "\"a,b\"")], [("ETag", "W/\"a,b\"")]);
        for (value, expected) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", true),
            ("\"x\", \"a,b\"", true),
            ("\"x\", W/\"a,b\", \"y\"", true),
            ("*", true),
            (" * ", true),
            ("\"A,b\"", false),
            ("\"a\"", false),
            ("a,b", false),
            ("w/\"a,b\"", false),
            ("\"x\", *", false),
            ("", false),
        ] {
            check(&strong, &[("If-None-Match", value)], expected);
            check(&weak, &[("If-None-Match", value)], expected);
        }
        check(&strong, &[("If-None-Match", "\"x\""), ("if-none-match", "\"a,b\"")], true);
        check(&strong, &[("If-None-Match", "*"), ("If-None-Match", "\"x\"")], false);
        // Any representation is one; but a tag needs one to be compared with.
        check(&[], &[("If-None-Match", "*")], true);
        check(&[], &[("If-None-Match", "\"a,b\"")], false);
        check(&[("ETag", "a,b")], &[("If-None-Match", "\"a,b\"")], false);
    }

    #[test]
    fn if_modified_since() {
        // RFC 9110 §13.1.3.
        let dated = [("Last-Modified", MODIFIED), ("Date", LATER)];
        for (value, expected) in [
            (EARLIER, false),
            (MODIFIED, true),
            (LATER, true),
            ("Sunday, 06-Nov-94 08:10:00 GMT", true),
            ("Sun Nov  6 08:10:00 1994", true),
            ("Sun Nov  6 08:09:59 1994", false),
            ("Sun, 06 Nov 1994 08:10:00 CET", false),
            ("0", false),
            ("", false),
            ("Sun, 31 Nov 1994 08:10:00 GMT", false),
        ] {
            check(&dated, &[("If-Modified-Since", value)], expected);
        }
        // More than one member.
        check(&dated, &[("If-Modified-Since", LATER), ("If-Modified-Since", LATER)], false);
    }

    #[test]
    fn without_last_modified_the_date_counts_or_the_arrival() {
        // RFC 9111 §4.3.2.
        check(&[("Date", MODIFIED)], &[("If-Modified-Since", EARLIER)], false);
        check(&[("Date", MODIFIED)], &[("If-Modified-Since", MODIFIED)], true);
        check(&[("Last-Modified", "broken"), ("Date", MODIFIED)], &[("If-Modified-Since", LATER)], true);
        let (before, arrival) = ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT");
        for date in [&[][..], &[("Date", "broken")]] {
            check(date, &[("If-Modified-Since", before)], false);
            check(date, &[("If-Modified-Since", arrival)], true);
        }
    }

    #[test]
    fn if_none_match_precedes_if_modified_since() {
        // RFC 9110 §13.1.3, §13.2.2.
        let both = [("ETag", "\"a\""), ("Last-Modified", MODIFIED)];
        for (tag, since, expected) in
            [("\"a\"", EARLIER, true), ("\"b\"", LATER, false), ("broken", LATER, false), ("\"a\"", LATER, true)]
        {
            check(&both, &[("If-None-Match", tag), ("If-Modified-Since", since)], expected);
        }
        // Also where there is no tag to compare with.
        check(&[("Last-Modified", MODIFIED)], &[("If-None-Match", "\"a\""), ("If-Modified-Since", LATER)], false);
    }

    #[test]
    fn conditions_that_only_an_origin_evaluates_are_not_evaluated() {
        // RFC 9111 §4.3.2: neither way.
        let both = [("ETag", "\"a\""), ("Last-Modified", MODIFIED)];
        for (name, value) in
            [("If-Match", "\"b\""), ("If-Match", "*"), ("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", LATER)]
        {
            check(&both, &[(name, value)], false);
            check(&both, &[(name, value), ("If-None-Match", "\"a\"")], true);
        }
    }

    #[test]
    fn conditions_apply_to_representations_only() {
        // RFC 9110 §13.2.1, RFC 9111 §4.3.2: 200 and 206.
        for (status, expected) in [(200, true), (206, true), (203, false), (301, false), (404, false), (410, false)] {
            let response = response(status, &[("ETag", "\"a\"")]);
            let stored = stored_as(&[], &response, Body::whole(Vec::new()), now());
            assert_eq!(
                not_modified(&request(&[("If-None-Match", "\"a\"")]), &stored, now().wall),
                expected,
                "{status}"
            );
        }
        let mut options = request(&[("If-None-Match", "*")]);
        options.method = Method::Options;
        assert!(!not_modified(&options, &stored(&[], ""), now().wall));
    }
}
