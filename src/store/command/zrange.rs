//! Parts of a sorted set: by rank, by score, by name.

use super::{
    super::value::ZSet,
    Call, Fault, Outcome, number, refuse, span,
    zsets::{self, Scored},
};
use std::ops::Range;

/// Scores from one to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scores {
    min: f64,
    max: f64,
    above: bool,
    below: bool,
}

impl Scores {
    pub(crate) fn parse(min: &[u8], max: &[u8]) -> Outcome<Self> {
        let bound = |word: &[u8]| {
            let (open, word) = word.strip_prefix(b"(").map_or((false, word), |rest| (true, rest));
            number::bound(word).map(|value| (value, open))
        };
        match (bound(min), bound(max)) {
            (Some((min, above)), Some((max, below))) => Ok(Self { min, max, above, below }),
            _ => refuse("ERR min or max is not a float"),
        }
    }

    /// The ranks of the members in between.
    pub(crate) fn ranks(&self, zset: &ZSet) -> Range<usize> {
        let start = zset.count_before(|score, _| if self.above { score <= self.min } else { score < self.min });
        let end = zset.count_before(|score, _| if self.below { score < self.max } else { score <= self.max });
        start..end.max(start)
    }
}

/// A name before or behind which a part begins or ends.
#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    Least,
    Greatest,
    With(&'a [u8]),
    Without(&'a [u8]),
}

fn names<'a>(min: &'a [u8], max: &'a [u8]) -> Outcome<(Name<'a>, Name<'a>)> {
    let bound = |word: &'a [u8]| match word {
        b"-" => Some(Name::Least),
        b"+" => Some(Name::Greatest),
        [b'[', name @ ..] => Some(Name::With(name)),
        [b'(', name @ ..] => Some(Name::Without(name)),
        _ => None,
    };
    bound(min).zip(bound(max)).ok_or(Fault::Text("ERR min or max not valid string range item".into()))
}

impl Name<'_> {
    /// Whether a name is behind this bound, if it is the lower one.
    fn is_below(self, name: &[u8]) -> bool {
        match self {
            Name::Least => true,
            Name::Greatest => false,
            Name::With(bound) => bound <= name,
            Name::Without(bound) => bound < name,
        }
    }

    /// Whether a name is before this bound, if it is the upper one.
    fn is_above(self, name: &[u8]) -> bool {
        match self {
            Name::Least => false,
            Name::Greatest => true,
            Name::With(bound) => name <= bound,
            Name::Without(bound) => name < bound,
        }
    }
}

/// The ranks of the members whose names are in between. Names are in order only if all scores are equal. Otherwise the answer makes no
/// sense; for a small set it is that of the original.
fn ranks_of_names(zset: &ZSet, (min, max): (Name<'_>, Name<'_>)) -> Range<usize> {
    if zset.is_small() {
        let ends = [zset.by_rank_down(0).next(), zset.by_rank(0).next()];
        let [Some((last, _)), Some((first, _))] = ends else { return 0..0 };
        if !min.is_below(last) || !max.is_above(first) {
            return 0..0;
        }
        let start = zset.iter().take_while(|(name, _)| !min.is_below(name)).count();
        return start..start + zset.by_rank(start).take_while(|(name, _)| max.is_above(name)).count();
    }
    let start = zset.count_before(|_, name| !min.is_below(name));
    let end = zset.count_before(|_, name| max.is_above(name));
    start..end.max(start)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Name,
}

/// A part that is asked for.
struct Query {
    by: By,
    down: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

/// Reads the words behind a key and two bounds. The older commands say in their names what ZRANGE is told by words.
fn query(call: &Call<'_>, first: usize, by: Option<By>, down: bool, is_store: bool) -> Outcome<Query> {
    let mut query = Query { by: by.unwrap_or(By::Rank), down, with_scores: false, limit: None };
    // Each of these words may be said once.
    let (is_general, mut is_free) = (by.is_none(), by.is_none());
    let mut at = first;
    while at < call.words.len() {
        match &*call.word(at).to_ascii_lowercase() {
            b"withscores" if !is_store => query.with_scores = true,
            b"limit" if at + 2 < call.words.len() => {
                query.limit = Some((call.integer(at + 1)?, call.integer(at + 2)?));
                at += 2;
            }
            b"rev" if is_general && !query.down => query.down = true,
            b"bylex" if is_free => (query.by, is_free) = (By::Name, false),
            b"byscore" if is_free => (query.by, is_free) = (By::Score, false),
            _ => return Err(Fault::Syntax),
        }
        at += 1;
    }
    if query.limit.is_some_and(|(_, count)| count != -1) && query.by == By::Rank {
        return refuse("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    }
    if query.with_scores && query.by == By::Name {
        return refuse("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    }
    Ok(query)
}

/// The members that are asked for, in order.
fn find(call: &mut Call<'_>, key: usize, query: &Query) -> Outcome<Vec<Scored>> {
    let (start, stop) = (call.word(key + 1), call.word(key + 2));
    let (min, max) = if query.down && query.by != By::Rank { (stop, start) } else { (start, stop) };
    enum Bounds<'a> {
        Ranks(i64, i64),
        Scores(Scores),
        Names((Name<'a>, Name<'a>)),
    }
    let bounds = match query.by {
        By::Rank => Bounds::Ranks(call.integer(key + 1)?, call.integer(key + 2)?),
        By::Score => Bounds::Scores(Scores::parse(min, max)?),
        By::Name => Bounds::Names(names(min, max)?),
    };
    let Some(zset) = call.collection::<ZSet>(call.word(key))? else { return Ok(Vec::new()) };
    let len = zset.len();
    let ranks = match bounds {
        Bounds::Ranks(start, stop) => span(start, stop, len),
        Bounds::Scores(scores) => scores.ranks(zset),
        Bounds::Names(names) => ranks_of_names(zset, names),
    };
    let ranks = match query.limit.filter(|_| query.by != By::Rank) {
        Some((offset, _)) if offset < 0 => 0..0,
        Some((offset, count)) => {
            let skip = usize::try_from(offset).unwrap_or(usize::MAX).min(ranks.len());
            let most = usize::try_from(count).unwrap_or(usize::MAX).min(ranks.len() - skip);
            if query.down {
                ranks.end - skip - most..ranks.end - skip
            } else {
                ranks.start + skip..ranks.start + skip + most
            }
        }
        None => ranks,
    };
    let owned = |(member, score): (&[u8], f64)| (member.to_vec(), score);
    Ok(match (query.by, query.down) {
        (_, false) => zset.by_rank(ranks.start).take(ranks.len()).map(owned).collect(),
        // These count from the highest.
        (By::Rank, true) => zset.by_rank_down(ranks.start).take(ranks.len()).map(owned).collect(),
        (_, true) => zset.by_rank_down(len - ranks.end).take(ranks.len()).map(owned).collect(),
    })
}

fn tell(call: &mut Call<'_>, by: Option<By>, down: bool) -> Outcome {
    let query = query(call, 4, by, down, false)?;
    let members = find(call, 1, &query)?;
    zsets::reply(call, &members, query.with_scores);
    Ok(())
}

pub(crate) fn zrange(call: &mut Call<'_>) -> Outcome {
    tell(call, None, false)
}

pub(crate) fn zrevrange(call: &mut Call<'_>) -> Outcome {
    tell(call, Some(By::Rank), true)
}

pub(crate) fn zrangebyscore(call: &mut Call<'_>) -> Outcome {
    tell(call, Some(By::Score), false)
}

pub(crate) fn zrevrangebyscore(call: &mut Call<'_>) -> Outcome {
    tell(call, Some(By::Score), true)
}

pub(crate) fn zrangebylex(call: &mut Call<'_>) -> Outcome {
    tell(call, Some(By::Name), false)
}

pub(crate) fn zrevrangebylex(call: &mut Call<'_>) -> Outcome {
    tell(call, Some(By::Name), true)
}

pub(crate) fn zrangestore(call: &mut Call<'_>) -> Outcome {
    let query = query(call, 5, None, false, true)?;
    let members = find(call, 2, &query)?;
    zsets::store(call, call.word(1), &members);
    Ok(())
}

pub(crate) fn zcount(call: &mut Call<'_>) -> Outcome {
    let scores = Scores::parse(call.word(2), call.word(3))?;
    let count = call.collection::<ZSet>(call.word(1))?.map_or(0, |zset| scores.ranks(zset).len());
    call.out.len(count);
    Ok(())
}

pub(crate) fn zlexcount(call: &mut Call<'_>) -> Outcome {
    let names = names(call.word(2), call.word(3))?;
    let count = call.collection::<ZSet>(call.word(1))?.map_or(0, |zset| ranks_of_names(zset, names).len());
    call.out.len(count);
    Ok(())
}

/// Removes the members of some ranks.
fn remove(call: &mut Call<'_>, ranks: impl FnOnce(&ZSet) -> Range<usize>) -> Outcome {
    let key = call.word(1);
    let removed = call.keys.change_if(call.client.db, key, |zset: &mut ZSet| {
        let ranks = ranks(zset);
        let members: Vec<Vec<u8>> =
            zset.by_rank(ranks.start).take(ranks.len()).map(|(member, _)| member.to_vec()).collect();
        members.iter().for_each(|member| {
            zset.remove(member);
        });
        members.len()
    })?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        call.touched(key);
    }
    call.out.len(removed);
    Ok(())
}

pub(crate) fn zremrangebyrank(call: &mut Call<'_>) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    remove(call, |zset| span(start, stop, zset.len()))
}

pub(crate) fn zremrangebyscore(call: &mut Call<'_>) -> Outcome {
    let scores = Scores::parse(call.word(2), call.word(3))?;
    remove(call, |zset| scores.ranks(zset))
}

pub(crate) fn zremrangebylex(call: &mut Call<'_>) -> Outcome {
    let names = names(call.word(2), call.word(3))?;
    remove(call, |zset| ranks_of_names(zset, names))
}
