//! Decides whether a request still applies to the version that is there: `If-Match` and `If-Unmodified-Since` (RFC 9110 §13.1.1,
//! §13.1.4). An origin evaluates these; a cache takes no notice of them. They come before all other conditions (§13.2.2), which are
//! decided by [`crate::cache::answer`], for a file as for a stored response.
//!
//! | the request has | and the file | then |
//! |---|---|---|
//! | `If-Match: *` | is there | it applies |
//! | `If-Match` with a tag that is strongly this version's | | it applies |
//! | any other `If-Match` | | 412 |
//! | `If-Unmodified-Since`, no `If-Match` | was changed after that date, or has no date yet | 412 |
//! | an `If-Unmodified-Since` that is no date | | it applies: the field is ignored |

use crate::{
    cache::{
        date::{date_of, parse_date},
        validators::{EntityTag, tags},
    },
    http::{Fields, RequestHead},
};
use std::time::SystemTime;

/// Whether a request applies to a version with these fields. Otherwise it is answered with 412.
#[must_use]
pub(super) fn applies(request: &RequestHead, version: &Fields, now: SystemTime) -> bool {
    let fields = &request.fields;
    if fields.contains("if-match") {
        let mut lines = fields.get_all("if-match");
        let any = lines.next() == Some(b"*") && lines.next().is_none();
        let is_ours = |theirs: EntityTag<'_>| EntityTag::of(version).is_some_and(|ours| ours.is_strongly(theirs));
        return any || tags(fields, "if-match").any(is_ours);
    }
    let mut lines = fields.get_all("if-unmodified-since");
    let (Some(line), None) = (lines.next(), lines.next()) else { return true };
    let Some(since) = parse_date(line, now) else { return true };
    date_of(version, "last-modified", now).is_some_and(|modified| modified <= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;

    const EARLIER: &str = "Sun, 06 Nov 1994 08:00:00 GMT";
    const MODIFIED: &str = "Sun, 06 Nov 1994 08:10:00 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:20:00 GMT";

    fn check(version: &[(&str, &str)], conditions: &[(&str, &str)]) -> bool {
        let mut request = RequestHead::new(Method::Get, "/").unwrap();
        request.fields = conditions.iter().copied().collect();
        applies(&request, &version.iter().copied().collect(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn if_match_compares_strongly() {
        let strong = [("ETag", "\"a,b\""), ("Last-Modified", MODIFIED)];
        for (value, expected) in [
            ("\"a,b\"", true),
            ("\"x\", \"a,b\"", true),
            ("*", true),
            ("W/\"a,b\"", false),
            ("\"x\"", false),
            ("\"x\", *", false),
            ("a,b", false),
            ("", false),
        ] {
            assert_eq!(check(&strong, &[("If-Match", value)]), expected, "{value}");
            assert_eq!(check(&[("ETag", "W/\"a,b\"")], &[("If-Match", value)]), value == "*", "{value}");
            // It wins over a date, whichever way that would decide.
            for date in [EARLIER, LATER] {
                assert_eq!(check(&strong, &[("If-Match", value), ("If-Unmodified-Since", date)]), expected);
            }
        }
        assert!(check(&strong, &[("If-Match", "\"x\""), ("If-Match", "\"a,b\"")]));
    }

    #[test]
    fn if_unmodified_since() {
        let dated = [("Last-Modified", MODIFIED)];
        for (value, expected) in
            [(EARLIER, false), (MODIFIED, true), (LATER, true), ("yesterday", true), ("", true), ("0", true)]
        {
            assert_eq!(check(&dated, &[("If-Unmodified-Since", value)]), expected, "{value}");
        }
        assert!(check(&dated, &[("If-Unmodified-Since", EARLIER), ("If-Unmodified-Since", EARLIER)]), "two are none");
        assert!(!check(&[], &[("If-Unmodified-Since", LATER)]), "it was changed a moment ago");
        assert!(check(&dated, &[]));
    }
}
