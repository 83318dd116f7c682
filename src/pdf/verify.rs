//! The last question before a document leaves: read again from its bytes, does every page carry the mark?

use lopdf::{Document, Object, ObjectId, Stream};

use super::open::open;
use super::pages::{Page, list_pages};
use super::refusal::{Refusal, ensure};
use super::rewrite::Stamped;

pub(super) fn verify(output: &[u8], stamped: &[Stamped], max_pages: u32) -> Result<(), Refusal> {
    let unmarked =
        |why: &str| Refusal::Worker(format!("the stamped file does not read back: {why}"));
    let document = open(output).map_err(|refusal| unmarked(&refusal.to_string()))?;
    let pages =
        list_pages(&document, max_pages).map_err(|refusal| unmarked(&refusal.to_string()))?;
    ensure(pages.len() == stamped.len(), || {
        unmarked("its number of pages changed")
    })?;
    let is_marked = pages
        .iter()
        .zip(stamped)
        .all(|(page, stamped)| is_marked(&document, page, stamped));
    ensure(is_marked, || unmarked("a page has no mark"))
}

fn is_marked(document: &Document, page: &Page, stamped: &Stamped) -> bool {
    let content = page
        .dictionary
        .get_deref(b"Contents", document)
        .and_then(Object::as_stream);
    let is_ours = content
        .is_ok_and(|content| content.content == stamped.content && !content.dict.has(b"Filter"));
    let annotations = page.dictionary.get(b"Annots").and_then(Object::as_array);
    let topmost = annotations
        .ok()
        .and_then(|annotations| annotations.last()?.as_reference().ok());
    is_ours
        && mark_on_page(document, page, &stamped.mark_name) == Some(stamped.form)
        && topmost == Some(stamped.annotation)
        && appearance_of(document, stamped.annotation) == Some(stamped.form)
        && document
            .get_object(stamped.form)
            .and_then(Object::as_stream)
            .is_ok_and(draws)
}

fn mark_on_page(document: &Document, page: &Page, name: &[u8]) -> Option<ObjectId> {
    let resources = page
        .dictionary
        .get_deref(b"Resources", document)
        .and_then(Object::as_dict)
        .ok()?;
    let forms = resources
        .get_deref(b"XObject", document)
        .and_then(Object::as_dict)
        .ok()?;
    forms.get(name).and_then(Object::as_reference).ok()
}

fn appearance_of(document: &Document, annotation: ObjectId) -> Option<ObjectId> {
    let annotation = document.get_dictionary(annotation).ok()?;
    let appearance = annotation.get(b"AP").and_then(Object::as_dict).ok()?;
    appearance.get(b"N").and_then(Object::as_reference).ok()
}

fn draws(form: &Stream) -> bool {
    form.dict.has(b"BBox") && form.dict.has(b"Matrix") && form.content.ends_with(b"ET\nQ\nEMC\n")
}
