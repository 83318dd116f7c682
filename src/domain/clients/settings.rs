//! What an organization may set of an application, at first and later. Environment and client type never change.
//!
//! Invariant: a change counts at once, for what was issued before, too: narrower scopes narrow live tokens, a grant that is
//! taken away stops, a redirect URI that is taken away gets no more codes. The operator's check is of a name and of
//! addresses: it ends when another name or host takes their place. What the operator approved stays what people of other
//! organizations get (`versions.rs`). Whoever adds something to an application holds all that it may do as itself.

use crate::config::Catalogue;
use crate::domain::clients::clients;
use crate::domain::clients::own_applications;
use crate::domain::clients::service_account;
use crate::domain::desk::{Desk, View};
use crate::domain::people::planted;
use crate::domain::plans::open;
use crate::domain::{Refusal, ensure};
use crate::store::applications::Application;
use crate::types::event::Event;
use crate::types::grant_types::{GrantType, GrantTypes};
use crate::types::id::ApplicationId;
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::ClientType;
use crate::types::text::parse_text;

const MOST_NAME: usize = 100;
const MOST_REFRESH_SECONDS: i64 = 10 * 365 * 24 * 60 * 60;
pub const MOST_REDIRECT_URIS: usize = 20;

/// How an application's refresh tokens live. Seconds; none: as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// A new refresh token at every refresh; a public application's always rotate.
    pub rotation: bool,
    pub idle_seconds: Option<i64>,
    pub absolute_seconds: Option<i64>,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            rotation: true,
            idle_seconds: None,
            absolute_seconds: None,
        }
    }
}

impl RefreshPolicy {
    pub fn of(application: &Application) -> Self {
        Self {
            rotation: application.refresh_rotation,
            idle_seconds: application.refresh_idle_seconds,
            absolute_seconds: application.refresh_absolute_seconds,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationSettings {
    pub name: String,
    pub redirect_uris: Vec<RedirectUri>,
    pub scopes: Scopes,
    /// The role of its own service account in every workspace, for client credentials.
    pub role: String,
    pub grants: GrantTypes,
    pub refresh: RefreshPolicy,
}

impl ApplicationSettings {
    /// Whether the application acts as itself, too. A public one never does: it cannot prove itself.
    pub fn acts_as_itself(&self, client_type: ClientType) -> bool {
        client_type == ClientType::Confidential
            && self.grants.contains(GrantType::ClientCredentials)
    }

    /// As they are kept: named, and without what a public application can never have.
    pub fn check(
        &self,
        catalogue: &Catalogue,
        client_type: ClientType,
        first_party: bool,
    ) -> Result<Self, Refusal> {
        let mut errors = Vec::new();
        let name = parse_text(&self.name, MOST_NAME)
            .map_err(|error| errors.push(("name", error.to_string())));
        let public = client_type == ClientType::Public;
        let grants = if public {
            self.grants.without(GrantType::ClientCredentials)
        } else {
            self.grants
        };
        // nobody has anything to refresh
        let grants = if grants.contains(GrantType::AuthorizationCode) {
            grants
        } else {
            grants.without(GrantType::RefreshToken)
        };
        errors.extend(
            self.wrong_redirect_uris(public, grants)
                .map(|message| ("redirect_uris", message)),
        );
        if self.scopes.is_empty() {
            errors.push(("scope", "Choose at least one scope.".to_owned()));
        }
        let unknown = |name: &&str| catalogue.scope(name).is_none();
        errors.extend(
            self.scopes
                .iter()
                .filter(unknown)
                .map(|name| ("scope", format!("Unknown scope {name}."))),
        );
        let closed = |name: &&str| !first_party && catalogue.is_management(name);
        let closed = self.scopes.iter().filter(closed);
        errors.extend(closed.map(|name| {
            (
                "scope",
                format!("Only first-party applications may have the scope {name}."),
            )
        }));
        if grants.is_empty() {
            let message = if public {
                "A public application needs the code flow."
            } else {
                "Choose the code flow, client credentials, or both."
            };
            errors.push(("grants", message.to_owned()));
        }
        if self.acts_as_itself(client_type) && !catalogue.roles().any(|role| role == self.role) {
            errors.push(("role", "Choose one of the roles.".to_owned()));
        }
        let lives = [self.refresh.idle_seconds, self.refresh.absolute_seconds];
        if lives
            .into_iter()
            .flatten()
            .any(|seconds| !(60..=MOST_REFRESH_SECONDS).contains(&seconds))
        {
            errors.push((
                "refresh",
                "A refresh token lives between a minute and ten years.".to_owned(),
            ));
        }
        match name {
            Ok(name) if errors.is_empty() => {
                // RFC 9700 §2.2.2
                let refresh = RefreshPolicy {
                    rotation: self.refresh.rotation || public,
                    ..self.refresh
                };
                Ok(Self {
                    name,
                    grants,
                    refresh,
                    ..self.clone()
                })
            }
            _ => Err(Refusal::Invalid(errors)),
        }
    }

    fn wrong_redirect_uris(&self, public: bool, grants: GrantTypes) -> Option<String> {
        if self.redirect_uris.len() > MOST_REDIRECT_URIS {
            return Some(format!("At most {MOST_REDIRECT_URIS} redirect URIs."));
        }
        if !self.redirect_uris.is_empty() {
            return None;
        }
        if public {
            return Some("A public application needs at least one redirect URI.".to_owned());
        }
        let only_code = grants.contains(GrantType::AuthorizationCode)
            && !grants.contains(GrantType::ClientCredentials);
        only_code.then(|| "The code flow needs at least one redirect URI.".to_owned())
    }
}

/// Changes an application. Runs behind the organization's lock: two changes come one after the other, each whole.
pub fn change(
    desk: &mut Desk,
    id: ApplicationId,
    wanted: &ApplicationSettings,
) -> Result<Application, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let organization = desk.organization;
    open::ensure_not_suspended(desk.tx, organization)?;
    let before = own_applications::find(desk.tx, organization, id)?;
    let catalogue = &desk.settings.catalogue;
    let wanted = wanted.check(catalogue, before.client_type, before.first_party)?;
    let uris = desk.tx.list_redirect_uris(id)?;
    let role = service_account::role(desk.tx, &before)?;
    let acts_as_itself = wanted.acts_as_itself(before.client_type);
    ensure(
        !acts_as_itself || clients::is_vouched_for(desk.tx, id)?,
        Refusal::Blocked(NOT_VOUCHED_FOR.to_owned()),
    )?;
    let new_role = acts_as_itself && role.as_ref() != Some(&wanted.role);
    if new_role {
        service_account::ensure_grants(desk, &wanted.role)?;
    }
    let changed = changes(&before, &uris, new_role, &wanted);
    if changed.is_empty() {
        return Ok(before);
    }
    let after = applied(&before, &uris, &wanted);
    let after = match before.service_account_id {
        Some(account) if new_role => {
            service_account::set_role(desk.tx, organization, account, &wanted.role)?;
            planted::end_unvouched(desk, account)?;
            after
        }
        None if acts_as_itself => service_account::give(desk.tx, after, &wanted.role)?,
        _ => after,
    };
    desk.tx.change_application(&after)?;
    desk.tx
        .change_redirect_uris(&after, &wanted.redirect_uris)?;
    desk.tx.change_own_scopes(id, organization, &after.scopes)?;
    if adds(&before, &uris, &wanted) {
        service_account::ensure_may_hold(desk, &after)?;
    }
    // one that registered by itself is the organization's from here on: it cannot undo this
    desk.tx.take_over_registration(id)?;
    desk.record(Event::ApplicationChanged, id.as_str(), &changed.join(" "))?;
    Ok(after)
}

/// As they are now, for whoever is to change them.
pub fn current(view: &mut View, id: ApplicationId) -> Result<ApplicationSettings, Refusal> {
    own_applications::ensure_manages(view)?;
    let application = own_applications::find(view.snapshot, view.organization, id)?;
    Ok(ApplicationSettings {
        name: application.name.clone(),
        redirect_uris: view.snapshot.list_redirect_uris(id)?,
        scopes: application.scopes.clone(),
        role: service_account::role(view.snapshot, &application)?.unwrap_or_default(),
        grants: application.grants,
        refresh: RefreshPolicy::of(&application),
    })
}

const NOT_VOUCHED_FOR: &str =
    "It registered by itself, and nobody knows who holds its secret: it cannot act as itself.";

/// What differs, by name: for the audit event.
fn changes(
    before: &Application,
    uris: &[RedirectUri],
    new_role: bool,
    wanted: &ApplicationSettings,
) -> Vec<&'static str> {
    let same_uris = uris.len() == wanted.redirect_uris.len()
        && wanted.redirect_uris.iter().all(|uri| uris.contains(uri));
    let refresh = RefreshPolicy::of(before);
    let all = [
        ("name", before.name != wanted.name),
        ("redirect_uris", !same_uris),
        ("scopes", before.scopes != wanted.scopes),
        ("grants", before.grants != wanted.grants),
        ("role", new_role),
        ("refresh", refresh != wanted.refresh),
    ];
    all.into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}

/// Whether the application gets something that it did not have. A role is judged for itself.
fn adds(before: &Application, uris: &[RedirectUri], wanted: &ApplicationSettings) -> bool {
    let refresh = RefreshPolicy::of(before);
    !wanted.redirect_uris.iter().all(|uri| uris.contains(uri))
        || !wanted.scopes.is_subset_of(&before.scopes)
        || !wanted.grants.iter().all(|grant| before.may_use(grant))
        || wanted.refresh != refresh
}

/// Whether the operator's check still holds: it was of a name and of addresses.
pub fn is_still_checked(
    old_name: &str,
    old_uris: &[RedirectUri],
    name: &str,
    uris: &[RedirectUri],
) -> bool {
    old_name == name && uris.iter().all(|uri| uri.is_at_host_of(old_uris))
}

fn applied(
    before: &Application,
    uris: &[RedirectUri],
    wanted: &ApplicationSettings,
) -> Application {
    let still_checked = is_still_checked(&before.name, uris, &wanted.name, &wanted.redirect_uris);
    Application {
        name: wanted.name.clone(),
        scopes: wanted.scopes.clone(),
        grants: wanted.grants,
        refresh_rotation: wanted.refresh.rotation,
        refresh_idle_seconds: wanted.refresh.idle_seconds,
        refresh_absolute_seconds: wanted.refresh.absolute_seconds,
        verified_at: before.verified_at.filter(|_| still_checked),
        ..before.clone()
    }
}
