//! Who asks a use case to happen.

use crate::types::id::UserId;

/// The acting person or service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Whose name is in the audit events.
    pub user: UserId,
    /// Holds every right in every organization: an operator token.
    pub operator: bool,
}

/// Most people act by themselves.
impl From<UserId> for Caller {
    fn from(user: UserId) -> Self {
        Self::person(user)
    }
}

impl Caller {
    pub fn person(user: UserId) -> Self {
        Self {
            user,
            operator: false,
        }
    }
}
