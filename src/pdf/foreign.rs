//! What a mark on the pages cannot cover: files inside the file, portfolios, XFA forms, which readers that know them show
//! *instead of* the pages, and views of another box than the marked one.

use lopdf::{Dictionary, Document, Object};

use super::refusal::{Refusal, ambiguous, damaged, ensure};

pub(super) fn refuse_foreign_content(document: &Document) -> Result<(), Refusal> {
    let catalog = document.catalog().map_err(damaged)?;
    ensure(!catalog.has(b"Collection"), || Refusal::EmbeddedFiles)?;
    ensure(!catalog.has(b"NeedsRendering"), || {
        ambiguous("it holds a dynamic form (XFA)")
    })?;
    if let Ok(form) = catalog
        .get_deref(b"AcroForm", document)
        .and_then(Object::as_dict)
    {
        ensure(!form.has(b"XFA"), || ambiguous("it holds an XFA form"))?;
    }
    refuse_other_boxes(document, catalog)?;
    let carries_file = document
        .objects
        .values()
        .any(|object| carries_file(document, object));
    ensure(!carries_file, || Refusal::EmbeddedFiles)
}

/// ISO 32000-1 table 150: a file may ask for another box than the crop box, which is the one that the mark spans.
fn refuse_other_boxes(document: &Document, catalog: &Dictionary) -> Result<(), Refusal> {
    const KEYS: [&[u8]; 4] = [b"ViewArea", b"ViewClip", b"PrintArea", b"PrintClip"];
    let preferences = catalog
        .get_deref(b"ViewerPreferences", document)
        .and_then(Object::as_dict);
    let Ok(preferences) = preferences else {
        return Ok(());
    };
    let is_crop_box = |area: &Object| area.as_name().is_ok_and(|name| name == b"CropBox");
    let mut areas = KEYS
        .into_iter()
        .filter_map(|key| preferences.get_deref(key, document).ok());
    ensure(areas.all(is_crop_box), || {
        ambiguous("it asks readers to show another box than the crop box")
    })
}

fn carries_file(document: &Document, object: &Object) -> bool {
    let mut open = vec![object];
    while let Some(object) = open.pop() {
        let dictionary = match object {
            Object::Array(items) => {
                open.extend(items);
                continue;
            }
            Object::Dictionary(dictionary) => dictionary,
            Object::Stream(stream) if stream.dict.has_type(b"EmbeddedFile") => return true,
            Object::Stream(stream) => &stream.dict,
            _ => continue,
        };
        if is_file_carrier(document, dictionary) {
            return true;
        }
        open.extend(dictionary.iter().map(|(_, value)| value));
    }
    false
}

/// A file specification with contents (ISO 32000-1 §7.11.4), or an annotation that promises one. A font may well be
/// *named* `/EF`, so what counts is a stream behind it.
fn is_file_carrier(document: &Document, dictionary: &Dictionary) -> bool {
    let subtype = dictionary
        .get_deref(b"Subtype", document)
        .and_then(Object::as_name);
    let contents = dictionary
        .get_deref(b"EF", document)
        .and_then(Object::as_dict);
    let is_stream = |value: &Object| {
        document
            .dereference(value)
            .is_ok_and(|(_, value)| value.as_stream().is_ok())
    };
    subtype.is_ok_and(|name| name == b"FileAttachment")
        || contents.is_ok_and(|files| files.iter().any(|(_, value)| is_stream(value)))
}
