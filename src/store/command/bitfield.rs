//! Integers of any width inside a string.

use super::{super::value::Text, Call, Outcome, Value, bits, number, refuse};

/// How many bits an integer has, and whether it has a sign.
#[derive(Debug, Clone, Copy)]
struct Width {
    signed: bool,
    bits: u32,
}

/// The treatment of a number that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Get,
    Set(i64),
    Increment(i64),
}

struct Operation {
    what: What,
    width: Width,
    offset: usize,
    overflow: Overflow,
}

impl Width {
    fn parse(word: &[u8]) -> Outcome<Self> {
        let signed = word.first().map(u8::to_ascii_lowercase);
        let bits = word.get(1..).and_then(number::integer).and_then(|bits| u32::try_from(bits).ok());
        match (signed, bits) {
            (Some(b'i'), Some(bits @ 1..=64)) => Ok(Self { signed: true, bits }),
            (Some(b'u'), Some(bits @ 1..=63)) => Ok(Self { signed: false, bits }),
            _ => refuse(
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            ),
        }
    }

    fn range(self) -> (i128, i128) {
        if self.signed { (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) } else { (0, (1 << self.bits) - 1) }
    }

    /// The number that fits, if there is one.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = self.range();
        let fits = match overflow {
            _ if (least..=most).contains(&value) => value,
            Overflow::Fail => return None,
            Overflow::Saturate => value.clamp(least, most),
            Overflow::Wrap => (value - least).rem_euclid(most - least + 1) + least,
        };
        i64::try_from(fits).ok()
    }
}

fn operations(call: &Call<'_>, read_only: bool) -> Outcome<Vec<Operation>> {
    let (mut found, mut overflow, mut at) = (Vec::new(), Overflow::Wrap, 2);
    while at < call.words.len() {
        let left = call.words.len() - at - 1;
        let word = call.word(at).to_ascii_lowercase();
        if &*word == b"overflow" && left >= 1 {
            overflow = match &*call.word(at + 1).to_ascii_lowercase() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return refuse("ERR Invalid OVERFLOW type specified"),
            };
            at += 2;
            continue;
        }
        let operands = match &*word {
            b"get" if left >= 2 => 2,
            b"set" | b"incrby" if left >= 3 => 3,
            _ => return Err(super::Fault::Syntax),
        };
        let width = Width::parse(call.word(at + 1))?;
        let offset = bits::offset(call.word(at + 2), Some(i64::from(width.bits)))?;
        let what = match &*word {
            b"get" => What::Get,
            b"set" => What::Set(call.integer(at + 3)?),
            _ => What::Increment(call.integer(at + 3)?),
        };
        if read_only && !matches!(what, What::Get) {
            return refuse("ERR BITFIELD_RO only supports the GET subcommand");
        }
        found.push(Operation { what, width, offset, overflow });
        at += operands + 1;
    }
    Ok(found)
}

fn read(bytes: &[u8], offset: usize, width: Width) -> i64 {
    let mut value: u64 = 0;
    for place in offset..offset + width.bits as usize {
        let bit = bytes.get(place / 8).is_some_and(|byte| byte & (128 >> (place % 8)) != 0);
        value = value << 1 | u64::from(bit);
    }
    let unused = 64 - width.bits;
    if width.signed { (value << unused).cast_signed() >> unused } else { value.cast_signed() }
}

fn write(bytes: &mut [u8], offset: usize, width: Width, value: i64) {
    for index in 0..width.bits {
        let place = offset + index as usize;
        let mask = 128 >> (place % 8);
        let on = value >> (width.bits - 1 - index) & 1 == 1;
        let byte = &mut bytes[place / 8];
        *byte = if on { *byte | mask } else { *byte & !mask };
    }
}

pub(crate) fn bitfield(call: &mut Call<'_>) -> Outcome {
    run(call, false)
}

pub(crate) fn bitfield_ro(call: &mut Call<'_>) -> Outcome {
    run(call, true)
}

fn run(call: &mut Call<'_>, read_only: bool) -> Outcome {
    let (db, key) = (call.db(), call.word(1));
    let operations = operations(call, read_only)?;
    let text = call.keys.text(db, key)?.map(|text| text.bytes().into_owned());
    let mut bytes = text.unwrap_or_default();
    let writes = operations.iter().filter(|operation| !matches!(operation.what, What::Get));
    let end = writes.map(|operation| (operation.offset + operation.width.bits as usize).div_ceil(8)).max();
    let mut is_other = false;
    if let Some(end) = end
        && bytes.len() < end
    {
        bytes.resize(end, 0);
        is_other = true;
    }
    call.out.array(operations.len());
    for Operation { what, width, offset, overflow } in operations {
        let before = read(&bytes, offset, width);
        let (told, value) = match what {
            What::Get => (Some(before), None),
            What::Set(value) => {
                // A number without a sign is compared as one.
                let wide = if width.signed { i128::from(value) } else { i128::from(value.cast_unsigned()) };
                let fits = width.fit(wide, overflow);
                (fits.map(|_| before), fits)
            }
            What::Increment(by) => {
                let sum = width.fit(i128::from(before) + i128::from(by), overflow);
                (sum, sum)
            }
        };
        if let Some(value) = value {
            is_other |= value != before;
            write(&mut bytes, offset, width, value);
        }
        match told {
            Some(told) => call.out.int(told),
            None => call.out.null(),
        }
    }
    if end.is_some() {
        let exists = call.keys.exists(db, key);
        let value = Value::Text(Text::Raw(bytes));
        if exists {
            call.keys.change(db, key, |old| *old = value);
        } else {
            call.keys.put(db, key, value, 0);
        }
        if is_other {
            call.touched(key);
        }
    }
    Ok(())
}
