//! How a run begins and ends.

use crate::{
    SERVER, client,
    support::{
        process::{PATIENCE, start},
        raw::{Backend, refusing_address},
        shell::Shell,
    },
};
use assert_cmd::Command;
use predicates::str::contains;
use socket_patterns::client::MAX_REQUEST;

fn run(args: &[&str]) -> assert_cmd::assert::Assert {
    Command::new(env!("CARGO_BIN_EXE_client")).args(args).assert()
}

#[test]
fn help_shows_defaults_and_an_example() {
    let mut help = run(&["--help"]).code(0);
    for expected in ["--connect", "127.0.0.1:8080", "--in-flight", "[default: 100ms]", "Example:", "--fallback"] {
        help = help.stdout(contains(expected));
    }
}

#[test]
fn wrong_flags_exit_with_2() {
    for args in [
        &["--nonsense"][..],
        &["stray"],
        &["--connect", "localhost"],
        &["--pool", "2", "--in-flight", "3"],
        &["--deadline", "5"],
        &["--jitter", "101"],
    ] {
        run(args).code(2).stdout("");
    }
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let address = refusing_address().to_string();
    for mode in [&[][..], &["--pool", "2"]] {
        let expected = format!("error: nothing listens on {}: start the server", address);
        let args = [&["--connect", address.as_str()], mode].concat();
        run(&args).code(1).stderr(contains(expected)).stderr(contains("--service command")).stdout("");
    }
}

#[test]
fn an_empty_input_is_no_mistake_and_a_wrong_line_is_one() {
    let server = start(SERVER, &["--service", "command"]);
    let name = server.address().to_string();
    for (input, code, stdout, stderr) in [
        ("", 0, "", ""),
        ("\n \n", 0, "", ""),
        ("PING", 0, "PONG\n", ""),
        ("#1 PING\nPING\n", 3, "PONG\n", "! line 1 \"#1 PING\": the client itself numbers the commands\n"),
    ] {
        let mut client = client(&name, &[]);
        client.feed(input.to_owned());
        assert_eq!((client.wait().code(), client.stdout().as_str()), (Some(code), stdout), "{input:?}");
        assert!(client.stderr().starts_with(stderr), "{input:?}: {}", client.stderr());
    }
    // Too long by far, by a little, and not at all.
    let lengths = [100_000, 66_000, MAX_REQUEST - 4, MAX_REQUEST - 5];
    let mut client = client(&name, &[]);
    client.feed(lengths.map(|length| format!("ECHO {}\n", "x".repeat(length))).concat() + "PING\n");
    assert_eq!(client.wait().code(), Some(3));
    assert_eq!(client.stdout(), format!("{}\nPONG\n", "x".repeat(MAX_REQUEST - 5)));
    let refused = client.stderr().matches(&format!("a command is at most {MAX_REQUEST} bytes long")).count();
    assert_eq!(refused, 3, "{}", client.stderr());
}

#[test]
fn a_user_who_reads_no_answers_wants_no_more() {
    let server = start(SERVER, &["--service", "command"]);
    let script = "yes PING | \"$0\" --connect \"$1\" | head -n 3";
    let ended = Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_client"), &server.address().to_string()])
        .timeout(PATIENCE)
        .assert();
    ended.code(0).stdout("PONG\nPONG\nPONG\n").stderr("");
}

#[test]
fn commands_after_quit_are_named() {
    let server = start(SERVER, &["--service", "command"]);
    let name = server.address().to_string();
    for mode in [&[][..], &["--in-flight", "1"], &["--pool", "1"], &["--pool", "3"], &["--unordered"]] {
        let answered = if mode == ["--unordered"] { "#1 a\n#2 BYE\n" } else { "a\nBYE\n" };
        let mut quitting = client(&name, mode);
        // The blank line asks for nothing, and the last one is not valid anyway.
        quitting.feed("ECHO a\nquit\nECHO b\n\nQUIT\n#1 PING".to_owned());
        assert_eq!(quitting.wait().code(), Some(3), "{mode:?}");
        assert_eq!(quitting.stdout(), answered, "{mode:?}");
        let named = [(3, "ECHO b"), (5, "QUIT"), (6, "#1 PING")];
        let lines = named.map(|(line, text)| format!("! line {line} {text:?}: not sent: it comes after QUIT\n"));
        assert_eq!(quitting.stderr(), lines.concat() + "error: 3 commands have no answer\n", "{mode:?}");
    }
    // The client does not wait for the end of an input in which nothing follows.
    let mut open = client(&name, &[]);
    open.line("QUIT");
    assert_eq!((open.wait().code(), open.stdout().as_str(), open.stderr().as_str()), (Some(0), "BYE\n", ""));
    // A last line without its end is a line, although its writer has not closed the pipe.
    let mut unended = client(&name, &[]);
    unended.text("QUIT\nECHO a");
    assert_eq!((unended.wait().code(), unended.stdout().as_str()), (Some(3), "BYE\n"));
    assert!(
        unended.stderr().starts_with("! line 2 \"ECHO a\": not sent: it comes after QUIT\n"),
        "{}",
        unended.stderr()
    );
    // With anything behind it, it is another command, and a wrong one.
    let mut wrong = client(&name, &[]);
    wrong.feed("QUIT now\nPING\n".to_owned());
    assert_eq!(wrong.wait().code(), Some(0));
    assert_eq!(wrong.stdout(), "ERROR this command takes nothing after its name\nPONG\n");
}

#[test]
fn an_input_without_an_end_does_not_keep_a_client_that_was_to_quit() {
    let server = start(SERVER, &["--service", "command"]);
    let script = "(echo QUIT; yes PING) | \"$0\" --connect \"$1\"";
    let ended = Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_client"), &server.address().to_string()])
        .timeout(PATIENCE)
        .assert();
    ended.code(3).stdout("BYE\n").stderr(contains("line 2 \"PING\": not sent: it comes after QUIT"));
}

#[test]
fn commands_read_before_an_interrupt_are_named() {
    let (server, incoming) = Backend::by_hand();
    // One is asked, one is to be asked next, and one waits to be looked at.
    let mut waiting = client(&server.name(), &["--in-flight", "1"]);
    waiting.feed("ECHO x\nECHO y\nECHO z\n".to_owned());
    let mut conn = incoming.accept();
    conn.read_until("#1 ECHO x\n");
    assert_eq!(interrupt(&mut waiting), Some(3));
    let stderr = waiting.stderr();
    for named in
        ["line 1 \"ECHO x\": may have been executed", "line 2 \"ECHO y\": not sent", "line 3 \"ECHO z\": not sent"]
    {
        assert!(stderr.contains(named), "{stderr}");
    }
    assert!(stderr.ends_with("error: 3 commands have no answer\n"), "{stderr}");
}

/// Interrupts a client that waits for an answer.
fn interrupt(client: &mut Shell) -> Option<i32> {
    client.signal("INT");
    client.wait().code()
}

#[test]
fn an_interrupt_ends_it_and_what_has_no_answer_is_reported() {
    for mode in [&[][..], &["--in-flight", "1"], &["--pool", "2"]] {
        let (server, incoming) = Backend::by_hand();
        let mut waiting = client(&server.name(), mode);
        waiting.line("ECHO x");
        let mut conn = incoming.accept();
        conn.read_until("#1 ECHO x\n");
        assert_eq!(interrupt(&mut waiting), Some(3));
        assert!(waiting.stderr().contains("may have been executed"), "{}", waiting.stderr());
    }
    let (server, incoming) = Backend::by_hand();
    let mut idle = client(&server.name(), &[]);
    drop(incoming.accept());
    idle.wait_for_stderr("trying again");
    assert_eq!(interrupt(&mut idle), Some(0));
}
