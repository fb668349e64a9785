//! A connection to the gateway, with a command server that answers when the test says so.

use super::{Commands, Config, Done, Gateway, exchange::WINDOW};
use crate::{
    client::{Answer, Cause, Error, Request, Written},
    service::testing::{drain, now, take},
    session::{CloseReason, Session as _, Wants},
    time::Now,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Commands that were asked, in order.
#[derive(Default)]
struct Asked(Mutex<Vec<(String, Option<Done>)>>);

impl Commands for Asked {
    fn ask(&self, request: Request, done: Done) {
        let idempotent = if request.is_idempotent() { "" } else { " once" };
        self.0.lock().unwrap().push((format!("{}{idempotent}", request.text()), Some(done)));
    }
}

impl Asked {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(text, _)| text.clone()).collect()
    }

    fn tell(&self, number: usize, result: Result<&str, Error>) {
        let done = self.0.lock().unwrap()[number].1.take().expect("it is told once");
        done(result.map(|text| Answer { text: text.to_owned(), tries: 1 }));
    }
}

struct Visit {
    session: Gateway<Asked>,
    asked: Arc<Asked>,
    now: Now,
}

impl Visit {
    fn new() -> Self {
        let (asked, now) = (Arc::new(Asked::default()), now());
        Self { session: Gateway::new(Arc::new(Config::default()), asked.clone(), now), asked, now }
    }

    fn say(&mut self, text: &str) -> String {
        self.session.receive(text.as_bytes(), self.now);
        self.said()
    }

    fn said(&mut self) -> String {
        String::from_utf8(drain(&mut self.session)).unwrap()
    }

    /// The answer to a command comes; what the client is told then.
    fn tell(&mut self, number: usize, text: &str) -> String {
        self.tell_result(number, Ok(text))
    }

    fn tell_result(&mut self, number: usize, result: Result<&str, Error>) -> String {
        self.asked.tell(number, result);
        self.session.woken(self.now);
        self.said()
    }
}

fn post(path: &str, content: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Status and content of a response with a length.
fn parts(response: &str) -> (u16, &str) {
    let (head, content) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {response:?}"));
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", content.len())), "{response}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), content)
}

fn lost() -> Error {
    Error::MaybeExecuted { written: Written::Wholly, cause: Cause::Ended }
}

#[test]
fn each_path_stands_for_a_command() {
    for (request, command, answer, content) in [
        (get("/ping"), "PING", "PONG", "PONG\n"),
        (get("/time"), "TIME", "TIME 2026-07-29T12:00:00Z", "TIME 2026-07-29T12:00:00Z\n"),
        (get("/stats"), "STATS", "STATS commands=1 errors=0", "{\"commands\":1,\"errors\":0}\n"),
        (post("/echo", "two words"), "ECHO two words", "two words", "two words\n"),
        (post("/command", "PAY 5\r\n"), "PAY 5 once", "paid", "{\"status\":200,\"answer\":\"paid\"}\n"),
        (post("/command", "\n\n ping \n\n"), " ping ", "PONG", "{\"status\":200,\"answer\":\"PONG\"}\n"),
    ] {
        for cut in 0..request.len() {
            let mut visit = Visit::new();
            assert_eq!(visit.say(&request[..cut]) + &visit.say(&request[cut..]), "", "{request}");
            assert_eq!(visit.asked.all(), [command]);
            assert_eq!(visit.session.wants(), Wants::Flush, "nothing is read while it waits");
            assert_eq!(parts(&visit.tell(0, answer)), (200, content));
            assert_eq!(visit.session.wants(), Wants::Input);
        }
    }
}

#[test]
fn the_only_command_decides_the_status() {
    for (result, status, content) in [
        (Ok("ERROR unknown command"), 400, r#"{"status":400,"error":"unknown command","executed":"no"}"#),
        (
            Err(lost()),
            502,
            r#"{"status":502,"error":"the command server went away before it answered","executed":"unknown"}"#,
        ),
        (
            Err(Error::NotSent(Cause::Busy)),
            503,
            r#"{"status":503,"error":"the command server has no room","executed":"no"}"#,
        ),
    ] {
        let mut visit = Visit::new();
        visit.say(&post("/command", "PAY 5"));
        let response = visit.tell_result(0, result);
        assert_eq!(parts(&response), (status, &*format!("{content}\n")));
        assert_eq!(response.contains("\r\nRetry-After: 1\r\n"), status == 503);
    }
    // Text that cannot be a command does not reach the server.
    for content in ["QUIT", "quit now", "#1 PING", "", "\r\n \n", &"x".repeat(9000)] {
        let mut visit = Visit::new();
        assert_eq!(parts(&visit.say(&post("/command", content))).0, 400, "{content:?}");
        assert_eq!(visit.asked.all(), [""; 0]);
    }
}

#[test]
fn several_commands_are_answered_in_order_as_their_answers_come() {
    let mut visit = Visit::new();
    let head = visit.say(&post("/command", "ONE\nTWO\n\nTHREE\nFOUR"));
    assert_eq!(visit.asked.all(), ["ONE once", "TWO once", "THREE once", "FOUR once"]);
    assert_eq!(visit.tell(2, "third"), "");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    let first = "{\"line\":1,\"status\":200,\"answer\":\"first\"}\n";
    assert_eq!(visit.tell(0, "first"), format!("{:x}\r\n{first}\r\n", first.len()));
    let rest = visit.tell_result(1, Err(lost()));
    assert!(rest.contains("{\"line\":2,\"status\":502,\"error\":\"the command server went away"), "{rest}");
    assert!(rest.contains("{\"line\":3,\"status\":200,\"answer\":\"third\"}\n"), "{rest}");
    let end = visit.tell(3, "fourth");
    assert!(end.contains("{\"line\":4,") && end.ends_with("\r\n0\r\n\r\n"), "{end}");
    assert_eq!(visit.session.wants(), Wants::Input);
}

/// The first answers are there before the request has come to its end.
#[test]
fn commands_are_asked_as_their_lines_come() {
    let mut visit = Visit::new();
    visit.say("POST /command HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nONE\n\r\n");
    assert_eq!(visit.tell(0, "first"), "", "it may be the only one");
    assert_eq!(visit.session.wants(), Wants::Input);
    let said = visit.say("6\r\nTWO\nTH\r\n");
    assert!(said.contains("\"answer\":\"first\"}"), "{said}");
    assert_eq!(visit.asked.all(), ["ONE once", "TWO once"]);
    assert!(visit.tell(1, "second").contains("\"answer\":\"second\"}"));
    visit.say("3\r\nREE\r\n0\r\n\r\n");
    assert_eq!(visit.asked.all()[2], "THREE once");
    assert!(visit.tell(2, "third").ends_with("\r\n0\r\n\r\n"));
}

#[test]
fn a_client_with_many_commands_waits_for_its_own_answers() {
    let mut visit = Visit::new();
    let content: String = (0..1000).map(|n| format!("DO {n}\n")).collect();
    visit.say(&post("/command", &content));
    assert_eq!(visit.asked.all().len(), WINDOW);
    assert_eq!(visit.session.wants(), Wants::Flush);
    let mut said = String::new();
    for number in 0..1000 {
        assert!(visit.asked.all().len() <= number + WINDOW);
        said += &visit.tell(number, "done");
    }
    assert_eq!(said.matches("\"answer\":\"done\"").count(), 1000);
    assert!(said.ends_with("0\r\n\r\n") && said.contains("{\"line\":1000,"), "{}", &said[said.len() - 200..]);
}

/// Answers wait for a client that takes none, and no more is asked for it.
#[test]
fn a_client_that_does_not_read_is_asked_for_no_more() {
    let mut visit = Visit::new();
    let content: String = (0..1000).map(|n| format!("DO {n}\n")).collect();
    visit.session.receive(post("/command", &content).as_bytes(), visit.now);
    let long = "x".repeat(8000);
    for number in 0.. {
        if visit.asked.all().len() <= number {
            break;
        }
        visit.asked.tell(number, Ok(&long));
        visit.session.woken(visit.now);
    }
    let (asked, waits) = (visit.asked.all().len(), visit.session.output().len());
    assert!(asked <= 2 * WINDOW && waits < 100_000, "{asked} asked, {waits} bytes wait");
    take(visit.session.output());
    assert!(!visit.said().is_empty());
    assert!(visit.asked.all().len() > asked, "it goes on");
    visit.session.expire(visit.now.after(Duration::from_secs(31)));
}

/// Few long commands weigh as much as many short ones.
#[test]
fn long_commands_are_asked_a_few_at_a_time() {
    let mut visit = Visit::new();
    let content = format!("DO {}\n", "x".repeat(8000)).repeat(40);
    visit.session.receive(post("/command", &content).as_bytes(), visit.now);
    let asked = visit.asked.all().len();
    assert!((8..=9).contains(&asked), "{asked}");
    // Its answer is here, and waits for the first.
    visit.tell(1, &"y".repeat(8000));
    assert_eq!(visit.asked.all().len(), asked);
    assert!(visit.tell(0, "done").len() > 8000);
    assert!(visit.asked.all().len() > asked);
}

/// The answer took its time; the client, which goes on when it has it, has all of its own.
#[test]
fn the_time_of_a_client_begins_when_its_answer_is_there() {
    let mut visit = Visit::new();
    visit.say("POST /command HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nONE\nTWO\n");
    visit.now = visit.now.after(Duration::from_secs(60));
    visit.tell(0, "first");
    visit.tell(1, "second");
    let mut expire = |seconds| {
        visit.session.expire(visit.now.after(Duration::from_secs(seconds)));
        visit.session.wants()
    };
    assert_eq!(expire(29), Wants::Input);
    assert_eq!(expire(30), Wants::Close(CloseReason::TooSlow));
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let mut visit = Visit::new();
    assert_eq!(visit.say(&[get("/ping"), get("/time"), get("/")].concat()), "");
    assert_eq!(visit.asked.all(), ["PING"], "one after the other");
    assert_eq!(parts(&visit.tell(0, "PONG")), (200, "PONG\n"));
    let rest = visit.tell(1, "TIME now");
    assert!(rest.contains("\r\n\r\nTIME now\n") && rest.ends_with("a line each, in order\n"), "{rest}");
}

#[test]
fn a_failure_in_the_middle_of_text_is_seen() {
    let mut visit = Visit::new();
    visit.say(&post("/echo", "one\ntwo\nthree\n"));
    assert!(visit.tell(0, "one").ends_with("4\r\none\n\r\n"));
    assert_eq!(visit.tell_result(1, Err(lost())), "", "no last chunk");
    let reason = CloseReason::Protocol("a command failed in the middle of the answer");
    assert_eq!(visit.session.wants(), Wants::Close(reason));
}

#[test]
fn requests_that_have_no_place_are_refused() {
    let refused = |request: &str| {
        let mut visit = Visit::new();
        let said = visit.say(request);
        (said.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), said, visit.session.wants())
    };
    assert_eq!(refused(&get("/nowhere")).0, 404);
    let (status, said, wants) = refused(&get("/command"));
    assert!((status, said.contains("\r\nAllow: POST\r\n"), wants) == (405, true, Wants::Input), "{said}");
    let (status, said, wants) = refused(&post("/ping", "x"));
    assert_eq!((status, said.contains("Connection: close")), (405, true));
    assert!(matches!(wants, Wants::Close(CloseReason::Protocol(_))), "content that was not asked for may follow");
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n").0, 400);
    assert_eq!(
        refused("GET /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").0,
        400
    );
    assert_eq!(refused("PRI * HTTP/2.0\r\n\r\n").0, 505);
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let mut visit = Visit::new();
    visit.say("HEAD /ping HTTP/1.1\r\nHost: a\r\n\r\n");
    let said = visit.tell(0, "PONG");
    assert!(said.contains("\r\nContent-Length: 5\r\n") && said.ends_with("\r\n\r\n"), "{said}");
}

#[test]
fn an_old_client_gets_content_that_ends_with_its_connection() {
    let mut visit = Visit::new();
    let head = visit.say("POST /echo HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\na\nb");
    let said = head + &visit.tell(0, "a") + &visit.tell(1, "b");
    assert!(said.contains("\r\nConnection: close\r\n\r\na\nb\n"), "{said}");
    assert_eq!(visit.session.wants(), Wants::Close(CloseReason::PeerAsked));
}

#[test]
fn a_client_that_asks_and_ends_is_answered() {
    let mut visit = Visit::new();
    visit.say(&get("/ping"));
    visit.session.receive_end(visit.now);
    assert_eq!(visit.session.wants(), Wants::Flush);
    assert_eq!(parts(&visit.tell(0, "PONG")), (200, "PONG\n"));
    assert_eq!(visit.session.wants(), Wants::Close(CloseReason::PeerFinished));
}

#[test]
fn a_client_that_is_late_is_told() {
    let late = |request: &str, seconds| {
        let mut visit = Visit::new();
        visit.say(request);
        visit.session.expire(visit.now.after(Duration::from_secs(seconds)));
        (visit.said(), visit.session.wants())
    };
    assert_eq!(late("", 75), (String::new(), Wants::Close(CloseReason::Idle)));
    assert_eq!(late("GET /pi", 9).1, Wants::Input);
    let (said, wants) = late("GET /pi", 10);
    assert!(said.starts_with("HTTP/1.1 408 ") && wants == Wants::Close(CloseReason::TooSlow), "{said}");
    let half = "POST /command HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    let (said, wants) = late(half, 30);
    assert!(said.starts_with("HTTP/1.1 408 ") && wants == Wants::Close(CloseReason::TooSlow), "{said}");
    assert_eq!(late(&get("/ping"), 3600).1, Wants::Flush, "it is not the client that is late");
}

#[test]
fn a_client_that_waits_for_a_word_before_it_sends_gets_it() {
    let mut visit = Visit::new();
    let said = visit.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(said, "HTTP/1.1 100 Continue\r\n\r\n");
    visit.say("x");
    assert_eq!(parts(&visit.tell(0, "x")), (200, "x\n"));
}

/// A name, the status, and how a request breaks off.
type Break<'a> = (&'a str, u16, &'a dyn Fn(&mut Visit));

/// A line, the answer to it if that comes, and the word about it.
type LineAnswered<'a> = (&'a str, Option<Result<&'a str, Error>>, &'a str);

/// A command is handed on when its line is there. The rest of the request may be wrong, or never come.
#[test]
fn a_request_that_breaks_off_says_what_became_of_its_command() {
    let end = |visit: &mut Visit| visit.session.receive_end(visit.now);
    let late = |visit: &mut Visit| visit.session.expire(visit.now.after(Duration::from_secs(31)));
    let chunk = |visit: &mut Visit| visit.session.receive(b"nonsense\r\n", visit.now);
    let breaks: [Break<'_>; 3] = [("end", 400, &end), ("late", 408, &late), ("chunk", 400, &chunk)];
    for (name, status, breaks) in breaks {
        let answers: [LineAnswered<'_>; 5] = [
            ("PAY 5\n", None, "unknown"),
            ("PAY 5\n", Some(Ok("paid")), "yes"),
            ("PAY 5\n", Some(Err(lost())), "unknown"),
            ("PAY 5\n", Some(Err(Error::NotSent(Cause::Busy))), "no"),
            ("PAY ", None, "no"),
        ];
        for (line, answer, executed) in answers {
            let mut visit = Visit::new();
            let head = "POST /command HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
            visit.say(&format!("{head}{:x}\r\n{line}\r\n", line.len()));
            let is_told = answer.is_some();
            if let Some(answer) = answer {
                assert_eq!(visit.tell_result(0, answer), "", "it may be the first of several");
            }
            // A command without an answer has a deadline of its own, so its client is not late.
            if name == "late" && !is_told && line.ends_with('\n') {
                continue;
            }
            breaks(&mut visit);
            let said = visit.said();
            let (told, content) = parts(&said);
            assert_eq!(told, status, "{name} {line:?}: {content}");
            assert!(content.contains(&format!("\"executed\":\"{executed}\"")), "{name} {line:?}: {content}");
        }
    }
}

/// A text that is sent back may say anything, even what the command server says of an error.
#[test]
fn text_that_is_sent_back_is_no_error() {
    let too_many = "ERROR too many delayed answers: wait for some of the 64";
    for (path, line, answer, status) in [
        ("/echo", "ERROR x", "ERROR x", 200),
        ("/echo", "ERROR too many", "ERROR too many", 200),
        ("/command", "ECHO ERROR x", "ERROR x", 200),
        ("/command", " echo  ERROR x", " ERROR x", 200),
        ("/command", "delay 250 ERROR x", "ERROR x", 200),
        ("/command", "ECHO x", "ERROR unknown command", 400),
        ("/command", "ECHO ERROR x", "ERROR unknown command", 400),
        ("/command", "DELAY x", "ERROR DELAY takes 0 to 60000 milliseconds and a text", 400),
        ("/command", "DELAY 1 ERROR x", too_many, 503),
        ("/command", "ERROR x", "ERROR unknown command: HELP lists them", 400),
    ] {
        let mut visit = Visit::new();
        visit.say(&post(path, line));
        let said = visit.tell(0, answer);
        let (told, content) = parts(&said);
        assert_eq!(told, status, "{line}: {content}");
        assert_eq!(said.contains("\r\nRetry-After: 1\r\n"), status == 503, "{line}");
    }
    let mut visit = Visit::new();
    visit.say(&post("/echo", "a\nERROR y\nb\n"));
    let said = visit.tell(0, "a") + &visit.tell(1, "ERROR y") + &visit.tell(2, "b");
    assert!(said.contains("\r\nERROR y\n\r\n") && said.ends_with("2\r\nb\n\r\n0\r\n\r\n"), "{said}");
}
