//! A new customer of the vendor's: an organization, its first workspace and its owner, in one step.

use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::domain::desk::VendorDesk;
use crate::domain::people::accounts::{self, NewPerson};
use crate::domain::people::admission::Grant;
use crate::domain::people::invitations::{self, ListedInvitation, NewInvitation};
use crate::domain::people::organizations::{self, SubscriptionChange};
use crate::store::Tx;
use crate::store::organizations::Organization;
use crate::store::users::User;
use crate::store::workspaces::Workspace;
use crate::types::email::Mailbox;
use crate::types::id::OrganizationId;
use crate::types::right::Right;
use crate::types::state::{Licence, OrganizationRole, ProductionAccess};

/// What is asked for. The invitation's token was minted at the door; only its digest comes here.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    pub name: String,
    pub workspace: String,
    /// Who is invited to own it.
    pub owner_email: String,
    /// The name of a plan; none: the default.
    pub plan: Option<String>,
    pub digest: Digest,
}

#[derive(Debug, Clone)]
pub struct Customer {
    pub organization: Organization,
    pub workspace: Workspace,
    pub invitation: ListedInvitation,
}

/// Makes all of it, or nothing. The asker must be able to invite an owner: hold all that an owner holds.
pub fn create(desk: &mut VendorDesk, new: &NewCustomer) -> Result<Customer, Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    let organization = accounts::create_organization(desk.tx, &new.name, ProductionAccess::None)?;
    let workspace = accounts::create_workspace(desk.tx, organization.id, &new.workspace)
        .map_err(|refusal| at_field(refusal, "workspace"))?;
    if let Some(plan) = &new.plan {
        let wanted = SubscriptionChange {
            plan: Some(plan.clone()),
            ..SubscriptionChange::default()
        };
        organizations::subscribe(&mut desk.at(organization.id), &wanted)?;
    }
    let owner = NewInvitation {
        email: new.owner_email.clone(),
        grant: Grant {
            role: OrganizationRole::Owner,
            licence: Licence::Full,
            ends_at: None,
            workspaces: Vec::new(),
        },
        digest: new.digest.clone(),
    };
    let invitation = invitations::create(&mut desk.at(organization.id), &owner)
        .map_err(|refusal| at_field(refusal, "owner_email"))?;
    Ok(Customer {
        organization,
        workspace,
        invitation,
    })
}

/// What an earlier twin of the request has made.
pub fn made(desk: &mut VendorDesk, id: OrganizationId) -> Result<Customer, Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    let organization = desk.tx.find_organization(id)?.ok_or(Refusal::NotFound)?;
    let oldest = |desk: &mut VendorDesk| {
        let mut workspaces = desk.tx.list_workspaces(id)?;
        workspaces.sort_by_key(|workspace| (workspace.created_at, workspace.id));
        workspaces.into_iter().next().ok_or(Refusal::NotFound)
    };
    let workspace = oldest(desk)?;
    let last = desk
        .tx
        .list_invitations_page(id, None, None, i64::MAX)?
        .pop()
        .ok_or(Refusal::NotFound)?;
    Ok(Customer {
        organization,
        workspace,
        invitation: invitations::made(&mut desk.at(id), last.id)?,
    })
}

/// What another rule calls `name` or `email` is another field here.
fn at_field(refusal: Refusal, field: &'static str) -> Refusal {
    match refusal {
        Refusal::Invalid(errors) => Refusal::Invalid(
            errors
                .into_iter()
                .map(|(_, message)| (field, message))
                .collect(),
        ),
        other => other,
    }
}

/// The owner, as the command line makes one: whoever runs the server vouches for the address.
pub enum Owner {
    /// The account with this address.
    Known(Mailbox),
    New(NewPerson),
}

/// The same as the installation itself, with an owner whose address needs no more proof.
pub fn create_owned(
    tx: &mut Tx,
    name: &str,
    workspace: &str,
    owner: &Owner,
) -> Result<(Organization, Workspace, User), Refusal> {
    let user = match owner {
        Owner::New(person) => accounts::create_person(tx, person)?,
        Owner::Known(email) => {
            accounts::find_person(tx, &email.account_key())?.ok_or(Refusal::NotFound)?
        }
    };
    let organization = accounts::create_organization(tx, name, ProductionAccess::None)?;
    let workspace = accounts::create_workspace(tx, organization.id, workspace)?;
    accounts::add_member(tx, organization.id, user.id, OrganizationRole::Owner)?;
    Ok((organization, workspace, user))
}
