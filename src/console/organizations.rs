//! Which organization: those whose keys the person may administer.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::pages::{OrganizationRow, OrganizationsPage};
use super::shell;
use crate::app::App;
use crate::domain::{Refusal, api_keys};
use crate::store::Snapshot;
use crate::store::organizations::Organization;
use crate::types::id::{OrganizationId, UserId};
use crate::types::state::OrganizationRole;
use crate::web::html::{self, PageError};
use crate::web::visitor::Visitor;

/// `GET /dev-centre`. A single organization is not asked for.
pub async fn list(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let person = visitor.require()?.user.id;
    let (all, rows) = app.store.read(move |snapshot| administered(snapshot, person)).await?;
    if let [only] = rows.as_slice() {
        return Ok(html::see_other(&api_keys_path(&only.id)));
    }
    if rows.is_empty() && visitor.is_operator() {
        return Ok(html::see_other("/operator"));
    }
    let shell = shell::outside(&visitor, "Organizations", &all)?;
    Ok(html::page(StatusCode::OK, &OrganizationsPage { shell, organizations: rows }, None))
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

/// All of the person's organizations, and those whose Dev Centre opens to them.
fn administered(snapshot: &mut Snapshot, person: UserId) -> Result<(Vec<Organization>, Vec<OrganizationRow>), Refusal> {
    let all = snapshot.list_organizations_of(person)?;
    let mut rows = Vec::new();
    for organization in &all {
        match api_keys::key_admin(snapshot, organization.id, person) {
            Ok(admin) => rows.push(row(organization, admin.member.role)),
            Err(Refusal::Forbidden(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok((all, rows))
}

fn row(organization: &Organization, role: OrganizationRole) -> OrganizationRow {
    let role = match role {
        OrganizationRole::Owner => "Owner",
        OrganizationRole::Admin => "Admin",
        OrganizationRole::Member => "Workspace admin",
    };
    OrganizationRow { id: organization.id.to_string(), name: organization.name.clone(), role: role.to_owned() }
}
