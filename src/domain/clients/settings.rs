//! What an organization's admins may set of an application, at first and later. Environment and client type never change.
//!
//! Invariant: a change counts at once, for what was issued before, too: narrower scopes narrow live tokens, a grant that is
//! taken away stops, a redirect URI that is taken away gets no more codes. The operator's check is of a name and of
//! addresses: it ends when another name or host takes their place.

use crate::config::Config;
use crate::domain::clients::applications::{self, RefreshPolicy};
use crate::domain::clients::authorizations;
use crate::domain::clients::clients;
use crate::domain::people::accounts;
use crate::domain::plans::open;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::applications::Application;
use crate::store::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::grant_types::{GrantType, GrantTypes};
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::ClientType;
use crate::types::text::parse_text;

const MOST_NAME: usize = 100;
const MOST_REFRESH_SECONDS: i64 = 10 * 365 * 24 * 60 * 60;
pub const MOST_REDIRECT_URIS: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub name: String,
    pub redirect_uris: Vec<RedirectUri>,
    pub scopes: Scopes,
    /// The role of its own service account in every workspace, for client credentials.
    pub role: String,
    pub grants: GrantTypes,
    pub refresh: RefreshPolicy,
}

impl Settings {
    /// Whether the application acts as itself, too. A public one never does: it cannot prove itself.
    pub fn acts_as_itself(&self, client_type: ClientType) -> bool {
        client_type == ClientType::Confidential
            && self.grants.contains(GrantType::ClientCredentials)
    }

    /// As they are kept: named, and without what a public application can never have.
    pub fn check(
        self,
        config: &Config,
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
        let known = |name: &str| config.scope.iter().any(|scope| scope.name == name);
        errors.extend(
            self.scopes
                .iter()
                .filter(|name| !known(name))
                .map(|name| ("scope", format!("Unknown scope {name}."))),
        );
        let closed = |name: &str| {
            config
                .scope
                .iter()
                .any(|scope| scope.name == name && config.is_management(scope))
        };
        let closed = self
            .scopes
            .iter()
            .filter(|name| !first_party && closed(name));
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
        if self.acts_as_itself(client_type)
            && !config.role.iter().any(|role| role.name == self.role)
        {
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
                    ..self
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
    tx: &mut Tx,
    config: &Config,
    organization: OrganizationId,
    caller: impl Into<Caller>,
    id: ApplicationId,
    wanted: Settings,
) -> Result<Application, Refusal> {
    let caller = caller.into();
    applications::ensure_manager(tx, organization, caller)?;
    open::ensure_not_suspended(tx, organization)?;
    let before = applications::find_own(tx, organization, id)?;
    let wanted = wanted.check(config, before.client_type, before.first_party)?;
    let uris = tx.list_redirect_uris(id)?;
    let role = applications::role(tx, &before)?;
    let acts_as_itself = wanted.acts_as_itself(before.client_type);
    ensure(
        !acts_as_itself || clients::is_vouched_for(tx, id)?,
        Refusal::Blocked(NOT_VOUCHED_FOR.to_owned()),
    )?;
    let new_role = acts_as_itself && role.as_ref() != Some(&wanted.role);
    if new_role {
        ensure_grants(tx, config, organization, &caller, &wanted.role)?;
    }
    let changed = changes(&before, &uris, new_role, &wanted);
    if changed.is_empty() {
        return Ok(before);
    }
    let after = applied(&before, &uris, &wanted);
    let after = match before.service_account_id {
        Some(account) if new_role => {
            set_role(tx, organization, account, &wanted.role)?;
            after
        }
        None if acts_as_itself => give_service_account(tx, after, &wanted.role)?,
        _ => after,
    };
    tx.change_application(&after)?;
    tx.change_redirect_uris(&after, &wanted.redirect_uris)?;
    tx.change_own_scopes(id, organization, &after.scopes)?;
    // one that registered by itself is the organization's from here on: it cannot undo this
    tx.take_over_registration(id)?;
    tx.record(
        Some(organization),
        Some(caller.user),
        Event::ApplicationChanged,
        id.as_str(),
        &changed.join(" "),
    )?;
    Ok(after)
}

/// As they are now.
pub fn current(snapshot: &mut Snapshot, application: &Application) -> Result<Settings, Error> {
    Ok(Settings {
        name: application.name.clone(),
        redirect_uris: snapshot.list_redirect_uris(application.id)?,
        scopes: application.scopes.clone(),
        role: applications::role(snapshot, application)?.unwrap_or_default(),
        grants: application.grants,
        refresh: RefreshPolicy::of(application),
    })
}

/// Nobody grants more than they hold: the application's own role reaches every workspace.
pub fn ensure_grants(
    snapshot: &mut Snapshot,
    config: &Config,
    organization: OrganizationId,
    caller: &Caller,
    role: &str,
) -> Result<(), Refusal> {
    let catalogue = config
        .catalogue()
        .map_err(|error| Refusal::Blocked(error.to_string()))?;
    let rights = rights::rights(snapshot, &catalogue, organization, caller)?;
    let granted = catalogue.role(role) & !catalogue.organization();
    let workspaces = snapshot.list_workspaces(organization)?;
    let holds = workspaces
        .iter()
        .all(|workspace| (granted & !rights.in_workspace(workspace.id)).is_empty());
    ensure(
        holds,
        Refusal::Forbidden(
            "You can give an application no role that is stronger than your own, in any workspace.",
        ),
    )
}

const NOT_VOUCHED_FOR: &str =
    "It registered by itself, and nobody knows who holds its secret: it cannot act as itself.";

/// What differs, by name: for the audit event.
fn changes(
    before: &Application,
    uris: &[RedirectUri],
    new_role: bool,
    wanted: &Settings,
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

/// Whether the operator's check still holds: it was of a name and of addresses.
pub fn is_still_checked(
    old_name: &str,
    old_uris: &[RedirectUri],
    name: &str,
    uris: &[RedirectUri],
) -> bool {
    let known_host = |uri: &RedirectUri| old_uris.iter().any(|own| own.origin() == uri.origin());
    old_name == name && uris.iter().all(known_host)
}

fn applied(before: &Application, uris: &[RedirectUri], wanted: &Settings) -> Application {
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

/// The service account by which the application acts as itself from now on.
pub fn give_service_account(
    tx: &mut Tx,
    application: Application,
    role: &str,
) -> Result<Application, Refusal> {
    let account =
        accounts::create_service_account(tx, application.organization_id, &application.name)?.id;
    set_role(tx, application.organization_id, account, role)?;
    authorizations::create_own(tx, &application, account)?;
    Ok(Application {
        service_account_id: Some(account),
        ..application
    })
}

/// In every workspace there is.
fn set_role(
    tx: &mut Tx,
    organization: OrganizationId,
    account: UserId,
    role: &str,
) -> Result<(), Error> {
    let held = tx.list_workspace_roles(organization, account)?;
    for workspace in tx.list_workspaces(organization)? {
        match held.iter().find(|(id, _)| *id == workspace.id) {
            Some((_, own)) if own == role => {}
            Some((_, own)) => {
                tx.change_workspace_role(organization, workspace.id, account, own, role)?
            }
            None => accounts::add_workspace_member(tx, organization, workspace.id, account, role)?,
        }
    }
    Ok(())
}
