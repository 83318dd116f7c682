//! Initial access tokens (RFC 7591 §1.2): people make them, and give them to programs that register applications.
//!
//! Invariant: at each use whoever made the token is asked. It registers nothing while they do not hold `applications:manage` in
//! the organization; what registers acts as itself only if they hold, in every workspace, what its role allows.

use crate::config::Registration;
use crate::crypto::digest::Digest;
use crate::domain::clients::own_applications;
use crate::domain::clients::service_account;
use crate::domain::desk::{Desk, View};
use crate::domain::plans::open;
use crate::domain::rights::asker::Asker;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store::applications::Application;
use crate::store::registration_tokens::RegistrationToken;
use crate::store::{self, Snapshot};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::RegistrationTokenId;
use crate::types::right::Right;
use crate::types::state::RegistrationTokenState;
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

const MOST_NAME: usize = 100;
/// Tokens of one organization that are not revoked: also what its page lists.
const MOST_TOKENS: i64 = 50;

/// What a person asks for. The token was minted at the door; only its digest comes here.
#[derive(Debug, Clone)]
pub struct NewRegistrationToken {
    pub name: String,
    pub environment: Environment,
    pub max_clients: i64,
    pub expires_at: Option<Timestamp>,
    pub digest: Digest,
}

/// A token with what its page shows.
#[derive(Debug, Clone)]
pub struct ListedToken {
    pub token: RegistrationToken,
    /// Live applications that were registered with it.
    pub clients: i64,
}

pub fn list(view: &mut View) -> Result<Vec<ListedToken>, Refusal> {
    own_applications::ensure_sees(view)?;
    let snapshot = &mut *view.snapshot;
    let tokens = snapshot.list_registration_tokens(view.organization, MOST_TOKENS)?;
    let listed = tokens.into_iter().map(|token| {
        Ok(ListedToken {
            clients: snapshot.count_clients_of_token(token.id)?,
            token,
        })
    });
    listed.collect()
}

/// Makes a token. Runs behind the organization's lock: the cap is counted.
pub fn create(desk: &mut Desk, new: &NewRegistrationToken) -> Result<RegistrationToken, Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    let (now, organization) = (desk.now(), desk.organization);
    let name = check(&desk.settings.registration, new, now)?;
    let organization = desk
        .tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    let catalogue = &desk.settings.catalogue;
    open::ensure_open(desk.tx, catalogue, &organization, new.environment, now)?;
    let tokens = desk
        .tx
        .list_registration_tokens(organization.id, MOST_TOKENS)?;
    let full = format!(
        "This organization has reached its limit of {MOST_TOKENS} tokens. Revoke one that is not needed any more."
    );
    ensure(
        i64::try_from(tokens.len()).is_ok_and(|count| count < MOST_TOKENS),
        Refusal::Blocked(full),
    )?;
    let token = RegistrationToken {
        id: RegistrationTokenId::generate(now),
        organization_id: organization.id,
        environment: new.environment,
        name,
        digest: new.digest.clone(),
        state: RegistrationTokenState::Active,
        max_clients: new.max_clients,
        created_by: desk.asker.user,
        created_at: now,
        expires_at: new.expires_at,
        last_used_at: None,
    };
    desk.tx.insert_registration_token(&token)?;
    desk.record(
        Event::RegistrationTokenCreated,
        token.id.as_str(),
        token.environment.as_str(),
    )?;
    Ok(token)
}

fn check(
    config: &Registration,
    new: &NewRegistrationToken,
    now: Timestamp,
) -> Result<String, Refusal> {
    let mut errors = Vec::new();
    let name =
        parse_text(&new.name, MOST_NAME).map_err(|error| errors.push(("name", error.to_string())));
    let most = config.max_clients;
    if !(1..=most).contains(&new.max_clients) {
        errors.push(("max_clients", format!("Choose a number from 1 to {most}.")));
    }
    if new.expires_at.is_some_and(|end| end <= now) {
        errors.push(("expiry", "Choose a day in the future.".to_owned()));
    }
    match name {
        Ok(name) if errors.is_empty() => Ok(name),
        _ => Err(Refusal::Invalid(errors)),
    }
}

/// Nothing more is registered with it; what was registered stays. One that is revoked already stays so.
pub fn revoke(desk: &mut Desk, id: RegistrationTokenId) -> Result<(), Refusal> {
    own_applications::ensure_manages(&mut desk.view())?;
    match desk.tx.revoke_registration_token(desk.organization, id) {
        Ok(()) => Ok(desk.record(Event::RegistrationTokenRevoked, id.as_str(), "")?),
        // somebody else was quicker, or it is not there
        Err(store::Error::NotFound) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// The role of the service account of what registers, where that acts as itself.
pub fn role(settings: &Settings) -> &str {
    let named = &settings.registration.service_account_role;
    if named.is_empty() {
        settings.catalogue.least_role()
    } else {
        named
    }
}

/// Whether the token registers anything now: it has not ended, and whoever made it may still manage applications.
pub fn is_good(
    snapshot: &mut Snapshot,
    settings: &Settings,
    token: &RegistrationToken,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let live = token.state == RegistrationTokenState::Active
        && token.expires_at.is_none_or(|end| end > now);
    let manages = |view: &mut View| view.ensure(Right::ApplicationsManage).map(|()| true);
    Ok(live && by_maker(snapshot, settings, token, now, manages)?)
}

/// Whether whoever made it holds what an application that registers may do as itself.
pub fn grants_role(
    snapshot: &mut Snapshot,
    settings: &Settings,
    token: &RegistrationToken,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let grants = |view: &mut View| service_account::grants(view, role(settings));
    by_maker(snapshot, settings, token, now, grants)
}

/// Whether the token vouches for this application now, and so for what it asks for anew.
pub fn vouches_for(
    snapshot: &mut Snapshot,
    settings: &Settings,
    token: &RegistrationToken,
    application: &Application,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let may_hold = |view: &mut View| service_account::may_hold(view, application);
    Ok(is_good(snapshot, settings, token, now)?
        && by_maker(snapshot, settings, token, now, may_hold)?)
}

/// Asks whoever made the token, as they are now. A refusal is a no.
fn by_maker(
    snapshot: &mut Snapshot,
    settings: &Settings,
    token: &RegistrationToken,
    now: Timestamp,
    question: impl FnOnce(&mut View) -> Result<bool, Refusal>,
) -> Result<bool, store::Error> {
    let maker = Asker::of_earlier(snapshot, &settings.catalogue, token.created_by, now)?;
    let mut view = View {
        snapshot,
        settings,
        organization: token.organization_id,
        asker: &maker,
        now,
    };
    match question(&mut view) {
        Err(Refusal::Store(error)) => Err(error),
        answered => Ok(answered.unwrap_or(false)),
    }
}
