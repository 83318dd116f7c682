//! The secrets of a confidential application: a second one beside the first, so that rotation needs no downtime.
//!
//! Invariant: at most two are live, and at least one: without any the application could not prove itself; deleting it is the
//! way to end it. Both are counted behind the organization's lock.

use crate::domain::clients::applications;
use crate::domain::plans::open;
use crate::domain::rights::caller::Caller;
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::store::application_secrets::NewSecret;
use crate::store::applications::Application;
use crate::types::event::Event;
use crate::types::id::{ApplicationId, ClientSecretId, OrganizationId};
use crate::types::state::{ClientType, SecretState};

pub const MOST_LIVE: usize = 2;

/// What becomes of the secrets that are live already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    Keep,
    /// Somebody else may have them.
    Revoke,
}

/// One more secret, and its id. Runs behind the organization's lock.
pub fn create(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: ApplicationId,
    secret: &NewSecret,
    others: Others,
) -> Result<(Application, ClientSecretId), Refusal> {
    let caller = caller.into();
    applications::ensure_manager(tx, organization, caller)?;
    open::ensure_not_suspended(tx, organization)?;
    let application = applications::find_own(tx, organization, id)?;
    let confidential = application.client_type == ClientType::Confidential;
    ensure(
        confidential,
        Refusal::Blocked(
            "A public application has no secret: it proves itself with PKCE.".to_owned(),
        ),
    )?;
    let mut live = tx.list_application_secrets(id)?;
    if others == Others::Revoke {
        for old in live.drain(..) {
            tx.revoke_application_secret(&application, old.id)?;
            tx.record(
                Some(organization),
                Some(caller.user),
                Event::ApplicationSecretRevoked,
                old.id.as_str(),
                id.as_str(),
            )?;
        }
    }
    let full = "This application has two live secrets already. Revoke the one that is not used any more first.";
    ensure(live.len() < MOST_LIVE, Refusal::Blocked(full.to_owned()))?;
    let made = tx.insert_application_secret(&application, secret)?;
    tx.record_disclosure(made.as_str(), caller.user)?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::ApplicationSecretCreated,
        made.as_str(),
        id.as_str(),
    )?;
    Ok((application, made))
}

/// Ends a secret at once; one that is revoked already stays so. Runs behind the organization's lock.
pub fn revoke(
    tx: &mut Tx,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: ApplicationId,
    secret: ClientSecretId,
) -> Result<(), Refusal> {
    let caller = caller.into();
    applications::ensure_manager(tx, organization, caller)?;
    let application = applications::find_own(tx, organization, id)?;
    let found = tx
        .find_application_secret(id, secret)?
        .ok_or(Refusal::NotFound)?;
    if found.state == SecretState::Revoked {
        return Ok(());
    }
    let last = "This is the application's last secret: without it, it could not prove itself. Create a new one first, or delete the application.";
    ensure(
        tx.list_application_secrets(id)?.len() > 1,
        Refusal::Blocked(last.to_owned()),
    )?;
    tx.revoke_application_secret(&application, secret)?;
    Ok(tx.record(
        Some(organization),
        Some(caller.user),
        Event::ApplicationSecretRevoked,
        secret.as_str(),
        id.as_str(),
    )?)
}
