//! Clinic 2: a server to repair. It should send every line back to the client that sent it.
//!
//! It was carried over from C line by line, with the ideas of its time: one client, one read for one message, and a length that is
//! found by looking for a zero.

use std::io::{self, Read as _, Write as _};
// STARTER
//| use std::net::TcpListener;
// SOLUTION
use std::io::{BufRead as _, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
// END
use std::{env, process::ExitCode};

// STARTER
//| /// Messages are not longer than this.
//| const BUFFER: usize = 1024;
// SOLUTION
/// A longer line ends its conversation: nobody may fill our memory.
const LONGEST_LINE: u64 = 1024 * 1024;
/// After the goodbye the client's last bytes are waited for so long, and so many of them.
const DRAIN_TIME: Duration = Duration::from_secs(1);
const DRAIN_BYTES: usize = 1024 * 1024;
// END

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: c2 --listen HOST:PORT");
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

// STARTER
//| /// Listens at `address` and serves.
//| fn run(address: &str) -> io::Result<()> {
//|     let listener = TcpListener::bind(address)?;
//|     println!("READY {}", listener.local_addr()?);
//|     let (mut stream, peer) = listener.accept()?;
//|     let mut buffer = [0; BUFFER];
//|     loop {
//|         let _ = stream.read(&mut buffer)?;
//|         let message = &buffer[..strlen(&buffer)];
//|         eprintln!("client {peer}: {} bytes", message.len());
//|         if message.starts_with(b"quit") {
//|             let _ = stream.write(b"Goodbye!\n")?;
//|             return Ok(());
//|         }
//|         let _ = stream.write(message)?;
//|     }
//| }
//|
//| /// The length of the text in `buffer`: all up to the first zero.
//| fn strlen(buffer: &[u8]) -> usize {
//|     buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len())
//| }
// SOLUTION
/// Listens at `address` and serves the clients one after the other.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                // A fault of this client is no reason to end the server.
                if let Err(error) = serve(&stream) {
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

/// Sends the lines of one client back.
fn serve(stream: &TcpStream) -> io::Result<()> {
    // The buffer belongs to this conversation: nothing of it is left for the next client.
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            // The end, perhaps in the middle of a line, or a line that is too long.
            return part(stream);
        }
        if line == b"quit\n" || line == b"quit\r\n" {
            writer.write_all(b"Goodbye!\n")?;
            return part(stream);
        }
        writer.write_all(&line)?;
    }
}

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
