//! The longest text that two strings have in common, with gaps.

use super::{Call, Fault, Outcome, Value, refuse};

/// Bytes of the table of LCS: one word for each pair of bytes, so it is bounded as the original's is by memory.
const MOST_PAIRS: usize = 64 << 20;

#[derive(Default)]
struct LcsOptions {
    len: bool,
    idx: bool,
    with_len: bool,
    least: i64,
}

fn lcs_options(call: &Call<'_>) -> Outcome<LcsOptions> {
    let (mut options, mut at) = (LcsOptions::default(), 3);
    while at < call.words.len() {
        match &*call.word(at).to_ascii_lowercase() {
            b"idx" => options.idx = true,
            b"len" => options.len = true,
            b"withmatchlen" => options.with_len = true,
            b"minmatchlen" if at + 1 < call.words.len() => {
                at += 1;
                options.least = call.integer(at)?.max(0);
            }
            _ => return Err(Fault::Syntax),
        }
        at += 1;
    }
    if options.idx && options.len {
        return refuse("ERR If you want both the length and indexes, please just use IDX.");
    }
    Ok(options)
}

/// The table of the lengths of what the beginnings have in common.
fn lcs_table(a: &[u8], b: &[u8]) -> Vec<u32> {
    let width = b.len() + 1;
    let mut table = vec![0_u32; (a.len() + 1) * width];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            table[i * width + j] = if a[i - 1] == b[j - 1] {
                table[(i - 1) * width + j - 1] + 1
            } else {
                table[(i - 1) * width + j].max(table[i * width + j - 1])
            };
        }
    }
    table
}

/// A part of both strings that is equal: where it begins in each, and its length.
type Part = (usize, usize, usize);

/// The way back through the table: what both have in common, and the parts it is made of, the last one first.
fn lcs_walk(a: &[u8], b: &[u8], table: &[u32]) -> (Vec<u8>, Vec<Part>) {
    let width = b.len() + 1;
    let (mut i, mut j, mut common, mut parts) = (a.len(), b.len(), Vec::new(), Vec::<Part>::new());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            common.push(a[i - 1]);
            match parts.last_mut() {
                Some((x, y, len)) if *x == i && *y == j => (*x, *y, *len) = (i - 1, j - 1, *len + 1),
                _ => parts.push((i - 1, j - 1, 1)),
            }
            (i, j) = (i - 1, j - 1);
        } else if table[(i - 1) * width + j] > table[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    common.reverse();
    (common, parts)
}

pub(crate) fn lcs(call: &mut Call<'_>) -> Outcome {
    let mut strings = Vec::new();
    for key in [call.word(1), call.word(2)] {
        strings.push(match call.keys.read(call.client.db, key) {
            None => Vec::new(),
            Some(Value::Text(text)) => text.bytes().into_owned(),
            Some(_) => return refuse("ERR The specified keys must contain string values"),
        });
    }
    let options = lcs_options(call)?;
    let (a, b) = (&strings[0], &strings[1]);
    if a.len().saturating_mul(b.len()) > MOST_PAIRS {
        return refuse("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    }
    let table = lcs_table(a, b);
    let (common, parts) = lcs_walk(a, b, &table);
    if options.len {
        call.out.len(common.len());
    } else if options.idx {
        let least = usize::try_from(options.least).unwrap_or(usize::MAX);
        let told: Vec<&Part> = parts.iter().filter(|part| part.2 >= least).collect();
        call.out.map(2);
        call.out.bulk(b"matches");
        call.out.array(told.len());
        for (x, y, len) in told {
            call.out.array(if options.with_len { 3 } else { 2 });
            for start in [x, y] {
                call.out.array(2);
                call.out.len(*start);
                call.out.len(start + len - 1);
            }
            if options.with_len {
                call.out.len(*len);
            }
        }
        call.out.bulk(b"len");
        call.out.len(common.len());
    } else {
        call.out.bulk(&common);
    }
    Ok(())
}
