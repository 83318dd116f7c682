//! The stamp: a Sandbox document leaves with a mark on every page, or it does not leave.
//!
//! A door calls [`Stamper::stamp`]; the work runs in a child process of the same binary ([`worker_main`]), because a
//! 2 KB file can ask for a gigabyte. Inside, [`stamp`] opens the file strictly, walks its page tree, rewrites each page
//! and reads its own result again before it answers. Whatever two readers could understand differently is refused.
//!
//! ```text
//! stamper -> child process: worker -> stamp -> open (envelope) -> foreign -> pages -> layers -> rewrite (sheet, appearance) -> verify
//! ```
//!
//! This room knows nothing of credentials: who needs the stamp, and that a production document stays byte-identical,
//! is decided by the doors.

mod appearance;
mod envelope;
mod foreign;
mod layers;
mod limits;
mod mark;
mod old_content;
mod open;
mod pages;
mod refusal;
mod rewrite;
mod sheet;
mod stamp;
mod stamper;
mod verify;
mod wire;
mod worker;

pub use limits::Limits;
pub use mark::Mark;
pub use refusal::Refusal;
pub use stamp::stamp;
pub use stamper::Stamper;
pub use worker::worker_main;
