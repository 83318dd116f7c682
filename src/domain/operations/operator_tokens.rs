//! Operator tokens: made on the server's command line, by operators, or by another of them, they reach across organizations.
//!
//! Invariant: what a token makes holds no more than that token, and ends with it.

use crate::config::Catalogue;
use crate::crypto::digest::Digest;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::rights::granted::EVERYTHING;
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::store::operator_tokens::OperatorToken;
use crate::store::users::User;
use crate::store::{Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{OperatorTokenId, UserId};
use crate::types::right::Right;
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

/// Makes one for the asker: it holds no more than they do, and no operator token makes one that outlives itself.
pub fn grant(desk: &mut VendorDesk, new: &NewOperatorToken) -> Result<OperatorToken, Refusal> {
    desk.ensure(Right::OperatorOperators)?;
    let catalogue = &desk.settings.catalogue;
    let named = if new.permissions.is_empty() {
        catalogue.all() | catalogue.operator()
    } else {
        catalogue.of_names(new.permissions.iter().map(String::as_str))
    };
    desk.ensure_holds(named)?;
    // whoever revokes the maker holds the same row: no child is missed
    desk.tx.hold_user(desk.asker.user)?;
    let (maker, now) = (
        desk.tx.find_operator_token_of(desk.asker.user)?,
        desk.tx.now,
    );
    let live = |own: &OperatorToken| {
        own.revoked_at.is_none() && own.expires_at.is_none_or(|end| end > now)
    };
    ensure(
        maker.as_ref().is_none_or(live),
        Refusal::Forbidden("The token that asks has ended."),
    )?;
    let end = maker.as_ref().and_then(|maker| maker.expires_at);
    ensure(
        end.is_none_or(|end| new.expires_at.is_some_and(|own| own <= end)),
        Refusal::field(
            "expires_at",
            "must not be later than that of the token that makes it",
        ),
    )?;
    let made = create(desk.tx, &desk.settings.catalogue, new)?;
    if let Some(maker) = maker {
        desk.tx.set_operator_token_maker(made.id, maker.id)?;
    }
    Ok(made)
}

/// The newest first, revoked ones too, at most [`MOST_LISTED`].
pub fn list(view: &mut VendorView) -> Result<Vec<OperatorToken>, Refusal> {
    view.ensure(Right::OperatorOperators)?;
    Ok(view.snapshot.list_operator_tokens(MOST_LISTED)?)
}

/// Ends one, as the asker. `NotFound` when there is none.
pub fn end(desk: &mut VendorDesk, id: OperatorTokenId) -> Result<(), Refusal> {
    desk.ensure(Right::OperatorOperators)?;
    revoke(desk.tx, id)
}

/// Ends it at once, with those it has made. One that is revoked already stays so; `NotFound` when there is none.
pub fn revoke(tx: &mut Tx, id: OperatorTokenId) -> Result<(), Refusal> {
    let token = tx.find_operator_token(id)?.ok_or(Refusal::NotFound)?;
    tx.hold_user(token.user_id)?;
    for made in tx.list_operator_tokens_made_by(id)? {
        revoke(tx, made)?;
    }
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
