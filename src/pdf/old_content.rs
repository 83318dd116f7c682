//! The old content of a page as one form XObject. A single stream keeps its bytes, still compressed; several are joined
//! with a line feed between them, as a reader joins them (ISO 32000-1 §7.8.2).

use lopdf::{Dictionary, Document, Object, Stream, dictionary};

use super::open::{MAX_INFLATED_BYTES, unreadable};
use super::pages::Page;
use super::refusal::{Refusal, ambiguous, damaged, ensure};
use super::sheet::Rectangle;

pub(super) fn old_content(
    document: &Document,
    page: &Page,
    media: Rectangle,
) -> Result<Option<Stream>, Refusal> {
    let streams = content_streams(document, page)?;
    let (mut dictionary, content) = match streams.as_slice() {
        [] => return Ok(None),
        [single] => (coding(single), single.content.clone()),
        several => (Dictionary::new(), join(document, several)?),
    };
    dictionary.extend(&frame(page, media));
    let mut form = Stream::new(dictionary, content);
    form.compress().map_err(damaged)?; // does nothing to a stream with a filter
    Ok(Some(form))
}

pub(super) fn content_streams<'a>(
    document: &'a Document,
    page: &Page<'a>,
) -> Result<Vec<&'a Stream>, Refusal> {
    let parts = match page
        .dictionary
        .get(b"Contents")
        .map(|contents| (contents, document.dereference(contents)))
    {
        Err(_) | Ok((Object::Null, _)) | Ok((_, Ok((_, Object::Null)))) => return Ok(Vec::new()),
        Ok((_, Ok((_, Object::Array(parts))))) => parts.iter().collect(),
        Ok((contents, _)) => vec![contents],
    };
    parts
        .into_iter()
        .map(|part| content_stream(document, part))
        .collect()
}

fn content_stream<'a>(document: &'a Document, part: &'a Object) -> Result<&'a Stream, Refusal> {
    let unreadable = || ambiguous("the content of a page cannot be read");
    let (_, stream) = document.dereference(part).map_err(|_| unreadable())?;
    let stream = stream.as_stream().map_err(|_| unreadable())?;
    ensure(!stream.dict.has(b"F"), || {
        ambiguous("the content of a page lies in another file")
    })?;
    Ok(stream)
}

/// How a stream's bytes are encoded, which goes with them.
fn coding(stream: &Stream) -> Dictionary {
    let keys: [&[u8]; 2] = [b"Filter", b"DecodeParms"];
    let entries = keys
        .into_iter()
        .filter_map(|key| Some((key.to_vec(), stream.dict.get(key).ok()?.clone())));
    entries.collect()
}

pub(super) fn join(document: &Document, streams: &[&Stream]) -> Result<Vec<u8>, Refusal> {
    let mut joined = Vec::new();
    for stream in streams {
        joined.extend(decode(document, stream)?);
        joined.push(b'\n');
        ensure(joined.len() <= MAX_INFLATED_BYTES, || {
            Refusal::ResourceLimit
        })?;
    }
    Ok(joined)
}

pub(super) fn decode(document: &Document, stream: &Stream) -> Result<Vec<u8>, Refusal> {
    let mut stream = stream.clone();
    for (_, value) in stream.dict.iter_mut() {
        *value = resolve(document, value)?; // lopdf overlooks filters behind references
    }
    if matches!(stream.dict.get(b"Filter"), Ok(Object::Null)) {
        stream.dict.remove(b"Filter");
    }
    if stream.dict.has(b"Filter") {
        stream.filters().map_err(damaged)?; // lopdf takes a filter that it cannot name for none
    }
    stream
        .get_plain_content_with_limit(MAX_INFLATED_BYTES)
        .map_err(unreadable)
}

/// The value without references, two levels deep: as far as filters and their parameters go.
fn resolve(document: &Document, value: &Object) -> Result<Object, Refusal> {
    let (_, value) = document.dereference(value).map_err(damaged)?;
    let Object::Array(items) = value else {
        return Ok(value.clone());
    };
    let items = items
        .iter()
        .map(|item| document.dereference(item).map(|(_, item)| item.clone()));
    Ok(Object::Array(
        items.collect::<Result<_, _>>().map_err(damaged)?,
    ))
}

/// The reader clips to the page's boxes anyway; the frame is wider so that it cuts nothing.
fn frame(page: &Page, media: Rectangle) -> Dictionary {
    let margin = 100.0;
    let frame = Rectangle {
        left: media.left - margin,
        bottom: media.bottom - margin,
        right: media.right + margin,
        top: media.top + margin,
    };
    dictionary! {
        "Type" => "XObject",
        "Subtype" => "Form",
        "FormType" => 1,
        "BBox" => frame.to_object(),
        "Resources" => page.inherited.resources.cloned().unwrap_or_else(|| Dictionary::new().into()),
    }
}
