//! Names of servers: requests that wait for them, and what becomes of these.

use super::{SECOND, World, status};
use crate::proxy::{Denied, Done, Resolver};
use std::{
    fmt,
    sync::{Arc, Mutex},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Questions that are not answered yet.
#[derive(Default)]
struct Asked(Mutex<Vec<(String, Done)>>);

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

impl Resolver for Asked {
    fn ask(&self, name: &str, done: Done) {
        self.0.lock().unwrap().push((name.to_owned(), done));
    }
}

impl Asked {
    /// Answers the oldest question, and wakes the worker.
    fn answer(&self, name: &str, answer: Result<[u8; 4], Denied>, world: &mut World) {
        let (asked, done) = self.0.lock().unwrap().remove(0);
        assert_eq!(asked, name);
        done(answer.map(|address| vec![address.into()]));
        world.wake();
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

fn world(flags: &[&str]) -> (World, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    (World::forwarding(flags, asked.clone()), asked)
}

fn get(server: &str) -> String {
    format!("GET http://{server}/ HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_request_waits_for_its_name_and_no_other_request_with_it() {
    let (mut world, asked) = world(&[]);
    let (slow, second) = (world.client(&get("slow.example")), world.client(&get("slow.example:8080")));
    assert!(world.opened_none());
    let (other, server) = world.exchange(&get("8.8.8.8"));
    world.say(server, OK);
    assert_eq!(status(&world.sent(other)), "200");
    asked.answer("slow.example", Ok([203, 0, 113, 1]), &mut world);
    for client in [slow, second] {
        let server = world.opened();
        world.connect(server);
        world.say(server, OK);
        assert_eq!(status(&world.sent(client)), "200");
    }
    assert!(asked.is_empty());
}

#[test]
fn a_name_that_is_not_resolved_in_time_is_a_504() {
    let (mut world, asked) = world(&["--connect-timeout", "3s"]);
    let client = world.client(&get("slow.example"));
    world.pass(2 * SECOND);
    // News about another name gives no new time.
    world.client(&get("fast.example"));
    let slow = asked.0.lock().unwrap().remove(0);
    asked.answer("fast.example", Ok([203, 0, 113, 1]), &mut world);
    assert_eq!(world.sent(client), "");
    world.pass(SECOND);
    assert_eq!(status(&world.sent(client)), "504");
    // Its answer comes all the same, for those that ask next.
    slow.1(Ok(vec![[203, 0, 113, 2].into()]));
    world.wake();
    world.opened();
    world.client(&get("slow.example"));
    world.opened();
}

#[test]
fn a_client_that_leaves_while_its_name_is_asked_for_leaves_nothing_behind() {
    let (mut world, asked) = world(&[]);
    let client = world.client(&get("slow.example"));
    assert_eq!(world.proxy.census().exchanges, 1);
    world.fail(client);
    assert_eq!(world.proxy.census(), Default::default());
    asked.answer("slow.example", Ok([203, 0, 113, 1]), &mut world);
    assert!(world.opened_none());
}

#[test]
fn an_answer_out_of_bounds_is_a_403_and_no_connection() {
    let (mut world, asked) = world(&[]);
    for (address, expected) in [([127, 0, 0, 1], "403"), ([169, 254, 169, 254], "403")] {
        let name = format!("a{}.example", address[0]);
        let plain = world.client(&get(&name));
        let tunnel = world.client(&format!("CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\n\r\n"));
        asked.answer(&name, Ok(address), &mut world);
        assert!(world.opened_none());
        assert_eq!((status(&world.sent(plain)), status(&world.sent(tunnel))), (expected, expected));
    }
}

/// A name that leads elsewhere as soon as it has been judged (DNS rebinding) leads nowhere: it is asked for once.
#[test]
fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let (mut world, asked) = world(&["--allow", "10.0.0.0/8"]);
    let client = world.client(&get("a.example"));
    asked.answer("a.example", Ok([10, 0, 0, 1]), &mut world);
    let server = world.opened();
    assert!(asked.is_empty());
    world.connect(server);
    world.say(server, OK);
    assert_eq!(status(&world.sent(client)), "200");
    world.pass(61 * SECOND);
    // Asked for again, it has another address, which is judged as well.
    let client = world.client(&get("a.example"));
    asked.answer("a.example", Ok([127, 0, 0, 1]), &mut world);
    assert_eq!(status(&world.sent(client)), "403");
}

#[test]
fn a_tunnel_that_is_cut_off_leaves_nothing_behind() {
    let (mut world, _asked) = world(&[]);
    let (client, server) = world.exchange("CONNECT 8.8.8.8:443 HTTP/1.1\r\nHost: 8.8.8.8:443\r\n\r\nhello");
    assert_eq!(world.sent(client), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(world.sent(server), "hello");
    world.say(server, "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(world.sent(client), "HTTP/1.1 200 OK\r\n\r\n");
    world.fail(client);
    assert_eq!(world.ended(server), "abort");
    assert_eq!(world.proxy.census(), Default::default());
}

#[test]
fn a_stored_response_stands_in_for_a_name_that_is_gone() {
    let (mut world, asked) = world(&[]);
    let client = world.client(&get("a.example"));
    asked.answer("a.example", Ok([203, 0, 113, 1]), &mut world);
    let server = world.opened();
    world.connect(server);
    world
        .say(server, "HTTP/1.1 200 OK\r\nCache-Control: max-age=1, stale-if-error=1000\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(status(&world.sent(client)), "200");
    world.pass(62 * SECOND);
    let client = world.client(&get("a.example"));
    asked.answer("a.example", Err(Denied::Unresolved), &mut world);
    assert!(world.sent(client).ends_with("ok"));
}
