//! Who may: who asks, and what they hold now.

pub mod caller;
pub mod key_admins;
pub mod rights;
