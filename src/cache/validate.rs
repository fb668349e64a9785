//! Asking the backend whether what is stored is still good, and what its answer changes (RFC 9111 §4.3, §3.2).
//!
//! ```text
//!  client ── GET /a ──▶ cache ── GET /a, If-None-Match: "1", "2" ──▶ backend
//!                         │                                            │
//!                         ◀── 304, ETag: "2" ──────────────────────────┤  entry "2" gets new fields and a new life
//!                         ◀── 200 ─────────────────────────────────────┤  replaces what was stored
//!                         ◀── 304 for a tag that we do not have ───────╯  ask again, without conditions
//! ```

use super::{
    Audience, Freshness, NotStored, RequestDirectives, ResponseDirectives, Rules, Selecting, Stored,
    audience::hands_out,
    date::date_of,
    may_store,
    range::{Ranges, Selected, if_range_holds},
    stored::storable_fields,
    validators::{EntityTag, strong_last_modified},
    vary::matching,
};
use crate::{
    http::{
        Fields, Method, RequestHead, ResponseHead,
        claims::{Claim, Says, claim},
        http_date, members,
    },
    time::Now,
};
use std::{borrow::Borrow, time::SystemTime};

/// How many bytes of tags we send at most: a request that the backend refuses for its size validates nothing.
const MAX_TAGS: usize = 2048;

/// Conditions that a client may have set and that ours replace.
const REPLACED: &[&str] = &["if-none-match", "if-modified-since"];

/// The request that asks the backend whether one of `stored` is still good: `request` with our conditions instead of
/// the client's, or with none if nothing stored has a validator. The client's own conditions are answered from the
/// outcome.
///
/// `stored` are the responses for the URI, the one that matches the request first, if there is one. A `Range` stays, so
/// that a client that wants a little of what has changed does not get all; `If-Match` and `If-Unmodified-Since` stay too,
/// they are between the client and the origin.
#[must_use]
pub fn conditional<S: Borrow<Stored>>(request: &RequestHead, stored: &[S]) -> RequestHead {
    let mut request = request.clone();
    request.fields.retain(|name, _| !REPLACED.iter().any(|replaced| name.eq_ignore_ascii_case(replaced)));
    let ranged = request.fields.contains("range");
    // Read once, however many are asked about.
    let ranges = Ranges::of(&request);
    let nominated = stored.iter().map(Borrow::borrow).filter(|stored| could_answer(&request, ranges.as_ref(), stored));
    let nominated: Vec<&Stored> = nominated.collect();
    let list = list_of_tags(&nominated);
    if !list.is_empty() {
        request.fields.push("If-None-Match", &list);
    }
    // A date can only be that of one response. For a part it would only be useful where there is no tag (§4.3.1).
    let modified = match nominated[..] {
        [only] if list.is_empty() || !ranged => only.head.fields.get("last-modified"),
        _ => None,
    };
    if let Some(modified) = modified {
        request.fields.push("If-Modified-Since", modified);
    }
    request
}

/// The tags of `nominated`, each once, as many as there is room for.
fn list_of_tags(nominated: &[&Stored]) -> Vec<u8> {
    let (mut list, mut listed) = (Vec::new(), Vec::new());
    for tag in nominated.iter().filter_map(|stored| EntityTag::of(&stored.head.fields)) {
        if listed.contains(&tag) {
            continue;
        }
        let start = list.len();
        if start > 0 {
            list.extend_from_slice(b", ");
        }
        tag.write_to(&mut list);
        if list.len() > MAX_TAGS && start > 0 {
            list.truncate(start);
            break;
        }
        listed.push(tag);
    }
    list
}

/// Whether the response would do if it were valid. A part that does not have what is asked for must not be nominated: a 304
/// would leave us with nothing to send (RFC 9111 §4.3.2).
fn could_answer(request: &RequestHead, ranges: Option<&Ranges>, stored: &Stored) -> bool {
    let selects = |ranges: &Ranges| matches!(ranges.select(stored.body.extent()), Selected::One(_) | Selected::Many(_));
    // Any time will do for the century of a date with two digits: nearly now.
    stored.body.is_whole() || ranges.is_some_and(selects) && if_range_holds(request, stored, stored.date)
}

/// Whether there is anything to validate a response by.
#[must_use]
pub fn has_validator(head: &ResponseHead) -> bool {
    has_tag(head) || head.fields.contains("last-modified")
}

/// Whether a response can be told from others by a tag: whether it can be asked about beside others.
#[must_use]
pub fn has_tag(head: &ResponseHead) -> bool {
    EntityTag::of(&head.fields).is_some()
}

/// Whether a field says for which URI a request is: `Host`, and what a gateway that is trusted says of it.
fn is_of_target(name: &str) -> bool {
    match claim(name.as_bytes()) {
        Claim::Gateway(says) => says != Says::Client,
        Claim::None | Claim::Method | Claim::Disguise => name.eq_ignore_ascii_case("host"),
    }
}

/// A request that no client made: to validate `stored` in the background. Method, target and the fields that `Vary`
/// names (§4.3.1); those that belong to the target go first.
#[must_use]
pub fn synthesized(request: &RequestHead, stored: &Stored) -> RequestHead {
    let mut synthesized = request.clone();
    synthesized.method = Method::Get;
    synthesized.fields = request.fields.iter().filter(|(name, _)| is_of_target(name)).collect();
    for (name, value) in stored.selecting.fields().filter(|(name, _)| !is_of_target(name)) {
        if let Some(value) = value {
            synthesized.fields.push(name, value);
        }
    }
    synthesized
}

/// Which of the responses that were nominated a 304 is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// These are to be updated, and the first of them, the most recent, answers the request. Places in what was nominated.
    These(Vec<usize>),
    /// One that the request did not match, but whose tag the backend has named: it answers the request, and becomes one more
    /// variant; the one it comes from stays as it is.
    Another(usize),
    /// None. Nothing is updated, and the backend has to be asked again without conditions.
    Nothing,
}

/// Which of `nominated`, all that [`conditional`] was given, a 304 to `request` is about (§4.3.4). First match wins:
///
/// | the 304 has | of the responses that match the request, it is about |
/// |---|---|
/// | a strong tag, or a date that is strong for what is stored | all that have the same, and no other tag |
/// | a weak one | the most recent that has the same |
/// | neither | the only one that was nominated, whatever it has |
///
/// By the letter the last row needs a response without validators, but a server that knows only dates need not repeat
/// them (RFC 9110 §15.4.5): if there was one response that we asked about, the answer is about that one.
#[must_use]
pub fn confirmed<S: Borrow<Stored>>(
    answer: &ResponseHead,
    request: &RequestHead,
    nominated: &[S],
    now: SystemTime,
) -> Confirmed {
    let theirs = Validators::of(&answer.fields, now);
    let of = |at: usize| -> &Stored { nominated[at].borrow() };
    let matches = matching((0..nominated.len()).map(|at| &of(at).selecting), &request.fields);
    let (initial, others): (Vec<usize>, Vec<usize>) = (0..nominated.len()).partition(|at| matches[*at]);
    if theirs.tag.is_none() && theirs.modified.is_none() {
        return if initial == [0] && others.is_empty() { Confirmed::These(initial) } else { Confirmed::Nothing };
    }
    let select = |places: &[usize], strength: Strength| {
        let names = |at: &usize| theirs.names(&Validators::of(&of(*at).head.fields, now)) == Some(strength);
        let mut places: Vec<usize> = places.iter().copied().filter(names).collect();
        places.sort_by_key(|at| std::cmp::Reverse(of(*at).date));
        places
    };
    let strongly = select(&initial, Strength::Strong);
    if !strongly.is_empty() {
        return Confirmed::These(strongly);
    }
    if let Some(at) = select(&initial, Strength::Weak).first() {
        return Confirmed::These(vec![*at]);
    }
    // Only a tag names one of several; a date was sent for one alone.
    let others = if theirs.tag.is_some() { &others[..] } else { &[] };
    let mut named = [Strength::Strong, Strength::Weak].into_iter().flat_map(|strength| select(others, strength));
    named.next().map_or(Confirmed::Nothing, Confirmed::Another)
}

/// Which of `stored`, all that there is for the URI, a 304 to the client's own conditions is about. As [`confirmed`], but
/// without a validator it is about nothing that has one (§4.3.4), and about a response without one only if that is known
/// to be no older than what the client has: it was made after the date since which nothing has changed.
#[must_use]
pub fn confirmed_beside<S: Borrow<Stored>>(
    answer: &ResponseHead,
    request: &RequestHead,
    stored: &[S],
    now: SystemTime,
) -> Vec<usize> {
    let theirs = Validators::of(&answer.fields, now);
    if theirs.tag.is_some() || theirs.modified.is_some() {
        return match confirmed(answer, request, stored, now) {
            Confirmed::These(places) => places,
            Confirmed::Another(_) | Confirmed::Nothing => Vec::new(),
        };
    }
    let of = |at: usize| -> &Stored { stored[at].borrow() };
    let matches = matching((0..stored.len()).map(|at| &of(at).selecting), &request.fields);
    let initial: Vec<usize> = (0..stored.len()).filter(|at| matches[*at]).collect();
    let unchanged_since = || match request.fields.contains("if-none-match") {
        true => None,
        false => date_of(&request.fields, "if-modified-since", now),
    };
    match initial[..] {
        [at] if !has_validator(&of(at).head) && unchanged_since().is_some_and(|since| since <= of(at).date) => vec![at],
        _ => Vec::new(),
    }
}

/// The validators of a message: they tell its representation from others.
#[derive(Debug, Clone, Copy)]
struct Validators<'a> {
    tag: Option<EntityTag<'a>>,
    modified: Option<SystemTime>,
    /// Its date is strong.
    settled: bool,
}

/// How sure it is that a 304 means a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    Strong,
    Weak,
}

impl<'a> Validators<'a> {
    fn of(fields: &'a Fields, now: SystemTime) -> Self {
        Self {
            tag: EntityTag::of(fields),
            modified: date_of(fields, "last-modified", now),
            settled: strong_last_modified(fields, now).is_some(),
        }
    }

    /// Whether a 304 with these is about a stored response with those. Where both have a tag, it decides: two versions of
    /// the same second differ in nothing else. How strong a date is, the stored response says: it was compared with a
    /// stored one (RFC 9110 §8.8.2.2). A strong tag that is not ours is not made up for by a weak date.
    fn names(&self, stored: &Self) -> Option<Strength> {
        let is_strong = |tag: EntityTag<'_>| !tag.is_weak();
        match (self.tag, stored.tag) {
            (Some(theirs), Some(ours)) if is_strong(theirs) => theirs.is_strongly(ours).then_some(Strength::Strong),
            (Some(theirs), Some(ours)) => theirs.is_weakly(ours).then_some(Strength::Weak),
            _ if self.modified.is_none() || self.modified != stored.modified => None,
            _ if stored.settled => Some(Strength::Strong),
            _ if self.tag.is_some_and(is_strong) => None,
            _ => Some(Strength::Weak),
        }
    }
}

/// A response updated by a newer one about the same representation: a new entry that shares the body.
#[derive(Debug, Clone)]
pub struct Freshened {
    /// The updated response. It answers the request in any case.
    pub stored: Stored,
    /// The fate of the old one.
    pub old: Old,
}

/// The fate of an entry for which there is a newer response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old {
    /// The updated one takes its place.
    Replaced,
    /// It stays as it is: the request was such that nothing of its response may be stored.
    Stays(NotStored),
    /// It goes, and nothing comes: the newer response forbids it (`no-store`).
    Goes(NotStored),
}

impl Old {
    fn of(may_store: Result<(), NotStored>) -> Self {
        match may_store {
            Ok(()) => Self::Replaced,
            Err(
                reason @ (NotStored::Method
                | NotStored::RequestContent
                | NotStored::RequestNoStore
                | NotStored::Authorization),
            ) => Self::Stays(reason),
            Err(reason) => Self::Goes(reason),
        }
    }
}

/// Updates `stored` with the fields of `newer`: a 304, a 200 to `HEAD`, or a 206 (§3.2). `newer` answered `request`, which
/// was sent at `asked`, and arrived at `arrived`.
#[must_use]
pub fn freshened(
    stored: &Stored,
    newer: &ResponseHead,
    request: &RequestHead,
    asked: Now,
    arrived: Now,
    rules: &Rules,
) -> Freshened {
    let mut head = stored.head.clone();
    head.fields = updated(&stored.head.fields, &newer.fields, arrived);
    let directives = ResponseDirectives::of(&head.fields);
    // Its age counts from the newer response, which may have come out of a cache itself.
    let mut aged = head.clone();
    for age in newer.fields.get_all("age") {
        aged.fields.push("Age", age);
    }
    let audience = audience_of(stored, request, &head.fields, &directives);
    let freshness = Freshness::of(&aged, &directives, audience, asked, arrived, rules);
    let said = RequestDirectives::of(&request.fields);
    // The stored response answered a GET; the one that freshens it may answer a HEAD.
    let mut get = request.clone();
    get.method = Method::Get;
    let old = match may_store(&get, &said, &head, &directives) {
        // Its cookies are for this client; the response that it is about stays as it was.
        Err(reason @ NotStored::SetCookie) if hands_out(&newer.fields) => Old::Stays(reason),
        may_store => Old::of(may_store),
    };
    let selecting = match newer.fields.contains("vary") || !stored.selecting.matches(&request.fields) {
        true => Selecting::of(&head.fields, &request.fields),
        false => stored.selecting.clone(),
    };
    let date = date_of(&head.fields, "date", arrived.wall).unwrap_or(arrived.wall);
    let updated = Stored { head, selecting, freshness, date, body: stored.body.clone(), tags: stored.tags.clone() };
    Freshened { stored: updated, old }
}

/// The clients that the updated response is for, which has these `fields`. Where all clients get the stored one without
/// a question, a client with credentials has learned that it gets the same one: so the response is still for all.
fn audience_of(stored: &Stored, request: &RequestHead, fields: &Fields, said: &ResponseDirectives) -> Audience {
    let nobody = Fields::new();
    let is_for_strangers = stored.freshness.audience().includes(false);
    Audience::of(if is_for_strangers { &nobody } else { &request.fields }, fields, said)
}

/// §3.2: every field of the newer response replaces all lines of that name, apart from those that are not stored (§3.1)
/// and those that say how long or which part the content of that response was. `Content-Type` and `Content-Encoding` are
/// replaced like any other: what is stored is what was sent, not what became of it.
fn updated(stored: &Fields, newer: &Fields, arrived: Now) -> Fields {
    let directives = ResponseDirectives::of(newer);
    let which_part = |name: &str| name.eq_ignore_ascii_case("content-range");
    let new: Vec<(&str, &[u8])> = storable_fields(newer, &directives).filter(|(name, _)| !which_part(name)).collect();
    let replaced =
        |name: &str| name.eq_ignore_ascii_case("date") || new.iter().any(|(new, _)| new.eq_ignore_ascii_case(name));
    let kept = stored.iter().filter(|(name, _)| !replaced(name));
    let mut fields: Fields = kept.chain(new.iter().copied()).collect();
    // Fields that are for one user stay away if one of the two responses says so (§5.2.2.4, §5.2.2.7).
    let said = ResponseDirectives::of(&fields);
    fields.retain(|name, _| !said.withholds(name));
    // Without a date of its own it was made when it came (RFC 9110 §6.6.1); the old one says nothing of it.
    if !fields.contains("date") {
        fields.push("Date", http_date(arrived.wall));
    }
    fields.shrink();
    fields
}

/// The verdict of a 200 to a `HEAD` on a stored response that could have answered the same `GET` (§4.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadSays {
    /// It is the same: [`freshened`].
    Same,
    /// It is another: the stored one is stale.
    Changed,
}

/// Compares a stored response with a 200 to `HEAD`: every validator that came, and the length if it came, have to agree. A
/// stored redirect or error is not what a 200 is about.
#[must_use]
pub fn head_says(answer: &ResponseHead, stored: &Stored) -> HeadSays {
    if stored.head.status != answer.status {
        return HeadSays::Changed;
    }
    let same = |name: &str| {
        let mut theirs = answer.fields.get_all(name).peekable();
        theirs.peek().is_none() || theirs.eq(stored.head.fields.get_all(name))
    };
    let length = match answer.fields.get("content-length").map(|length| members(length).next().unwrap_or_default()) {
        None => true,
        Some(length) => stored.body.complete().is_some_and(|ours| decimal(length) == Some(ours)),
    };
    if same("etag") && same("last-modified") && length { HeadSays::Same } else { HeadSays::Changed }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests;
