//! What an operator token was granted.

use crate::config::Catalogue;
use crate::store::operator_tokens::OperatorToken;
use crate::store::{Error, Snapshot};
use crate::types::id::UserId;
use crate::types::permission::PermissionSet;
use crate::types::time::Timestamp;

/// In place of names: every permission there is, also those that come later.
pub const EVERYTHING: &str = "*";

/// What the live token of this account may do now; nothing without one.
pub fn held_by(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    user: UserId,
    now: Timestamp,
) -> Result<PermissionSet, Error> {
    let token = snapshot
        .find_operator_token_of(user)?
        .filter(|token| token.revoked_at.is_none() && token.expires_at.is_none_or(|end| end > now));
    Ok(token.map_or(PermissionSet::NONE, |token| permissions(catalogue, &token)))
}

/// What it may do. A permission that is not configured any more is none.
pub fn permissions(catalogue: &Catalogue, token: &OperatorToken) -> PermissionSet {
    if token.permissions == EVERYTHING {
        return catalogue.all() | catalogue.operator();
    }
    token
        .permissions
        .split(' ')
        .filter_map(|name| catalogue.permission(name))
        .collect()
}
