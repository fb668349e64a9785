//! Clients that do not read, and files that change while they are sent.

use crate::{
    Site, drivers, get,
    support::{
        process::wait_until,
        raw::{Conn, End, in_parallel},
    },
};
use std::{fs, io::Write as _};

/// More bytes than the buffers of two kernels hold.
const LARGE: u64 = 64 << 20;

/// A file of zeros that takes no room on the disk.
fn large_file(site: &Site, name: &str) {
    fs::File::create(site.path(name)).unwrap().set_len(LARGE).unwrap();
}

#[test]
fn clients_that_do_not_read_cost_little_and_hold_up_nobody() {
    let site = Site::new(&[("small", "content")]);
    large_file(&site, "large");
    for driver in drivers() {
        let server = site.serve(driver, &["--access-log", "off"]);
        let mut quick = Conn::open(server.address());
        assert_eq!(quick.ask(&get("/small")).status(), 200);
        let before = server.peak_memory();
        let mut deaf: Vec<Conn> = (0..100).map(|_| Conn::open_narrow(server.address())).collect();
        for client in &mut deaf {
            client.send(get("/large"));
            client.wait_for_input();
        }
        (0..200).for_each(|_| assert_eq!(quick.ask(&get("/small")).body, b"content"));
        let more = server.peak_memory() - before;
        assert!(more < 32 * 1024, "{driver}: {more} KiB for 100 clients that do not read");
        // One of them begins to read, and gets all of it.
        let mut client = deaf.pop().unwrap();
        client.read_until("\r\n\r\n");
        let mut rest = LARGE as usize;
        while rest > 0 {
            let piece = rest.min(1 << 20);
            client.read(piece);
            rest -= piece;
        }
        assert_eq!(client.ask(&get("/small")).body, b"content");
    }
}

#[test]
fn a_client_that_takes_nothing_for_too_long_is_cut_off() {
    let site = Site::new(&[]);
    large_file(&site, "large");
    for driver in drivers() {
        let server = site.serve(driver, &["--idle-timeout", "300ms"]);
        let mut client = Conn::open_narrow(server.address());
        client.send(get("/large"));
        #[cfg(target_os = "linux")]
        wait_until("the reset", || client.is_broken());
        let (_, end) = client.read_to_end();
        assert_eq!(end, End::Reset, "{driver}");
    }
}

/// The response has to end visibly before its declared length: a client must not take the half for the whole.
#[test]
fn a_file_that_is_cut_while_it_is_sent_breaks_its_response() {
    let site = Site::new(&[]);
    for driver in drivers() {
        large_file(&site, "large");
        let server = site.serve(driver, &[]);
        let mut client = Conn::open_narrow(server.address());
        client.send(get("/large"));
        let head = client.read_until("\r\n\r\n");
        assert!(head.contains(&format!("Content-Length: {LARGE}\r\n")), "{head}");
        fs::File::options().write(true).open(site.path("large")).unwrap().set_len(1000).unwrap();
        let (content, end) = client.read_to_end();
        assert_eq!(end, End::Reset, "{driver}");
        assert!((content.len() as u64) < LARGE, "{driver}");
        server.wait_for_stderr("WARN");
        // The next client gets what is there now.
        wait_until("the shorter file", || Conn::open(server.address()).ask(&get("/large")).body.len() == 1000);
    }
}

#[test]
fn a_file_that_grows_while_it_is_sent_is_sent_as_declared() {
    let site = Site::new(&[("after", "after")]);
    for driver in drivers() {
        large_file(&site, "large");
        let server = site.serve(driver, &[]);
        let mut client = Conn::open_narrow(server.address());
        client.send(get("/large"));
        client.wait_for_input();
        let mut file = fs::File::options().append(true).open(site.path("large")).unwrap();
        file.write_all(&[b'x'; 100_000]).unwrap();
        let answer = client.response("GET");
        assert!(answer.body.len() as u64 == LARGE && !answer.body.contains(&b'x'), "{driver}");
        assert_eq!(client.ask(&get("/after")).body, b"after", "{driver}");
    }
}

/// A file that is removed, or replaced by another one, is sent to its end to those who have begun to read it.
#[test]
fn a_file_that_is_replaced_while_it_is_sent_is_sent_to_its_end() {
    let site = Site::new(&[]);
    for driver in drivers() {
        large_file(&site, "large");
        let server = site.serve(driver, &[]);
        let mut client = Conn::open_narrow(server.address());
        client.send(get("/large"));
        client.wait_for_input();
        site.write("new", "new");
        fs::rename(site.path("new"), site.path("large")).unwrap();
        let body = client.response("GET").body;
        assert!(body.len() as u64 == LARGE && body.iter().all(|byte| *byte == 0), "{driver}");
        wait_until("the new file", || client.ask(&get("/large")).body == b"new");
    }
}

/// Clients that come, ask, and leave in the middle: descriptors and memory are as before.
#[test]
fn many_clients_leave_nothing_behind() {
    let site = Site::new(&[("small", "content")]);
    large_file(&site, "large");
    for driver in drivers() {
        let server = site.serve(driver, &["--log-level", "off"]);
        let visit = |times: usize| {
            in_parallel(8, |_| {
                for number in 0..times / 8 {
                    let mut client = Conn::open(server.address());
                    match number % 4 {
                        0 => assert_eq!(client.ask(&get("/small")).status(), 200),
                        1 => assert_eq!(client.ask(&get("/nothing")).status(), 404),
                        // It leaves in the middle of the file, or before it is answered.
                        2 => {
                            client.send(get("/large"));
                            client.wait_for_input();
                        }
                        _ => client.send(get("/large")),
                    }
                }
            });
        };
        visit(2_000);
        let (descriptors, memory) = (server.settled_descriptors(), server.peak_memory());
        visit(8_000);
        wait_until("descriptors as before", || server.settled_descriptors() <= descriptors);
        let more = server.peak_memory() - memory;
        assert!(more < 8192, "{driver}: {more} KiB more at the end");
    }
}
