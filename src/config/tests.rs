//! Each key with a wrong value, and whole files with a mistake: what is said of it is looked at by people.

use super::{
    Memory, Settings,
    flags::is_switch,
    keys::{GLOBAL, Key, UPSTREAM},
};
use crate::cli::Failure;
use clap::{ArgAction, CommandFactory as _};
use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

/// A configuration that is right.
const GOOD: &str = "\
[[listen]]
address = \"127.0.0.1:8080\"
[upstream.web]
servers = [\"127.0.0.1:3000\"]
[[site]]
hosts = [\"a.test\"]
upstream = \"web\"
";

/// A user.
const USERS: &str = "ann:$2y$04$DQUFBQUFBQUFBQUFBQUFBOvloasPCb6U/MniSGxRyDBMIxb1Nc/4O\n";

/// Reads a file and looks at all that can be known without asking the system.
fn read(text: &str) -> Result<Settings, String> {
    let files = [("proxy.toml", text), ("users", USERS)].map(|(name, text)| (name.to_owned(), text.to_owned()));
    read_files(files.into())
}

fn read_files(files: BTreeMap<String, String>) -> Result<Settings, String> {
    let variables = [("SECRET", "hunter2"), ("PORT", "3001"), ("HOST", "b.test")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = Settings::read(Path::new("proxy.toml"), &Memory { files, variables })?;
    match settings.check() {
        Ok(_) => Ok(settings),
        Err(Failure::Usage(text)) => Err(text),
        Err(other) => Err(other.to_string()),
    }
}

/// The configuration with a key more.
fn with(key: &Key, value: &str) -> String {
    let (section, name) = (key.section, key.name);
    let is_of_upstream = UPSTREAM.contains(key);
    let tls = if section == "tls" { "[[listen]]\naddress = \"127.0.0.1:8443\"\ntls = \"self-signed\"\n" } else { "" };
    match (is_of_upstream, section) {
        (false, "") => format!("{name} = {value}\n{GOOD}"),
        (false, section) => format!("{GOOD}{tls}[{section}]\n{name} = {value}\n"),
        (true, "") => format!("{GOOD}[upstream.api]\nservers = [\"127.0.0.1:1\"]\n{name} = {value}\n"),
        (true, section) => {
            format!("{GOOD}[upstream.api]\nservers = [\"127.0.0.1:1\"]\n[upstream.api.{section}]\n{name} = {value}\n")
        }
    }
}

#[test]
fn each_key_refuses_what_its_flag_refuses() {
    let (global, group) = (super::keys::Global::command(), super::keys::Group::command());
    let mut tried = 0;
    for (keys, command) in [(GLOBAL, global), (UPSTREAM, group)] {
        for key in keys {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(key.flag)).expect("it has one");
            let is = |name: &str| arg.get_value_names().unwrap_or_default().iter().any(|known| known == name);
            // A date is no value of any key.
            let mut wrong = vec!["2026-11-30", "{ a = 1 }"];
            match arg.get_action() {
                ArgAction::SetTrue => wrong.extend(["\"yes\"", "1"]),
                _ if is_switch(arg) => wrong.extend(["\"perhaps\"", "1"]),
                _ if is("N") => wrong.extend(["\"many\"", "-1", "99999999999999999999999"]),
                _ if is("PORT") => wrong.extend(["\"https\"", "70000"]),
                _ if is("TIME") => wrong.extend(["5", "\"soon\"", "true"]),
                _ if is("SIZE") => wrong.extend(["\"much\"", "-1", "true"]),
                _ if is("FILE") => wrong.extend(["1", "true"]),
                ArgAction::Append => wrong.extend(["1", "[1]", "true"]),
                _ => wrong.extend(["1", "\"\\u0007\"", "true"]),
            }
            for value in wrong {
                let text = with(key, value);
                let error = read(&text).expect_err(&text);
                let line =
                    text.lines().position(|line| line == format!("{} = {value}", key.name)).expect("it is there") + 1;
                assert!(error.starts_with(&format!("proxy.toml:{line}:")), "{text}\n{error}");
                assert!(error.contains(&format!("`{}`", key.path())), "{text}\n{error}");
                assert!(!error.contains("--") && !error.contains('\n'), "{text}\n{error}");
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "{tried}");
}

/// A value that is no mistake, for each key.
#[test]
fn each_key_takes_what_its_flag_takes() {
    let (global, group) = (super::keys::Global::command(), super::keys::Group::command());
    for (keys, command) in [(GLOBAL, global), (UPSTREAM, group)] {
        for key in keys {
            let arg = command.get_arguments().find(|arg| arg.get_long() == Some(key.flag)).expect("it has one");
            let is = |name: &str| arg.get_value_names().unwrap_or_default().iter().any(|known| known == name);
            let value = match arg.get_action() {
                ArgAction::SetTrue => "true",
                _ if is_switch(arg) => "false",
                // Files are tried where they are.
                _ if is("FILE") => continue,
                _ if ["admin-host", "health-host", "client-cert-header", "health-header"].contains(&key.flag) => {
                    continue;
                }
                _ if is("N") => "2",
                _ if is("PORT") => "443",
                _ if is("TIME") => "\"20s\"",
                _ if is("SIZE") => "\"2k\"",
                _ => match key.flag {
                    "algorithm" => "\"ip-hash\"",
                    "log-level" => "\"warn,socket_patterns=debug\"",
                    "driver" => "\"epoll\"",
                    "on-client-close" => "\"cancel\"",
                    "client-from" => "\"forwarded\"",
                    "trusted-proxy" => "[\"10.0.0.0/8\", \"::1\"]",
                    "health-path" => "\"/health\"",
                    "health-status" => "\"200-299\"",
                    "admin" => "\"127.0.0.1:9090\"",
                    "cache-exclude" | "redirect-except" => "[\"/a/*\", \"/b\"]",
                    "tls-min" | "backend-tls-min" => "\"1.3\"",
                    "log-to" | "access-to" => "\"./access.log\"",
                    "log-format" => "\"json\"",
                    "request-id-field" => "\"X-Correlation-ID\"",
                    "trace-context" => "\"make\"",
                    "explain-token" => "\"0123456789abcdef\"",
                    "proxy-protocol" => "\"v2\"",
                    "access-format" => "\"combined\"",
                    "store" | "cache-store" => "\"redis://127.0.0.1:6379\"",
                    other => panic!("{other}: which value is right?"),
                },
            };
            let text = with(key, value);
            match read(&text) {
                Ok(_) => {}
                // Some mean nothing alone, and say so.
                Err(error) => assert!(error.contains("means nothing"), "{text}\n{error}"),
            }
        }
    }
}

struct Case<'a> {
    name: &'a str,
    files: BTreeMap<String, String>,
    /// As it stands in the file.
    body: &'a str,
    expected: &'a str,
}

fn cases(text: &str) -> (&str, Vec<Case<'_>>) {
    let mut parts = text.split("\n=== ");
    let head = parts.next().expect("split has a first part");
    let cases = parts.map(|part| {
        let (name, rest) = part.split_once('\n').unwrap_or((part, ""));
        let (body, expected) = rest.split_once("\n>>> ").unwrap_or((rest, ""));
        let mut files = BTreeMap::new();
        for (at, file) in body.split("--- ").enumerate() {
            let (name, text) = if at == 0 { ("proxy.toml", file) } else { file.split_once('\n').expect("a name") };
            files.insert(name.to_owned(), format!("{}\n", text.trim_end()).replace("GOOD\n", GOOD));
        }
        Case { name, files, body: body.trim_end(), expected: expected.trim_end() }
    });
    (head, cases.collect())
}

#[test]
fn each_mistake_is_told_with_its_place_and_with_what_to_write() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/broken.txt");
    let text = fs::read_to_string(&path).expect("it is in the repository");
    let (head, cases) = cases(&text);
    assert!(cases.len() >= 100, "{}", cases.len());
    let (mut out, mut wrong) = (head.to_owned(), String::new());
    for case in &cases {
        let error = read_files(case.files.clone()).err().unwrap_or_else(|| format!("NO MISTAKE in {:?}", case.name));
        assert!(!error.contains('\n') && !error.contains("hunter2"), "{error}");
        let _ = write!(out, "\n=== {}\n{}\n>>> {error}", case.name, case.body);
        if error != case.expected {
            let _ = writeln!(wrong, "{}\n  said      {error}\n  expected  {}", case.name, case.expected);
        }
    }
    if env::var_os("BLESS").is_some() {
        fs::write(&path, out + "\n").expect("it can be written");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn variables_and_included_files_are_a_part_of_it() {
    let files = [
        ("proxy.toml", "include = \"sites/*.toml\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n"),
        ("sites/a.toml", "[[site]]\nhosts = [\"a.test\"]\nrespond = { status = 404, body = \"$${HOST}\" }\n"),
        (
            "sites/b.toml",
            "[[site]]\nhosts = [\"${HOST}\"]\nupstream = \"b\"\n[upstream.b]\nservers = [\"127.0.0.1:${PORT}\"]\n",
        ),
        ("sites/.hidden.toml", "nonsense"),
        ("sites/b.toml~", "nonsense"),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let settings = read_files(files).unwrap();
    let hosts: Vec<&str> = settings.sites.iter().map(|site| site.site.name.as_str()).collect();
    assert_eq!(
        (hosts, settings.upstreams[0].servers[0].address.as_str()),
        (vec!["a.test", "b.test"], "127.0.0.1:3001")
    );
    assert!(format!("{:?}", settings.sites[0].site).contains("${HOST}"));
}

const RICH: &str = "\
workers = 2
[[listen]]
address = \"127.0.0.1:8080\"
proxy-protocol = true
[[listen]]
address = \"127.0.0.1:8443\"
tls = \"self-signed\"
[[site]]
hosts = [\"a.test\", \"*.a.test\"]
upstream = \"web\"
[[site.route]]
path = \"=/x\"
redirect = \"/\"
[[site.route]]
path = \"/y\"
respond = 404
auth = { users = \"users\", realm = \"x\", pass-on = true }
request-headers = { set = { X-Key = \"hunter2\", X-Env = \"a\", X-Host = \"${HOST}\" }, remove = [\"Cookie\"] }
[[site.route]]
path = \"/away\"
auth = false
rate-limit = [\"10/s\", { rate = \"600/m\", burst = 5, key = \"header:X-Key\", name = \"b\" }]
requests-per-client = 7
allow = [\"10.0.0.0/8\", \"::1\"]
deny = [\"10.9.0.0/16\"]
redirect = { to = \"https://{host}/{rest}{query}\", status = 303 }
response-headers = { set = { X-Frame-Options = \"DENY\" }, add = { Link = [\"</a>\", \"</b>\"] } }
[[site]]
default = true
redirect = { to = \"https://a.test/new\", status = 302, keep-path = false }
[upstream.web]
servers = [\"127.0.0.1:3000\", { address = \"127.0.0.1:3001\", weight = 3, max = 5 }]
algorithm = \"least-connections\"
health = { path = \"/health\", headers = [\"Authorization: hunter2\"], interval = \"1500ms\" }
[cache]
size = \"1m\"
exclude = [\"/a\\\"b\"]
status = false
[forwarding]
trusted-proxies = \"10.0.0.0/8\"
";

#[test]
fn the_printed_file_means_the_same_and_hides_secrets() {
    let settings = read(RICH).unwrap();
    let printed = settings.print();
    assert!(!printed.contains("hunter2"), "{printed}");
    let again = read(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again.print(), printed);
    let difference = settings.diff(&again);
    // Values that are hidden are others in the printed file.
    let [headers, key] = &difference[..] else { panic!("{difference:?}") };
    assert!(headers.contains("health.headers") && key.contains("route /y: request-headers"), "{difference:?}");
    for line in [
        "workers = 2",
        "interval = \"1500ms\"",
        "# timeout = \"1s\"",
        "headers = [\"Authorization: (hidden)\"]",
        "status = false",
        "request-headers = { remove = [\"Cookie\"], set = { \"X-Env\" = \"a\", \"X-Host\" = \"${HOST}\", \"X-Key\" = \"(hidden)\" } }",
        "response-headers = { set = { \"X-Frame-Options\" = \"DENY\" }, add = { \"Link\" = [\"</a>\", \"</b>\"] } }",
        "redirect = { to = \"https://{host}/{rest}{query}\", status = 303 }",
        "allow = [\"10.0.0.0/8\", \"::1\"]",
        "deny = [\"10.9.0.0/16\"]",
        "auth = { users = \"users\", realm = \"x\", pass-on = true }",
        "auth = false",
        "rate-limit = [{ rate = \"10/s\", burst = 10, key = \"client\", name = \"default\" }, { rate = \"600/m\", burst = 5, key = \"header:X-Key\", name = \"b\" }]",
        "requests-per-client = 7",
        "proxy-protocol = true",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    let store = read(&format!("store = \"redis://ann:hunter2@h:1/2\"\n{GOOD}")).unwrap().print();
    assert!(store.contains("store = \"redis://(hidden)@h:1/2\"") && !store.contains("hunter2"), "{store}");
    let token = |token: &str| read(&format!("[explain]\ntoken = \"{token}\"\n{}", GOOD)).unwrap();
    let (old, new) = (token("a:hunter2-0123456789"), token("hunter2://hunter2@0123456789"));
    assert_eq!(old.diff(&new), ["explain.token: \"(hidden)(hidden)\", with another secret than before"]);
    for settings in [&old, &new] {
        assert!(!settings.print().contains("hunter2"), "{}", settings.print());
        assert_eq!(read(&settings.print()).unwrap().print(), settings.print());
    }
    assert_eq!(
        read(GOOD).unwrap().diff(&old).concat(),
        "explain.token: nothing → \"(hidden)(hidden)\"",
        "it is not shown where it is new, either"
    );
    let secret = read(&format!("log-level = \"${{LEVEL}}\"\n{GOOD}").replace("${LEVEL}", "info"));
    assert!(secret.is_ok());
    let named = read(&GOOD.replace("[upstream.web]", "[upstream.web]\nhealth = { path = \"/${SECRET}\" }")).unwrap();
    assert!(named.print().contains("path = \"/${SECRET}\""), "{}", named.print());
}

/// A name that is a file because of the `./` before it stays one, whatever the path of the file that names it.
#[test]
fn a_place_of_logs_beside_the_file_is_a_file() {
    for name in ["./requests", "./stderr", "./syslog", "./syslog:x", "logs/../requests", "./access.log"] {
        let settings =
            read(&format!("{GOOD}[log]\naccess-to = \"{name}\"\n")).unwrap_or_else(|error| panic!("{error}"));
        let printed = settings.print();
        let again = read(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
        assert_eq!((again.print(), settings.diff(&again)), (printed, Vec::new()), "{name}");
    }
    for name in ["requests", "stdout", "logs/"] {
        assert!(read(&format!("{GOOD}[log]\naccess-to = \"{name}\"\n")).is_err(), "{name}");
    }
}

#[test]
fn an_address_is_one_host_however_it_is_written() {
    for (written, host) in
        [("[0:0::1]", "[::1]"), ("[2001:DB8:0:0::7]", "[2001:db8::7]"), ("[::1]", "[::1]"), ("127.0.0.1", "127.0.0.1")]
    {
        let settings = read(&GOOD.replace("a.test", written)).unwrap();
        assert_eq!(settings.sites[0].site.hosts, [host], "{written}");
    }
    let twice = read(&GOOD.replace("\"a.test\"", "\"[::1]\", \"[0:0:0:0:0:0:0:1]\"")).unwrap_err();
    assert!(twice.contains("the host [::1] is given twice"), "{twice}");
}

#[test]
fn a_difference_is_one_in_meaning() {
    let old = read(RICH).unwrap();
    let same = RICH
        .replace("\"1500ms\"", "\"1s 500ms\"")
        .replace("\"1m\"", "\"1024k\"")
        .replace("workers = 2", "workers = 2 # two");
    assert_eq!(old.diff(&read(&same).unwrap()), Vec::<String>::new());
    for (from, to, expected) in [
        ("workers = 2", "workers = 3", "workers: 2 → 3"),
        ("size = \"1m\"", "size = \"2m\"", "cache.size: \"1m\" → \"2m\""),
        ("size = \"1m\"\n", "", "cache.size: \"1m\" → \"256m\" (default)"),
        ("status = false", "status = true", "cache.status: false → true"),
        ("\"127.0.0.1:3000\", ", "", "upstream web: server 127.0.0.1:3000 removed"),
        (
            "\"127.0.0.1:3000\", ",
            "\"127.0.0.1:3000\", \"127.0.0.1:3002\", ",
            "upstream web: server 127.0.0.1:3002 added",
        ),
        ("weight = 3", "weight = 4", "upstream web: server 127.0.0.1:3001: weight 3 → 4"),
        ("max = 5", "max = 6", "upstream web: server 127.0.0.1:3001: max 5 → 6"),
        ("\"/health\"", "\"/ready\"", "upstream web: health.path: \"/health\" → \"/ready\""),
        ("least-connections", "ip-hash", "upstream web: algorithm: \"least-connections\" → \"ip-hash\""),
        ("\"*.a.test\"", "\"b.test\"", "site a.test: host b.test added"),
        ("\"*.a.test\"", "\"b.test\"", "site a.test: host *.a.test removed"),
        ("path = \"/y\"", "path = \"/z\"", "site a.test: route /y removed"),
        ("respond = 404", "respond = 410", "respond = { status = 410, body = \"410 Gone\\n\" }"),
        ("\"10/s\"", "\"11/s\"", "site a.test: route /away: rate-limit: [{"),
        ("requests-per-client = 7", "requests-per-client = 8", "site a.test: route /away: requests-per-client: 7 → 8"),
        ("proxy-protocol = true\n", "", "listen 127.0.0.1:8080: proxy-protocol: true → false"),
        ("auth = false\n", "", "site a.test: route /away: auth: false → nothing"),
        ("realm = \"x\"", "realm = \"y\"", "site a.test: route /y: auth: {"),
        ("10.9.0.0/16", "10.8.0.0/16", "site a.test: route /away: deny: [\"10.9.0.0/16\"] → [\"10.8.0.0/16\"]"),
        ("DENY", "SAMEORIGIN", "site a.test: route /away: response-headers: {"),
        ("\"hunter2\", X-Env", "\"hunter3\", X-Env", "site a.test: route /y: request-headers: {"),
        ("{rest}{query}", "{rest}", "site a.test: route /away: redirect = {"),
        ("127.0.0.1:8080", "127.0.0.1:8081", "listen 127.0.0.1:8081 added"),
        ("127.0.0.1:8080", "127.0.0.1:8081", "listen 127.0.0.1:8080 removed"),
        ("default = true", "hosts = [\"c.test\"]", "site default removed"),
    ] {
        let difference = old.diff(&read(&RICH.replace(from, to)).unwrap());
        assert!(difference.iter().any(|line| line.contains(expected)), "{from} → {to}: {difference:?}");
    }
}

#[test]
fn changes_of_a_route_follow_those_of_its_site() {
    let site = "[[listen]]\naddress = \"127.0.0.1:8080\"\n[[site]]\nhosts = [\"a.test\"]\nrespond = 404\n\
                response-headers = { remove = [\"Server\"], set = { A = \"1\", B = \"1\" }, add = { C = \"1\" } }\n\
                [[site.route]]\npath = \"/x\"\nrespond = 404\n\
                response-headers = { remove = [\"b\"], set = { a = \"2\", Server = \"x\" }, add = { C = \"2\" } }\n";
    let settings = read(site).unwrap();
    let printed = settings.print();
    for line in [
        "response-headers = { remove = [\"Server\"], set = { \"A\" = \"1\", \"B\" = \"1\" }, add = { \"C\" = \"1\" } }",
        "response-headers = { remove = [\"b\"], set = { \"Server\" = \"x\", \"a\" = \"2\" }, add = { \"C\" = [\"1\", \"2\"] } }",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    assert_eq!(settings.diff(&read(&printed).unwrap()), Vec::<String>::new());
}

/// Every key is in the example, with its value or as a comment.
#[test]
fn the_example_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxy.toml");
    let text = fs::read_to_string(path).expect("it is in the repository");
    let (mut section, mut there) = (String::new(), Vec::new());
    for line in text.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(header) = line.strip_prefix('[').and_then(|line| line.split(']').next()) {
            section = header.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            there.push(format!("{section}.{key}"));
        }
    }
    for (keys, prefix) in [(GLOBAL, ""), (UPSTREAM, "upstream.web")] {
        for Key { section, name, .. } in keys {
            let dot = if prefix.is_empty() || section.is_empty() { "" } else { "." };
            let path = format!("{prefix}{dot}{section}.{name}");
            assert!(there.contains(&path), "{path} is not in docs/proxy.toml");
        }
    }
    for key in super::policy::KEYS {
        assert!(there.contains(&format!("[site.{key}")), "{key} is not in docs/proxy.toml");
    }
}
