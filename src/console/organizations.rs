//! Which organization: those whose keys the person may administer.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::pages::{OrganizationRow, OrganizationsPage};
use super::shell;
use crate::app::App;
use crate::domain::Refusal;
use crate::domain::desk::View;
use crate::domain::people::identities;
use crate::domain::rights::asker::Asker;
use crate::domain::settings::Settings;
use crate::store::Snapshot;
use crate::store::organizations::Organization;
use crate::store::sessions::Session;
use crate::types::id::OrganizationId;
use crate::types::right::Right;
use crate::types::state::OrganizationRole;
use crate::types::time::Timestamp;
use crate::web::html::{self, PageError};
use crate::web::page::Link;
use crate::web::provider::Provider;
use crate::web::visitor::Visitor;

/// `GET /dev-centre`. A single organization is not asked for.
pub async fn list(app: web::Data<App>, visitor: Visitor) -> Result<HttpResponse, PageError> {
    let person = Person {
        session: visitor.require()?.session.clone(),
        asker: visitor.asker()?,
        settings: Arc::clone(&app.settings),
        now: visitor.now(),
    };
    let Administered { open, rows, asking } = app
        .store
        .read(move |snapshot| administered(snapshot, &person))
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

/// Who asks for their organizations.
struct Person {
    session: Session,
    asker: Asker,
    settings: Arc<Settings>,
    now: Timestamp,
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

fn administered(snapshot: &mut Snapshot, person: &Person) -> Result<Administered, Refusal> {
    let all = snapshot.list_organizations_of(person.session.user_id, person.now)?;
    let entrances = identities::sort_out(snapshot, &person.session, all)?;
    let mut rows = Vec::new();
    for organization in &entrances.open {
        let role = person.role_of_key_admin(snapshot, organization)?;
        rows.extend(role.map(|role| row(organization, role)));
    }
    let mut asking = Vec::new();
    for (organization, provider) in &entrances.asking {
        if person.role_of_key_admin(snapshot, organization)?.is_some() {
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

impl Person {
    /// None where the person sees no keys, or their membership does not act.
    fn role_of_key_admin(
        &self,
        snapshot: &mut Snapshot,
        organization: &Organization,
    ) -> Result<Option<OrganizationRole>, Refusal> {
        let mut view = View {
            snapshot,
            settings: &self.settings,
            organization: organization.id,
            asker: &self.asker,
            now: self.now,
        };
        match view.rights() {
            Ok(rights) => {
                let places = rights.places_of(&self.settings.catalogue, Right::ApiKeysRead);
                Ok((!places.is_nowhere()).then_some(rights.role))
            }
            Err(Refusal::NotFound) => Ok(None),
            Err(other) => Err(other),
        }
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
