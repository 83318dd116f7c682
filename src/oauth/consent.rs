//! The consent page: the person sees who asks for what, chooses the organization and workspaces, and decides.
//! Its form carries only the id of a stored request that is bound to the session.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::authorization_response;
use super::authorize::STOPPED;
use super::error::Code;
use super::pages::{ConsentPage, NewRedirect, RequestedScope, WorkspaceChoice};
use crate::app::App;
use crate::config::ScopeEntry;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::clients::clients::{Client, made_by};
use crate::domain::clients::consents::{
    self, CodeRequest, ConsentChoice, Destination, MOST_WORKSPACES,
};
use crate::domain::decision::resource_servers;
use crate::domain::desk::Desk;
use crate::domain::people::identities::{self, Entrance};
use crate::domain::people::sessions::SignedIn;
use crate::domain::{Refusal, ensure};
use crate::store::authorization_requests::AuthorizationRequest;
use crate::store::authorizations::Authorization;
use crate::store::consents::Consent;
use crate::store::organizations::Organization;
use crate::store::workspaces::Workspace;
use crate::store::{self, Verdict};
use crate::types::grant_types::GrantType;
use crate::types::id::{AuthorizationRequestId, OrganizationId, WorkspaceId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::{ReachKind, RequestAnswer};
use crate::web::facts::Facts;
use crate::web::form::Form;
use crate::web::html::{LeadsAnywhere, PageError, page};
use crate::web::page::{self, ScopeRow};
use crate::web::visitor::Visitor;

const AUTHORIZE: &str = "/oauth2/authorize";
/// The value that stands for every workspace.
const ALL: &str = "all";
/// Between the id of a request and what its page showed.
const REQUEST_END: char = '.';

/// GET: the same request with another organization chosen.
pub async fn get(
    app: web::Data<App>,
    facts: Facts,
    visitor: Visitor,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Form::of_query(&request)?;
    let person = visitor.require()?;
    let (client, kept) = find(&app, &facts, person, &query, expired()).await?;
    ensure(kept.answer.is_none(), ask_again(&kept))?;
    let organization = query.one("organization")?.and_then(|id| id.parse().ok());
    show(&app, &visitor, &client, &kept, organization, None).await
}

/// POST: the decision.
pub async fn post(
    app: web::Data<App>,
    facts: Facts,
    visitor: Visitor,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, PageError> {
    let form = Form::read(&request, payload, app.config.server.max_body_bytes).await?;
    // of a session that has ended, or a request that is gone: nothing is decided, and the page is shown anew
    let lost = |otherwise| match request.query_string() {
        "" => otherwise,
        query => PageError::SeeOther {
            location: format!("{AUTHORIZE}?{query}"),
        },
    };
    visitor.check_csrf(&form).map_err(lost)?;
    let person = visitor.require()?;
    let answer = match form.one("decision")? {
        Some("allow") => RequestAnswer::Allowed,
        Some("deny") => RequestAnswer::Denied,
        _ => {
            return Err(PageError::BadRequest(
                "Choose to allow or to deny.".to_owned(),
            ));
        }
    };
    let decide = async || {
        let (client, kept) = find(&app, &facts, person, &form, lost(expired())).await?;
        let denied = kept.answer == Some(RequestAnswer::Denied);
        ensure(answer == RequestAnswer::Denied || !denied, ask_again(&kept))?;
        match answer {
            RequestAnswer::Allowed => {
                allow(&app, &facts, &visitor, person, &client, kept, &form).await
            }
            RequestAnswer::Denied => deny(&app, &facts, person, kept).await,
        }
    };
    match decide().await {
        // it was denied at the same instant: now it is answered
        Err(PageError::NotFound) => decide().await,
        decided => decided,
    }
}

fn expired() -> PageError {
    PageError::BadRequest("This request has expired or was answered before. Go back to the application and start again.".to_owned())
}

/// The same request from its beginning, for whoever decides too late or allows what they denied. With the page, whatever
/// was allowed before: somebody else may be signed in by now.
fn ask_again(kept: &AuthorizationRequest) -> PageError {
    PageError::SeeOther {
        location: authorize_path(kept),
    }
}

fn authorize_path(kept: &AuthorizationRequest) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", kept.application_id.as_str())
        .append_pair("redirect_uri", kept.redirect_uri.as_str())
        .append_pair("scope", kept.scopes.as_str())
        .append_pair("prompt", "consent")
        .extend_pairs(kept.state.iter().map(|state| ("state", state)))
        .extend_pairs(kept.resources.iter().map(|uri| ("resource", uri)));
    if let Some(challenge) = &kept.code_challenge {
        query
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
    }
    format!("{AUTHORIZE}?{}", query.finish())
}

async fn allow(
    app: &App,
    facts: &Facts,
    visitor: &Visitor,
    person: &SignedIn,
    client: &Arc<Client>,
    kept: AuthorizationRequest,
    form: &Form,
) -> Result<HttpResponse, PageError> {
    let (organization, choice) = choice(form)?;
    ensure_open(app, person, organization).await?;
    let asked = consents::request_in(client, &kept, organization).ok_or(PageError::NotFound)?;
    if !Shown::of(client, &asked, organization).is_in(app, form)? {
        let changed = Some(CHANGED.to_owned());
        return show(app, visitor, client, &kept, Some(organization), changed).await;
    }
    let code = mint_token(&app.config.keys.prefix, TokenKind::AuthorizationCode);
    let digest = app
        .digester
        .digest(Purpose::AuthorizationCode, code.expose());
    let (settings, asker) = (Arc::clone(&app.settings), visitor.asker()?);
    let (shared, request) = (Arc::clone(client), kept.clone());
    let write = move |tx: &mut store::Tx| {
        let mut desk = Desk {
            tx,
            settings: &settings,
            organization,
            asker: &asker,
        };
        let asked = CodeRequest {
            client: &shared,
            request: &request,
            code: &digest,
        };
        consents::allow(&mut desk, &asked, &choice).map(Verdict::Done)
    };
    match app
        .store
        .write_organization(organization, facts.now, write)
        .await
    {
        Ok(_) => Ok(authorization_response::code(
            app,
            &kept.redirect_uri,
            kept.state.as_deref(),
            &code,
        )),
        Err(Refusal::Invalid(errors)) => {
            let message = errors.into_iter().map(|(_, message)| message).next();
            show(app, visitor, client, &kept, Some(organization), message).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}

const CHANGED: &str = "The application has changed since this page was made. Nothing was allowed: read the page again.";

/// What a page shows and somebody else can change before it is answered. The form says, beside the id of the request, what its
/// page showed.
struct Shown(String);

impl Shown {
    /// `asked`: the request as it is shown to people of this organization.
    fn of(client: &Client, asked: &AuthorizationRequest, organization: OrganizationId) -> Self {
        let name = client.application.name_for(organization);
        Self(format!("{}\n{}\n{name}", asked.id, asked.scopes))
    }

    fn mark(&self, app: &App) -> String {
        let digest = app.digester.digest(Purpose::ConsentPage, &self.0);
        format!("{REQUEST_END}{}", digest.as_str())
    }

    fn is_in(&self, app: &App, form: &Form) -> Result<bool, PageError> {
        let mark = form
            .one("request")?
            .and_then(|value| value.split_once(REQUEST_END))
            .and_then(|(_, mark)| mark.parse::<Digest>().ok());
        Ok(mark.is_some_and(|mark| app.digester.matches(Purpose::ConsentPage, &self.0, &mark)))
    }
}

/// The page offered open organizations only; a form can name others.
async fn ensure_open(
    app: &App,
    person: &SignedIn,
    organization: OrganizationId,
) -> Result<(), PageError> {
    let session = person.session.clone();
    match app
        .store
        .read(move |snapshot| identities::find_entrance(snapshot, &session, organization))
        .await?
    {
        Entrance::Open => Ok(()),
        Entrance::Asks(provider) => Err(provider.into()),
        Entrance::Elsewhere => Err(PageError::NotFound),
    }
}

async fn deny(
    app: &App,
    facts: &Facts,
    person: &SignedIn,
    kept: AuthorizationRequest,
) -> Result<HttpResponse, PageError> {
    let (request, user) = (kept.clone(), person.user.id);
    app.store
        .write(facts.now, move |tx| {
            consents::deny(tx, &request, user).map(Verdict::<_, Refusal>::Done)
        })
        .await?;
    let denied = Code::AccessDenied.because("The person denied the request.");
    Ok(authorization_response::error(
        app,
        &kept.redirect_uri,
        kept.state.as_deref(),
        &denied,
    ))
}

fn choice(form: &Form) -> Result<(OrganizationId, ConsentChoice), PageError> {
    let organization: OrganizationId = form
        .one("organization")?
        .and_then(|id| id.parse().ok())
        .ok_or(PageError::NotFound)?;
    let all_workspaces = form.all("workspace").any(|id| id == ALL);
    let ids = form
        .all("workspace")
        .filter(|id| *id != ALL && !all_workspaces);
    let mut workspaces: Vec<WorkspaceId> = ids
        .map(|id| id.parse().map_err(|_| PageError::NotFound))
        .collect::<Result<_, _>>()?;
    workspaces.sort_unstable();
    workspaces.dedup();
    if workspaces.len() > MOST_WORKSPACES {
        return Err(PageError::BadRequest(format!(
            "Choose at most {MOST_WORKSPACES} workspaces."
        )));
    }
    let choice = ConsentChoice {
        workspaces,
        all_workspaces,
    };
    Ok((organization, choice))
}

/// The stored request that this session made, and its client; `lost`: there is none.
async fn find(
    app: &App,
    facts: &Facts,
    person: &SignedIn,
    form: &Form,
    lost: PageError,
) -> Result<(Arc<Client>, AuthorizationRequest), PageError> {
    let Some(id) = form.one("request")?.and_then(|value| {
        let id = value.split(REQUEST_END).next()?;
        id.parse::<AuthorizationRequestId>().ok()
    }) else {
        return Err(lost);
    };
    let (session, now) = (person.session.id, facts.now);
    let kept = app
        .store
        .read(move |snapshot| snapshot.find_authorization_request(session, id))
        .await?;
    let kept = kept.ok_or(lost)?;
    ensure(kept.expires_at > now, ask_again(&kept))?;
    let client = app
        .client_or_stopped(kept.application_id)
        .await?
        .ok_or_else(expired)?;
    ensure(
        client.application.is_live(),
        PageError::BadRequest(STOPPED.to_owned()),
    )?;
    ensure(still_fits(&client, &kept), expired())?;
    Ok((client, kept))
}

/// Whether the client may still ask for it: its makers may have changed it since.
fn still_fits(client: &Client, kept: &AuthorizationRequest) -> bool {
    let application = &client.application;
    application.may_use(GrantType::AuthorizationCode)
        && client.redirect_uri(Some(&kept.redirect_uri)).is_some()
        && kept.scopes.is_subset_of(&application.scopes)
}

/// The page for a stored request, for the chosen organization or the first that is possible.
pub(super) async fn show(
    app: &App,
    visitor: &Visitor,
    client: &Arc<Client>,
    kept: &AuthorizationRequest,
    chosen: Option<OrganizationId>,
    error: Option<String>,
) -> Result<HttpResponse, PageError> {
    let person = visitor.require()?;
    let (catalogue, now) = (Arc::clone(&app.settings.catalogue), app.clock.now());
    let (shared, session, request) = (Arc::clone(client), person.session.clone(), kept.clone());
    let ground = app
        .store
        .read(move |snapshot| {
            let to = Destination {
                client: &shared,
                redirect_uri: &request.redirect_uri,
            };
            let user = session.user_id;
            let eligible = consents::eligible_organizations(snapshot, &catalogue, to, user, now)?;
            let mut organizations = identities::sort_out(snapshot, &session, eligible)?.open;
            organizations.retain(|own| consents::request_in(&shared, &request, own.id).is_some());
            let selected = organizations
                .iter()
                .find(|own| Some(own.id) == chosen)
                .or(organizations.first())
                .cloned();
            let (is_admin, workspaces) = match &selected {
                Some(organization) => {
                    consents::own_workspaces(snapshot, organization.id, session.user_id, now)?
                }
                None => (false, Vec::new()),
            };
            let consents = snapshot.list_live_consents(user, shared.application.id)?;
            let before = consents.into_iter().find(|consent| {
                selected
                    .as_ref()
                    .is_some_and(|own| own.id == consent.organization_id)
            });
            let chosen = before
                .as_ref()
                .map(|consent| snapshot.list_consent_workspaces(consent.id))
                .transpose()?
                .unwrap_or_default();
            let answered = before
                .as_ref()
                .map(|consent| snapshot.list_authorizations_of_consent(consent.id))
                .transpose()?
                .unwrap_or_default();
            let apis = resource_servers::names(snapshot, &request.resources)?;
            Ok::<_, store::Error>(Ground {
                organizations,
                selected,
                is_admin,
                workspaces,
                before,
                chosen,
                answered,
                apis,
            })
        })
        .await?;
    let selected = ground.selected.clone().ok_or(PageError::NotFound)?;
    let asked = consents::request_in(client, kept, selected.id).ok_or(PageError::NotFound)?;
    let status = if error.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let template = consent_page(
        app, visitor, person, client, &asked, &ground, &selected, error,
    );
    Ok(page(status, &template, Some(LeadsAnywhere)))
}

/// Where the person could allow it.
struct Ground {
    organizations: Vec<Organization>,
    selected: Option<Organization>,
    is_admin: bool,
    workspaces: Vec<Workspace>,
    /// What the person has allowed in the selected organization before, and where.
    before: Option<Consent>,
    chosen: Vec<WorkspaceId>,
    /// What came of it, and still stands.
    answered: Vec<Authorization>,
    /// The names of the resource servers that the request is for; empty for the default audience.
    apis: Vec<String>,
}

#[expect(
    clippy::too_many_arguments,
    reason = "it only gathers what the page shows"
)]
fn consent_page(
    app: &App,
    visitor: &Visitor,
    person: &SignedIn,
    client: &Client,
    kept: &AuthorizationRequest,
    ground: &Ground,
    selected: &Organization,
    error: Option<String>,
) -> ConsentPage {
    let email = person.user.email.clone().unwrap_or_default();
    ConsentPage {
        shell: visitor.shell("Allow access?"),
        csrf: visitor.csrf(),
        request_id: format!(
            "{}{}",
            kept.id,
            Shown::of(client, kept, selected.id).mark(app)
        ),
        authorize_path: authorize_path(kept),
        application_name: client.application.name_for(selected.id).to_owned(),
        application_organization: made_by(
            &client.application,
            &client.organization_name,
            client.vouched_for,
        ),
        // an application of the person's own organization needs no introduction
        own: client.is_made_by(selected.id),
        verified: client.application.verified_at.is_some(),
        local: !kept.redirect_uri.proves_its_host(),
        connected_before: ground.before.is_some(),
        former_name: ground
            .before
            .as_ref()
            .map(|consent| consent.application_name.clone())
            .filter(|name| !name.is_empty() && name != client.application.name_for(selected.id)),
        new_redirect: new_redirect(&kept.redirect_uri, &ground.answered),
        apis: ground.apis.clone(),
        redirect_host: kept.redirect_uri.origin(),
        environment: client.application.environment,
        scopes: app
            .settings
            .catalogue
            .scopes()
            .filter(|scope| kept.scopes.contains(&scope.name))
            .map(|scope| scope_row(app, scope, ground))
            .collect(),
        organizations: ground
            .organizations
            .iter()
            .map(|own| page::Choice {
                id: own.id.to_string(),
                name: own.name.clone(),
                selected: own.id == selected.id,
            })
            .collect(),
        workspaces: ground
            .workspaces
            .iter()
            .map(|workspace| workspace_choice(workspace, selected, ground))
            .collect(),
        all_workspaces_possible: ground.is_admin,
        all_workspaces_selected: ground.is_admin
            && ground
                .before
                .as_ref()
                .is_some_and(|consent| consent.reach == ReachKind::Organization),
        user_email: email,
        error,
    }
}

/// Where the application sent the person until now, if it is somewhere else.
fn new_redirect(now: &RedirectUri, answered: &[Authorization]) -> Option<NewRedirect> {
    let mut before: Vec<String> = answered
        .iter()
        .filter_map(|own| own.redirect_uri.as_ref())
        .map(RedirectUri::without_loopback_port)
        .collect();
    before.sort_unstable();
    before.dedup();
    let known = answered
        .iter()
        .any(|own| consents::was_answered_at(own, now));
    (!known && !before.is_empty()).then(|| NewRedirect {
        now: now.to_string(),
        before,
    })
}

/// A single workspace is chosen beforehand, and what was chosen before; among several the person chooses.
fn workspace_choice(
    workspace: &Workspace,
    organization: &Organization,
    ground: &Ground,
) -> WorkspaceChoice {
    WorkspaceChoice {
        id: workspace.id.to_string(),
        name: workspace.name.clone(),
        organization_id: organization.id.to_string(),
        organization_name: organization.name.clone(),
        selected: ground.workspaces.len() == 1 || ground.chosen.contains(&workspace.id),
    }
}

fn scope_row(app: &App, scope: &ScopeEntry, ground: &Ground) -> RequestedScope {
    let is_new = ground
        .before
        .as_ref()
        .is_some_and(|consent| !consent.scopes.contains(&scope.name));
    RequestedScope {
        scope: ScopeRow::of(&app.settings.catalogue, scope),
        is_new,
    }
}
