//! Optional content that is opened and never closed. Poppler and MuPDF keep a hidden layer open past the end of a form,
//! so everything painted later, the mark and its annotation too, would stay hidden (seen with poppler 22.12).
//!
//! Only files with layers are looked at: there every content stream must close what it opens.

use lopdf::content::Content;
use lopdf::{Document, Object, Stream};

use super::envelope::find;
use super::old_content::{content_streams, decode, join};
use super::pages::Page;
use super::refusal::{Refusal, ambiguous, ensure};

pub(super) fn refuse_open_layers(document: &Document, pages: &[Page]) -> Result<(), Refusal> {
    if !document
        .catalog()
        .is_ok_and(|catalog| catalog.has(b"OCProperties"))
    {
        return Ok(());
    }
    for page in pages {
        check(&join(document, &content_streams(document, page)?)?)?;
    }
    for object in document.objects.values() {
        for stream in drawings(document, object) {
            check(&decode(document, stream)?)?;
        }
    }
    Ok(())
}

/// Forms, patterns and appearances, which all have a bounding box, and the glyphs of Type 3 fonts.
fn drawings<'a>(document: &'a Document, object: &'a Object) -> Vec<&'a Stream> {
    match object {
        Object::Stream(stream) if stream.dict.has(b"BBox") => vec![stream],
        Object::Dictionary(font) => {
            let glyphs = font
                .get_deref(b"CharProcs", document)
                .and_then(Object::as_dict);
            let glyphs = glyphs.into_iter().flat_map(|glyphs| glyphs.iter());
            glyphs
                .filter_map(|(_, glyph)| document.dereference(glyph).ok()?.1.as_stream().ok())
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Operators cannot be escaped, so content without these three letters opens no layer. Where an inline image ends is
/// read differently everywhere, so content with both is refused.
fn check(content: &[u8]) -> Result<(), Refusal> {
    if find(content, b"BDC").is_none() {
        return Ok(());
    }
    let unclear = || ambiguous("it has layers whose extent is unclear");
    let content = Content::decode_strict(content).map_err(|_| unclear())?;
    let mut open = 0_u32;
    for operation in &content.operations {
        match operation.operator.as_str() {
            "BDC" | "BMC" => open += 1,
            "EMC" => open = open.saturating_sub(1),
            "BI" => return Err(unclear()),
            _ => {}
        }
    }
    ensure(open == 0, unclear)
}
