//! Founding: a person creates an organization and owns it (A5).

use crate::domain::people::accounts;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store::Tx;
use crate::store::organizations::Organization;
use crate::types::event::Event;
use crate::types::id::UserId;
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{OrganizationRole, ProductionAccess, UserKind, UserState};

/// A new organization on the default plan, with one workspace.
pub fn found(
    tx: &mut Tx,
    settings: &Settings,
    user: UserId,
    name: &str,
) -> Result<Organization, Refusal> {
    ensure(
        settings.accounts.create_organizations,
        Refusal::Forbidden("Only the vendor creates organizations here."),
    )?;
    // two at once are counted one after the other
    tx.hold_user(user)?;
    let person = |user: &crate::store::users::User| {
        user.kind == UserKind::Person && user.state == UserState::Active
    };
    let founder = tx
        .find_user(user)?
        .filter(person)
        .ok_or(Refusal::NotFound)?;
    accounts::ensure_no_operator(&founder)?;
    ensure(
        founder.email_verified_at.is_some(),
        Refusal::Forbidden("Your address is not verified yet."),
    )?;
    let now = tx.now;
    let most = settings.accounts.max_owned_organizations;
    let full = format!("You own {most} organizations already.");
    ensure(
        tx.count_organizations_owned_by(user, now)? < most,
        Refusal::Coded(RefusalCode::OrganizationLimitReached, full),
    )?;
    let organization = accounts::create_organization(tx, name, ProductionAccess::None)?;
    accounts::add_member(tx, organization.id, user, OrganizationRole::Owner)?;
    accounts::create_workspace(tx, organization.id, accounts::FIRST_WORKSPACE)?;
    tx.record(
        Some(organization.id),
        Some(user),
        Event::OrganizationFounded,
        organization.id.as_str(),
        &organization.name,
    )?;
    Ok(organization)
}
