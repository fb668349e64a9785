//! The ports that the pages name, and free ones in their place.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener, UdpSocket},
    ops::Range,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// The ports that the book uses.
pub const OF_THE_BOOK: &[u16] = &[1883, 3000, 3001, 3002, 3003, 8080, 8081, 8443, 9090];

/// Where free ones are looked for. They have as many digits as the book's, so that no length differs, and systems give
/// none of them to connections that do not ask for a port.
const FREE: Range<u16> = 4000..10_000;

/// One page's ports. No other page gets the same ports while this lives, if it looks for them in this way.
#[derive(Debug)]
pub struct Ports {
    free: BTreeMap<u16, u16>,
    _taken: Vec<UdpSocket>,
}

impl Ports {
    /// A free port for each of the book's.
    pub fn find() -> Self {
        let (free, taken) = OF_THE_BOOK.iter().map(|port| find(*port)).unzip();
        Self { free, _taken: taken }
    }

    /// The port that is used for a port of the book.
    pub fn of(&self, port: u16) -> u16 {
        self.free[&port]
    }

    /// A command or a file with ports that are free. A number is a port after a colon or a space.
    pub fn to_free(&self, text: &str) -> String {
        self.replaced(text, |before, number| {
            matches!(before, Some(':' | ' ')).then(|| self.free.get(&number).copied()).flatten()
        })
    }

    /// Output with the ports of the book.
    pub fn to_book(&self, text: &str) -> String {
        let book = |number| self.free.iter().find(|(_, free)| **free == number).map(|(book, _)| *book);
        self.replaced(text, |_, number| book(number))
    }

    fn replaced(&self, text: &str, port: impl Fn(Option<char>, u16) -> Option<u16>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, number) = rest.split_at(start);
            let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
            let (number, after) = number.split_at(end);
            out.push_str(before);
            let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '.');
            let free = number.parse().ok().filter(|_| ends).and_then(|number| port(out.chars().next_back(), number));
            match free {
                Some(port) => out.push_str(&port.to_string()),
                None => out.push_str(number),
            }
            rest = after;
        }
        out + rest
    }
}

/// A port without a listener. The socket keeps others from finding it, too: it has the same number, for UDP.
fn find(book: u16) -> ((u16, u16), UdpSocket) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes begin at different places, so that they seldom meet.
    let begin = std::process::id() % FREE.len() as u32;
    for _ in FREE {
        let nth = (begin + NEXT.fetch_add(1, Relaxed)) as usize;
        let port = FREE.start + (nth % FREE.len()) as u16;
        let Ok(taken) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free && !OF_THE_BOOK.contains(&port) {
            return ((book, port), taken);
        }
    }
    panic!("no port from {} to {} is free", FREE.start, FREE.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_replaced_and_other_numbers_are_not() {
        let ports = Ports::find();
        let (proxy, first, second) = (ports.of(8080), ports.of(3000), ports.of(3001));
        for (book, free) in [
            ("curl http://127.0.0.1:8080/", format!("curl http://127.0.0.1:{proxy}/")),
            ("nc 127.0.0.1 8080", format!("nc 127.0.0.1 {proxy}")),
            ("python3 -m http.server 3000 &", format!("python3 -m http.server {first} &")),
            ("(\"127.0.0.1\", 3001)", format!("(\"127.0.0.1\", {second})")),
            ("--backend localhost:3001,weight=5", format!("--backend localhost:{second},weight=5")),
            ("/delay/3000 /bytes/8080", "/delay/3000 /bytes/8080".to_owned()),
            ("a:30001 8080ms :3000.5", "a:30001 8080ms :3000.5".to_owned()),
        ] {
            assert_eq!(ports.to_free(book), free);
            assert_eq!(ports.to_book(&free), book);
        }
        assert_eq!(ports.to_book(&format!("Host: 127.0.0.1:{proxy}")), "Host: 127.0.0.1:8080");
    }

    #[test]
    fn no_two_pages_have_the_same_ports() {
        let (one, other) = (Ports::find(), Ports::find());
        assert!(OF_THE_BOOK.iter().all(|port| OF_THE_BOOK.iter().all(|them| one.of(*port) != other.of(*them))));
        assert!(OF_THE_BOOK.iter().all(|port| (1000..10_000).contains(&one.of(*port))));
    }
}
