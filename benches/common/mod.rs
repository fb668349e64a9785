//! Helpers that the benches share: how long to measure, where time begins, and the heads that clients and backends
//! send.

// Each bench uses its own part.
#![allow(dead_code)]

use criterion::{Criterion, PlottingBackend};
use socket_patterns::{
    backend::{Backend, BackendId},
    time::{Instant, Now},
};
use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

/// Short, so that all of them are over before one looks away. For a last word on a few per cent, ask for more:
/// `cargo bench --bench parsing -- --measurement-time 10`.
pub(crate) fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        // A tenth of the default, which would take as long as the measurement.
        .nresamples(10_000)
        // Else the pictures depend on whether gnuplot is installed.
        .plotting_backend(PlottingBackend::Plotters)
}

/// Where time begins. The only reading of a clock in what is measured: from here on it is told, as everywhere.
pub(crate) fn start() -> Now {
    // There is no other way to make an `Instant`.
    #[allow(clippy::disallowed_methods)]
    Now { instant: Instant::now(), wall: SystemTime::UNIX_EPOCH }
}

/// Equal backends, `count` of them; nothing connects to them.
pub(crate) fn backends(count: u16) -> Vec<Backend> {
    let backend = |id| Backend {
        id: BackendId(id),
        name: format!("backend-{id}"),
        addresses: SocketAddr::from(([127, 0, 0, 1], 9000)).into(),
        weight: 1,
        max: None,
        secured: None,
    };
    (0..count).map(backend).collect()
}

/// A request of a load generator: the least that a request may be.
pub(crate) const SMALL_GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A request of a browser that follows a link: 16 fields, about 900 bytes.
pub(crate) const BROWSER_GET: &[u8] = b"GET /articles/2024/06/an-ordinary-page?ref=home&page=2 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"126\", \"Not.A/Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    DNT: 1\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Referer: https://www.example.com/articles/2024/06/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=3f6c2a9e5b7d4810a1c2e3f405162738; theme=dark; consent=eyJhbmFseXRpY3MiOmZhbHNlfQ\r\n\
    \r\n";

/// A response of an application server: 7 fields and 13 bytes of content.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: backend\r\n\
    Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 13\r\n\
    ETag: \"5f2c-61a8\"\r\n\
    Cache-Control: private, max-age=60\r\n\
    Vary: Accept-Encoding\r\n\
    \r\n\
    Hello, world!";
