//! The flags of `load URL`.

use super::{
    Http2Script, HttpScript, LineScript, Plan, Scheme, Script, Security, Target, reach, secure::SecureArgs, target,
    usage,
};
use crate::{
    cli::Failure,
    http::Method,
    units::{MAX_COUNT, MAX_THREADS, at_least_one, duration, nonzero_duration, number},
};
use std::{
    fs::{self, OpenOptions},
    io,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The flags of a run: the request, its rate, and the output.
#[derive(Debug, Clone, clap::Args)]
pub struct LoadArgs {
    /// The server and the request: http://HOST:PORT/PATH, https://HOST:PORT/PATH, echo://HOST:PORT or command://HOST:PORT.
    #[arg(value_name = "URL")]
    pub target: Option<Target>,
    /// Connections.
    #[arg(short, long, value_name = "N", default_value = "64", value_parser = number::<u32>(1..=1_000_000))]
    pub clients: u32,
    /// How long to measure.
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    pub duration: Duration,
    /// How long to run before measuring.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub warm_up: Duration,
    /// Requests a second, fixed beforehand (open loop). Without it each client asks again when it was answered.
    #[arg(short, long, value_name = "N", value_parser = at_least_one::<NonZeroU64>(MAX_COUNT))]
    pub rate: Option<NonZeroU64>,
    /// How long a request may take, connecting included.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = nonzero_duration)]
    pub timeout: Duration,
    /// Threads [default: half the CPUs, so that a server on this machine has the other half].
    #[arg(short, long, value_name = "N", value_parser = at_least_one::<NonZeroUsize>(MAX_THREADS))]
    pub threads: Option<NonZeroUsize>,
    /// A new connection for each request.
    #[arg(long)]
    pub no_keep_alive: bool,
    /// HTTP/1.1 and line protocols: requests under way on a connection.
    #[arg(long, value_name = "N", default_value = "1", conflicts_with_all = ["no_keep_alive", "http2"])]
    #[arg(value_parser = number::<u32>(1..=1000))]
    pub pipeline: u32,
    /// HTTP/2: https agrees on it in the handshake (ALPN), http takes it as agreed (prior knowledge).
    #[arg(long)]
    pub http2: bool,
    /// HTTP/2: requests under way on a connection.
    #[arg(long, value_name = "N", default_value = "1", requires = "http2", conflicts_with = "no_keep_alive")]
    #[arg(value_parser = number::<u32>(1..=1000))]
    pub streams: u32,
    /// How https:// is spoken.
    #[command(flatten)]
    pub secure: SecureArgs,
    /// HTTP method.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub method: Method,
    /// HTTP field, as in "Accept: text/html". May be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = field)]
    pub headers: Vec<(String, String)>,
    /// HTTP content to send.
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    pub body: Option<String>,
    /// File with the HTTP content to send.
    #[arg(long, value_name = "FILE")]
    pub body_file: Option<PathBuf>,
    /// Line protocols: what to say [default: hello for echo, PING for command].
    #[arg(long, value_name = "TEXT")]
    pub line: Option<String>,
    /// The server's process, to tell what it and its children use.
    #[arg(long, value_name = "PID", value_parser = number::<u32>(1..=u32::MAX.into()))]
    pub server_pid: Option<u32>,
    /// The files to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The files that a run writes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OutputArgs {
    /// Write the result as JSON; with "-" to stdout, instead of text.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the result as a page with plots that needs nothing else; with "-" to stdout, instead of text.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl OutputArgs {
    /// Whether stdout is taken, so that there is no place for text.
    pub(super) fn takes_stdout(&self) -> bool {
        [&self.json, &self.html].into_iter().flatten().any(|file| is_stdout(file))
    }

    /// Looks whether everything can be written, as long as nothing was measured.
    ///
    /// # Errors
    ///
    /// It cannot. A file that is there already is left as it is.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if [&self.json, &self.html].into_iter().all(|file| file.as_deref().is_some_and(is_stdout)) {
            return Err(Failure::Usage("--json - and --html -: stdout can have only one of them".to_owned()));
        }
        for file in [&self.json, &self.html].into_iter().flatten().filter(|file| !is_stdout(file)) {
            writable(file).map_err(|error| unwritten(file, &error))?;
        }
        Ok(())
    }
}

/// Whether stdout is meant where a file is named.
pub(super) fn is_stdout(file: &Path) -> bool {
    file == Path::new("-")
}

/// Whether a file could be written, and if there was none, still is none.
fn writable(file: &Path) -> io::Result<()> {
    let mut open = OpenOptions::new();
    open.append(true);
    match fs::metadata(file) {
        // A program may wait at the other end of a pipe, and would take this for the whole output.
        Ok(there) if !there.is_file() && !there.is_dir() => Ok(()),
        Ok(_) => open.open(file).map(drop),
        Err(_) => open.create_new(true).open(file).and_then(|_| fs::remove_file(file)),
    }
}

/// The error of a file that cannot be written.
pub(super) fn unwritten(file: &Path, error: &io::Error) -> Failure {
    Failure::Run(format!("cannot write {}: {error}", file.display()))
}

impl LoadArgs {
    /// The plan that the flags ask for. Connects once, to see that the server is there.
    ///
    /// # Errors
    ///
    /// A flag that makes no sense (exit code 2), or a target that cannot be reached (1).
    pub fn plan(&self) -> Result<Plan, Failure> {
        let Some(target) = self.target.clone() else {
            return Err(Failure::Usage("no server is named: give a URL such as http://127.0.0.1:8080/".to_owned()));
        };
        let script = self.script(&target).map_err(Failure::Usage)?;
        if let Some(pid) = self.server_pid
            && cfg!(target_os = "linux")
            && usage::of(pid).is_none()
        {
            return Err(Failure::Usage(format!("there is no process {pid}: give the server's with --server-pid")));
        }
        if let Some(threads) = self.threads.filter(|threads| threads.get() > self.clients as usize) {
            let clients = self.clients;
            return Err(Failure::Usage(format!(
                "--threads {threads} would have nothing to do: at most --clients, {clients}"
            )));
        }
        let cpus = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = self.threads.map_or((cpus / 2).max(1), NonZeroUsize::get);
        let security = self.security(&target).map_err(Failure::Usage)?;
        Ok(Plan {
            to: reach(&target, &script, security.as_ref(), self.timeout)?,
            target,
            script,
            security,
            clients: self.clients as usize,
            threads: threads.min(self.clients as usize),
            at_once: if self.http2 { self.streams } else { self.pipeline },
            keep_alive: !self.no_keep_alive,
            duration: self.duration,
            warm_up: self.warm_up,
            timeout: self.timeout,
            rate: self.rate.map(NonZeroU64::get),
            server: self.server_pid,
        })
    }

    fn security(&self, target: &Target) -> Result<Option<Security>, String> {
        match target.scheme {
            Scheme::Https => self.secure.security(target, self.http2).map(Some),
            Scheme::Http | Scheme::Echo | Scheme::Command if self.secure.is_given() => {
                Err("--ca, --insecure and --no-resume are for https://".to_owned())
            }
            Scheme::Http | Scheme::Echo | Scheme::Command => Ok(None),
        }
    }

    fn script(&self, target: &Target) -> Result<Script, String> {
        let keep_alive = !self.no_keep_alive;
        if !target.scheme.is_http() {
            if self.http2 {
                return Err("--http2 is for http:// and https://".to_owned());
            }
            if !self.headers.is_empty() || self.body.is_some() || self.body_file.is_some() || self.method != Method::Get
            {
                return Err("--method, --header and --body are for HTTP; a line protocol has --line".to_owned());
            }
            let line = self.line.as_deref().unwrap_or(target.scheme.usual_line());
            return LineScript::new(target.scheme, line, keep_alive).map(Script::Lines);
        }
        if self.line.is_some() {
            return Err("--line is for echo:// and command://; HTTP has --body".to_owned());
        }
        let body = match (&self.body, &self.body_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(file)) => fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?,
            (None, None) => Vec::new(),
        };
        let method = self.method.clone();
        if self.http2 {
            let script = Http2Script::new(target, method, &self.headers, &body, self.streams, keep_alive);
            return script.map(Script::Http2);
        }
        HttpScript::new(target, method, &self.headers, &body, keep_alive).map(Script::Http)
    }
}

/// Looks at the first word of the command line: a misspelt command would be taken for a URL, and its flags for unknown ones.
///
/// # Errors
///
/// It is a word, and neither a command nor a URL.
pub fn check_first_word(word: &str) -> Result<(), Failure> {
    match word.parse::<Target>() {
        Err(error) if target::is_word(word) && !["compare", "help"].contains(&word) => {
            Err(Failure::Usage(format!("{word:?} is {error}")))
        }
        _ => Ok(()),
    }
}

/// Reads `Name: value`.
fn field(text: &str) -> Result<(String, String), String> {
    const HINT: &str = "write Name: value";
    let (name, value) = text.split_once(':').ok_or(HINT)?;
    // Names have the syntax of methods: a token (RFC 9110 §5.6.2).
    if Method::from_bytes(name.as_bytes()).is_err() || value.contains(['\r', '\n', '\0']) {
        return Err(HINT.to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
