//! `--schema`: the keys of a configuration for editors, as a JSON Schema. With it, an editor completes keys, shows what each means, and marks
//! the one that is misspelt.
//!
//! Nothing is listed here that the reader has a list of: keys that are flags come from `keys.rs` and the flags themselves, other keys from the
//! lists by which their tables are read. A key that is added there has no type here until it gets one, and a test says so.
//!
//! The schema is of draft 7, which editors know best. It says what can be said without the other keys: that an upstream exists, or that
//! two keys contradict each other, is for `--check`.

use super::{
    access, edits,
    flags::{Flags, is_optional, is_switch},
    keys::{GLOBAL, GLOBAL_FLAGS, Key, UPSTREAM, UPSTREAM_FLAGS},
    listens, rates, settings, sites, targets,
    times::TIMES,
    upstreams,
};
use clap::{Arg, ArgAction};
use serde_json::{Map, Value, json};

/// The schema of a file.
#[must_use]
pub(super) fn schema() -> Value {
    let mut keys = of_flags(&Flags::new(&GLOBAL_FLAGS, GLOBAL), GLOBAL);
    for (name, default) in TIMES {
        keys.insert(name.to_owned(), json!({"type": "string", "default": default}));
    }
    for name in settings::STRUCTURE.iter().chain(&["include"]) {
        keys.insert((*name).to_owned(), of_structure(name));
    }
    let mut schema = table(keys, &[]);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("the configuration of proxy");
    schema
}

/// A table with these keys and no others.
fn table(keys: Map<String, Value>, required: &[&str]) -> Value {
    json!({"type": "object", "properties": keys, "required": required, "additionalProperties": false})
}

/// The same, of a list that its reader has.
fn table_of(keys: &[&str], required: &[&str]) -> Value {
    table(keys.iter().map(|key| ((*key).to_owned(), of_key(key))).collect(), required)
}

fn any_of(kinds: impl IntoIterator<Item = Value>) -> Value {
    json!({"anyOf": kinds.into_iter().collect::<Vec<_>>()})
}

/// One of them, or a list of them.
fn some(kind: &Value) -> Value {
    any_of([kind.clone(), json!({"type": "array", "items": kind})])
}

fn text() -> Value {
    json!({"type": "string"})
}

/// A number, which may be written as a string: so it may come from the environment.
fn number() -> Value {
    json!({"type": ["integer", "string"]})
}

/// The keys of flags, and tables of such.
fn of_flags(flags: &Flags, keys: &[Key]) -> Map<String, Value> {
    let mut all = Map::new();
    for section in flags.sections() {
        let those = keys.iter().filter(|key| key.section == section);
        let those: Map<String, Value> = those.map(|key| (key.name.to_owned(), of_flag(flags, key))).collect();
        if section.is_empty() {
            all.extend(those);
        } else {
            all.insert(section.to_owned(), table(those, &[]));
        }
    }
    all
}

fn of_flag(flags: &Flags, key: &Key) -> Value {
    let arg = flags.arg(key.flag);
    let mut schema = values(arg);
    if let Some(help) = arg.get_help() {
        schema["description"] = json!(flags.translated(&help.to_string()));
    }
    match (arg.get_action(), arg.get_default_values()) {
        (ArgAction::SetTrue, _) => schema["default"] = json!(key.is_negated()),
        (_, [default]) => schema["default"] = json!(default.to_string_lossy()),
        _ => {}
    }
    schema
}

/// The values that `Flags::set` takes for this flag.
fn values(arg: &Arg) -> Value {
    let names = arg.get_value_names().unwrap_or_default();
    let is_number = ["N", "SIZE", "PORT", "TIME"].iter().any(|name| names.iter().any(|known| known == name));
    let valid: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let one = if !valid.is_empty() {
        json!({"type": "string", "enum": valid})
    } else if is_number {
        number()
    } else {
        text()
    };
    match arg.get_action() {
        ArgAction::SetTrue => json!({"type": "boolean"}),
        ArgAction::Append => some(&one),
        _ if is_switch(arg) || is_optional(arg) => any_of([json!({"type": "boolean"}), one]),
        _ => one,
    }
}

/// The tables that are no flags.
fn of_structure(name: &str) -> Value {
    match name {
        "include" => some(&text()),
        "listen" => json!({"type": "array", "items": table_of(listens::KEYS, &["address"])}),
        "site" => json!({"type": "array", "items": table_of(&sites::with_policy(sites::SITE), &[])}),
        "upstream" => {
            let mut keys = of_flags(&Flags::new(&UPSTREAM_FLAGS, UPSTREAM), UPSTREAM);
            let server = any_of([text(), table_of(upstreams::SERVER, &["address"])]);
            keys.insert("servers".to_owned(), some(&server));
            json!({"type": "object", "additionalProperties": table(keys, &["servers"])})
        }
        // Without a type, anything may stand there: a test finds it.
        _ => json!({}),
    }
}

/// A key that is no flag. A name means the same wherever it stands, except for those of tables of one level.
fn of_key(key: &str) -> Value {
    let off = json!({"enum": [false]});
    match key {
        "address" | "path" | "upstream" | "certificate" | "to" | "body" | "type" | "users" | "realm" | "rate"
        | "name" | "key" => text(),
        "hosts" | "allow" | "deny" | "remove" => some(&text()),
        "default" | "proxy-protocol" | "keep-path" | "pass-on" | "advertise" => json!({"type": "boolean"}),
        "weight" | "max" | "burst" | "status" | "requests-per-client" => number(),
        "tls" => json!({"enum": [false, true, "self-signed"]}),
        "route" => json!({"type": "array", "items": table_of(&sites::with_policy(sites::ROUTE), &["path"])}),
        "redirect" => any_of([text(), table_of(targets::REDIRECT, &["to"])]),
        "respond" => any_of([number(), table_of(targets::RESPOND, &["status"])]),
        "auth" => any_of([off, text(), table_of(access::AUTH, &["users"])]),
        "rate-limit" => any_of([off, some(&any_of([text(), table_of(rates::RATE, &["rate"])]))]),
        "request-headers" | "response-headers" => table_of(edits::KEYS, &[]),
        "set" => json!({"type": "object", "additionalProperties": text()}),
        "add" => json!({"type": "object", "additionalProperties": some(&text())}),
        // As in `of_structure`.
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// The faults of a value, by the keywords of JSON Schema that are used here. Another keyword is an error.
    fn faults(schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                "$schema" | "title" | "description" | "default" | "properties" => {}
                "type" if !is_of_type(wanted, value) => found.push(format!("{at} is no {wanted}")),
                "enum" if !wanted.as_array().unwrap().contains(value) => {
                    found.push(format!("{at} is none of {wanted}"))
                }
                "type" | "enum" => {}
                "anyOf" => {
                    let all: Vec<_> = wanted.as_array().unwrap().iter().map(|kind| faults(kind, value, at)).collect();
                    if all.iter().all(|faults| !faults.is_empty()) {
                        found.extend(all.concat());
                    }
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        found.extend(faults(wanted, item, &format!("{at}[{index}]")));
                    }
                }
                "required" => {
                    let missing =
                        wanted.as_array().unwrap().iter().filter(|key| value.get(key.as_str().unwrap()).is_none());
                    found.extend(missing.filter(|_| value.is_object()).map(|key| format!("{at} has no {key}")));
                }
                "additionalProperties" => {
                    for (key, value) in value.as_object().into_iter().flatten() {
                        let at = format!("{at}.{key}");
                        match schema["properties"].get(key) {
                            Some(schema) => found.extend(faults(schema, value, &at)),
                            None if wanted.is_object() => found.extend(faults(wanted, value, &at)),
                            None => found.push(format!("there is no {at}")),
                        }
                    }
                }
                other => panic!("{other} is not understood here"),
            }
        }
        found
    }

    fn is_of_type(wanted: &Value, value: &Value) -> bool {
        let is = |name: &Value| match name.as_str().unwrap() {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other} is no type"),
        };
        wanted.as_array().map_or_else(|| is(wanted), |names| names.iter().any(is))
    }

    fn of_file(text: &str) -> Vec<String> {
        let value: toml::Value = toml::from_str(text).unwrap();
        // A date is no value of any key, and JSON has none.
        faults(&schema(), &serde_json::to_value(value).unwrap(), "")
    }

    /// Every part of a schema.
    fn visit(schema: &Value, at: &str, each: &mut dyn FnMut(&str, &Value)) {
        each(at, schema);
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            visit(inner, &format!("{at}.{name}"), each);
        }
        for inner in [&schema["items"], &schema["additionalProperties"]].into_iter().filter(|inner| inner.is_object()) {
            visit(inner, at, each);
        }
        schema["anyOf"].as_array().into_iter().flatten().for_each(|inner| visit(inner, at, each));
    }

    #[test]
    fn every_key_has_a_type() {
        let mut count = 0;
        visit(&schema(), "", &mut |at, schema| {
            count += 1;
            let typed = ["type", "enum", "anyOf"].iter().any(|keyword| schema.get(keyword).is_some());
            assert!(typed, "{at} has no type: give it one in of_key or of_structure");
        });
        assert!(count > 150, "{count}");
    }

    #[test]
    fn the_example_with_every_key_is_right_by_the_schema() {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxy.toml")).unwrap();
        assert_eq!(of_file(&text), Vec::<String>::new());
        assert_eq!(of_file(include_str!("demo.toml")), Vec::<String>::new());
        // The keys that are comments there, too, each by itself.
        let (mut section, mut tried, mut unknown) = (String::new(), 0, Vec::new());
        for line in text.lines() {
            let key = line.strip_prefix("# ").unwrap_or(line);
            let is_key = key.split_once(" = ").is_some_and(|(name, _)| !name.contains([' ', '#', '`']));
            if line.starts_with('[') {
                let outer = if line == "[[site.route]]" { "[[site]]\n" } else { "" };
                section = format!("{outer}{line}\n");
            } else if is_key && toml::from_str::<toml::Value>(key).is_ok() {
                tried += 1;
                let faults = of_file(&format!("{section}{key}\n"));
                unknown.extend(faults.into_iter().filter(|fault| !fault.contains(" has no ")));
            }
        }
        assert!(tried > 80, "{tried}");
        assert_eq!(unknown, Vec::<String>::new());
    }

    #[test]
    fn a_key_that_there_is_not_and_a_value_of_another_type_are_faults() {
        for (text, fault) in [
            ("worker = 2", "there is no .worker"),
            ("workers = true", ".workers is no [\"integer\",\"string\"]"),
            ("driver = \"kqueue\"", ".driver is none of [\"auto\",\"epoll\",\"io-uring\"]"),
            ("[cache]\nsise = 1", "there is no .cache.sise"),
            ("[[listen]]\ntls = \"yes\"\naddress = \"a\"", ".listen[0].tls is none of [false,true,\"self-signed\"]"),
            ("[[listen]]\ntls = true", ".listen[0] has no \"address\""),
            ("[[site]]\nhost = \"a\"", "there is no .site[0].host"),
            ("[[site.route]]\nupstream = \"a\"", ".site"),
            ("[upstream.a]\nserver = \"a\"\nservers = []", "there is no .upstream.a.server"),
            ("[upstream.a]\nretries = 1", ".upstream.a has no \"servers\""),
            ("[upstream.a]\nservers = [{ adress = \"a\" }]", "there is no .upstream.a.servers[0].adress"),
            ("[upstream.a.health]\nprobes = 1", ".upstream.a.health.probes is no \"boolean\""),
        ] {
            let faults = of_file(text);
            assert!(faults.iter().any(|found| found.starts_with(fault)), "{text}: {faults:?}");
        }
    }
}
