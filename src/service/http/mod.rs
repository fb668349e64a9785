//! A small HTTP/1.1 server: the backend that proxies, load generators and exercises talk to.
//!
//! | path | method | answer |
//! |---|---|---|
//! | `/` | any | a line that says who answers |
//! | `/health` | any | 200 |
//! | `/headers` | any | the request's head, as it was received |
//! | `/status/CODE` | any | that status |
//! | `/delay/MS` | any | 200, after that many milliseconds |
//! | `/cpu/MS` | any | 200, after that many milliseconds of computing, or 503 if nobody has time for it |
//! | `/bytes/N`, `/chunked/N` | `GET` | N bytes, with `Content-Length` or in chunks |
//! | `/echo` | `POST`, `PUT` | the request's content, as it arrives, with its trailers |
//! | `/upload` | `POST`, `PUT` | how many bytes arrived |
//!
//! "Any" are the six usual ones. `HEAD` goes wherever `GET` does.
//!
//! Reading order: `route` (what a path names), `plan` (what is answered), `respond` (how it is written), then
//! [`Http`], which does it in the right order:
//!
//! ```text
//!             head                  end of request                       delay over, computed
//!   Reading ─────────▶ Receiving ───────────────────▶ (Waiting, Working) ─────────────────────▶ Sending
//!      ▲         └───▶ Echoing ──┐                                                                 │
//!      └─────────────────────────┴──────────── next request, or Closed ────────────────────────────┘
//! ```

mod config;
mod pattern;
mod plan;
mod respond;
mod route;
mod session;

pub use config::{HttpConfig, Name};
pub use session::Http;
