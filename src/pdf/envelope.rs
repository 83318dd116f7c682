//! The file as bytes, before any object is believed: one header, one end, and a chain of revisions without a loop
//! (ISO 32000-1 §7.5). Readers disagree most about files that break these, so each break is a refusal.

use std::collections::HashSet;

use super::refusal::{Refusal, ambiguous, damaged, ensure};

const HEADER: &[u8] = b"%PDF-";
const END: &[u8] = b"%%EOF";
const MAX_REVISIONS: usize = 1_000;

/// Header at the first byte, nothing after the last `%%EOF`, and every cross-reference section met once. Returns the
/// offset of the newest section, which is the one the reader must have used.
pub(super) fn check(input: &[u8]) -> Result<usize, Refusal> {
    let header = find(input, HEADER).ok_or_else(|| damaged("it has no PDF header"))?;
    ensure(header == 0, || {
        ambiguous("there are bytes before the header")
    })?;
    let end = rfind(input, END).ok_or_else(|| damaged("it has no end-of-file marker"))?;
    let rest = &input[end + END.len()..];
    ensure(
        rest.iter().all(|byte| b" \t\r\n\0\x0C".contains(byte)),
        || ambiguous("there are bytes after the end"),
    )?;
    let newest = startxref(&input[..end])?;
    check_revisions(input, newest)?;
    Ok(newest)
}

/// Two headers are two documents glued together, of which each reader may show another one.
pub(super) fn check_single_header(input: &[u8]) -> Result<(), Refusal> {
    let second = input
        .get(HEADER.len()..)
        .and_then(|rest| find(rest, HEADER));
    ensure(second.is_none(), || {
        ambiguous("it contains a second PDF header")
    })
}

/// The object number and generation of `N G obj` at an offset, as the cross-reference table promised.
pub(super) fn object_header(input: &[u8], offset: usize) -> Option<(u32, u16)> {
    let (number, rest) = number(input.get(offset..)?)?;
    let (generation, rest) = self::number(rest)?;
    skip_blanks(rest).starts_with(b"obj").then_some(())?;
    Some((u32::try_from(number).ok()?, u16::try_from(generation).ok()?))
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .rposition(|window| window == needle)
}

fn startxref(input: &[u8]) -> Result<usize, Refusal> {
    let missing = || damaged("it has no startxref");
    let keyword = rfind(input, b"startxref").ok_or_else(missing)?;
    let (offset, rest) = number(&input[keyword + b"startxref".len()..]).ok_or_else(missing)?;
    ensure(skip_blanks(rest).is_empty(), || {
        ambiguous("there are bytes between startxref and the end")
    })?;
    Ok(offset)
}

fn check_revisions(input: &[u8], newest: usize) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    let mut next = Some(newest);
    while let Some(offset) = next {
        ensure(seen.insert(offset), || {
            ambiguous("its revisions form a loop")
        })?;
        ensure(seen.len() <= MAX_REVISIONS, || {
            ambiguous("it has too many revisions")
        })?;
        let section = input
            .get(offset..)
            .ok_or_else(|| damaged("a revision lies past the end"))?;
        let trailer = trailer_text(section)?;
        ensure(count(trailer, b"/Root") <= 1, || {
            ambiguous("a trailer names two catalogs")
        })?;
        next = previous(trailer)?;
    }
    Ok(())
}

/// The bytes of a section's dictionary: after `trailer` for a table, the stream's dictionary otherwise.
fn trailer_text(section: &[u8]) -> Result<&[u8], Refusal> {
    let unreadable = || damaged("a cross-reference section cannot be read");
    let section = skip_blanks(section);
    let (from, until): (usize, &[u8]) = match section.starts_with(b"xref") {
        true => (
            find(section, b"trailer").ok_or_else(unreadable)?,
            b"startxref",
        ),
        false => (0, b"stream"),
    };
    let text = &section[from..];
    Ok(&text[..find(text, until).ok_or_else(unreadable)?])
}

fn previous(trailer: &[u8]) -> Result<Option<usize>, Refusal> {
    const KEY: &[u8] = b"/Prev";
    let Some(at) = find(trailer, KEY) else {
        return Ok(None);
    };
    ensure(count(trailer, KEY) == 1, || {
        ambiguous("a trailer names two previous revisions")
    })?;
    let (offset, rest) =
        number(&trailer[at + KEY.len()..]).ok_or_else(|| ambiguous("a /Prev is not a number"))?;
    let rest = skip_blanks(rest);
    ensure(rest.starts_with(b"/") || rest.starts_with(b">"), || {
        ambiguous("a /Prev is not a plain number")
    })?;
    Ok(Some(offset))
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|window| *window == needle)
        .count()
}

fn number(input: &[u8]) -> Option<(usize, &[u8])> {
    let input = skip_blanks(input);
    let length = input
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = input.split_at(length);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

fn skip_blanks(input: &[u8]) -> &[u8] {
    let blanks = input
        .iter()
        .take_while(|byte| b" \t\r\n\0\x0C".contains(byte))
        .count();
    &input[blanks..]
}
