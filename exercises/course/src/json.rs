//! JSON, as far as it is written here. Reading it would be a library's work.

/// A string with its quotes.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            '\n' => json += "\\n",
            control if (control as u32) < 0x20 => json += &format!("\\u{:04x}", control as u32),
            other => json.push(other),
        }
    }
    json + "\""
}

/// An object; the values are JSON already.
pub(crate) fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{}:{value}", string(name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// An array; the values are JSON already.
pub(crate) fn array(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_reads_what_is_written() {
        let text: String = (0..0x80u8).map(char::from).chain("é\u{2028}🦀".chars()).collect();
        let written = object(&[("a \"name\"", string(&text)), ("list", array(&["1".into(), "true".into()]))]);
        let read: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(read["a \"name\""], text);
        assert_eq!(read["list"], serde_json::json!([1, true]));
    }
}
