//! Clinic 4: a bank that stops, some days after it was started.
//!
//! There are ten accounts with 1000 each. `MOVE a b n` moves n from account a to account b and is answered with `OK`, or with `ERR` and
//! the reason; `SHOW a` with the balance, `SUM` with the sum of all, `HISTORY` with the last moves and the line `END`. `QUIT` ends the
//! conversation.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
// SOLUTION
use std::sync::{MutexGuard, PoisonError};
// END
use std::time::Duration;
use std::{env, process::ExitCode, thread};

const ACCOUNTS: usize = 10;
const BEGINNING: u64 = 1000;
/// The number of moves that are remembered.
const HISTORY: usize = 500;
/// The most bytes of a line, its end included. A longer one ends the conversation.
const LONGEST_LINE: u64 = 512;

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some("--listen"), Some(address)) = (args.next().as_deref(), args.next()) else {
        eprintln!("usage: c4 --listen HOST:PORT");
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

/// The accounts, each with a lock of its own, so that moves between others need not wait.
struct Bank {
    accounts: Vec<Mutex<u64>>,
    history: Mutex<VecDeque<String>>,
}

/// A rule of the house: each move is looked at while no other may change the account. That takes a moment.
fn audit() {
    thread::sleep(Duration::from_millis(1));
}
// SOLUTION

/// A thread that panicked with the lock has not left anything half done: see [`Bank::transfer`].
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
// END

impl Bank {
    fn new() -> Self {
        Self { accounts: (0..ACCOUNTS).map(|_| Mutex::new(BEGINNING)).collect(), history: Mutex::new(VecDeque::new()) }
    }

    /// Moves `amount`, or says why not.
    fn transfer(&self, from: usize, to: usize, amount: u64) -> Result<(), &'static str> {
        // STARTER
        //| let mut source = self.accounts[from].lock().unwrap();
        //| audit();
        //| let mut target = self.accounts[to].lock().unwrap();
        //| *source = source.checked_sub(amount).expect("there is enough");
        //| *target += amount;
        // SOLUTION
        if from == to {
            // A second lock of the same account would wait for the first.
            return Err("ERR same account");
        }
        // Whichever way the money goes, the lower number is locked first. So no two threads wait for each other.
        let mut lower = lock(&self.accounts[from.min(to)]);
        let mut higher = lock(&self.accounts[from.max(to)]);
        // Neither may change now.
        audit();
        let (source, target) = if from < to { (&mut lower, &mut higher) } else { (&mut higher, &mut lower) };
        // All that can fail comes before the first change.
        let left = source.checked_sub(amount).ok_or("ERR not enough")?;
        **source = left;
        **target += amount;
        drop((lower, higher));
        // END
        // STARTER
        //| let mut history = self.history.lock().unwrap();
        // SOLUTION
        let mut history = lock(&self.history);
        // END
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(format!("{amount} from {from} to {to}\n"));
        Ok(())
    }

    /// The balance of one account.
    fn balance(&self, account: usize) -> u64 {
        // STARTER
        //| *self.accounts[account].lock().unwrap()
        // SOLUTION
        *lock(&self.accounts[account])
        // END
    }

    /// The sum of all accounts at one moment: no move is half done then.
    fn sum(&self) -> u64 {
        // STARTER
        //| let accounts: Vec<_> = self.accounts.iter().map(|account| account.lock().unwrap()).collect();
        // SOLUTION
        // In the same order as moves, and all of them held until the sum is made.
        let accounts: Vec<_> = self.accounts.iter().map(lock).collect();
        // END
        accounts.iter().map(|account| **account).sum()
    }

    /// Writes the last moves to a client.
    fn write_history(&self, to: &mut impl io::Write) -> io::Result<()> {
        // STARTER
        //| for line in self.history.lock().unwrap().iter() {
        //|     to.write_all(line.as_bytes())?;
        //| }
        //| to.write_all(b"END\n")
        // SOLUTION
        // A write may wait for its client as long as that likes. No lock is held meanwhile: a copy is written.
        let mut text: String = lock(&self.history).iter().map(String::as_str).collect();
        text += "END\n";
        to.write_all(text.as_bytes())
        // END
    }
}

/// Listens at `address`; a thread for each client.
fn run(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("READY {}", listener.local_addr()?);
    let bank = Arc::new(Bank::new());
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                let bank = Arc::clone(&bank);
                let started = thread::Builder::new().spawn(move || {
                    if let Err(error) = serve(&stream, &bank) {
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
fn serve(stream: &TcpStream, bank: &Bank) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["MOVE", from, to, amount] => match (account(from), account(to), amount.parse()) {
                (Some(from), Some(to), Ok(amount)) => {
                    bank.transfer(from, to, amount).map_or_else(str::to_owned, |()| "OK".to_owned())
                }
                _ => "ERR no such account or amount".to_owned(),
            },
            ["SHOW", number] => account(number)
                .map_or_else(|| "ERR no such account".to_owned(), |number| bank.balance(number).to_string()),
            ["SUM"] => format!("SUM {}", bank.sum()),
            ["HISTORY"] => {
                bank.write_history(&mut writer)?;
                continue;
            }
            ["QUIT"] => return Ok(()),
            _ => "ERR bad command".to_owned(),
        };
        writer.write_all((answer + "\n").as_bytes())?;
    }
}

/// The number of an account.
fn account(number: &str) -> Option<usize> {
    number.parse().ok().filter(|number| *number < ACCOUNTS)
}
