//! Clinic 5: a notice board that is restarted each night, because it would not live to see the next one.
//!
//! `SAY text` is answered with `OK`, and the text is kept; `LAST` with the last ten texts, the oldest first, and the line `END`; `QUIT`
//! with `BYE` and the end of the stream. Anything else is answered with `ERR`.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// The number of texts that `LAST` shows.
const LAST: usize = 10;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: c5 --listen HOST:PORT");
        return ExitCode::from(2);
    };
    match run(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The state that all clients share.
#[derive(Default)]
struct Board {
    /// All that was ever said.
    texts: Mutex<Vec<String>>,
    /// The clients, so that they can be told of a stop one day.
    clients: Mutex<Vec<TcpStream>>,
}

impl Board {
    fn say(&self, text: &str) {
        self.texts.lock().unwrap().push(text.to_owned());
    }

    fn last(&self) -> String {
        let texts = self.texts.lock().unwrap();
        let from = texts.len().saturating_sub(LAST);
        let lines: String = texts[from..].iter().map(|text| format!("{text}\n")).collect();
        lines + "END"
    }
}

/// Listens at `address`; a thread for each client.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    let board = Arc::new(Board::default());
    let mut threads = Vec::new();
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                let board = Arc::clone(&board);
                let started = thread::Builder::new().spawn(move || {
                    if let Err(error) = serve(&stream, &board) {
                        eprintln!("client {peer}: {error}");
                    }
                });
                match started {
                    Ok(thread) => threads.push(thread),
                    Err(error) => eprintln!("client {peer}: {error}"),
                }
            }
            Err(error) => {
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Answers the lines of one client.
fn serve(stream: &TcpStream, board: &Board) -> io::Result<()> {
    stream.set_nodelay(true)?;
    board.clients.lock().unwrap().push(stream.try_clone()?);
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            stream.shutdown(Shutdown::Both)?;
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\r', '\n']);
        let answer = match line.split_once(' ') {
            Some(("SAY", text)) => {
                board.say(text);
                "OK".to_owned()
            }
            None if line == "LAST" => board.last(),
            None if line == "QUIT" => "BYE".to_owned(),
            _ => "ERR".to_owned(),
        };
        writer.write_all((answer + "\n").as_bytes())?;
        if line == "QUIT" {
            stream.shutdown(Shutdown::Both)?;
            return Ok(());
        }
    }
}
