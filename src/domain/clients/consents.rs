//! Consents: what a person lets an application do with one organization's data, remembered until they take it back.
//!
//! Invariants: an authorization carries exactly what its page showed. A consent is one per person, application and
//! organization; a revoked one carries nothing, whatever runs at the same time: who makes an authorization of it holds its
//! row. It is used again without a page only for a client that nobody else can pretend to be (OAuth 2.1 §7.3.1), only if
//! nothing was left to choose, and never for more than was allowed: under the name that the page showed, for the redirect URI,
//! the resources and the scopes that one page showed together (an application's environment never changes). People of other
//! organizations than the application's allow what the operator approved of it (`versions.rs`).

use crate::config::{Catalogue, OAuth};
use crate::crypto::digest::Digest;
use crate::domain::clients::authorizations;
use crate::domain::clients::authorizations::Terms;
use crate::domain::clients::clients;
use crate::domain::clients::clients::Client;
use crate::domain::desk::Desk;
use crate::domain::plans::plans;
use crate::domain::{Refusal, ensure};
use crate::store::applications::Application;
use crate::store::authorization_requests::AuthorizationRequest;
use crate::store::authorizations::Authorization;
use crate::store::consents::Consent;
use crate::store::members::Member;
use crate::store::organizations::Organization;
use crate::store::sessions::Session;
use crate::store::workspaces::Workspace;
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{AuthorizationId, ConsentId, OrganizationId, UserId, WorkspaceId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{
    AuthorizationState, ConsentState, GrantKind, Licence, OrganizationState, ReachKind,
    RequestAnswer,
};
use crate::types::time::Timestamp;

/// Requests that one session may have open: tabs, not a table to fill.
const MOST_REQUESTS: i64 = 20;
/// A workspace can be chosen from at most this many.
pub const MOST_WORKSPACES: usize = 100;
/// Why a connection ended that was unused for longest.
const ONE_TOO_MANY: &str = "one more connection of this person and application was made than oauth.max_connections_per_consent allows, and this \
                            one was unused for longest";
/// Codes of one consent that wait to be redeemed.
const MOST_CODES: usize = 20;
/// Connected applications that one page lists.
const MOST_LISTED: i64 = 200;

/// A client, and where it wants to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub client: &'a Client,
    pub redirect_uri: &'a RedirectUri,
}

/// The request as people of this organization can allow it: for the scopes that the application may have of them. None when
/// nothing of it is left.
pub fn request_in(
    client: &Client,
    request: &AuthorizationRequest,
    organization: OrganizationId,
) -> Option<AuthorizationRequest> {
    let scopes = client.application.scopes_for(organization);
    let scopes = request.scopes.intersection(&scopes);
    (!scopes.is_empty() || request.scopes.is_empty()).then(|| AuthorizationRequest {
        scopes,
        ..request.clone()
    })
}

/// The organizations in which this person may authorize the client.
pub fn eligible_organizations(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    to: Destination,
    user: UserId,
    now: Timestamp,
) -> Result<Vec<Organization>, Error> {
    let mut eligible = Vec::new();
    for organization in snapshot.list_organizations_of(user, now)? {
        let membership = snapshot.find_membership(organization.id, user, now)?;
        let acts = membership.is_some_and(|membership| membership.suspended.is_none());
        if acts && is_eligible(snapshot, catalogue, to, &organization, now)? {
            eligible.push(organization);
        }
    }
    Ok(eligible)
}

/// A Sandbox application only for members of its own organization; where the environment is open on the organization's plan;
/// in other organizations once the operator has approved it, and where it wants to be answered.
fn is_eligible(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    to: Destination,
    organization: &Organization,
    now: Timestamp,
) -> Result<bool, Error> {
    let client = &to.client.application;
    if !to.client.answers_at(organization.id, to.redirect_uri) {
        return Ok(false);
    }
    if !client.is_open_to(organization.id) || organization.state != OrganizationState::Active {
        return Ok(false);
    }
    let plan = plans::plan_of(snapshot, catalogue, organization.id)?;
    let lock = if client.organization_id == organization.id {
        plans::lock
    } else {
        plans::environment_lock
    };
    Ok(lock(plan, organization, client.environment, now).is_none())
}

/// The workspaces of the organization that this person holds a role in.
pub fn own_workspaces(
    snapshot: &mut Snapshot,
    organization: OrganizationId,
    user: UserId,
    now: Timestamp,
) -> Result<(bool, Vec<Workspace>), Error> {
    let Some(member) = snapshot.find_member(organization, user, now)? else {
        return Ok((false, Vec::new()));
    };
    let all = snapshot.list_workspaces(organization)?;
    if member.role.is_admin() {
        return Ok((true, all));
    }
    let roles = snapshot.list_workspace_roles(organization, user)?;
    Ok((
        false,
        all.into_iter()
            .filter(|workspace| roles.iter().any(|(id, _)| *id == workspace.id))
            .collect(),
    ))
}

/// Keeps a validated request until the person has decided.
pub fn keep_request(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), Error> {
    if tx.trusts_clock {
        tx.delete_expired_authorization_requests(request.session_id)?;
    }
    tx.insert_authorization_request(request)?;
    tx.delete_oldest_authorization_requests(request.session_id, MOST_REQUESTS)
        .map(drop)
}

/// A validated request of a client, and the digest of the code that is to answer it.
#[derive(Debug, Clone, Copy)]
pub struct CodeRequest<'a> {
    pub client: &'a Client,
    pub request: &'a AuthorizationRequest,
    pub code: &'a Digest,
}

/// What the person chose on the consent page.
#[derive(Debug, Clone)]
pub struct ConsentChoice {
    /// Empty with `all_workspaces` only.
    pub workspaces: Vec<WorkspaceId>,
    pub all_workspaces: bool,
}

/// The person allowed the request: an authorization whose code waits to be redeemed. Runs behind the organization's lock:
/// the consent is one.
pub fn allow(
    desk: &mut Desk,
    asked: &CodeRequest,
    choice: &ConsentChoice,
) -> Result<Authorization, Refusal> {
    let (now, catalogue) = (desk.now(), &desk.settings.catalogue);
    let (organization, user) = (desk.organization, desk.asker.user);
    take_request(desk.tx, asked.request)?;
    let membership = desk
        .tx
        .find_membership(organization, user, now)?
        .filter(|membership| membership.suspended.is_none())
        .ok_or(Refusal::NotFound)?;
    let to = Destination {
        client: asked.client,
        redirect_uri: &asked.request.redirect_uri,
    };
    ensure(
        is_eligible(desk.tx, catalogue, to, &membership.organization, now)?,
        Refusal::NotFound,
    )?;
    let request = request_in(asked.client, asked.request, organization).ok_or(Refusal::NotFound)?;
    let request = &AuthorizationRequest {
        scopes: within_licence(catalogue, &membership.member, &request.scopes)?,
        ..request
    };
    let asked = CodeRequest { request, ..*asked };
    let (is_admin, own) = own_workspaces(desk.tx, organization, user, now)?;
    let reach = check_choice(choice, is_admin, &own)?;
    let consent = remember(desk, &asked, choice, reach)?;
    if asked.client.application.environment == Environment::Sandbox {
        let plan = plans::plan_of(desk.tx, catalogue, organization)?;
        plans::start_trial(desk.tx, plan, organization)?;
    }
    authorize(desk.tx, &desk.settings.oauth, &asked, &consent)
}

/// What a read-only member can let an application do: scopes by which nothing can be read fall away (A1).
fn within_licence(
    catalogue: &Catalogue,
    member: &Member,
    scopes: &Scopes,
) -> Result<Scopes, Refusal> {
    if member.licence == Licence::Full {
        return Ok(scopes.clone());
    }
    let of = |name: &str| catalogue.granted_by(&std::iter::once(name).collect());
    // one that grants nothing at all only tells who signed in
    let left: Scopes = scopes
        .iter()
        .filter(|name| of(name).is_empty() || !(of(name) & catalogue.read_only()).is_empty())
        .collect();
    let message = "Your licence in this organization is for reading only: you cannot let an application do what it asks for.";
    ensure(
        !left.is_empty() || scopes.is_empty(),
        Refusal::Invalid(vec![("organization", message.to_owned())]),
    )?;
    Ok(left)
}

/// Writes what was allowed: workspaces are those chosen last. More scopes join those of before, but only where all of them
/// were allowed, and to the same name: for what no page showed together, nothing is remembered.
fn remember(
    desk: &mut Desk,
    asked: &CodeRequest,
    choice: &ConsentChoice,
    reach: ReachKind,
) -> Result<Consent, Refusal> {
    let (now, organization, user) = (desk.now(), desk.organization, desk.asker.user);
    let (application, request) = (asked.client.application.id, asked.request);
    let name = asked.client.application.name_for(organization);
    let workspaces = if reach == ReachKind::Workspaces {
        choice.workspaces.as_slice()
    } else {
        &[]
    };
    let before = desk.tx.list_live_consents(user, application)?;
    if let Some(consent) = before
        .into_iter()
        .find(|consent| consent.organization_id == organization)
    {
        let same_name = consent.application_name == name;
        let joins = same_name && is_within(desk.tx, &consent, reach, workspaces)?;
        let scopes: Scopes = match joins {
            true => consent.scopes.iter().chain(request.scopes.iter()).collect(),
            false => request.scopes.clone(),
        };
        let consent = Consent {
            scopes,
            reach,
            application_name: name.to_owned(),
            named_at: if same_name { consent.named_at } else { now },
            ..consent
        };
        desk.tx.change_consent(&consent, workspaces)?;
        return Ok(consent);
    }
    let consent = Consent {
        id: ConsentId::generate(now),
        user_id: user,
        application_id: application,
        organization_id: organization,
        scopes: request.scopes.clone(),
        reach,
        state: ConsentState::Active,
        created_at: now,
        updated_at: now,
        revoked_at: None,
        application_name: name.to_owned(),
        named_at: now,
    };
    desk.tx.insert_consent(&consent, workspaces)?;
    desk.record(
        Event::ConsentGiven,
        consent.id.as_str(),
        application.as_str(),
    )?;
    Ok(consent)
}

/// Whether what is chosen now was chosen before, too.
fn is_within(
    tx: &mut Tx,
    before: &Consent,
    reach: ReachKind,
    workspaces: &[WorkspaceId],
) -> Result<bool, Error> {
    if before.reach == ReachKind::Organization {
        return Ok(true);
    }
    let chosen = tx.list_consent_workspaces(before.id)?;
    Ok(reach == ReachKind::Workspaces && workspaces.iter().all(|id| chosen.contains(id)))
}

/// The consent that covers the request in this organization, if the person need not be asked again.
fn remembered(
    tx: &mut Tx,
    client: &Client,
    request: &AuthorizationRequest,
    user: UserId,
    organization: OrganizationId,
) -> Result<Option<Consent>, Error> {
    let own = client.is_made_by(organization);
    let proven = client.is_confidential()
        && request.redirect_uri.proves_its_host()
        && (own || client.application.verified_at.is_some());
    if !proven {
        return Ok(None);
    }
    let consents = tx.list_live_consents(user, client.application.id)?;
    let covers = |consent: &Consent| {
        consent.organization_id == organization
            && consent.application_name == client.application.name_for(organization)
            && request.scopes.is_subset_of(&consent.scopes)
    };
    let Some(consent) = consents.into_iter().find(covers) else {
        return Ok(None);
    };
    // where the code goes (RFC 6749 §10.2), and where the tokens may go, was on the page, too
    let same_target = |own: &Authorization| {
        own.resources == request.resources
            || (!request.resources.is_empty() && request.resources.is_subset_of(&own.resources))
    };
    let alike: Vec<_> = tx
        .list_authorizations_of_consent(consent.id)?
        .into_iter()
        .filter(|own| {
            own.created_at >= consent.named_at
                && same_target(own)
                && was_answered_at(own, &request.redirect_uri)
        })
        .collect();
    let shown: Scopes = alike.iter().flat_map(|own| own.scopes.iter()).collect();
    if alike.is_empty() || !request.scopes.is_subset_of(&shown) {
        return Ok(None);
    }
    let choice = ConsentChoice {
        workspaces: tx.list_consent_workspaces(consent.id)?,
        all_workspaces: consent.reach == ReachKind::Organization,
    };
    let now = tx.now;
    let (is_admin, own) = own_workspaces(tx, organization, user, now)?;
    Ok(check_choice(&choice, is_admin, &own)
        .is_ok()
        .then_some(consent))
}

/// Whether it was allowed for this redirect URI, whatever the port of a loopback address.
pub fn was_answered_at(authorization: &Authorization, uri: &RedirectUri) -> bool {
    let shown = authorization.redirect_uri.as_ref();
    shown.is_some_and(|shown| shown.without_loopback_port() == uri.without_loopback_port())
}

/// Uses a remembered consent again, without a page. False: the person must be asked.
pub fn allow_again(
    tx: &mut Tx,
    config: &OAuth,
    asked: &CodeRequest,
    user: UserId,
    eligible: &[Organization],
) -> Result<bool, Refusal> {
    // several organizations are a choice, and the page is where it is made
    let [organization] = eligible else {
        return Ok(false);
    };
    let (client, organization) = (asked.client, organization.id);
    let Some(request) = request_in(client, asked.request, organization) else {
        return Ok(false);
    };
    let request = &request;
    let asked = &CodeRequest { request, ..*asked };
    let Some(consent) = remembered(tx, client, request, user, organization)? else {
        return Ok(false);
    };
    match tx.hold_consent(consent.id) {
        Ok(()) => {}
        Err(Error::NotFound) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    // read again: whoever held it before may have narrowed it
    let Some(consent) = remembered(tx, client, request, user, organization)? else {
        return Ok(false);
    };
    authorize(tx, config, asked, &consent).map(|_| true)
}

fn authorize(
    tx: &mut Tx,
    config: &OAuth,
    asked: &CodeRequest,
    consent: &Consent,
) -> Result<Authorization, Refusal> {
    let (application, request) = (&asked.client.application, asked.request);
    let terms = Terms::of(config, application);
    let code_expires_at = tx.now.plus_seconds(config.code_seconds);
    let authorization = Authorization {
        id: AuthorizationId::generate(tx.now),
        kind: GrantKind::AuthorizationCode,
        application_id: application.id,
        organization_id: consent.organization_id,
        user_id: consent.user_id,
        environment: application.environment,
        scopes: request.scopes.clone(),
        reach: consent.reach,
        state: AuthorizationState::Pending,
        redirect_uri: Some(request.redirect_uri.clone()),
        code_challenge: request.code_challenge.clone(),
        code_digest: Some(asked.code.clone()),
        code_expires_at: Some(code_expires_at),
        wrong_verifiers: 0,
        created_at: tx.now,
        expires_at: Some(tx.now.plus_seconds(terms.absolute_seconds)),
        revoked_at: None,
        revoked_because: None,
        consent_id: Some(consent.id),
        session_id: Some(request.session_id),
        resources: request.resources.clone(),
        last_used_at: None,
        row_expires_at: Some(code_expires_at),
        marked_at: None,
    };
    let workspaces = tx.list_consent_workspaces(consent.id)?;
    end_marked(tx, consent)?;
    tx.insert_authorization(&authorization, &workspaces)?;
    end_oldest_codes(tx, consent.id)?;
    let organization = consent.organization_id;
    tx.record(
        Some(organization),
        Some(consent.user_id),
        Event::AuthorizationAllowed,
        authorization.id.as_str(),
        application.id.as_str(),
    )?;
    Ok(authorization)
}

/// The person authorizes the application again: families that a used refresh token marked end (`refresh.rs`). Whoever was
/// robbed comes here, since nothing else gives them tokens.
fn end_marked(tx: &mut Tx, consent: &Consent) -> Result<(), Error> {
    for own in tx.list_live_consents(consent.user_id, consent.application_id)? {
        let mut families = tx.list_authorizations_of_consent(own.id)?;
        families.retain(|family| family.marked_at.is_some());
        for marked in &families {
            authorizations::end(
                tx,
                marked,
                "authorized again after a used refresh token came back",
            )?;
        }
    }
    Ok(())
}

/// A code of this consent is redeemed: holds the consent, so that nobody revokes it meanwhile, and makes place among its
/// connections. `NotFound` when it was revoked.
pub fn connect(tx: &mut Tx, config: &OAuth, id: ConsentId) -> Result<(), Error> {
    tx.hold_consent(id)?;
    let most = config.max_connections_per_consent.saturating_sub(1);
    loop {
        let mut connections = list_of(tx, id, AuthorizationState::Active)?;
        if connections.len() <= most {
            return Ok(());
        }
        // used: a token was issued for it
        connections.sort_by_key(|own| (own.last_used_at, own.created_at, own.id));
        let too_many = connections.len() - most;
        for unused in &connections[..too_many] {
            match authorizations::end_unused(tx, unused, ONE_TOO_MANY) {
                // it was used, or ended, meanwhile: the others are asked again
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Codes that nobody redeems make place among themselves: the oldest ends first, by itself or here.
fn end_oldest_codes(tx: &mut Tx, id: ConsentId) -> Result<(), Error> {
    let codes = list_of(tx, id, AuthorizationState::Pending)?;
    let too_many = codes.len().saturating_sub(MOST_CODES);
    codes.iter().take(too_many).try_for_each(|oldest| {
        authorizations::end(
            tx,
            oldest,
            "too many codes of one consent that nobody redeemed",
        )
    })
}

fn list_of(
    tx: &mut Tx,
    id: ConsentId,
    state: AuthorizationState,
) -> Result<Vec<Authorization>, Error> {
    let mut all = tx.list_authorizations_of_consent(id)?;
    all.retain(|own| own.state == state);
    Ok(all)
}

fn check_choice(
    choice: &ConsentChoice,
    is_admin: bool,
    own: &[Workspace],
) -> Result<ReachKind, Refusal> {
    let invalid = |message: &str| Refusal::Invalid(vec![("workspace", message.to_owned())]);
    if choice.all_workspaces {
        ensure(
            is_admin,
            invalid("Only an organization admin can allow every workspace."),
        )?;
        return Ok(ReachKind::Organization);
    }
    ensure(
        !choice.workspaces.is_empty(),
        invalid("Choose at least one workspace."),
    )?;
    let holds = |id: &WorkspaceId| own.iter().any(|workspace| workspace.id == *id);
    ensure(
        choice.workspaces.iter().all(holds),
        invalid("Choose from the workspaces that are listed."),
    )?;
    Ok(ReachKind::Workspaces)
}

/// The person denied the request: also one that they allowed before, from the page that the back button shows. What was
/// allowed stays among their connected applications.
pub fn deny(tx: &mut Tx, request: &AuthorizationRequest, user: UserId) -> Result<(), Refusal> {
    ensure(request.expires_at > tx.now, Refusal::NotFound)?;
    match tx.answer_authorization_request(request.id, RequestAnswer::Denied) {
        Err(Error::NotFound) => return Ok(()),
        answered => answered?,
    }
    Ok(tx.record(
        None,
        Some(user),
        Event::AuthorizationDenied,
        request.application_id.as_str(),
        "",
    )?)
}

/// A request is allowed in its time, and not once it was denied. Allowed twice it is by a double click, of which the browser
/// shows the second answer only: it is answered again, with another code.
fn take_request(tx: &mut Tx, request: &AuthorizationRequest) -> Result<(), Refusal> {
    ensure(request.expires_at > tx.now, Refusal::NotFound)?;
    match tx.answer_authorization_request(request.id, RequestAnswer::Allowed) {
        Err(Error::NotFound) => {}
        answered => return Ok(answered?),
    }
    let given = tx
        .find_authorization_request(request.session_id, request.id)?
        .and_then(|request| request.answer);
    ensure(given == Some(RequestAnswer::Allowed), Refusal::NotFound)
}

/// An application that acts for this person, as the page of connected applications shows it.
#[derive(Debug, Clone)]
pub struct Connected {
    pub consent: Consent,
    pub application: Application,
    /// Whose application it is.
    pub made_by: String,
    /// The organization whose data it opens made it.
    pub is_own: bool,
    /// Whose data it opens.
    pub organization_name: String,
    /// The names of the workspaces; empty for all of them.
    pub workspaces: Vec<String>,
    pub last_used_at: Option<Timestamp>,
    /// When a used refresh token came back to it (`refresh.rs`).
    pub marked_at: Option<Timestamp>,
}

/// What this person has connected, the newest first.
pub fn list_connected(snapshot: &mut Snapshot, user: UserId) -> Result<Vec<Connected>, Error> {
    let consents = snapshot.list_consents_of(user, MOST_LISTED)?;
    let all = consents
        .into_iter()
        .map(|consent| connected(snapshot, consent))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// One of them.
pub fn find_connected(
    snapshot: &mut Snapshot,
    user: UserId,
    id: ConsentId,
) -> Result<Connected, Refusal> {
    let live = |consent: &Consent| consent.state == ConsentState::Active;
    let consent = snapshot
        .find_consent(user, id)?
        .filter(live)
        .ok_or(Refusal::NotFound)?;
    connected(snapshot, consent)?.ok_or(Refusal::NotFound)
}

/// A session that an organization's provider made shows, and takes back, what concerns that organization only.
pub fn ensure_within(
    snapshot: &mut Snapshot,
    session: &Session,
    id: ConsentId,
) -> Result<(), Refusal> {
    let consent = snapshot
        .find_consent(session.user_id, id)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        session
            .confined_to
            .is_none_or(|only| only == consent.organization_id),
        Refusal::NotFound,
    )
}

/// None when the application is deleted: nothing is connected any more.
fn connected(snapshot: &mut Snapshot, consent: Consent) -> Result<Option<Connected>, Error> {
    let deleted = |application: &Application| {
        application.state == crate::types::state::ApplicationState::Deleted
    };
    let Some(application) = snapshot
        .find_application(consent.application_id)?
        .filter(|own| !deleted(own))
    else {
        return Ok(None);
    };
    let name = |organization: Option<Organization>| {
        organization
            .map(|organization| organization.name)
            .unwrap_or_default()
    };
    let maker = name(snapshot.find_organization(application.organization_id)?);
    let vouched_for = clients::is_vouched_for(snapshot, application.id)?;
    let made_by = clients::made_by(&application, &maker, vouched_for);
    let is_own = vouched_for && application.organization_id == consent.organization_id;
    let organization_name = name(snapshot.find_organization(consent.organization_id)?);
    let chosen = snapshot.list_consent_workspaces(consent.id)?;
    let all = snapshot.list_workspaces(consent.organization_id)?;
    let workspaces = all
        .into_iter()
        .filter(|workspace| chosen.contains(&workspace.id))
        .map(|workspace| workspace.name)
        .collect();
    let last_used_at = snapshot.last_use_of_consent(consent.id)?;
    let application = Application {
        name: application.name_for(consent.organization_id).to_owned(),
        ..application
    };
    let families = snapshot.list_authorizations_of_consent(consent.id)?;
    let marked_at = families.iter().filter_map(|family| family.marked_at).max();
    Ok(Some(Connected {
        consent,
        application,
        made_by,
        is_own,
        organization_name,
        workspaces,
        last_used_at,
        marked_at,
    }))
}

/// The person takes it back: every authorization of it and their tokens end at once. One that is revoked already stays so.
pub fn revoke(tx: &mut Tx, user: UserId, id: ConsentId) -> Result<(), Refusal> {
    let consent = tx.find_consent(user, id)?.ok_or(Refusal::NotFound)?;
    match tx.revoke_consent(id) {
        Ok(()) => {}
        Err(Error::NotFound) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    for authorization in tx.list_authorizations_of_consent(id)? {
        authorizations::end(tx, &authorization, "the person revoked the consent")?;
    }
    Ok(tx.record(
        Some(consent.organization_id),
        Some(user),
        Event::ConsentRevoked,
        id.as_str(),
        consent.application_id.as_str(),
    )?)
}
