//! SORT: the elements of a list or a set in an order that may be told by other keys.

use super::{
    super::value::{Hash, List, list::End},
    Call, Fault, Outcome, Value, number, refuse,
};
use std::cmp::Ordering;

struct Query<'a> {
    by: Option<&'a [u8]>,
    limit: Option<(i64, i64)>,
    get: Vec<&'a [u8]>,
    down: bool,
    by_name: bool,
    store: Option<&'a [u8]>,
}

fn query<'a>(call: &Call<'a>, may_store: bool) -> Outcome<Query<'a>> {
    let mut query = Query { by: None, limit: None, get: Vec::new(), down: false, by_name: false, store: None };
    let mut at = 2;
    while at < call.words.len() {
        let left = call.words.len() - at - 1;
        match &*call.word(at).to_ascii_lowercase() {
            b"asc" => query.down = false,
            b"desc" => query.down = true,
            b"alpha" => query.by_name = true,
            b"limit" if left >= 2 => {
                query.limit = Some((call.integer(at + 1)?, call.integer(at + 2)?));
                at += 2;
            }
            b"store" if left >= 1 && may_store => {
                query.store = Some(call.word(at + 1));
                at += 1;
            }
            b"by" if left >= 1 => {
                query.by = Some(call.word(at + 1));
                at += 1;
            }
            b"get" if left >= 1 => {
                query.get.push(call.word(at + 1));
                at += 1;
            }
            _ => return Err(Fault::Syntax),
        }
        at += 1;
    }
    Ok(query)
}

/// The value that a pattern names for an element: `#` is the element, `*` stands for it, and `->` leads to a field.
fn look_up(call: &mut Call<'_>, pattern: &[u8], item: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(item.to_vec());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let arrow = pattern[star..].windows(2).position(|pair| pair == b"->").map(|at| at + star);
    let field = arrow.map(|at| &pattern[at + 2..]).filter(|field| !field.is_empty());
    let end = if field.is_some() { arrow.unwrap_or(pattern.len()) } else { pattern.len() };
    let key = [&pattern[..star], item, &pattern[star + 1..end]].concat();
    match (call.keys.read(call.client.db, &key)?, field) {
        (Value::Text(text), None) => Some(text.bytes().into_owned()),
        (Value::Hash(hash), Some(field)) => Hash::at(hash, field).map(<[u8]>::to_vec),
        _ => None,
    }
}

/// An element with the weight by which it is ordered.
struct Weighed {
    item: Vec<u8>,
    number: f64,
    name: Option<Vec<u8>>,
}

fn weigh(call: &mut Call<'_>, query: &Query<'_>, items: Vec<Vec<u8>>) -> Outcome<Vec<Weighed>> {
    let mut weighed = Vec::with_capacity(items.len());
    for item in items {
        let name = match query.by {
            Some(pattern) => look_up(call, pattern, &item),
            None => Some(item.clone()),
        };
        let mut number = 0.0;
        if !query.by_name
            && let Some(name) = &name
        {
            let Some(value) = number::weight(name) else {
                return refuse("ERR One or more scores can't be converted into double");
            };
            number = value;
        }
        weighed.push(Weighed { item, number, name });
    }
    Ok(weighed)
}

fn compare(a: &Weighed, b: &Weighed, query: &Query<'_>) -> Ordering {
    let by_weight = if query.by_name { a.name.cmp(&b.name) } else { a.number.total_cmp(&b.number) };
    // Elements of equal weight are ordered by their names, unless names were the weights.
    let order = if query.by_name { by_weight } else { by_weight.then_with(|| a.item.cmp(&b.item)) };
    if query.down { order.reverse() } else { order }
}

fn elements(call: &mut Call<'_>, key: &[u8]) -> Outcome<(Vec<Vec<u8>>, bool)> {
    let found = match call.keys.read(call.client.db, key) {
        None => (Vec::new(), false),
        Some(Value::List(list)) => (list.range(0, list.len()).map(<[u8]>::to_vec).collect(), false),
        Some(Value::Set(set)) => (set.iter().map(std::borrow::Cow::into_owned).collect(), true),
        Some(Value::ZSet(zset)) => (zset.iter().map(|(member, _)| member.to_vec()).collect(), true),
        Some(_) => return Err(Fault::WrongType),
    };
    call.keys.change(call.client.db, key, |value| {
        if let Value::ZSet(zset) = value {
            zset.enlarge();
        }
    });
    Ok(found)
}

fn part(query: &Query<'_>, len: usize) -> std::ops::Range<usize> {
    let Some((offset, count)) = query.limit else { return 0..len };
    let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(len);
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    start..start.saturating_add(most).min(len)
}

pub(crate) fn sort(call: &mut Call<'_>) -> Outcome {
    run(call, true)
}

pub(crate) fn sort_ro(call: &mut Call<'_>) -> Outcome {
    run(call, false)
}

fn run(call: &mut Call<'_>, may_store: bool) -> Outcome {
    let query = query(call, may_store)?;
    let key = call.word(1);
    let (items, is_set) = elements(call, key)?;
    // A pattern without a star leaves all elements as they are.
    let as_they_are = query.by.is_some_and(|pattern| !pattern.contains(&b'*'));
    let is_zset = matches!(call.keys.peek(call.client.db, key).map(|entry| &entry.value), Some(Value::ZSet(_)));
    let mut sorted: Vec<Vec<u8>> = if as_they_are && !(is_set && !is_zset && query.store.is_some()) {
        if is_zset && query.down { items.into_iter().rev().collect() } else { items }
    } else {
        let mut effective = Query {
            by: query.by.filter(|_| !as_they_are),
            get: Vec::new(),
            limit: query.limit,
            down: query.down,
            by_name: query.by_name,
            store: query.store,
        };
        // The order of a set that is stored has to be the same each time.
        effective.by_name |= as_they_are;
        let mut weighed = weigh(call, &effective, items)?;
        weighed.sort_by(|a, b| compare(a, b, &effective));
        weighed.into_iter().map(|weighed| weighed.item).collect()
    };
    let part = part(&query, sorted.len());
    sorted = sorted[part].to_vec();
    let mut found: Vec<Option<Vec<u8>>> = Vec::new();
    for item in sorted {
        if query.get.is_empty() {
            found.push(Some(item));
        } else {
            for pattern in &query.get {
                found.push(look_up(call, pattern, &item));
            }
        }
    }
    finish(call, query.store, &found);
    Ok(())
}

fn finish(call: &mut Call<'_>, store: Option<&[u8]>, found: &[Option<Vec<u8>>]) {
    let Some(to) = store else {
        call.out.array(found.len());
        found.iter().for_each(|item| call.out.bulk_or_null(item.as_deref()));
        return;
    };
    call.out.len(found.len());
    if found.is_empty() {
        call.keys.delete(call.client.db, to);
        return;
    }
    let mut list = List::default();
    found.iter().for_each(|item| list.push(End::Right, item.as_deref().unwrap_or_default()));
    call.keys.put(call.client.db, to, Value::List(Box::new(list)), 0);
    call.touched(to);
}
