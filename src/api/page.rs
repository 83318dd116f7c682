//! Lists, page by page: newest first, by `(created_at, id)`, so that what is added meanwhile never moves what comes next.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::Refusal;
use crate::types::time::Timestamp;

const LEAST: u16 = 1;
const MOST: u16 = 100;
const DEFAULT: u16 = 50;
const LEAST_CURSOR_BYTES: usize = 40;
const MOST_CURSOR_BYTES: usize = 200;

/// `?limit=`: how many a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl Limit {
    /// One more than the page holds: whether there is a next one.
    pub fn rows(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || {
            serde::de::Error::custom(format!(
                "limit must be a whole number from {LEAST} to {MOST}"
            ))
        };
        let text = String::deserialize(deserializer)?;
        let limit: u16 = text.parse().map_err(|_| wrong())?;
        if (LEAST..=MOST).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(wrong())
        }
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": LEAST, "maximum": MOST, "default": DEFAULT})
    }
}

/// `?cursor=`: where the last page ended. Opaque to callers; its checksum refuses one that was cut or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<I> {
    /// None: it is spelled like one, but no list here has this page.
    place: Option<(Timestamp, I)>,
}

impl<I: Copy> Cursor<I> {
    pub fn place(cursor: Option<Self>) -> Result<Option<(Timestamp, I)>, Refusal> {
        cursor
            .map(|cursor| cursor.place.ok_or(Refusal::NotFound))
            .transpose()
    }
}

fn is_spelled(text: &str) -> bool {
    (LEAST_CURSOR_BYTES..=MOST_CURSOR_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn encode(at: Timestamp, id: &str) -> String {
    let body = format!("{} {id}", at.millis());
    URL_SAFE_NO_PAD.encode(format!("{body} {:08x}", crc32fast::hash(body.as_bytes())))
}

fn decode<I: FromStr>(text: &str) -> Option<(Timestamp, I)> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (body, checksum) = decoded.rsplit_once(' ')?;
    let (at, id) = body.split_once(' ')?;
    let intact = checksum == format!("{:08x}", crc32fast::hash(body.as_bytes()));
    intact.then_some(())?;
    Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
}

impl<'de, I: FromStr> Deserialize<'de> for Cursor<I> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !is_spelled(&text) {
            return Err(serde::de::Error::custom(
                "cursor must be the next_cursor of an earlier page, unchanged",
            ));
        }
        Ok(Self {
            place: decode(&text),
        })
    }
}

impl<I> JsonSchema for Cursor<I> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": format!("^[A-Za-z0-9_-]{{{LEAST_CURSOR_BYTES},{MOST_CURSOR_BYTES}}}$"),
            "description": "The next_cursor of the page before, unchanged. 404: there is no such page.",
        })
    }
}

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Of [`Limit::rows`] rows, newest first. `place` is what the list is ordered by.
    pub fn of<R, I: AsRef<str>>(
        limit: Limit,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> (Timestamp, I),
        view: impl Fn(R) -> T,
    ) -> Self {
        let more = rows.len() > usize::from(limit.0);
        rows.truncate(usize::from(limit.0));
        let last = rows.last().filter(|_| more).map(place);
        Self {
            next_cursor: last.map(|(at, id)| encode(at, id.as_ref())),
            data: rows.into_iter().map(view).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id::{ApiKeyId, WorkspaceId};

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        let (at, id) = (
            Timestamp::from_millis(1_800_000_000_123),
            WorkspaceId::generate(Timestamp::from_millis(0)),
        );
        let text = encode(at, id.as_str());
        assert!(is_spelled(&text), "{text}");
        assert_eq!(decode(&text), Some((at, id)));
        assert_eq!(decode::<ApiKeyId>(&text), None, "of another list");
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                decode::<WorkspaceId>(&String::from_utf8(changed).expect("ASCII")),
                None,
                "{index}"
            );
        }
        for garbage in ["", "x", "%%%", &"A".repeat(10_000), &text[1..]] {
            assert_eq!(decode::<WorkspaceId>(garbage), None, "{garbage}");
        }
    }
}
