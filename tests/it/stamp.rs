//! The PDF stamp: a mark on every page or a refusal, judged by poppler (Debian package `poppler-utils`).
//!
//! Every file is made here, in code: `build` writes them, `judge` asks poppler, the other files are the promises.

pub mod build;
mod hostile;
pub mod judge;
mod layout;
pub mod process;
mod structure;

use countersign::pdf::{Mark, Refusal, stamp};

pub const MARK: &str = "SANDBOX - NOT FOR PRODUCTION USE";
const MAX_PAGES: u32 = 2_000;

fn mark() -> Mark {
    Mark {
        text: MARK.to_owned(),
    }
}

fn stamped(input: &[u8]) -> Result<Vec<u8>, Refusal> {
    stamp(input, &mark(), MAX_PAGES)
}

/// Stamps in this process and asks poppler whether every page kept its text and shows the mark.
fn assert_stamped(case: &str, input: &[u8]) -> Vec<u8> {
    let output = stamped(input).expect(case);
    judge::assert_marked(case, input, &output, MARK);
    output
}

fn assert_refused(case: &str, input: &[u8], code: &str) {
    let answer = stamped(input)
        .map(|_| "stamped")
        .map_err(|refusal| refusal.code());
    assert_eq!(answer, Err(code), "{case}");
}
