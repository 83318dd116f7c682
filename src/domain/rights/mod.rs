//! Who may: who asks, and what they hold now.

pub mod asker;
pub mod caller;
pub mod granted;
pub mod key_admins;
pub mod old_rights;
pub mod rights;
pub mod roles_held;
