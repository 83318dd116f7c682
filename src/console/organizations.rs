//! Which organization: those whose keys the person may administer.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::pages::{OrganizationRow, OrganizationsPage};
use super::shell;
use crate::app::App;
use crate::config::Catalogue;
use crate::domain::Refusal;
use crate::domain::people::identities;
use crate::domain::rights::key_admins::{self, KeyCaller, READ};
use crate::store::Snapshot;
use crate::store::organizations::Organization;
use crate::store::sessions::Session;
use crate::types::id::{OrganizationId, UserId};
use crate::types::state::OrganizationRole;
use crate::web::html::{self, PageError};
use crate::web::page::Link;
use crate::web::provider::Provider;
use crate::web::visitor::Visitor;

/// `GET /dev-centre`. A single organization is not asked for.
pub async fn list(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let (session, catalogue) = (
        visitor.require()?.session.clone(),
        Arc::clone(&app.catalogue),
    );
    let Administered { open, rows, asking } = app
        .store
        .read(move |snapshot| administered(snapshot, &catalogue, &session))
        .await?;
    if let ([only], true) = (rows.as_slice(), asking.is_empty()) {
        return Ok(html::see_other(&api_keys_path(&only.id)));
    }
    if rows.is_empty() && visitor.is_operator() {
        return Ok(html::see_other("/operator"));
    }
    let shell = shell::outside(&visitor, "Organizations", &open)?;
    Ok(html::page(
        StatusCode::OK,
        &OrganizationsPage {
            shell,
            organizations: rows,
            asking,
        },
        None,
    ))
}

/// `GET /dev-centre/{organization}`.
pub async fn show(visitor: Visitor, path: web::Path<String>) -> Result<HttpResponse, PageError> {
    visitor.require()?;
    let id: OrganizationId = shell::parse_id(&path)?;
    Ok(html::see_other(&api_keys_path(id.as_str())))
}

fn api_keys_path(organization: &str) -> String {
    format!("/dev-centre/{organization}/api-keys")
}

/// A person's organizations.
struct Administered {
    /// Those that the session opens.
    open: Vec<Organization>,
    /// Those of them whose Dev Centre the person may see.
    rows: Vec<OrganizationRow>,
    /// Those that ask for another sign-in first.
    asking: Vec<Link>,
}

fn administered(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    session: &Session,
) -> Result<Administered, Refusal> {
    let all = snapshot.list_organizations_of(session.user_id)?;
    let entrances = identities::sort_out(snapshot, session, all)?;
    let mut rows = Vec::new();
    for organization in &entrances.open {
        rows.extend(
            key_admin_role(snapshot, catalogue, organization, session.user_id)?
                .map(|role| row(organization, role)),
        );
    }
    let mut asking = Vec::new();
    for (organization, provider) in &entrances.asking {
        if key_admin_role(snapshot, catalogue, organization, session.user_id)?.is_some() {
            let href = Provider::href(
                provider.id.as_str(),
                &api_keys_path(organization.id.as_str()),
            );
            asking.push(Link {
                href,
                label: format!("{}: sign in with {}", organization.name, provider.name),
            });
        }
    }
    Ok(Administered {
        open: entrances.open,
        rows,
        asking,
    })
}

fn key_admin_role(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: &Organization,
    person: UserId,
) -> Result<Option<OrganizationRole>, Refusal> {
    match key_admins::key_admin(
        snapshot,
        catalogue,
        organization.id,
        &KeyCaller::person(person),
        READ,
    ) {
        Ok(admin) => Ok(admin.role),
        Err(refusal) if refusal.is_forbidden() => Ok(None),
        Err(other) => Err(other),
    }
}

fn row(organization: &Organization, role: OrganizationRole) -> OrganizationRow {
    let role = match role {
        OrganizationRole::Owner => "Owner",
        OrganizationRole::Admin => "Admin",
        OrganizationRole::Member => "Workspace admin",
    };
    OrganizationRow {
        id: organization.id.to_string(),
        name: organization.name.clone(),
        role: role.to_owned(),
    }
}
