//! Clinic 5: a notice board that is restarted each night, because it would not live to see the next one.
//!
//! `SAY text` is answered with `OK`, and the text is kept; `LAST` with the last ten texts, the oldest first, and the line `END`; `QUIT`
//! with `BYE` and the end of the stream. Anything else is answered with `ERR`.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
// STARTER
//| use std::sync::{Arc, Mutex};
// SOLUTION
use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
// END
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// The number of texts that `LAST` shows.
const LAST: usize = 10;
// SOLUTION
/// The most bytes of a line, its end included. A longer one is told so, and ends the conversation.
const LONGEST_LINE: u64 = 1024;
/// After the last answer the client's last bytes are waited for so long, and so many of them.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1024 * 1024;
// END

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
    // STARTER
    //| /// All that was ever said.
    //| texts: Mutex<Vec<String>>,
    //| /// The clients, so that they can be told of a stop one day.
    //| clients: Mutex<Vec<TcpStream>>,
    // SOLUTION
    /// What `LAST` shows, and no more: this is the bound.
    texts: Mutex<VecDeque<String>>,
    // END
}

impl Board {
    // SOLUTION
    /// Each change is one step, so a thread that panicked with the lock left a good value.
    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // END
    fn say(&self, text: &str) {
        // STARTER
        //| self.texts.lock().unwrap().push(text.to_owned());
        // SOLUTION
        let mut texts = self.lock();
        if texts.len() == LAST {
            texts.pop_front();
        }
        texts.push_back(text.to_owned());
        // END
    }

    fn last(&self) -> String {
        // STARTER
        //| let texts = self.texts.lock().unwrap();
        //| let from = texts.len().saturating_sub(LAST);
        //| let lines: String = texts[from..].iter().map(|text| format!("{text}\n")).collect();
        // SOLUTION
        let lines: String = self.lock().iter().map(|text| format!("{text}\n")).collect();
        // END
        lines + "END"
    }
}

/// Listens at `address`; a thread for each client.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    let board = Arc::new(Board::default());
    // STARTER
    //| let mut threads = Vec::new();
    // SOLUTION
    // END
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
                    // STARTER
                    //| Ok(thread) => threads.push(thread),
                    // SOLUTION
                    // A handle that is dropped detaches its thread. One that is kept keeps the stack of a thread that has ended.
                    Ok(_) => {}
                    // END
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
    // STARTER
    //| board.clients.lock().unwrap().push(stream.try_clone()?);
    // SOLUTION
    // END
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut line = Vec::new();
        // STARTER
        //| reader.read_until(b'\n', &mut line)?;
        // SOLUTION
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        // END
        if !line.ends_with(b"\n") {
            // STARTER
            //| stream.shutdown(Shutdown::Both)?;
            //| return Ok(());
            // SOLUTION
            if line.len() as u64 == LONGEST_LINE {
                writer.write_all(b"ERR too long\n")?;
            }
            return part(stream);
            // END
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
            // STARTER
            //| stream.shutdown(Shutdown::Both)?;
            //| return Ok(());
            // SOLUTION
            return part(stream);
            // END
        }
    }
}
// SOLUTION

/// Says FIN, then reads what is left, within bounds: a close with bytes unread is a reset.
fn part(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let until = Instant::now() + DRAIN_TIME;
    let (mut drained, mut scratch) = (0, [0; 16 * 1024]);
    while drained < DRAIN_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut scratch) {
            Ok(0) | Err(_) => break,
            Ok(count) => drained += count,
        }
    }
    Ok(())
}
// END
