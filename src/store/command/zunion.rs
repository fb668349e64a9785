//! Sorted sets put together. Sets take part as well: each of their members has the score 1.

use super::{
    Call, Fault, Outcome, Value, number, refuse,
    sets::{self, Combine},
    zsets::{self, Scored},
};
use indexmap::IndexMap;
use std::cmp::Ordering;

/// How the scores of one member become one.
#[derive(Debug, Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Infinity less infinity is nothing that can be ordered.
            Self::Sum => Some(a + b).filter(|sum| !sum.is_nan()).unwrap_or(0.0),
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }
}

struct Query<'a> {
    keys: Vec<&'a [u8]>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

/// The number of keys at `place`, and the keys.
fn query<'a>(call: &Call<'a>, place: usize) -> Outcome<Query<'a>> {
    let count = number::integer(call.word(place)).ok_or(Fault::NotInteger)?;
    if count < 1 {
        let name = String::from_utf8_lossy(call.word(0)).to_ascii_lowercase();
        return refuse(format!("ERR at least 1 input key is needed for '{name}' command"));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > call.words.len() - place - 1 {
        return Err(Fault::Syntax);
    }
    let keys: Vec<&[u8]> = call.words.from(place + 1).take(count).collect();
    Ok(Query { weights: vec![1.0; count], keys, aggregate: Aggregate::Sum, with_scores: false })
}

/// The words behind the keys.
fn words(call: &Call<'_>, query: &mut Query<'_>, mut at: usize, how: Combine, is_store: bool) -> Outcome {
    let count = query.keys.len();
    while at < call.words.len() {
        let left = call.words.len() - at;
        match &*call.word(at).to_ascii_lowercase() {
            b"weights" if how != Combine::Diff && left > count => {
                for (index, weight) in query.weights.iter_mut().enumerate() {
                    *weight = zsets::weight(call.word(at + 1 + index))?;
                }
                at += count;
            }
            b"aggregate" if how != Combine::Diff && left > 1 => {
                query.aggregate = match &*call.word(at + 1).to_ascii_lowercase() {
                    b"sum" => Aggregate::Sum,
                    b"min" => Aggregate::Min,
                    b"max" => Aggregate::Max,
                    _ => return Err(Fault::Syntax),
                };
                at += 1;
            }
            b"withscores" if !is_store => query.with_scores = true,
            _ => return Err(Fault::Syntax),
        }
        at += 1;
    }
    Ok(())
}

/// The members of the key, if it holds what has members.
fn members(call: &mut Call<'_>, key: &[u8]) -> Outcome<Vec<Scored>> {
    match call.keys.read(call.client.db, key) {
        None => Ok(Vec::new()),
        Some(Value::ZSet(zset)) => Ok(zset.iter().map(|(member, score)| (member.to_vec(), score)).collect()),
        Some(Value::Set(set)) => Ok(set.iter().map(|member| (member.into_owned(), 1.0)).collect()),
        Some(_) => Err(Fault::WrongType),
    }
}

fn combine(query: &Query<'_>, inputs: Vec<Vec<Scored>>, how: Combine) -> Vec<Scored> {
    // How often each member was met, so that an intersection knows those that are everywhere.
    let mut found: IndexMap<Vec<u8>, (f64, usize)> = IndexMap::new();
    for (index, input) in inputs.into_iter().enumerate() {
        let weight = query.weights.get(index).copied().unwrap_or(1.0);
        for (member, score) in input {
            let score = Some(score * weight).filter(|score| !score.is_nan()).unwrap_or(0.0);
            match (how, found.get_mut(&member)) {
                (Combine::Diff, Some(_)) if index > 0 => drop(found.swap_remove(&member)),
                (Combine::Inter, Some((_, times))) if *times != index => {}
                (Combine::Inter | Combine::Union, Some((sum, times))) => {
                    (*sum, *times) = (query.aggregate.of(*sum, score), *times + 1);
                }
                (Combine::Union, None) => drop(found.insert(member, (score, 1))),
                (_, None) if index == 0 => drop(found.insert(member, (score, 1))),
                _ => {}
            }
        }
    }
    let all = query.keys.len();
    let wanted = found.into_iter().filter(|(_, (_, times))| how != Combine::Inter || *times == all);
    let mut result: Vec<Scored> = wanted.map(|(member, (score, _))| (member, score)).collect();
    result.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0)));
    result
}

fn run(call: &mut Call<'_>, place: usize, how: Combine, is_store: bool) -> Outcome<(Vec<Scored>, bool)> {
    let (mut query, mut inputs) = (query(call, place)?, Vec::new());
    for key in &query.keys {
        inputs.push(members(call, key)?);
    }
    let first = place + 1 + query.keys.len();
    words(call, &mut query, first, how, is_store)?;
    let with_scores = query.with_scores;
    Ok((combine(&query, inputs, how), with_scores))
}

fn tell(call: &mut Call<'_>, how: Combine) -> Outcome {
    let (members, with_scores) = run(call, 1, how, false)?;
    zsets::reply(call, &members, with_scores);
    Ok(())
}

fn store(call: &mut Call<'_>, how: Combine) -> Outcome {
    let (members, _) = run(call, 2, how, true)?;
    zsets::store(call, call.word(1), &members);
    Ok(())
}

pub(crate) fn zunion(call: &mut Call<'_>) -> Outcome {
    tell(call, Combine::Union)
}

pub(crate) fn zinter(call: &mut Call<'_>) -> Outcome {
    tell(call, Combine::Inter)
}

pub(crate) fn zdiff(call: &mut Call<'_>) -> Outcome {
    tell(call, Combine::Diff)
}

pub(crate) fn zunionstore(call: &mut Call<'_>) -> Outcome {
    store(call, Combine::Union)
}

pub(crate) fn zinterstore(call: &mut Call<'_>) -> Outcome {
    store(call, Combine::Inter)
}

pub(crate) fn zdiffstore(call: &mut Call<'_>) -> Outcome {
    store(call, Combine::Diff)
}

pub(crate) fn zintercard(call: &mut Call<'_>) -> Outcome {
    let (query, mut inputs) = (query(call, 1)?, Vec::new());
    for key in &query.keys {
        inputs.push(members(call, key)?);
    }
    let limit = sets::card_limit(call, 2 + query.keys.len())?;
    let count = combine(&query, inputs, Combine::Inter).len();
    call.out.len(count.min(limit));
    Ok(())
}
