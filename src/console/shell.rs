//! What surrounds every page of the Dev Centre: the person, their organizations, and the one that the page is of.

use std::sync::Arc;

use crate::app::App;
use crate::domain::desk::View;
use crate::domain::people::identities::{self, ELSEWHERE, Entrance};
use crate::domain::people::members::SUSPENDED;
use crate::domain::plans::plans;
use crate::domain::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::organizations::Organization;
use crate::store::sessions::Session;
use crate::types::environment::Environment;
use crate::types::id::{OrganizationId, UserId};
use crate::types::right::Right;
pub use crate::web::desk::change;
use crate::web::html::{PRODUCT, PageError};
use crate::web::page::{Link, OrganizationLink, Section, Shell, SignedIn};
pub use crate::web::refusal::{date_or_never, field_errors, parse_id};
use crate::web::visitor::Visitor;

/// One of the person's organizations, and what its pages have around them.
pub struct Place {
    pub person: UserId,
    pub organization: Organization,
    production_lock: Option<String>,
    signed_in: SignedIn,
}

impl Place {
    pub fn shell(&self, title: &str, section: Section) -> Shell {
        let signed_in = SignedIn {
            organization: Some(self.link()),
            ..self.signed_in.clone()
        };
        Shell {
            title: title.to_owned(),
            product_name: PRODUCT.to_owned(),
            signed_in: Some(signed_in),
            active_section: Some(section),
        }
    }

    pub fn link(&self) -> OrganizationLink {
        link(&self.organization)
    }

    /// Whether the person may open the applications.
    pub fn sees_applications(&self) -> bool {
        self.signed_in.sees_applications
    }

    /// The token of this page's forms.
    pub fn csrf(&self) -> String {
        self.signed_in.csrf.clone()
    }

    /// Why Production cannot be chosen.
    pub fn production_locked(&self) -> Option<String> {
        self.production_lock.clone()
    }

    /// Where an admin does something about it.
    pub fn production_unlock(&self) -> Option<Link> {
        let href = format!("/dev-centre/{}/plan", self.organization.id);
        self.sees_applications().then(|| Link {
            href,
            label: "See your plan".to_owned(),
        })
    }
}

/// Asks one question about the organization named in the path, in one snapshot with what surrounds its page. The
/// organizations of others are not found.
pub async fn ask<T, F>(
    app: &App,
    visitor: &Visitor,
    organization: &str,
    question: F,
) -> Result<(Place, T), PageError>
where
    F: FnOnce(&mut View<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    T: Send + 'static,
{
    let (person, session) = (
        visitor.require()?.user.id,
        visitor.require()?.session.clone(),
    );
    let id: OrganizationId = parse_id(organization)?;
    let (settings, asker, now) = (Arc::clone(&app.settings), visitor.asker()?, visitor.now());
    let read = move |snapshot: &mut Snapshot| -> Result<_, PageError> {
        let organizations = snapshot.list_organizations_of(person, now)?;
        ensure(
            organizations
                .iter()
                .any(|organization| organization.id == id),
            Refusal::NotFound,
        )?;
        let organizations = open_ones(snapshot, &session, organizations, id)?;
        let membership = snapshot
            .find_membership(id, person, now)?
            .ok_or(PageError::NotFound)?;
        ensure(
            membership.acts(),
            PageError::Forbidden(SUSPENDED.to_owned()),
        )?;
        let mut view = View {
            snapshot: &mut *snapshot,
            settings: &settings,
            organization: id,
            asker: &asker,
            now,
        };
        let answer = question(&mut view)?;
        let sees_applications = view.places_of(Right::ApplicationsRead)?.organization;
        let organization = organizations
            .iter()
            .find(|organization| organization.id == id)
            .cloned()
            .ok_or(PageError::NotFound)?;
        let catalogue = &settings.catalogue;
        let plan = plans::plan_of(snapshot, catalogue, id)?;
        let production_lock = plans::lock(plan, &organization, Environment::Production, now);
        let production_lock =
            production_lock.map(|lock| lock.unlock(catalogue, Environment::Production).detail);
        let around = (organization, production_lock, sees_applications);
        Ok((organizations, around, answer))
    };
    let (organizations, (organization, production_lock, sees_applications), answer) =
        app.store.read(read).await?;
    let signed_in = SignedIn {
        sees_applications,
        ..signed_in(visitor, &organizations)?
    };
    Ok((
        Place {
            person,
            organization,
            production_lock,
            signed_in,
        },
        answer,
    ))
}

/// Whether the session opens the organization: before every change that asks nothing else first.
pub async fn enter(
    app: &App,
    visitor: &Visitor,
    organization: &str,
) -> Result<(UserId, OrganizationId), PageError> {
    let (place, ()) = ask(app, visitor, organization, |_| Ok(())).await?;
    Ok((place.person, place.organization.id))
}

/// The organizations that the session opens, `wanted` among them.
fn open_ones(
    snapshot: &mut Snapshot,
    session: &Session,
    organizations: Vec<Organization>,
    wanted: OrganizationId,
) -> Result<Vec<Organization>, PageError> {
    match identities::find_entrance(snapshot, session, wanted)? {
        Entrance::Open => Ok(identities::sort_out(snapshot, session, organizations)?.open),
        Entrance::Asks(provider) => Err(provider.into()),
        Entrance::Elsewhere => Err(PageError::Forbidden(ELSEWHERE.to_owned())),
    }
}

/// The shell of a page that belongs to no organization.
pub fn outside(
    visitor: &Visitor,
    title: &str,
    organizations: &[Organization],
) -> Result<Shell, PageError> {
    let signed_in = Some(signed_in(visitor, organizations)?);
    Ok(Shell {
        title: title.to_owned(),
        product_name: PRODUCT.to_owned(),
        signed_in,
        active_section: None,
    })
}

fn signed_in(visitor: &Visitor, organizations: &[Organization]) -> Result<SignedIn, PageError> {
    let email = visitor.require()?.user.email.clone().unwrap_or_default();
    Ok(SignedIn {
        email,
        csrf: visitor.csrf(),
        organizations: organizations.iter().map(link).collect(),
        operator: visitor.is_operator(),
        ..SignedIn::default()
    })
}

fn link(organization: &Organization) -> OrganizationLink {
    OrganizationLink {
        id: organization.id.to_string(),
        name: organization.name.clone(),
    }
}
