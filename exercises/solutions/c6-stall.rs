//! Clinic 6: a server that computes nothing, and takes 40 milliseconds for it.
//!
//! `GET n` is answered with the line `VALUE n`, then n bytes, then the line `END`. `LIST n` is answered with the lines `1` to `n`, then
//! `END`. `QUIT` ends the conversation. Everything else is answered with `ERR`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// The most bytes of a line, its end included. A longer one ends the conversation.
const LONGEST_LINE: u64 = 512;
/// The most that a client may ask for at once.
const MOST: usize = 1_000_000;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: c6 --listen HOST:PORT");
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

/// Listens at `address`; a thread for each client.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                let started = thread::Builder::new().spawn(move || {
                    if let Err(error) = serve(&stream) {
                        eprintln!("client {peer}: {error}");
                    }
                });
                if let Err(error) = started {
                    eprintln!("client {peer}: {error}");
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
fn serve(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    // SOLUTION
    // An answer is collected and goes out in one write: then there is no second small segment that could be kept back.
    // TCP_NODELAY is for what is left of them, between one answer and the next.
    stream.set_nodelay(true)?;
    let mut answer = Vec::new();
    // END
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        // STARTER
        //| match words[..] {
        //|     ["GET", number] => get(&mut writer, number)?,
        //|     ["LIST", number] => list(&mut writer, number)?,
        //|     ["QUIT"] => return Ok(()),
        //|     _ => writer.write_all(b"ERR\n")?,
        //| }
        // SOLUTION
        answer.clear();
        match words[..] {
            ["GET", number] => get(&mut answer, number)?,
            ["LIST", number] => list(&mut answer, number)?,
            ["QUIT"] => return Ok(()),
            _ => answer.extend_from_slice(b"ERR\n"),
        }
        writer.write_all(&answer)?;
        // END
    }
}

/// The number, if it is one that may be asked for.
fn count(number: &str) -> Option<usize> {
    number.parse().ok().filter(|count| *count <= MOST)
}

/// Answers `GET`.
fn get(mut to: impl io::Write, number: &str) -> io::Result<()> {
    let Some(count) = count(number) else { return to.write_all(b"ERR\n") };
    to.write_all(format!("VALUE {count}\n").as_bytes())?;
    to.write_all(&vec![b'.'; count])?;
    to.write_all(b"\nEND\n")
}

/// Answers `LIST`.
fn list(mut to: impl io::Write, number: &str) -> io::Result<()> {
    let Some(count) = count(number) else { return to.write_all(b"ERR\n") };
    for line in 1..=count {
        to.write_all(format!("{line}\n").as_bytes())?;
    }
    to.write_all(b"END\n")
}
