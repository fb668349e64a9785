//! Bits of strings.

use super::{super::value::Text, Call, Fault, Outcome, Value, number, refuse};

/// Bits of the longest string.
const MOST_BITS: i64 = 512 << 23;

const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";

/// The place of a bit. `width`: it may be given as the number of an element of so many bits, behind a `#`.
pub(crate) fn offset(word: &[u8], width: Option<i64>) -> Outcome<usize> {
    let (word, factor) = match (word.strip_prefix(b"#"), width) {
        (Some(rest), Some(width)) => (rest, width),
        _ => (word, 1),
    };
    let offset = number::integer(word).and_then(|offset| offset.checked_mul(factor));
    match offset {
        Some(offset) if (0..MOST_BITS).contains(&offset) => Ok(usize::try_from(offset).unwrap_or_default()),
        _ => refuse(BAD_OFFSET),
    }
}

pub(crate) fn setbit(call: &mut Call<'_>) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let offset = offset(call.word(2), None)?;
    let on = match number::integer(call.word(3)) {
        Some(bit @ 0..=1) => bit == 1,
        _ => return refuse("ERR bit is not an integer or out of range"),
    };
    let exists = call.keys.text(db, key)?.is_some();
    if !exists {
        call.keys.put(db, key, Value::Text(Text::Raw(Vec::new())), 0);
    }
    let mask = 128 >> (offset % 8);
    let changed = call.keys.change(db, key, |value| {
        let Value::Text(text) = value else { return (false, false) };
        let bytes = text.raw();
        let grows = bytes.len() <= offset / 8;
        if grows {
            bytes.resize(offset / 8 + 1, 0);
        }
        let byte = &mut bytes[offset / 8];
        let before = *byte & mask != 0;
        *byte = if on { *byte | mask } else { *byte & !mask };
        (before, grows || before != on)
    });
    let (before, is_other) = changed.unwrap_or_default();
    if is_other {
        call.touched(key);
    }
    call.out.int(i64::from(before));
    Ok(())
}

pub(crate) fn getbit(call: &mut Call<'_>) -> Outcome {
    let offset = offset(call.word(2), None)?;
    let text = call.keys.text(call.client.db, call.word(1))?;
    let is_set = |bytes: &[u8]| bytes.get(offset / 8).is_some_and(|byte| byte & (128 >> (offset % 8)) != 0);
    let bit = text.is_some_and(|text| text.with(is_set));
    call.out.int(i64::from(bit));
    Ok(())
}

/// From one bit to another, both included; `None`: nothing.
fn bits(start: i64, end: i64, by_bit: bool, bytes: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(bytes).unwrap_or(i64::MAX / 8) * if by_bit { 8 } else { 1 };
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let place = |index: i64| if index < 0 { index.saturating_add(len).max(0) } else { index };
    let (start, end) = (place(start), place(end).min(len - 1));
    if start > end {
        return None;
    }
    let (start, end) = if by_bit { (start, end) } else { (start * 8, end * 8 + 7) };
    Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?))
}

/// BYTE or BIT.
fn unit(word: &[u8]) -> Outcome<bool> {
    match &*word.to_ascii_lowercase() {
        b"bit" => Ok(true),
        b"byte" => Ok(false),
        _ => Err(Fault::Syntax),
    }
}

fn bit(bytes: &[u8], place: usize) -> bool {
    bytes[place / 8] & (128 >> (place % 8)) != 0
}

/// The bytes that are whole in a part, and the bits before and behind them.
fn count(bytes: &[u8], start: usize, end: usize) -> usize {
    let (first, last) = (start.div_ceil(8), (end + 1) / 8);
    if first >= last {
        return (start..=end).filter(|place| bit(bytes, *place)).count();
    }
    let whole: usize = bytes[first..last].iter().map(|byte| byte.count_ones() as usize).sum();
    let before = (start..first * 8).filter(|place| bit(bytes, *place)).count();
    let behind = (last * 8..=end).filter(|place| bit(bytes, *place)).count();
    whole + before + behind
}

pub(crate) fn bitcount(call: &mut Call<'_>) -> Outcome {
    let text = call.keys.text(call.client.db, call.word(1))?.map(|text| text.bytes().into_owned());
    let Some(bytes) = text else {
        call.out.int(0);
        return Ok(());
    };
    let range = match call.words.len() {
        2 => bits(0, -1, false, bytes.len()),
        4 | 5 => {
            let (start, end) = (call.integer(2)?, call.integer(3)?);
            let by_bit = call.words.len() == 5 && unit(call.word(4))?;
            bits(start, end, by_bit, bytes.len())
        }
        _ => return Err(Fault::Syntax),
    };
    call.out.len(range.map_or(0, |(start, end)| count(&bytes, start, end)));
    Ok(())
}

pub(crate) fn bitpos(call: &mut Call<'_>) -> Outcome {
    let wanted = match call.integer(2)? {
        0 => false,
        1 => true,
        _ => return refuse("ERR The bit argument must be 1 or 0."),
    };
    let Some(bytes) = call.keys.text(call.client.db, call.word(1))?.map(|text| text.bytes().into_owned()) else {
        call.out.int(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let has_end = call.words.len() >= 5;
    let range = match call.words.len() {
        3 => bits(0, -1, false, bytes.len()),
        4..=6 => {
            let start = call.integer(3)?;
            let by_bit = call.words.len() == 6 && unit(call.word(5))?;
            let end = if has_end { call.integer(4)? } else { -1 };
            bits_from(start, end, by_bit, bytes.len())
        }
        _ => return Err(Fault::Syntax),
    };
    let found = range.and_then(|(start, end)| find(&bytes, start, end, wanted));
    match found {
        Some(place) => call.out.len(place),
        // A string without an end is followed by zeros.
        None if !wanted && !has_end && range.is_some() => call.out.len(bytes.len() * 8),
        None => call.out.int(-1),
    }
    Ok(())
}

/// As [`bits`], but both ends are clamped before they are compared.
fn bits_from(start: i64, end: i64, by_bit: bool, bytes: usize) -> Option<(usize, usize)> {
    let len = i64::try_from(bytes).unwrap_or(i64::MAX / 8) * if by_bit { 8 } else { 1 };
    let place = |index: i64| if index < 0 { index.saturating_add(len).max(0) } else { index };
    bits(place(start), place(end), by_bit, bytes)
}

fn find(bytes: &[u8], start: usize, end: usize, wanted: bool) -> Option<usize> {
    let plain = if wanted { 0 } else { 0xff };
    let mut place = start;
    while place <= end {
        if place.is_multiple_of(8) && place + 7 <= end && bytes[place / 8] == plain {
            place += 8;
        } else if bit(bytes, place) == wanted {
            return Some(place);
        } else {
            place += 1;
        }
    }
    None
}

pub(crate) fn bitop(call: &mut Call<'_>) -> Outcome {
    let (db, to) = (call.db(), call.word(2));
    let what: fn(u8, u8) -> u8 = match &*call.word(1).to_ascii_lowercase() {
        b"and" => |a, b| a & b,
        b"or" => |a, b| a | b,
        b"xor" => |a, b| a ^ b,
        b"not" => |a, _| !a,
        _ => return Err(Fault::Syntax),
    };
    if call.words.is(1, "not") && call.words.len() != 4 {
        return refuse("ERR BITOP NOT must be called with a single source key.");
    }
    let mut sources = Vec::new();
    for key in call.words.from(3) {
        sources.push(call.keys.text(db, key)?.map(|text| text.bytes().into_owned()).unwrap_or_default());
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    let mut sources = sources.into_iter();
    let mut result = sources.next().unwrap_or_default();
    result.resize(len, 0);
    if call.words.is(1, "not") {
        result.iter_mut().for_each(|byte| *byte = what(*byte, 0));
    }
    for source in sources {
        let padded = source.iter().copied().chain(std::iter::repeat(0));
        result.iter_mut().zip(padded).for_each(|(byte, other)| *byte = what(*byte, other));
    }
    call.out.len(len);
    if len == 0 {
        call.keys.delete(db, to);
    } else {
        call.keys.put(db, to, Value::Text(Text::Raw(result)), 0);
        call.touched(to);
    }
    Ok(())
}
