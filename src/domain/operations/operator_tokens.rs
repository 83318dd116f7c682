//! Operator tokens: made on the server's command line, they reach across organizations.

use crate::config::Catalogue;
use crate::crypto::digest::Digest;
use crate::domain::rights::granted::EVERYTHING;
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::store::operator_tokens::OperatorToken;
use crate::store::users::User;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OperatorTokenId, UserId};
use crate::types::state::{UserKind, UserState};
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
/// What a page or a command lists.
pub const MOST_LISTED: i64 = 1000;

/// What is asked for. The token was minted outside; only what is stored of it comes here.
#[derive(Debug, Clone)]
pub struct NewOperatorToken {
    pub name: String,
    /// Names; empty: all.
    pub permissions: Vec<String>,
    pub expires_at: Option<Timestamp>,
    pub digest: Digest,
    pub hint: String,
}

/// Makes a token and the service account that it acts as.
pub fn create(
    tx: &mut Tx,
    catalogue: &Catalogue,
    new: &NewOperatorToken,
) -> Result<OperatorToken, Refusal> {
    let name = parse_text(&new.name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    let unknown = new
        .permissions
        .iter()
        .find(|name| catalogue.permission(name).is_none());
    let unknown = unknown.map(|name| {
        Refusal::Invalid(vec![(
            "permissions",
            format!("must be known ones: {name:?} is not"),
        )])
    });
    unknown.map_or(Ok(()), Err)?;
    ensure(
        new.expires_at.is_none_or(|end| end > tx.now),
        Refusal::Invalid(vec![("expiry", "must be in the future".to_owned())]),
    )?;
    let user = User {
        id: UserId::generate(tx.now),
        kind: UserKind::ServiceAccount,
        email: None,
        email_verified_at: None,
        name: name.clone(),
        password_hash: None,
        state: UserState::Active,
        operator: true,
        external_id: None,
        created_at: tx.now,
    };
    tx.insert_user(&user)?;
    let token = OperatorToken {
        id: OperatorTokenId::generate(tx.now),
        digest: new.digest.clone(),
        hint: new.hint.clone(),
        name,
        permissions: if new.permissions.is_empty() {
            EVERYTHING.to_owned()
        } else {
            new.permissions.join(" ")
        },
        user_id: user.id,
        created_at: tx.now,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    tx.insert_operator_token(&token)?;
    tx.record(
        None,
        Some(user.id),
        Event::OperatorTokenCreated,
        token.id.as_str(),
        &token.permissions,
    )?;
    Ok(token)
}

/// Ends it at once. One that is revoked already stays so; `NotFound` when there is none.
pub fn revoke(tx: &mut Tx, id: OperatorTokenId) -> Result<(), Refusal> {
    let token = tx.find_operator_token(id)?.ok_or(Refusal::NotFound)?;
    match tx.revoke_operator_token(id) {
        Ok(()) => Ok(tx.record(
            None,
            Some(token.user_id),
            Event::OperatorTokenRevoked,
            id.as_str(),
            "",
        )?),
        Err(store::Error::NotFound) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// The token with its holder's account, neither revoked nor suspended. It may have expired.
pub fn find_live(
    snapshot: &mut Snapshot,
    candidates: &[Digest],
) -> Result<Option<OperatorToken>, store::Error> {
    let Some(token) = snapshot
        .find_operator_token_by_digest(candidates)?
        .filter(|token| token.revoked_at.is_none())
    else {
        return Ok(None);
    };
    let holder = snapshot.find_user(token.user_id)?;
    Ok(holder
        .filter(|user| user.operator && user.state == UserState::Active)
        .map(|_| token))
}
