//! Why a document is not stamped: one table of codes, the same in the child process, on the wire and at the door.

/// A document that leaves unstamped does not leave: every variant is an answer of 4xx or 503, never the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the PDF is encrypted; send it without a password or permissions")]
    Encrypted,
    #[error("the PDF is damaged: {0}")]
    Damaged(String),
    #[error("the PDF has no pages")]
    NoPages,
    #[error("the PDF carries embedded files, which a stamp cannot mark")]
    EmbeddedFiles,
    #[error("PDF readers may disagree about this file: {0}")]
    Ambiguous(String),
    #[error("the PDF has too many pages")]
    TooManyPages,
    #[error("the PDF is too large")]
    TooLarge,
    #[error("the PDF needs more memory or time than stamping may take")]
    ResourceLimit,
    #[error("too many documents are being stamped; try again")]
    Busy,
    #[error("the text of the mark cannot be shown: {0}")]
    UnusableMark(String),
    /// The machinery failed, not the document; the text is for the log.
    #[error("the document could not be stamped")]
    Worker(String),
}

impl Refusal {
    /// Stable, for problem+json.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Encrypted => "pdf_encrypted",
            Refusal::Damaged(_) => "pdf_damaged",
            Refusal::NoPages => "pdf_no_pages",
            Refusal::EmbeddedFiles => "pdf_embedded_files",
            Refusal::Ambiguous(_) => "pdf_ambiguous",
            Refusal::TooManyPages => "pdf_too_many_pages",
            Refusal::TooLarge => "pdf_too_large",
            Refusal::ResourceLimit => "pdf_limit_exceeded",
            Refusal::Busy => "stamp_busy",
            Refusal::UnusableMark(_) => "stamp_mark_unusable",
            Refusal::Worker(_) => "stamp_failed",
        }
    }

    /// The part of the text that differs between two documents; empty for most variants.
    pub(super) fn detail(&self) -> &str {
        match self {
            Refusal::Damaged(why)
            | Refusal::Ambiguous(why)
            | Refusal::UnusableMark(why)
            | Refusal::Worker(why) => why,
            _ => "",
        }
    }

    /// The inverse of [`Refusal::code`] and [`Refusal::detail`], for the child process's answer.
    pub(super) fn from_code(code: &str, detail: String) -> Refusal {
        match code {
            "pdf_encrypted" => Refusal::Encrypted,
            "pdf_damaged" => Refusal::Damaged(detail),
            "pdf_no_pages" => Refusal::NoPages,
            "pdf_embedded_files" => Refusal::EmbeddedFiles,
            "pdf_ambiguous" => Refusal::Ambiguous(detail),
            "pdf_too_many_pages" => Refusal::TooManyPages,
            "pdf_too_large" => Refusal::TooLarge,
            "pdf_limit_exceeded" => Refusal::ResourceLimit,
            "stamp_busy" => Refusal::Busy,
            "stamp_mark_unusable" => Refusal::UnusableMark(detail),
            _ => Refusal::Worker(detail),
        }
    }
}

pub(super) fn damaged(why: impl ToString) -> Refusal {
    Refusal::Damaged(why.to_string())
}

pub(super) fn ambiguous(why: impl ToString) -> Refusal {
    Refusal::Ambiguous(why.to_string())
}

/// One rung of a ladder of checks.
pub(super) fn ensure(holds: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}
