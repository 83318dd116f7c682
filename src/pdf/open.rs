//! Opening a file so that lopdf sees what every other reader sees, or not at all.
//!
//! lopdf alone repairs, skips and guesses: here it reads in strict mode, and each cross-reference entry must lead to the
//! object that it names.

use lopdf::xref::XrefEntry;
use lopdf::{Document, Error, LoadOptions, Object};

use super::envelope;
use super::refusal::{Refusal, ambiguous, damaged, ensure};

/// The most that one object stream or cross-reference stream may inflate to; the child's memory bounds their sum.
pub(super) const MAX_INFLATED_BYTES: usize = 64 << 20;

/// Acrobat's highest object number (ISO 32000-1 Annex C.2); others stop reading there.
const MAX_OBJECT_NUMBER: u32 = 8_388_607;

pub(super) fn open(input: &[u8]) -> Result<Document, Refusal> {
    let newest = envelope::check(input)?;
    let mut document = load(input)?;
    ensure(!is_encrypted(&document), || Refusal::Encrypted)?;
    ensure(document.xref_recovery.is_none(), || {
        damaged("its cross-reference table is wrong")
    })?;
    ensure(document.xref_start == newest, || {
        ambiguous("its newest revision is unclear")
    })?;
    check_entries(input, &mut document)?;
    check_streams(&document)?;
    document.prune_objects();
    document.max_id = check_numbers(&document)?;
    Ok(document)
}

fn load(input: &[u8]) -> Result<Document, Refusal> {
    let options = LoadOptions {
        strict: true,
        max_decompressed_size: Some(MAX_INFLATED_BYTES),
        ..LoadOptions::default()
    };
    Document::load_mem_with_options(input, options).map_err(|error| match error {
        Error::InvalidPassword | Error::Decryption(_) | Error::UnsupportedSecurityHandler(_) => {
            Refusal::Encrypted
        }
        _ if envelope::find(input, b"/Encrypt").is_some() => Refusal::Encrypted,
        error => unreadable(error),
    })
}

pub(super) fn unreadable(error: Error) -> Refusal {
    match error {
        // lopdf keeps the type of this error to itself
        Error::Decompress(cause) if format!("{cause:?}").starts_with("MemoryLimitExceeded") => {
            Refusal::ResourceLimit
        }
        error => damaged(error),
    }
}

/// lopdf decrypts silently when the user password is empty, and would save an open copy.
fn is_encrypted(document: &Document) -> bool {
    document.was_encrypted() || document.trailer.has(b"Encrypt")
}

/// lopdf keys an object by the header it finds at an offset, others by the entry that led there.
fn check_entries(input: &[u8], document: &mut Document) -> Result<(), Refusal> {
    let entries = document.reference_table.entries.clone();
    for (&number, entry) in &entries {
        let id = match *entry {
            XrefEntry::Normal { offset, generation } => {
                let found = envelope::object_header(input, offset as usize);
                ensure(found == Some((number, generation)), || {
                    ambiguous(format_args!(
                        "object {number} is not where the cross-reference table says"
                    ))
                })?;
                (number, generation)
            }
            XrefEntry::Compressed { .. } => (number, 0),
            _ => continue,
        };
        ensure(document.objects.contains_key(&id), || {
            damaged(format_args!("object {number} cannot be read"))
        })?;
    }
    // an object that only an object stream lists does not exist for other readers
    document.objects.retain(|(number, _), _| {
        entries
            .get(number)
            .is_some_and(|entry| entry.is_normal() || entry.is_compressed())
    });
    Ok(())
}

/// lopdf leaves a stream empty when it cannot resolve its length, strict or not.
fn check_streams(document: &Document) -> Result<(), Refusal> {
    for ((number, _), object) in &document.objects {
        let Object::Stream(stream) = object else {
            continue;
        };
        let promised = stream
            .dict
            .get_deref(b"Length", document)
            .and_then(Object::as_i64);
        let is_unread = stream.content.is_empty() && stream.start_position.is_some();
        ensure(
            !is_unread || promised.is_ok_and(|length| length == 0),
            || damaged(format_args!("stream {number} has no length")),
        )?;
    }
    Ok(())
}

/// The highest object number in use, after which new objects are numbered.
fn check_numbers(document: &Document) -> Result<u32, Refusal> {
    let mut previous = 0;
    for &(number, _) in document.objects.keys() {
        ensure(number > previous, || {
            ambiguous("two objects share a number")
        })?;
        ensure(number <= MAX_OBJECT_NUMBER, || {
            ambiguous("an object number is out of range")
        })?;
        previous = number;
    }
    Ok(previous)
}
