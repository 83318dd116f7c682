//! One page, rewritten: its old content becomes a form XObject, the new content paints that form and then the mark.
//!
//! A form is a stream of its own with a graphics state of its own, so nothing the old content leaves open (`q`, `BT`, a
//! string, an inline image, a clip, a matrix) reaches the mark. The page gets its own Contents, Resources and Annots;
//! objects that it shared with other pages stay as they were.

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use super::appearance;
use super::mark::Line;
use super::old_content::old_content;
use super::pages::Page;
use super::refusal::{Refusal, ambiguous, damaged};
use super::sheet::Sheet;

/// What one page will be, decided while the document is still as it came.
pub(super) struct RewritePlan {
    page: ObjectId,
    sheet: Sheet,
    old_content: Option<Stream>,
    resources: Dictionary,
    annotations: Vec<Object>,
}

/// What the finished file must show on one page.
pub(super) struct Stamped {
    pub(super) content: Vec<u8>,
    pub(super) mark_name: Vec<u8>,
    pub(super) form: ObjectId,
    pub(super) annotation: ObjectId,
}

pub(super) fn plan(document: &Document, page: &Page) -> Result<RewritePlan, Refusal> {
    let sheet = Sheet::of(document, page)?;
    Ok(RewritePlan {
        page: page.id,
        sheet,
        old_content: old_content(document, page, sheet.media)?,
        resources: own_resources(document, page)?,
        annotations: own_annotations(document, page)?,
    })
}

/// The forms that pages of one shape share, with the text they show.
pub(super) struct Stamp<'a> {
    line: &'a Line,
    forms: Vec<(Sheet, ObjectId)>,
}

impl<'a> Stamp<'a> {
    pub(super) fn new(line: &'a Line) -> Self {
        Stamp {
            line,
            forms: Vec::new(),
        }
    }

    pub(super) fn apply(
        &mut self,
        document: &mut Document,
        plan: RewritePlan,
    ) -> Result<Stamped, Refusal> {
        let RewritePlan {
            page,
            sheet,
            old_content,
            mut resources,
            mut annotations,
        } = plan;
        let form = self.form(document, sheet);
        let old_content = old_content.map(|stream| document.add_object(stream));
        let (mark_name, content) = name_forms(&mut resources, form, old_content)?;
        let contents = document.add_object(Stream::new(Dictionary::new(), content.clone()));
        let annotation = document.add_object(appearance::annotation(form, page, &sheet));
        annotations.push(Object::Reference(annotation));

        let dictionary = document.get_dictionary_mut(page).map_err(damaged)?;
        dictionary.set("Contents", contents);
        dictionary.set("Resources", resources);
        dictionary.set("Annots", annotations);
        dictionary.set("MediaBox", sheet.media.to_object());
        dictionary.set("CropBox", sheet.visible.to_object());
        dictionary.set("Rotate", sheet.rotate);
        dictionary.remove(b"Thumb"); // a small picture of the page without its mark
        Ok(Stamped {
            content,
            mark_name,
            form,
            annotation,
        })
    }

    fn form(&mut self, document: &mut Document, sheet: Sheet) -> ObjectId {
        if let Some((_, form)) = self.forms.iter().find(|(known, _)| *known == sheet) {
            return *form;
        }
        let form = document.add_object(appearance::form(self.line, &sheet));
        self.forms.push((sheet, form));
        form
    }
}

/// The page's resources stay on the page too: old glyphs and forms without resources of their own look there.
fn own_resources(document: &Document, page: &Page) -> Result<Dictionary, Refusal> {
    let unreadable = || ambiguous("the resources of a page cannot be read");
    let resources = page
        .inherited
        .resources
        .map(|resources| document.dereference(resources));
    let mut resources = match resources.transpose().map_err(|_| unreadable())? {
        None => Dictionary::new(),
        Some((_, resources)) => resources.as_dict().map_err(|_| unreadable())?.clone(),
    };
    let forms = match resources.get_deref(b"XObject", document) {
        Ok(Object::Null) | Err(_) => Dictionary::new(),
        Ok(forms) => forms.as_dict().map_err(|_| unreadable())?.clone(),
    };
    resources.set("XObject", forms);
    Ok(resources)
}

fn own_annotations(document: &Document, page: &Page) -> Result<Vec<Object>, Refusal> {
    match page.dictionary.get_deref(b"Annots", document) {
        Ok(Object::Null) | Err(_) => Ok(Vec::new()),
        Ok(Object::Array(annotations)) => Ok(annotations.clone()),
        Ok(_) => Err(ambiguous("the annotations of a page are not a list")),
    }
}

/// Gives both forms a name that the page does not use yet, and paints them in order.
fn name_forms(
    resources: &mut Dictionary,
    mark: ObjectId,
    old_content: Option<ObjectId>,
) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let forms = resources
        .get_mut(b"XObject")
        .and_then(Object::as_dict_mut)
        .map_err(damaged)?;
    let mut content = String::new();
    if let Some(old_content) = old_content {
        let name = unused_name(forms, "Page");
        content = format!("q\n/{name} Do\nQ\n");
        forms.set(name, old_content);
    }
    let name = unused_name(forms, "Mark");
    content.push_str(&format!("q\n/{name} Do\nQ\n"));
    forms.set(name.as_str(), mark);
    Ok((name.into_bytes(), content.into_bytes()))
}

fn unused_name(forms: &Dictionary, purpose: &str) -> String {
    let mut number = forms.len();
    loop {
        let name = format!("Countersign{purpose}{number}");
        if !forms.has(name.as_bytes()) {
            return name;
        }
        number += 1;
    }
}
