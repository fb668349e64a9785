//! Ways in which a check treats the student's program itself: other flags, tight limits, a stop, a sudden end, a second copy.

use crate::{
    client::Client,
    probe,
    problem::{Problem, Seen, Topic},
    stage::Stage,
    student::{Exit, Limits, Student},
    wire::{Event, NO_CONNECTION},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::{Duration, Instant},
};

/// A port of the loopback that the system chooses.
pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Stage {
    /// Starts the program with `--listen` and more flags, within `limits`; does not wait for anything.
    pub(crate) fn start(&mut self, listen: &str, flags: &[&str], limits: Limits) -> Result<(), Problem> {
        let args = [&["--listen", listen], flags].concat();
        self.start_as(&self.program.clone(), &args, limits)
    }

    /// Starts the program as a client, with these arguments; does not wait for anything.
    pub(crate) fn start_client(&mut self, args: &[&str]) -> Result<(), Problem> {
        self.start_as(&self.program.clone(), args, Limits::default())
    }

    /// Starts the program without the right to take ports below 1024, which we have. `false`: that cannot be done here.
    pub(crate) fn start_without_privilege(&mut self, listen: &str) -> Result<bool, Problem> {
        let Some(program) = self.program.to_str().map(str::to_owned) else { return Ok(false) };
        let dropped = ["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"];
        let works = std::process::Command::new("setpriv").args(dropped).arg("true").output();
        if !works.is_ok_and(|ended| ended.status.success()) {
            return Ok(false);
        }
        let args = [&dropped[..], &[&program, "--listen", listen]].concat();
        self.start_as(Path::new("setpriv"), &args, Limits::default()).map(|()| true)
    }

    fn start_as(&mut self, program: &Path, args: &[&str], limits: Limits) -> Result<(), Problem> {
        let failed = |error| Problem::new("that the program starts", Seen::Grader(error));
        if self.at.is_some() {
            let error = "this check starts the program in its own way: leave --at out";
            return Err(failed(std::io::Error::other(error)));
        }
        // The old one ends before the new one begins.
        self.student = None;
        self.student = Some(Student::start(program, args, limits, self.live).map_err(failed)?);
        Ok(())
    }

    /// Waits until the program that was told to listen at `told` says that it does.
    pub(crate) fn ready(&mut self, told: SocketAddr) -> Result<SocketAddr, Problem> {
        let Some(student) = &self.student else { return Err(no_program()) };
        let ready = student.ready(told, self.timing)?;
        self.server = Some(ready);
        Ok(ready)
    }

    /// Starts the program at `told`, with more flags and within `limits`, and waits until it listens.
    pub(crate) fn serve_with(
        &mut self,
        told: SocketAddr,
        flags: &[&str],
        limits: Limits,
    ) -> Result<SocketAddr, Problem> {
        if flags.is_empty() && limits == Limits::default() && self.at.is_some() {
            self.server = self.at;
            return Ok(self.at.unwrap_or(told));
        }
        if told == ANY && self.tells_port {
            let free = TcpListener::bind(ANY).and_then(|listener| listener.local_addr()).unwrap_or(ANY);
            self.start(&free.to_string(), flags, limits)?;
            match self.ready(free) {
                // Another program may have taken the port in between: then any will do.
                Err(problem) if matches!(problem.seen, Seen::Exited) => {}
                listens => return listens,
            }
        }
        self.start(&told.to_string(), flags, limits)?;
        self.ready(told)
    }

    /// Starts the program a second time, at the address of the first, which goes on: the second has to end with exit code `code`.
    pub(crate) fn expect_no_second_copy(&mut self, code: i32) -> Result<(), Problem> {
        let address = self.serve_with(ANY, &[], Limits::default())?;
        let first = self.student.take();
        self.start(&address.to_string(), &[], Limits::default())?;
        let wanted = format!("exit code {code}: the first copy listens at {address}");
        let timing = self.timing;
        if let Some(second) = self.student.as_ref().filter(|second| second.says_ready(timing)) {
            second.ready(address, timing)?;
            return Err(Problem::new(wanted, Seen::ListensToo));
        }
        self.expect_exit(code, &wanted)?;
        self.student = first;
        Ok(())
    }

    /// Waits until the program has ended, which must be with exit code `code`.
    pub(crate) fn expect_exit(&mut self, code: i32, wanted: &str) -> Result<(), Problem> {
        let Some(student) = &mut self.student else { return Err(no_program()) };
        match student.exit(self.timing.patience()) {
            Some(Exit::Code(got)) if got == code => {
                self.student = None;
                Ok(())
            }
            _ => Err(Problem::new(wanted, Seen::OtherExit { code })),
        }
    }

    /// As [`Stage::expect_exit`], of a program that cannot do what it was told: it says why on stderr, and nothing on stdout.
    pub(crate) fn expect_refusal(&mut self, code: i32, wanted: &str) -> Result<(), Problem> {
        let student = self.student.as_mut().ok_or_else(no_program)?;
        if matches!(student.exit(self.timing.patience()), Some(Exit::Code(got)) if got == code) {
            if let Some(line) = student.said(self.timing.quiet()).lines().next() {
                let wanted = "nothing on stdout: the reason is for stderr";
                return Err(Problem::new(wanted, Seen::Chatter(line.to_owned())).about(Topic::Refusal));
            }
            student.hear_out(self.timing.quiet());
            if student.last_words(1).is_empty() {
                let wanted = "one line on stderr that says why it ends";
                return Err(Problem::new(wanted, Seen::NotLogged(String::new())).about(Topic::Refusal));
            }
        }
        self.expect_exit(code, wanted)
    }

    /// Ends the program as if somebody pulled the plug, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.student = None;
    }

    /// Stops the program (SIGSTOP), and waits until it stands still.
    pub(crate) fn pause(&mut self) -> Result<(), Problem> {
        self.signal(Signal::SIGSTOP)?;
        let until = Instant::now() + self.timing.patience();
        let id = self.student.as_ref().map(Student::id);
        while id.is_some_and(|id| !probe::stands_still(id)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn resume(&mut self) -> Result<(), Problem> {
        self.signal(Signal::SIGCONT)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Problem> {
        let Some(student) = &self.student else { return Err(no_program()) };
        let id = i32::try_from(student.id()).unwrap_or(i32::MAX);
        self.record.lock().note(NO_CONNECTION, Event::Signal(signal.as_str()));
        // That it has ended already is found out by what it does not do.
        let _ = kill(Pid::from_raw(id), signal);
        Ok(())
    }

    /// Begins to connect a client, and does not wait for the answer.
    pub(crate) fn begin(&self) -> Result<Client, Problem> {
        let Some(server) = self.server else { return Err(no_program()) };
        Client::begin(server, &self.record, &self.open, self.timing)
    }
}

fn no_program() -> Problem {
    Problem::new("a server", Seen::Grader(std::io::ErrorKind::NotConnected.into()))
}
