//! The whole of one stamping, in memory, without limits of its own: only the child process calls it.

use lopdf::Document;
use lopdf::xref::XrefType;

use super::envelope::check_single_header;
use super::foreign::refuse_foreign_content;
use super::layers::refuse_open_layers;
use super::mark::Mark;
use super::open::open;
use super::pages::list_pages;
use super::refusal::{Refusal, damaged};
use super::rewrite::{Stamp, plan};
use super::verify::verify;

/// The document with `mark` on every page, or why not. Deterministic: the same input gives the same bytes.
pub fn stamp(input: &[u8], mark: &Mark, max_pages: u32) -> Result<Vec<u8>, Refusal> {
    let line = mark.line()?;
    let mut document = open(input)?;
    refuse_foreign_content(&document)?;
    check_single_header(input)?;
    let pages = list_pages(&document, max_pages)?;
    refuse_open_layers(&document, &pages)?;
    let plans = pages
        .iter()
        .map(|page| plan(&document, page))
        .collect::<Result<Vec<_>, _>>()?;

    let mut stamp = Stamp::new(&line);
    let stamped = plans
        .into_iter()
        .map(|plan| stamp.apply(&mut document, plan))
        .collect::<Result<Vec<_>, _>>()?;
    let output = save(document)?;
    verify(&output, &stamped, max_pages)?;
    Ok(output)
}

/// One revision, one plain cross-reference table, no object that nothing refers to.
fn save(mut document: Document) -> Result<Vec<u8>, Refusal> {
    let kept = ["Root", "Info", "ID"];
    document.trailer = kept
        .into_iter()
        .filter_map(|key| Some((key, document.trailer.get(key.as_bytes()).ok()?.clone())))
        .collect();
    document.reference_table.cross_reference_type = XrefType::CrossReferenceTable;
    if document.version.as_str() < "1.5" {
        document.version = "1.5".to_owned(); // transparency is 1.4, watermark annotations are 1.6 and older readers skip them
    }
    document.prune_objects();
    let mut output = Vec::new();
    document.save_to(&mut output).map_err(damaged)?;
    Ok(output)
}
