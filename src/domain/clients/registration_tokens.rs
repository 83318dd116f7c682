//! Initial access tokens (RFC 7591 §1.2): admins make them, and give them to programs that register applications.
//!
//! Invariant: a token registers nothing any more once who made it is no admin of the organization.

use crate::config::Config;
use crate::crypto::digest::Digest;
use crate::domain::clients::applications;
use crate::domain::plans::open;
use crate::domain::{Refusal, ensure};
use crate::store;
use crate::store::organizations::Organization;
use crate::store::registration_tokens::RegistrationToken;
use crate::store::{Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{OrganizationId, RegistrationTokenId, UserId};
use crate::types::state::RegistrationTokenState;
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
/// Tokens of one organization that are not revoked: also what its page lists.
const MOST_TOKENS: i64 = 50;

/// What a person asks for. The token was minted at the door; only its digest comes here.
#[derive(Debug, Clone)]
pub struct NewRegistrationToken {
    pub name: String,
    pub environment: Environment,
    pub max_clients: i64,
    pub expires_at: Option<Timestamp>,
    pub digest: Digest,
}

/// A token with what its page shows.
#[derive(Debug, Clone)]
pub struct ListedToken {
    pub token: RegistrationToken,
    /// Live applications that were registered with it.
    pub clients: i64,
}

pub fn list(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    user: UserId,
) -> Result<Vec<ListedToken>, Refusal> {
    applications::ensure_admin(snapshot, organization, user)?;
    let tokens = snapshot.list_registration_tokens(organization, MOST_TOKENS)?;
    let listed = tokens.into_iter().map(|token| {
        Ok(ListedToken {
            clients: snapshot.count_clients_of_token(token.id)?,
            token,
        })
    });
    listed.collect()
}

/// Makes a token. Runs behind the organization's lock: the cap is counted.
pub fn create(
    tx: &mut Tx,
    config: &Config,
    organization: &Organization,
    creator: UserId,
    new: NewRegistrationToken,
) -> Result<RegistrationToken, Refusal> {
    applications::ensure_admin(tx, organization.id, creator)?;
    let name = check(config, &new, tx.now)?;
    let now = tx.now;
    open::ensure_open(
        tx,
        &config
            .catalogue()
            .map_err(|error| Refusal::Blocked(error.to_string()))?,
        organization,
        new.environment,
        now,
    )?;
    let count = tx
        .list_registration_tokens(organization.id, MOST_TOKENS)?
        .len();
    let full = format!(
        "This organization has reached its limit of {MOST_TOKENS} tokens. Revoke one that is not needed any more."
    );
    ensure(
        i64::try_from(count).is_ok_and(|count| count < MOST_TOKENS),
        Refusal::Blocked(full),
    )?;
    let token = RegistrationToken {
        id: RegistrationTokenId::generate(tx.now),
        organization_id: organization.id,
        environment: new.environment,
        name,
        digest: new.digest,
        state: RegistrationTokenState::Active,
        max_clients: new.max_clients,
        created_by: creator,
        created_at: tx.now,
        expires_at: new.expires_at,
        last_used_at: None,
    };
    tx.insert_registration_token(&token)?;
    tx.record(
        Some(organization.id),
        Some(creator),
        Event::RegistrationTokenCreated,
        token.id.as_str(),
        token.environment.as_str(),
    )?;
    Ok(token)
}

fn check(config: &Config, new: &NewRegistrationToken, now: Timestamp) -> Result<String, Refusal> {
    let mut errors = Vec::new();
    let name =
        parse_text(&new.name, MOST_NAME).map_err(|error| errors.push(("name", error.to_string())));
    let most = config.registration.max_clients;
    if !(1..=most).contains(&new.max_clients) {
        errors.push(("max_clients", format!("Choose a number from 1 to {most}.")));
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        errors.push(("expiry", "Choose a day in the future.".to_owned()));
    }
    match name {
        Ok(name) if errors.is_empty() => Ok(name),
        _ => Err(Refusal::Invalid(errors)),
    }
}

/// Nothing more is registered with it; what was registered stays. One that is revoked already stays so.
pub fn revoke(
    tx: &mut Tx,
    organization: OrganizationId,
    user: UserId,
    id: RegistrationTokenId,
) -> Result<(), Refusal> {
    applications::ensure_admin(tx, organization, user)?;
    match tx.revoke_registration_token(organization, id) {
        Ok(()) => Ok(tx.record(
            Some(organization),
            Some(user),
            Event::RegistrationTokenRevoked,
            id.as_str(),
            "",
        )?),
        // somebody else was quicker, or it is not there
        Err(store::Error::NotFound) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
