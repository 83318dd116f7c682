//! The rule of an operation: who may call it, and with which status it answers.

use crate::types::right::Right;

/// What the route table says of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `noun::verb`.
    pub handler: &'static str,
    pub summary: &'static str,
    /// The credential holds one of these.
    pub needs: &'static [Right],
    /// Who may come in without them.
    pub or: Option<Or>,
    /// Of success.
    pub status: u16,
}

/// Who may call an operation without its permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Or {
    /// A key, for what it may do to itself.
    Itself,
    /// Any member, by a token that manages.
    Member,
}

impl Rule {
    /// The permissions as people read them: `api_keys:read or members:read`.
    pub fn needed(&self) -> String {
        let names: Vec<&str> = self.needs.iter().map(|right| right.name()).collect();
        let or = self.or.map(|or| match or {
            Or::Itself => "itself",
            Or::Member => "member",
        });
        names.into_iter().chain(or).collect::<Vec<_>>().join(" or ")
    }
}
