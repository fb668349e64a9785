//! Another implementation of both protocols, where it is installed.

use crate::{
    BRIEF, load, number,
    support::{
        process::{PATIENCE, wait_until},
        raw::refusing_address,
        tls::{Site, authority, text},
    },
};
use serde_json::json;
use socket_patterns::net::connect::connect;
use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const SHORT: [&str; 4] = ["--duration", BRIEF, "--clients", "3"];

/// nginx in one process, on a port that no other program gets meanwhile.
struct Nginx {
    process: Child,
    address: SocketAddr,
    site: Site,
    _folder: TempDir,
}

impl Nginx {
    /// `None`: it is not installed, or does not know HTTP/2.
    fn start(more: &str) -> Option<Self> {
        let version = Command::new("nginx").arg("-V").output().ok()?;
        if !String::from_utf8_lossy(&version.stderr).contains("http_v2") {
            return None;
        }
        let address = refusing_address();
        let (site, folder) = (Site::new(&["localhost"]), tempfile::tempdir().unwrap());
        fs::write(site.path("authority.pem"), authority()).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {name};\n"))
            .collect();
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\n\
             events {{ worker_connections 100; }}\n\
             http {{ access_log off; {temporary}\n\
             server {{ listen {address} ssl http2; {more}\n\
             ssl_certificate {}; ssl_certificate_key {};\n\
             location / {{ default_type text/plain; return 200 \"hello\"; }} }} }}\n",
            text(&site.certificate),
            text(&site.key),
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-e", "stderr"]);
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, address, site, _folder: folder };
        wait_until("nginx to listen", || connect(address, PATIENCE).is_ok());
        Some(nginx)
    }

    /// Runs it under load.
    fn load(&self, flags: &[&str]) -> serde_json::Value {
        let authority = self.site.path("authority.pem");
        let url = format!("https://localhost:{}/", self.address.port());
        load(&url, &[&SHORT[..], &["--ca", text(&authority)], flags].concat())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_is_asked_over_both_protocols() {
    let Some(nginx) = Nginx::start("keepalive_requests 50;") else {
        return eprintln!("skipped: there is no nginx with HTTP/2");
    };
    let report = nginx.load(&["--http2", "--streams", "8"]);
    assert_eq!(report["errors"], json!({}), "{report:#}");
    // It says goodbye after each fifty requests, of which some are on their way then.
    assert!(
        number(&report, "/connections/made") > 3.0 && number(&report, "/connections/sent_again") > 0.0,
        "{report:#}"
    );
    let report = nginx.load(&["--no-keep-alive"]);
    assert_eq!((&report["errors"], &report["load"]["protocol"]), (&json!({}), &json!("HTTP/1.1")), "{report:#}");
    assert!(number(&report, "/handshakes/resumed") > 0.0, "{report:#}");
}
