//! `make install` and `make deb`, as far as they can be tried without root: into a folder, with programs that were built for tests.

// In tests a failed unwrap is the report; clippy knows only functions that are tests themselves.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of programs of this build. `cargo test` of this package alone does not build those of the others.
fn built() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_pages")).parent().unwrap().to_owned();
    for program in ["proxy", "forward-proxy", "load"] {
        assert!(built.join(program).exists(), "there is no {program} in {}: cargo build --bins", built.display());
    }
    built
}

fn run(command: &mut Command) -> Output {
    let folder = command.get_current_dir().map_or_else(repository, Path::to_owned);
    let output = command.current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    output
}

fn make(target: &str, folder: &Path, prefix: &str) {
    let pages = folder.join("pages");
    run(Command::new(env!("CARGO_BIN_EXE_pages")).arg(&pages));
    let set = |name: &str, value: &Path| format!("{name}={}", value.display());
    // Programs that were built for tests are large, and are packed for nobody.
    let mut command = Command::new("make");
    command.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    run(command.args([target, &format!("PREFIX={prefix}")]).args([
        set("DESTDIR", &folder.join("root")),
        set("BUILT", &built()),
        set("PAGES", &pages),
        set("DEB", &folder.join("deb")),
    ]));
}

/// `false`, and a line for the tester, where there is no such program.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("REQUIRE_PROGRAMS").is_none(), "{program} is not installed");
    if !found {
        let _ = writeln!(std::io::stderr(), "skipped: no {program}");
    }
    found
}

/// The first configuration is right, and so is the manual.
fn works(root: &Path, prefix: &str) {
    let prefix = root.join(prefix.trim_start_matches('/'));
    let config = root.join("etc/proxy/proxy.toml");
    run(Command::new(prefix.join("bin/proxy")).arg("--config").arg(&config).arg("--check"));
    let unit = fs::read_to_string(prefix.join("lib/systemd/system/proxy.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let program = start.split(' ').next().unwrap();
    assert!(root.join(program.trim_start_matches('/')).exists(), "{start}");
    let completion = fs::read_to_string(prefix.join("share/bash-completion/completions/proxy")).unwrap();
    assert!(completion.contains("--print-config") && completion.contains("complete -F _proxy"), "{completion}");
}

#[test]
fn an_installation_in_a_folder_works() {
    let folder = tempfile::tempdir().unwrap();
    make("install", folder.path(), "/opt/p");
    let root = folder.path().join("root");
    works(&root, "/opt/p");
    if has("man") {
        let page = root.join("opt/p/share/man/man1/proxy.1");
        let shown = run(Command::new("man").env("MANWIDTH", "100").env("MANPAGER", "cat").arg("-l").arg(page));
        let text = String::from_utf8(shown.stdout).unwrap();
        for part in ["proxy", "--config", "Exit codes", "[[site]]"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
    // The operator's own configuration stays.
    let config = root.join("etc/proxy/proxy.toml");
    fs::write(&config, "mine").unwrap();
    make("install", folder.path(), "/opt/p");
    assert_eq!(fs::read_to_string(&config).unwrap(), "mine");
    make("uninstall", folder.path(), "/opt/p");
    let left: Vec<PathBuf> = files(&root);
    assert_eq!(left, [config]);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn a_debian_package_can_be_unpacked_and_works() {
    if !has("dpkg-deb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    make("deb-of-built", folder.path(), "/usr");
    let made = files(&folder.path().join("deb"));
    let package = made.iter().find(|file| file.extension().is_some_and(|end| end == "deb")).unwrap();
    let field = |name: &str| {
        let output = run(Command::new("dpkg-deb").arg("--field").arg(package).arg(name));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let version = run(Command::new(built().join("proxy")).arg("--version"));
    assert_eq!(format!("proxy {}\n", field("Version")), String::from_utf8(version.stdout).unwrap());
    assert_eq!(field("Package"), "socket-patterns");
    assert!(field("Depends").contains("libc6"), "{}", field("Depends"));
    let root = folder.path().join("unpacked");
    run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root));
    works(&root, "/usr");
    assert!(root.join("usr/share/man/man1/proxy.1.gz").exists());
    let control = folder.path().join("control");
    run(Command::new("dpkg-deb").arg("--control").arg(package).arg(&control));
    assert_eq!(fs::read_to_string(control.join("conffiles")).unwrap(), "/etc/proxy/proxy.toml\n");
    // Each file is as it was when it was packed.
    run(Command::new("md5sum").args(["--check", "--quiet"]).arg(control.join("md5sums")).current_dir(&root));
}
