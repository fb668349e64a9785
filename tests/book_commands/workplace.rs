//! Where a page is tried: a directory that looks like the repository, with programs that are already built.

use crate::ports::Ports;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Our programs as they were built for this test.
const PROGRAMS: &[(&str, &str)] = &[
    ("milestone1", env!("CARGO_BIN_EXE_milestone1")),
    ("milestone2", env!("CARGO_BIN_EXE_milestone2")),
    ("milestone3", env!("CARGO_BIN_EXE_milestone3")),
    ("milestone4", env!("CARGO_BIN_EXE_milestone4")),
    ("milestone5", env!("CARGO_BIN_EXE_milestone5")),
    ("proxy", env!("CARGO_BIN_EXE_proxy")),
    ("forward-proxy", env!("CARGO_BIN_EXE_forward-proxy")),
    ("origin", env!("CARGO_BIN_EXE_origin")),
    ("iterative", env!("CARGO_BIN_EXE_iterative")),
    ("fork", env!("CARGO_BIN_EXE_fork")),
    ("thread-per-client", env!("CARGO_BIN_EXE_thread-per-client")),
    ("thread-pool", env!("CARGO_BIN_EXE_thread-pool")),
    ("event-driven", env!("CARGO_BIN_EXE_event-driven")),
    ("hybrid", env!("CARGO_BIN_EXE_hybrid")),
    ("io-uring", env!("CARGO_BIN_EXE_io-uring")),
    ("load", env!("CARGO_BIN_EXE_load")),
    ("client", env!("CARGO_BIN_EXE_client")),
    ("gateway", env!("CARGO_BIN_EXE_gateway")),
    ("broker", env!("CARGO_BIN_EXE_broker")),
    ("chat", env!("CARGO_BIN_EXE_chat")),
    ("store", env!("CARGO_BIN_EXE_store")),
    ("file-server", env!("CARGO_BIN_EXE_file-server")),
    ("multi", env!("CARGO_BIN_EXE_multi")),
];

/// `cargo run --bin NAME -- FLAGS` starts what is built, and `cargo build` has nothing to do.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = build ] && exit
[ "$1" = run ] || { echo "cargo $1 is not for this test" >&2; exit 64; }
shift
name=milestone4
while [ $# -gt 0 ]; do
    case $1 in
        --) shift; break ;;
        --bin) name=$2; shift ;;
    esac
    shift
done
exec "target/release/$name" "$@"
"#;

/// The variables by which a machine's user sends requests by way of a proxy. None does here, unless the page says so.
const PROXIES: [&str; 7] =
    ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

/// A directory for one page, and what its commands find in the environment.
pub struct Workplace {
    directory: TempDir,
    tools: PathBuf,
}

impl Workplace {
    /// Sets it up. Programs that are not told where to listen, or where to connect to, take the page's port for 8080.
    pub fn set_up(ports: &Ports) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let (root, tools) = (directory.path(), directory.path().join(".tools"));
        let release = root.join("target/release");
        for new in [&tools, &release] {
            fs::create_dir_all(new).expect("the directory is ours");
        }
        for part in ["bin", "src", "docs", "Makefile", "README.md"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(part), root.join(part)).expect("the directory is ours");
        }
        for (name, path) in PROGRAMS {
            write_program(&release.join(name), &start(name, path, ports));
        }
        write_program(&tools.join("cargo"), CARGO);
        // On a terminal curl shows progress only where the output goes elsewhere; that is not compared.
        fs::write(tools.join(".curlrc"), "no-progress-meter\n").expect("the directory is ours");
        Self { directory, tools }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The variables that differ from our own environment.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let others = std::env::var("PATH").unwrap_or_default();
        let mut variables = vec![
            ("PATH", format!("{}:{others}:/usr/sbin", self.tools.display())),
            ("CURL_HOME", self.tools.display().to_string()),
            ("LC_ALL", "C".to_owned()),
        ];
        variables.extend(PROXIES.map(|name| (name, String::new())));
        variables
    }
}

/// A script that starts a program where the page would find it.
fn start(name: &str, path: &str, ports: &Ports) -> String {
    let port = ports.of(if name == "broker" { 1883 } else { 8080 });
    let default = match name {
        // These are told in other ways where to listen, or do not listen.
        "load" | "multi" | "proxy" => return format!("#!/bin/sh\nexec '{path}' \"$@\"\n"),
        "client" => "--connect",
        _ => "--listen",
    };
    // It listens a second time.
    let more = if name == "milestone5" { format!("--tls-listen 127.0.0.1:{}", ports.of(8443)) } else { String::new() };
    let given = format!("*' {default} '*|*' {default}='*|*' --help '*|*' --version '*");
    format!(
        "#!/bin/sh\ncase \" $* \" in {given}) ;; *) set -- {default} 127.0.0.1:{port} {more} \"$@\" ;; esac\nexec '{path}' \"$@\"\n"
    )
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).expect("the directory is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
}
