//! The form of an event: a line of text, or of JSON.

use super::EventFormat;
use crate::units::{JsonText, json_text};
use std::fmt::{self, Write as _};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// An event on one line.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneLine {
    pub(super) format: EventFormat,
    /// With its time and level. A place that has them itself gets a text without.
    pub(super) stamped: bool,
}

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'f> FormatFields<'f> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match self.format {
            EventFormat::Json => json(&mut writer, event)?,
            EventFormat::Text => {
                if self.stamped {
                    stamp(&mut writer, *event.metadata().level())?;
                }
                cx.format_fields(Writer::new(&mut Escaped(&mut writer)), event)?;
            }
        }
        writeln!(writer)
    }
}

/// Time and level.
fn stamp(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    SystemTime.format_time(writer)?;
    if writer.has_ansi_escapes() {
        write!(writer, " \x1b[{}m{level:>5}\x1b[0m ", colour_of(level))
    } else {
        write!(writer, " {level:>5} ")
    }
}

/// ECMA-48 "select graphic rendition": red, yellow, green, blue, magenta.
fn colour_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// `{"time":"…","level":"info","message":"listening","address":"127.0.0.1:80"}`
fn json(writer: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    writer.write_str("{\"time\":\"")?;
    SystemTime.format_time(writer)?;
    write!(writer, "\",\"level\":\"{}\",\"target\":", metadata.level().as_str().to_ascii_lowercase())?;
    json_text(writer, metadata.target())?;
    let mut members = Members { out: writer, result: Ok(()) };
    event.record(&mut members);
    members.result?;
    writer.write_char('}')
}

/// The fields of an event as members of an object.
struct Members<'w, 'o> {
    out: &'w mut Writer<'o>,
    result: fmt::Result,
}

impl Members<'_, '_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) {
        self.result = self.result.and_then(|()| {
            self.out.write_char(',')?;
            json_text(self.out, field.name())?;
            self.out.write_char(':')?;
            value(self.out)
        });
    }
}

impl Visit for Members<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |out| {
            out.write_char('"')?;
            write!(JsonText(out), "{value:?}")?;
            out.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |out| json_text(out, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |out| write!(out, "{value}"));
    }
}

/// Writes control characters as escapes: what a peer sent must not forge a log line or steer a terminal.
struct Escaped<'w>(&'w mut dyn fmt::Write);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, control)) = rest.char_indices().find(|(_, character)| character.is_control()) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", control.escape_default())?;
            rest = &rest[at + control.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}
