//! What surrounds every page of the Dev Centre: the person, their organizations, and the one that the page is of.

use std::str::FromStr;

use crate::app::App;
use crate::domain::api_keys::PRODUCTION_LOCKED;
use crate::domain::{Refusal, ensure};
use crate::store::Snapshot;
use crate::store::organizations::Organization;
use crate::types::id::{OrganizationId, UserId};
use crate::types::state::{OrganizationRole, ProductionAccess};
use crate::types::time::Timestamp;
use crate::web::html::{PRODUCT, PageError};
use crate::web::page::{FieldErrors, OrganizationLink, Section, Shell, SignedIn};
use crate::web::visitor::Visitor;

/// One of the person's organizations, and what its pages have around them.
pub struct Place {
    pub person: UserId,
    pub organization: Organization,
    signed_in: SignedIn,
}

impl Place {
    pub fn shell(&self, title: &str, section: Section) -> Shell {
        let signed_in = SignedIn { organization: Some(self.link()), ..self.signed_in.clone() };
        Shell { title: title.to_owned(), product_name: PRODUCT.to_owned(), signed_in: Some(signed_in), active_section: Some(section) }
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
        (self.organization.production_access != ProductionAccess::Approved).then(|| PRODUCTION_LOCKED.to_owned())
    }
}

/// Asks one question about the organization named in the path, in one snapshot with what surrounds its page. The
/// organizations of others are not found.
pub async fn ask<T, F>(app: &App, visitor: &Visitor, organization: &str, question: F) -> Result<(Place, T), PageError>
where
    F: FnOnce(&mut Snapshot, OrganizationId, UserId) -> Result<T, Refusal> + Send + 'static,
    T: Send + 'static,
{
    let person = visitor.require()?.user.id;
    let id: OrganizationId = parse_id(organization)?;
    let read = move |snapshot: &mut Snapshot| -> Result<_, Refusal> {
        let organizations = snapshot.list_organizations_of(person)?;
        ensure(organizations.iter().any(|organization| organization.id == id), Refusal::NotFound)?;
        let answer = question(snapshot, id, person)?;
        let role = snapshot.find_member(id, person)?.map(|member| member.role);
        Ok((organizations, role, answer))
    };
    let (organizations, role, answer) = app.store.read(read).await?;
    let sees_applications = role.is_some_and(OrganizationRole::is_admin);
    let signed_in = SignedIn { sees_applications, ..signed_in(visitor, &organizations)? };
    let organization = organizations.into_iter().find(|organization| organization.id == id).ok_or(PageError::NotFound)?;
    Ok((Place { person, organization, signed_in }, answer))
}

/// The shell of a page that belongs to no organization.
pub fn outside(visitor: &Visitor, title: &str, organizations: &[Organization]) -> Result<Shell, PageError> {
    let signed_in = Some(signed_in(visitor, organizations)?);
    Ok(Shell { title: title.to_owned(), product_name: PRODUCT.to_owned(), signed_in, active_section: None })
}

fn signed_in(visitor: &Visitor, organizations: &[Organization]) -> Result<SignedIn, PageError> {
    let email = visitor.require()?.user.email.clone().unwrap_or_default();
    Ok(SignedIn { email, csrf: visitor.csrf(), organizations: organizations.iter().map(link).collect(), ..SignedIn::default() })
}

fn link(organization: &Organization) -> OrganizationLink {
    OrganizationLink { id: organization.id.to_string(), name: organization.name.clone() }
}

/// An id from a path: what is none is not found.
pub fn parse_id<I: FromStr>(text: &str) -> Result<I, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

pub fn date_or_never(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "Never".to_owned(), Timestamp::date)
}

/// What a form shows of a refusal; what no form can show becomes a page of its own.
pub fn field_errors(refusal: Refusal) -> Result<FieldErrors, PageError> {
    let mut errors = FieldErrors::default();
    match refusal {
        Refusal::Invalid(found) => found.iter().for_each(|(field, message)| errors.push(field, sentence(field, message))),
        Refusal::Blocked(reason) => errors.push("", reason),
        other => return Err(other.into()),
    }
    Ok(errors)
}

/// Of "must not be empty" about `name`: "Name must not be empty." A sentence stays as it is.
fn sentence(field: &str, message: &str) -> String {
    if !message.starts_with(|first: char| first.is_ascii_lowercase()) {
        return message.to_owned();
    }
    let words = field.replace('_', " ");
    match words.get(..1).zip(words.get(1..)) {
        Some((first, rest)) => format!("{}{rest} {message}.", first.to_uppercase()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_sentences_at_their_fields() {
        let found = vec![("name", "must not be empty".to_owned()), ("expires_on", "Choose a day in the future.".to_owned())];
        let errors = field_errors(Refusal::Invalid(found)).expect("a form can show it");
        assert_eq!(errors.of("name"), Some("Name must not be empty."));
        assert_eq!(errors.of("expires_on"), Some("Choose a day in the future."));
        assert_eq!(sentence("redirect_uris", "must be few"), "Redirect uris must be few.");
    }

    #[test]
    fn a_cap_concerns_the_form_and_a_missing_role_the_page() {
        let errors = field_errors(Refusal::Blocked("Full.".to_owned())).expect("a form can show it");
        assert_eq!(errors.of(""), Some("Full."));
        assert!(matches!(field_errors(Refusal::Forbidden("No.")), Err(PageError::Forbidden(_))));
        assert!(matches!(field_errors(Refusal::NotFound), Err(PageError::NotFound)));
    }
}
