//! The hot path: may this credential do this, and what must be done to the document?

pub mod status;
pub mod verify;
pub mod watermark;
pub mod whoami;
