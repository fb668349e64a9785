//! Clients that others have written: mosquitto's and paho. Where one is missing, its test says that it is skipped.

use super::{broker, drivers};
use crate::support::process::programs_are_required;
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Runs a program, to see whether it works here.
fn works(program: &str, args: &[&str], good: i32) -> bool {
    let found = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.code() == Some(good))
}

pub(super) fn is_there(works: bool, program: &str) -> bool {
    assert!(works || !programs_are_required(), "{program} is missing, and REQUIRE_PROGRAMS is set");
    if !works {
        // `println!` would be shown only after a failure.
        let _ = writeln!(std::io::stderr(), "skipped: {program} is not installed");
    }
    works
}

#[test]
fn mosquitto_clients_publish_and_subscribe() {
    // Its help is an error, too.
    if !is_there(works("mosquitto_pub", &["--help"], 1), "mosquitto_pub") {
        return;
    }
    for driver in drivers() {
        let broker = broker(&driver);
        let port = broker.address().port().to_string();
        for version in ["mqttv311", "mqttv5"] {
            let common = ["-h", "127.0.0.1", "-p", &port, "-V", version];
            let run = |program: &str, args: &[&str]| {
                let mut command = Command::new(program);
                command.args(common).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
                command.spawn().unwrap().wait_with_output().unwrap()
            };
            // Retained messages first, of each QoS: then nothing has to be waited for.
            for qos in ["0", "1", "2"] {
                let topic = format!("{version}/{qos}");
                let done = run("mosquitto_pub", &["-t", &topic, "-m", &format!("hello {qos}"), "-q", qos, "-r"]);
                assert!(done.status.success(), "{done:?}");
            }
            let heard = run("mosquitto_sub", &["-t", &format!("{version}/+"), "-q", "2", "-v", "-C", "3", "-W", "20"]);
            let expected: String = (0..3).map(|qos| format!("{version}/{qos} hello {qos}\n")).collect();
            assert_eq!(String::from_utf8_lossy(&heard.stdout), expected, "{version} {driver:?}");
            // A session waits for its client.
            let id = format!("{version}-keeper");
            let expiry: &[&str] = if version == "mqttv5" { &["-x", "3600"] } else { &[] };
            let keeper = [&["-i", &*id, "-c", "-q", "1", "-t", "kept/#"], expiry].concat();
            assert!(run("mosquitto_sub", &[&keeper[..], &["-E"]].concat()).status.success());
            for n in 1..=3 {
                run("mosquitto_pub", &["-t", "kept/x", "-m", &n.to_string(), "-q", "1"]);
            }
            let heard = run("mosquitto_sub", &[&keeper[..], &["-C", "3", "-W", "20"]].concat());
            assert_eq!(String::from_utf8_lossy(&heard.stdout), "1\n2\n3\n");
        }
    }
}

/// Both versions, all qualities, a will, retained messages, and the properties that MQTT 5 passes on.
#[test]
fn paho_does_what_its_users_do() {
    // The system's Python, where another one stands before it.
    let pythons = ["python3", "/usr/bin/python3"];
    let python = pythons.into_iter().find(|python| works(python, &["-c", "import paho.mqtt"], 0));
    if !is_there(python.is_some(), "paho") {
        return;
    }
    let python = python.unwrap();
    let broker = broker(&[]);
    let port = broker.address().port().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/with_paho.py");
    let done = Command::new(python).args([script, &port]).stdin(Stdio::null()).output().unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&done.stdout), "good\n");
}
