//! One event on its way to the log. Where it happens only its values are kept; the thread that writes makes the line of them.
//!
//! Invariants: an event is one line, whatever its values hold: in text, control characters in them are escaped. The line is
//! the event's own: no span stands around it.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use serde_json::to_writer;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::types::time::Timestamp;

/// The most important first: a level's place is its index.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
pub const ERROR: usize = 0;

const NAMES: [&str; LEVELS.len()] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
/// ANSI: red, yellow, green, blue, magenta.
const COLOURS: [u8; LEVELS.len()] = [31, 33, 32, 34, 35];

const MESSAGE: &str = "message";
/// What most events fill.
const TEXT_BYTES: usize = 96;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Text,
    /// For a terminal.
    Coloured,
    Json,
}

#[derive(Debug)]
pub struct Record {
    level: usize,
    /// Without a time it is no event: its text is the line.
    at: Option<Timestamp>,
    values: Vec<(&'static str, Value)>,
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    /// What stands in `text`, from here to there, as it is.
    Shown(usize, usize),
    /// The same; a string, which is quoted.
    Quoted(usize, usize),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

impl Record {
    pub fn of(event: &Event<'_>, at: Timestamp) -> Self {
        let mut record = Self {
            level: place(event.metadata().level()),
            at: Some(at),
            values: Vec::with_capacity(event.metadata().fields().len()),
            text: String::with_capacity(TEXT_BYTES),
        };
        event.record(&mut record);
        record
    }

    pub fn plain(level: usize, text: &str) -> Self {
        Self {
            level,
            at: None,
            values: Vec::new(),
            text: text.to_owned(),
        }
    }

    pub fn level(&self) -> usize {
        self.level
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        let values = self.values.capacity() * size_of::<(&str, Value)>();
        size_of::<Self>() + values + self.text.capacity()
    }

    /// Appends the line, with its line feed.
    pub fn write(&self, line: &mut Vec<u8>, style: Style) {
        match (self.at, style) {
            (None, _) => line.extend_from_slice(self.text.as_bytes()),
            (Some(at), Style::Json) => self.write_json(at, line),
            (Some(at), _) => {
                let text = self.as_text(at, style == Style::Coloured);
                line.extend_from_slice(text.as_bytes());
            }
        }
        line.push(b'\n');
    }

    /// `2026-01-31T09:00:00.000Z  INFO Answered method="GET" status=200`.
    fn as_text(&self, at: Timestamp, is_coloured: bool) -> String {
        let (time, name) = (at.rfc3339(), NAMES[self.level]);
        let mut text = if is_coloured {
            let colour = COLOURS[self.level];
            format!("\u{1b}[2m{time}\u{1b}[0m \u{1b}[{colour}m{name:>5}\u{1b}[0m")
        } else {
            format!("{time} {name:>5}")
        };
        for (name, value) in &self.values {
            text.push(' ');
            if *name != MESSAGE {
                text.push_str(name);
                text.push('=');
            }
            // into a String, which takes everything
            let _ = match *value {
                Value::Shown(from, to) => {
                    escape(&self.text[from..to], &mut text);
                    Ok(())
                }
                Value::Quoted(from, to) => write!(text, "{:?}", &self.text[from..to]),
                Value::Unsigned(value) => write!(text, "{value}"),
                Value::Signed(value) => write!(text, "{value}"),
                Value::Float(value) => write!(text, "{value}"),
                Value::Bool(value) => write!(text, "{value}"),
            };
        }
        text
    }

    /// `{"timestamp":"2026-01-31T09:00:00.000Z","level":"INFO","message":"Answered","status":200}`.
    fn write_json(&self, at: Timestamp, line: &mut Vec<u8>) {
        // into a Vec, which takes everything
        let _ = write!(
            line,
            "{{\"timestamp\":\"{}\",\"level\":\"{}\"",
            at.rfc3339(),
            NAMES[self.level]
        );
        for (name, value) in &self.values {
            line.push(b',');
            let _ = to_writer(&mut *line, name);
            line.push(b':');
            let _ = match *value {
                Value::Shown(from, to) | Value::Quoted(from, to) => {
                    to_writer(&mut *line, &self.text[from..to])
                }
                Value::Unsigned(value) => to_writer(&mut *line, &value),
                Value::Signed(value) => to_writer(&mut *line, &value),
                Value::Float(value) => to_writer(&mut *line, &value),
                Value::Bool(value) => to_writer(&mut *line, &value),
            };
        }
        line.push(b'}');
    }

    fn keep(&mut self, field: &Field, value: Value) {
        self.values.push((field.name(), value));
    }
}

fn place(level: &Level) -> usize {
    match *level {
        Level::ERROR => ERROR,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

fn escape(value: &str, text: &mut String) {
    if !value.contains(char::is_control) {
        return text.push_str(value);
    }
    for c in value.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
}

impl Visit for Record {
    /// Also everything that is shown by its `Display`.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let from = self.text.len();
        // a value that cannot be shown is shown as far as it goes
        let _ = write!(self.text, "{value:?}");
        self.keep(field, Value::Shown(from, self.text.len()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let from = self.text.len();
        self.text.push_str(value);
        let to = self.text.len();
        let is_message = field.name() == MESSAGE;
        self.keep(
            field,
            if is_message {
                Value::Shown(from, to)
            } else {
                Value::Quoted(from, to)
            },
        );
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Value::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Value::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Value::Bool(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.record_debug(field, &value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Subscriber;
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_769_850_000_007);

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Record>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().expect("no panic").push(Record::of(event, AT));
        }
    }

    fn line(style: Style, event: impl FnOnce()) -> String {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone());
        tracing::subscriber::with_default(subscriber, event);
        let mut line = Vec::new();
        kept.0.lock().expect("no panic")[0].write(&mut line, style);
        String::from_utf8(line).expect("text")
    }

    fn answered() {
        let (id, route) = (format_args!("req_1").to_string(), "/v1/\"x\"\n".to_owned());
        let micros = 7_u128;
        tracing::info!(request.id = %id, route, status = 200_u16, micros, left = -1, share = 0.5, done = true, "Answered {}", 1);
    }

    #[test]
    fn a_line_of_text_reads_as_before() {
        assert_eq!(
            line(Style::Text, answered),
            "2026-01-31T09:00:00.007Z  INFO Answered 1 request.id=req_1 route=\"/v1/\\\"x\\\"\\n\" status=200 micros=7 left=-1 share=0.5 done=true\n"
        );
    }

    #[test]
    fn a_line_of_json_is_one_object_with_numbers_as_numbers() {
        let text = line(Style::Json, answered);
        let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected = serde_json::json!({
            "timestamp": "2026-01-31T09:00:00.007Z", "level": "INFO", "message": "Answered 1", "request.id": "req_1",
            "route": "/v1/\"x\"\n", "status": 200, "micros": 7, "left": -1, "share": 0.5, "done": true,
        });
        assert_eq!(object, expected);
        assert_eq!(text.matches('\n').count(), 1);
    }

    /// What somebody else wrote starts no line of its own, and moves no cursor.
    #[test]
    fn control_characters_are_escaped() {
        let text = line(Style::Text, || {
            let words = "a\nb\u{1b}[31m\u{9b}c é";
            tracing::warn!(shown = %words, "{words}");
        });
        let escaped = "a\\nb\\u{1b}[31m\\u{9b}c é";
        assert_eq!(
            text,
            format!("2026-01-31T09:00:00.007Z  WARN {escaped} shown={escaped}\n")
        );
    }

    #[test]
    fn a_terminal_gets_colours_and_nobody_else() {
        let text = line(Style::Coloured, || tracing::error!("No"));
        assert!(text.contains("\u{1b}[31mERROR\u{1b}[0m No"), "{text}");
    }
}
