//! Clinic 3: a server that cannot be started again.
//!
//! Each client gets one page and the end of the stream. After a crash, and after each new version, the server does not start: "Address
//! already in use", for a minute. It was mended before, and that has not helped.

use socket2::{Domain, Socket, Type};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process::ExitCode, thread};

/// The length of the page, in bytes.
const PAGE: usize = 300_000;
/// A client that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(Ok(address))) = (args.next().as_deref(), args.next().map(|text| text.parse())) else {
        eprintln!("usage: c3 --listen ADDRESS:PORT");
        return ExitCode::from(2);
    };
    match run(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A socket that listens at `address`.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // STARTER
    //| socket.bind(&address.into())?;
    //| socket.set_reuse_address(true)?; // So that a restart finds the port free.
    // SOLUTION
    // An option of bind: it says what bind may pass over, so it has to be set before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    // END
    socket.listen(128)?;
    Ok(socket.into())
}

/// Listens at `address` and gives each client the page.
fn run(address: SocketAddr) -> io::Result<()> {
    let listener = listen(address)?;
    println!("READY {}", listener.local_addr()?);
    let page: Vec<u8> = (0..=250).cycle().take(PAGE).collect();
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = serve(&stream, &page) {
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

/// Sends the page. The server closes first, as its protocol says, and so the connection waits on its side.
fn serve(mut stream: &TcpStream, page: &[u8]) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(page)
}
