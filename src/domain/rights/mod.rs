//! Who may: who asks, and what they hold now.

pub mod asker;
pub mod granted;
pub mod key_rights;
pub mod rights;
pub mod roles_held;
