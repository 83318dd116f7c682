//! `pdf/stamp.rs`: hostile PDF files. The product runs it in a child process with bounds on memory and time, where a panic
//! or a death of the PDF library is a refusal; here only the answers are judged.
//!
//! - Two stampings of one file are the same bytes.
//! - What is stamped has as many pages as the same library, left to its repairs, finds in the file that came in.
//! - What leaves can be stamped again: it is a plain file itself.

use std::panic::catch_unwind;

use countersign::pdf::{Mark, Refusal, stamp};
use lopdf::Document;

const MOST_PAGES: u32 = 50;

pub fn check(input: &[u8]) {
    let Ok(answer) = catch_unwind(|| stamped(input)) else {
        return;
    };
    let output = match answer {
        Ok(output) => output,
        Err(refusal) => return assert_ne!(refusal.code(), "stamp_failed", "{refusal:?}"),
    };
    assert_eq!(stamped(input).as_ref(), Ok(&output), "the same bytes");
    assert!(stamped(&output).is_ok(), "{:?}", stamped(&output).err());
    if let Ok(Ok(document)) = catch_unwind(|| Document::load_mem(input)) {
        let pages = Document::load_mem(&output)
            .expect("what leaves is readable")
            .get_pages()
            .len();
        assert_eq!(pages, document.get_pages().len());
    }
}

fn stamped(input: &[u8]) -> Result<Vec<u8>, Refusal> {
    stamp(
        input,
        &Mark {
            text: "SANDBOX - NOT FOR PRODUCTION USE".to_owned(),
        },
        MOST_PAGES,
    )
}
