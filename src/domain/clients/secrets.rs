//! The secrets of a confidential application: a second one beside the first, so that rotation needs no downtime.
//!
//! Invariants: at most two are live, and at least one: without any the application could not prove itself; deleting it is the
//! way to end it. Both are counted behind the organization's lock. Whoever gets one holds all that the application may do as
//! itself (`service_account::ensure_may_hold`).

use crate::domain::clients::own_applications;
use crate::domain::clients::service_account;
use crate::domain::desk::Desk;
use crate::domain::plans::open;
use crate::domain::{Refusal, ensure};
use crate::store::application_secrets::{ApplicationSecret, NewSecret};
use crate::store::applications::Application;
use crate::types::event::Event;
use crate::types::id::{ApplicationId, ClientSecretId};
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
    desk: &mut Desk,
    id: ApplicationId,
    secret: &NewSecret,
    others: Others,
) -> Result<(Application, ClientSecretId), Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    open::ensure_not_suspended(desk.tx, desk.organization)?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    service_account::ensure_may_hold(desk, &application)?;
    let confidential = application.client_type == ClientType::Confidential;
    ensure(
        confidential,
        Refusal::Blocked(
            "A public application has no secret: it proves itself with PKCE.".to_owned(),
        ),
    )?;
    let mut live = desk.tx.list_application_secrets(id)?;
    if others == Others::Revoke {
        for old in live.drain(..) {
            end(desk, &application, old.id)?;
        }
    }
    let full = "This application has two live secrets already. Revoke the one that is not used any more first.";
    ensure(live.len() < MOST_LIVE, Refusal::Blocked(full.to_owned()))?;
    let made = desk.tx.insert_application_secret(&application, secret)?;
    desk.tx.record_disclosure(made.as_str(), desk.asker.user)?;
    desk.record(Event::ApplicationSecretCreated, made.as_str(), id.as_str())?;
    Ok((application, made))
}

/// One that was made, for whoever may make one.
pub fn get_made(
    desk: &mut Desk,
    id: ApplicationId,
    secret: ClientSecretId,
) -> Result<ApplicationSecret, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    own_applications::find(desk.tx, desk.organization, id)?;
    desk.tx
        .find_application_secret(id, secret)?
        .ok_or(Refusal::NotFound)
}

/// Ends a secret at once; one that is revoked already stays so. Runs behind the organization's lock.
pub fn revoke(desk: &mut Desk, id: ApplicationId, secret: ClientSecretId) -> Result<(), Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let application = own_applications::find(desk.tx, desk.organization, id)?;
    let found = desk
        .tx
        .find_application_secret(id, secret)?
        .ok_or(Refusal::NotFound)?;
    if found.state == SecretState::Revoked {
        return Ok(());
    }
    let last = "This is the application's last secret: without it, it could not prove itself. Create a new one first, or delete the application.";
    ensure(
        desk.tx.list_application_secrets(id)?.len() > 1,
        Refusal::Blocked(last.to_owned()),
    )?;
    end(desk, &application, secret)
}

fn end(desk: &mut Desk, application: &Application, secret: ClientSecretId) -> Result<(), Refusal> {
    desk.tx.revoke_application_secret(application, secret)?;
    Ok(desk.record(
        Event::ApplicationSecretRevoked,
        secret.as_str(),
        application.id.as_str(),
    )?)
}
