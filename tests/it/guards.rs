//! Who may come in: every route of THE table × every role × every kind of credential, against the table's own guard. A
//! route, a guard or a path parameter that is not listed here fails the test.
#![expect(clippy::panic, reason = "a test fails by it")]

use actix_web::http::Method;
use countersign::api::operation::Or;
use countersign::config::{Config, Rate};
use countersign::crypto::digest::Purpose;
use countersign::crypto::format::{TokenKind, mint_token};
use countersign::domain::desk::Desk;
use countersign::domain::people::accounts;
use countersign::domain::people::admission::Grant;
use countersign::domain::people::invitations;
use countersign::domain::people::invitations::NewInvitation;
use countersign::domain::people::join_requests;
use countersign::domain::people::roles;
use countersign::domain::people::roles::RoleSettings;
use countersign::domain::people::service_accounts;
use countersign::domain::people::service_accounts::NewServiceAccount;
use countersign::domain::rights::asker::Asker;
use countersign::server::routes::{Guard, Route, table};
use countersign::store::Tx;
use countersign::store::api_key_requests::ApiKeyRequest;
use countersign::store::api_key_transfers::ApiKeyTransfer;
use countersign::store::consents::Consent;
use countersign::store::domains::Domain;
use countersign::store::hand_overs::HandOver;
use countersign::types::environment::Environment;
use countersign::types::id::{
    ApiKeyId, ApiKeyRequestId, ApiKeySecretId, ApiKeyTransferId, ApplicationId, ClientSecretId,
    ConsentId, DomainId, HandOverId, RegistrationTokenId, UserId, WorkspaceId,
};
use countersign::types::resource::ResourceUri;
use countersign::types::right::Right;
use countersign::types::state::{
    ConsentState, HandOverState, KeyRequestState, Licence, OrganizationRole, PermissionLevel,
    ProductionAccess, ReachKind, TransferState,
};
use reqwest::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, LOCATION, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::json;

use crate::databases::{TestDatabase, both_databases};
use crate::people;
use crate::server::{Browser, Server, authorize_path, hidden, location};
use crate::tenants::{self, Key, admin, join_workspace, key, member, own_token, person};

both_databases!(
    every_route_lets_in_whom_its_guard_names_and_nobody_else,
    a_form_without_its_own_token_changes_nothing,
    metrics_are_for_their_networks,
    what_is_not_in_the_table_is_404_405_or_421,
);

/// Who asks, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    /// Signed in, a member of nothing.
    Stranger,
    Operator,
    /// Views the planted workspace.
    Member,
    WorkspaceAdmin,
    OrganizationAdmin,
    Application,
    ResourceServer,
    SandboxKey,
    Token,
    /// With an initial access token.
    Registrant,
    /// With its registration access token.
    RegisteredClient,
    OperatorToken,
    /// Of a first-party application, for the admin.
    FirstPartyToken,
    /// Made by the admin, with every permission that one can have.
    ManagementToken,
}

const ALL: [Who; 15] = [
    Who::Nobody,
    Who::Stranger,
    Who::Operator,
    Who::Member,
    Who::WorkspaceAdmin,
    Who::OrganizationAdmin,
    Who::Application,
    Who::ResourceServer,
    Who::SandboxKey,
    Who::Token,
    Who::Registrant,
    Who::RegisteredClient,
    Who::OperatorToken,
    Who::FirstPartyToken,
    Who::ManagementToken,
];

/// What the door did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Whatever then came of the request.
    In,
    /// To the sign-in page, and back.
    SignIn,
    NotFound,
    Forbidden,
    /// 401.
    Unknown,
    /// 400: the credential is of a kind that is never one here.
    WrongKind,
}

fn expected(route: &Route, who: Who) -> Door {
    use Who::{
        Application, Member, Operator, OrganizationAdmin, ResourceServer, SandboxKey, Stranger,
        Token, WorkspaceAdmin,
    };
    let is_person = matches!(
        who,
        Stranger | Operator | Member | WorkspaceAdmin | OrganizationAdmin
    );
    match route.guard {
        Guard::Anyone | Guard::Operations => Door::In,
        Guard::Person | Guard::Own | Guard::KeyAdmin | Guard::OrganizationAdmin if !is_person => {
            Door::SignIn
        }
        Guard::Person => Door::In,
        // the samples are the admin's
        Guard::Own => {
            if who == OrganizationAdmin {
                Door::In
            } else {
                Door::NotFound
            }
        }
        Guard::Operator if !is_person => Door::SignIn,
        // not there, for who is none
        Guard::Operator => {
            if who == Operator {
                Door::In
            } else {
                Door::NotFound
            }
        }
        // an operator is nobody in an organization
        Guard::KeyAdmin | Guard::OrganizationAdmin if matches!(who, Stranger | Operator) => {
            Door::NotFound
        }
        Guard::KeyAdmin => {
            if who == Member {
                Door::Forbidden
            } else {
                Door::In
            }
        }
        Guard::OrganizationAdmin => {
            if who == OrganizationAdmin {
                Door::In
            } else {
                Door::Forbidden
            }
        }
        // RFC 6749 §2.3: Bearer is no client authentication
        Guard::Client => match who {
            Application => Door::In,
            SandboxKey
            | Token
            | Who::Registrant
            | Who::RegisteredClient
            | Who::OperatorToken
            | Who::FirstPartyToken
            | Who::ManagementToken => Door::WrongKind,
            _ => Door::Unknown,
        },
        Guard::ResourceServer => {
            if who == ResourceServer {
                Door::In
            } else {
                Door::Unknown
            }
        }
        Guard::Registrant if who == Who::Registrant => Door::In,
        Guard::RegisteredClient if who == Who::RegisteredClient => Door::In,
        // closed to anybody, and other credentials are none here
        Guard::Registrant | Guard::RegisteredClient => Door::Unknown,
        Guard::Holder => {
            if matches!(who, SandboxKey | Token | Who::FirstPartyToken) {
                Door::In
            } else {
                Door::Unknown
            }
        }
        // what is across organizations is for operator tokens alone
        Guard::Management => match who {
            Who::OperatorToken => Door::In,
            Who::FirstPartyToken | Who::ManagementToken
                if !needs(route)
                    .iter()
                    .all(|right| right.name().starts_with("operator:")) =>
            {
                Door::In
            }
            // what a key does to itself; to others it is not there
            SandboxKey if or(route) == Some(Or::Itself) => {
                if route.method == Method::DELETE {
                    Door::NotFound
                } else {
                    Door::In
                }
            }
            SandboxKey | Token | Who::FirstPartyToken | Who::ManagementToken => Door::Forbidden,
            _ => Door::Unknown,
        },
    }
}

/// The permissions of which one suffices.
fn needs(route: &Route) -> &'static [Right] {
    route
        .operation
        .map_or(&[], |operation| operation().rule.needs)
}

fn or(route: &Route) -> Option<Or> {
    route.operation.and_then(|operation| operation().rule.or)
}

fn seen(response: &Response) -> Door {
    let to_sign_in = |value: &reqwest::header::HeaderValue| {
        value
            .to_str()
            .is_ok_and(|path| path.starts_with("/login?return_to="))
    };
    match response.status() {
        StatusCode::SEE_OTHER if response.headers().get(LOCATION).is_some_and(to_sign_in) => {
            Door::SignIn
        }
        StatusCode::NOT_FOUND => Door::NotFound,
        StatusCode::FORBIDDEN => Door::Forbidden,
        StatusCode::UNAUTHORIZED => Door::Unknown,
        status if status.is_server_error() => panic!("{status}"),
        _ => Door::In,
    }
}

/// What a request to this route is made of, so that whoever is let in is seen to be. Forms are incomplete on purpose where
/// a complete one would change what the next caller finds.
pub enum Body {
    None,
    /// With the form's token.
    Form,
    OAuth(&'static [(&'static str, &'static str)]),
    Question,
    Document,
    /// A registration without a redirect URI.
    Metadata,
    /// An object without fields.
    Json,
}

/// The path with its parameters, and the body. Panics for what is not listed.
pub async fn sample(server: &Server, route: &Route, registered: &str) -> (String, Body) {
    let organization = server.planted.organization;
    let path = match (&route.method, route.path) {
        (_, "/dev-centre/{organization}/api-keys/{id}/revoke") => {
            route.path.replace("{id}", fresh_key(server).await.as_str())
        }
        (_, "/account/applications/{id}/revoke") => route
            .path
            .replace("{id}", live_consent(server).await.as_str()),
        (_, "/dev-centre/{organization}/applications/{id}/secrets/{secret}/revoke") => {
            let (id, secret) = second_secret(server).await;
            route
                .path
                .replace("{id}", id.as_str())
                .replace("{secret}", secret.as_str())
        }
        (&Method::POST, "/dev-centre/{organization}/applications/{id}/secrets") => route
            .path
            .replace("{id}", fresh_application(server).await.as_str()),
        (&Method::POST, "/dev-centre/{organization}/applications/{id}/request-approval") => {
            let made = tenants::application(
                server,
                organization,
                admin(server).await,
                Environment::Production,
                "viewer",
            )
            .await;
            route.path.replace("{id}", made.id.as_str())
        }
        (&Method::POST, "/dev-centre/{organization}/applications/{id}/delete") => route
            .path
            .replace("{id}", fresh_application(server).await.as_str()),
        (_, path) if path.starts_with("/dev-centre/{organization}/applications/{id}") => {
            path.replace("{id}", server.planted.application.as_str())
        }
        (&Method::POST, path) if path.starts_with("/operator/resource-servers/{id}/") => path
            .replace(
                "{id}",
                tenants::resource_server(server, None, &[]).await.0.as_str(),
            ),
        (_, path) if path.starts_with("/operator/resource-servers/{id}") => {
            path.replace("{id}", server.planted.resource_server.as_str())
        }
        (_, "/operator/organizations/{id}") => route.path.replace("{id}", organization.as_str()),
        (_, path) if path.starts_with("/operator/applications/{id}") => {
            path.replace("{id}", server.planted.application.as_str())
        }
        // an error that is told by a redirect, once the person is known
        (&Method::GET, "/oauth2/authorize") => authorize_path(
            server.planted.application.as_str(),
            crate::server::REDIRECT_URI,
            "nothing",
        ),
        // nobody's: there is no provider to go to
        (_, "/login/oidc/{provider}") => "/login/oidc/idp_0123456789ABCDEFGHIJKL".to_owned(),
        (_, "/oauth2/register/{client_id}") => route.path.replace("{client_id}", registered),
        (_, path) if path.contains("/management-tokens/{id}") => {
            let maker = admin(server).await;
            let made = tenants::made_management_token(server, maker, "members:read", None).await;
            path.replace("{id}", made.0.as_str())
        }
        (_, "/dev-centre/{organization}/registration/{id}/revoke") => route.path.replace(
            "{id}",
            RegistrationTokenId::generate(server.clock.now()).as_str(),
        ),
        (_, "/v1/api-keys/{id}/secrets/{secret}/revoke") => {
            let path = route.path.replace("{id}", fresh_key(server).await.as_str());
            path.replace(
                "{secret}",
                ApiKeySecretId::generate(server.clock.now()).as_str(),
            )
        }
        (_, path) if path.starts_with("/v1/api-key-requests/{id}") => {
            path.replace("{id}", &fresh_key_request(server).await)
        }
        (_, path) if path.starts_with("/v1/api-key-transfers/{id}") => {
            path.replace("{id}", &fresh_transfer(server).await)
        }
        (_, "/hand-over/{token}") => format!("/hand-over/{}", fresh_hand_over(server).await),
        (_, path) if path.starts_with("/v1/api-keys/{id}") => {
            route.path.replace("{id}", fresh_key(server).await.as_str())
        }
        (_, "/v1/organizations/{id}/suspend" | "/v1/organizations/{id}/resume") => {
            route.path.replace(
                "{id}",
                tenants::organization(server, &fresh_address())
                    .await
                    .0
                    .as_str(),
            )
        }
        (_, path) if path.starts_with("/v1/organizations/{id}") => {
            path.replace("{id}", organization.as_str())
        }
        (_, path) if path.starts_with("/v1/resource-servers/{id}") => {
            let (id, _) = tenants::resource_server(server, None, &[]).await;
            let path = path.replace("{id}", id.as_str());
            let secret = ClientSecretId::generate(server.clock.now());
            let path = path.replace("{secret}", secret.as_str());
            if route.method == Method::DELETE && path.ends_with("/resources") {
                format!("{path}?uri=https%3A%2F%2Fapi.example%2F")
            } else {
                path
            }
        }
        (_, "/v1/operators/{id}" | "/operator/people/{id}/remove-operator") => {
            let operator = person(server, &fresh_address(), true).await;
            route.path.replace("{id}", operator.as_str())
        }
        (_, "/v1/operator-tokens/{id}" | "/operator/tokens/{id}/revoke") => {
            let made = crate::api::operator_tokens::make(server, &["operator:read"], None).await;
            route.path.replace("{id}", made.0.id.as_str())
        }
        (_, "/v1/signing-keys/{kid}") => route.path.replace("{kid}", &waiting_key(server).await),
        (_, path) if path.starts_with("/v1/users/{id}/") => path.replace(
            "{id}",
            person(server, &fresh_address(), false).await.as_str(),
        ),
        (_, path) if path.ends_with("/by-external-id/{external_id}") => {
            path.replace("{external_id}", "v-1")
        }
        (_, path) if path.starts_with("/account/organizations/{id}") => {
            let owner = admin(server).await;
            let own = server
                .write(|tx| accounts::create_organization(tx, "Own", ProductionAccess::None))
                .await
                .id;
            tenants::join(server, own, owner, OrganizationRole::Owner).await;
            path.replace("{id}", own.as_str())
        }
        (_, path) if path.starts_with("/invitations/{token}") => {
            path.replace("{token}", &fresh(server, Fresh::Link).await)
        }
        (_, path) if path.starts_with("/v1/workspaces/{id}/members") => {
            let path = path.replace("{id}", server.planted.workspace.as_str());
            if path.contains("{user}") {
                path.replace("{user}", fresh_member(server).await.as_str())
            } else {
                path
            }
        }
        (_, path) if path.starts_with("/v1/members/{id}") => {
            path.replace("{id}", fresh_member(server).await.as_str())
        }
        (_, "/v1/service-accounts/{id}") => route
            .path
            .replace("{id}", &fresh(server, Fresh::ServiceAccount).await),
        (_, "/v1/roles/{id}") => route
            .path
            .replace("{id}", &fresh(server, Fresh::Role).await),
        (_, path) if path.starts_with("/v1/invitations/{id}") => {
            path.replace("{id}", &fresh(server, Fresh::Invitation).await)
        }
        (_, path) if path.starts_with("/v1/join-requests/{id}") => {
            path.replace("{id}", &fresh(server, Fresh::JoinRequest).await)
        }
        (_, "/v1/workspaces/{id}") => route
            .path
            .replace("{id}", fresh_workspace(server).await.as_str()),
        (_, "/v1/applications/{id}/secrets/{secret}") => {
            let (id, secret) = second_secret(server).await;
            route
                .path
                .replace("{id}", id.as_str())
                .replace("{secret}", secret.as_str())
        }
        (_, path) if path.starts_with("/v1/applications/{id}") => {
            path.replace("{id}", fresh_application(server).await.as_str())
        }
        (_, path) if path.starts_with("/v1/domains/{id}") => {
            path.replace("{id}", fresh_domain(server).await.as_str())
        }
        (_, "/v1/docs/{name}") => "/v1/docs/swagger-initializer.js".to_owned(),
        (_, "/static/{name}") => "/static/countersign.css".to_owned(),
        (_, path) if path.starts_with("/.well-known/oauth-protected-resource") => {
            let path = path.replace("/{path:.*}", "/v1");
            name_resource(
                server,
                path.trim_start_matches("/.well-known/oauth-protected-resource"),
            )
            .await;
            path
        }
        (_, path) => path.to_owned(),
    };
    let path = path.replace("{organization}", organization.as_str());
    let path = if route.guard == Guard::Management {
        let start = if path.contains('?') { '&' } else { '?' };
        format!("{path}{start}organization={organization}")
    } else {
        path
    };
    assert!(
        !path.contains(['{', '}']),
        "{} {} has a parameter that is not listed",
        route.method,
        route.path
    );
    let body = match (&route.method, route.path) {
        (&Method::GET | &Method::DELETE, _) => Body::None,
        (_, "/oauth2/register" | "/oauth2/register/{client_id}") => Body::Metadata,
        (_, "/oauth2/token" | "/oauth2/access_token") => {
            Body::OAuth(&[("grant_type", "client_credentials")])
        }
        (_, "/oauth2/revoke" | "/oauth2/introspect") => Body::OAuth(&[("token", "nobody's")]),
        (_, "/v1/verify") => Body::Question,
        _ if route.guard == Guard::Management => Body::Json,
        (_, "/v1/watermark") => Body::Document,
        (
            _,
            "/oauth2/authorize" | "/login" | "/login/oidc/claim" | "/logout" | "/logout/everywhere",
        ) => Body::Form,
        (_, path)
            if [
                "/dev-centre/",
                "/account/",
                "/operator/",
                "/hand-over/",
                "/invitations/",
            ]
            .iter()
            .any(|start| path.starts_with(start)) =>
        {
            Body::Form
        }
        (method, path) => panic!("{method} {path} is not listed"),
    };
    (path, body)
}

/// Calls the planted resource server by a path of this server, so that there is metadata of it.
async fn name_resource(server: &Server, path: &str) {
    let (id, uri) = (
        server.planted.resource_server,
        format!("{}{path}", server.base)
            .parse::<ResourceUri>()
            .expect("a resource"),
    );
    let name = move |tx: &mut Tx| match tx.find_resource_server_by_uri(&uri)? {
        Some(_) => Ok(()),
        None => Ok(tx.insert_resource(id, &uri)?),
    };
    server.write(name).await;
}

/// The key that signs next: it may be removed.
async fn waiting_key(server: &Server) -> String {
    let operator = crate::api::Program::operator(server);
    let made = operator.post("/v1/signing-keys/rotate", &json!({})).await.1;
    made["kid"].as_str().expect("a key").to_owned()
}

async fn fresh_key(server: &Server) -> ApiKeyId {
    key(server, Key::of(server, admin(server).await)).await.id
}

async fn fresh_key_request(server: &Server) -> String {
    let request = ApiKeyRequest {
        id: ApiKeyRequestId::generate(server.clock.now()),
        organization_id: server.planted.organization,
        requester_id: admin(server).await,
        name: "Reports".to_owned(),
        reason: "Weekly".to_owned(),
        environment: Environment::Sandbox,
        reach: ReachKind::Workspaces,
        workspaces: server.planted.workspace.to_string(),
        permission_level: PermissionLevel::ReadOnly,
        expires_at: None,
        state: KeyRequestState::Open,
        decided_by: None,
        decided_at: None,
        decision_reason: None,
        api_key_id: None,
        created_at: server.clock.now(),
    };
    let id = request.id.to_string();
    server
        .write(move |tx| Ok(tx.insert_api_key_request(&request)?))
        .await;
    id
}

async fn fresh_transfer(server: &Server) -> String {
    let (admin, api_key_id) = (admin(server).await, fresh_key(server).await);
    let transfer = ApiKeyTransfer {
        id: ApiKeyTransferId::generate(server.clock.now()),
        organization_id: server.planted.organization,
        api_key_id,
        from_id: admin,
        to_id: admin,
        offered_by: admin,
        state: TransferState::Open,
        created_at: server.clock.now(),
        decided_at: None,
    };
    let id = transfer.id.to_string();
    server
        .write(move |tx| Ok(tx.insert_api_key_transfer(&transfer)?))
        .await;
    id
}

/// The secret part of a live link.
async fn fresh_hand_over(server: &Server) -> String {
    let token = mint_token("cs", TokenKind::HandOver).expose().to_owned();
    let hand_over = HandOver {
        id: HandOverId::generate(server.clock.now()),
        organization_id: server.planted.organization,
        api_key_id: fresh_key(server).await,
        email: "dev@agency.example".to_owned(),
        digest: server.app.digester.digest(Purpose::HandOver, &token),
        state: HandOverState::Open,
        wrong_addresses: 0,
        grace_seconds: 0,
        secret_id: None,
        created_by: admin(server).await,
        created_at: server.clock.now(),
        expires_at: server.clock.now().plus_seconds(3600),
        used_at: None,
    };
    server
        .write(move |tx| Ok(tx.insert_hand_over(&hand_over)?))
        .await;
    token
}

fn fresh_address() -> String {
    format!("p{:016x}@acme.example", rand::random::<u64>())
}

async fn fresh_workspace(server: &Server) -> WorkspaceId {
    let (organization, name) = (
        server.planted.organization,
        mint_token("cs", TokenKind::ClientSecret)
            .expose()
            .to_owned(),
    );
    server
        .write(move |tx| accounts::create_workspace(tx, organization, &name))
        .await
        .id
}

async fn fresh_domain(server: &Server) -> DomainId {
    let (organization, now) = (server.planted.organization, server.clock.now());
    let domain = Domain {
        id: DomainId::generate(now),
        organization_id: organization,
        name: format!(
            "{}.example",
            mint_token("cs", TokenKind::ClientSecret)
                .expose()
                .to_ascii_lowercase()
        ),
        verified_at: None,
        created_at: now,
        verification_token: None,
        include_subdomains: None,
        lost_at: None,
        checked_at: None,
        last_finding: None,
        failed_checks: 0,
        next_check_at: None,
    };
    let id = domain.id;
    server.write(move |tx| Ok(tx.insert_domain(&domain)?)).await;
    id
}

/// A viewer of the planted workspace.
async fn fresh_member(server: &Server) -> UserId {
    let user = member(
        server,
        &format!("{:032x}@acme.example", rand::random::<u128>()),
        OrganizationRole::Member,
    )
    .await;
    join_workspace(server, server.planted.workspace, user, "viewer").await;
    user
}

enum Fresh {
    ServiceAccount,
    Role,
    Invitation,
    /// Its token.
    Link,
    JoinRequest,
}

/// Made by the admin; its id.
async fn fresh(server: &Server, what: Fresh) -> String {
    let (organization, owner) = (server.planted.organization, admin(server).await);
    let name = mint_token("cs", TokenKind::ClientSecret).expose()[..40].to_owned();
    let digest = server.app.digester.digest(Purpose::Invitation, &name);
    let asking = person(server, &format!("{name}@acme.example"), false).await;
    let by = match what {
        Fresh::JoinRequest => asking,
        _ => owner,
    };
    let make = move |desk: &mut Desk| {
        let (name, role) = (name.clone(), OrganizationRole::Member);
        Ok(match what {
            Fresh::ServiceAccount => {
                let new = NewServiceAccount {
                    name,
                    role,
                    workspaces: Vec::new(),
                };
                service_accounts::create(desk, &new)?.user.id.to_string()
            }
            Fresh::Role => {
                let wanted = RoleSettings {
                    name,
                    description: String::new(),
                    permissions: vec!["documents:read".to_owned()],
                };
                roles::create(desk, &wanted)?.id.to_string()
            }
            Fresh::Invitation | Fresh::Link => {
                let grant = Grant {
                    role,
                    licence: Licence::Full,
                    ends_at: None,
                    workspaces: Vec::new(),
                };
                let new = NewInvitation {
                    email: format!("{name}@elsewhere.example"),
                    grant,
                    digest: digest.clone(),
                };
                let made = invitations::create(desk, &new)?.invitation.id;
                if matches!(what, Fresh::Link) {
                    name
                } else {
                    made.to_string()
                }
            }
            Fresh::JoinRequest => join_requests::ask(desk, "")?.id.to_string(),
        })
    };
    people::at_desk(server, organization, Asker::person(by), make)
        .await
        .expect("it can be made")
}

async fn fresh_application(server: &Server) -> ApplicationId {
    tenants::application(
        server,
        server.planted.organization,
        admin(server).await,
        Environment::Sandbox,
        "viewer",
    )
    .await
    .id
}

/// Of the planted application, by the admin.
async fn live_consent(server: &Server) -> ConsentId {
    let (user, application, organization) = (
        admin(server).await,
        server.planted.application,
        server.planted.organization,
    );
    let now = server.clock.now();
    let consent = Consent {
        id: ConsentId::generate(now),
        user_id: user,
        application_id: application,
        organization_id: organization,
        scopes: "read".parse().expect("a scope"),
        reach: ReachKind::Organization,
        state: ConsentState::Active,
        created_at: now,
        updated_at: now,
        revoked_at: None,
        application_name: "An application".to_owned(),
        named_at: countersign::types::time::Timestamp::from_millis(0),
    };
    let find_or_insert = move |tx: &mut Tx| match tx.list_live_consents(user, application)?.pop() {
        Some(live) => Ok(live.id),
        None => Ok(tx.insert_consent(&consent, &[]).map(|()| consent.id)?),
    };
    server.write(find_or_insert).await
}

/// Of a fresh application, so that it can be revoked.
async fn second_secret(server: &Server) -> (ApplicationId, ClientSecretId) {
    let made = tenants::application(
        server,
        server.planted.organization,
        admin(server).await,
        Environment::Sandbox,
        "viewer",
    )
    .await;
    let (id, (_, secret)) = (made.id, server.app.mint_client_secret());
    (
        id,
        server
            .write(move |tx| Ok(tx.insert_application_secret(&made, &secret)?))
            .await,
    )
}

/// A browser, or a program that also keeps cookies: nothing but its `Authorization` may count then.
struct Caller<'s> {
    who: Who,
    browser: Browser<'s>,
    csrf: String,
    authorization: Option<String>,
}

impl<'s> Caller<'s> {
    async fn new(
        server: &'s Server,
        who: Who,
        email: Option<&str>,
        authorization: Option<String>,
    ) -> Self {
        let browser = server.browser();
        if let Some(email) = email {
            let password = if who == Who::OrganizationAdmin {
                &server.secrets.password
            } else {
                &tenants::PASSWORD.0
            };
            assert_eq!(
                browser.sign_in(email, password).await.status(),
                StatusCode::SEE_OTHER,
                "{who:?}"
            );
        }
        let mut caller = Self {
            who,
            browser,
            csrf: String::new(),
            authorization,
        };
        caller.csrf = caller.read_csrf().await;
        caller
    }

    /// From whichever page this caller gets to see.
    async fn read_csrf(&self) -> String {
        let keys = format!(
            "/dev-centre/{}/api-keys",
            self.browser.server.planted.organization
        );
        for path in ["/login", "/dev-centre", &keys] {
            let html = self.browser.get(path).await.text().await.expect("text");
            if let Some(token) = hidden(&html, "csrf") {
                return token;
            }
        }
        panic!("{:?} sees no form at all", self.who);
    }

    fn request(&self, method: &Method, path: &str, body: &Body) -> RequestBuilder {
        let server = self.browser.server;
        let method = method.as_str().parse().expect("a method");
        let request = self.browser.client.request(method, server.url(path));
        let request = self.authorization.iter().fold(request, |request, value| {
            request.header(AUTHORIZATION, value)
        });
        match body {
            Body::None => request,
            Body::Form => request.form(&[("csrf", &self.csrf)]),
            Body::OAuth(form) => request.form(form),
            Body::Question => request.json(&json!({"credential": server.secrets.production_key})),
            Body::Metadata | Body::Json => request.json(&json!({})),
            Body::Document => {
                let request =
                    request.header("Countersign-Credential", &server.secrets.production_key);
                request
                    .header(CONTENT_TYPE, "application/pdf")
                    .body("anything")
            }
        }
    }
}

/// The id and the registration access token of an application that registered by itself.
async fn registered(server: &Server) -> (String, String) {
    let metadata =
        json!({"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"});
    let request = server
        .post("/oauth2/register")
        .bearer_auth(&server.secrets.registration_token)
        .json(&metadata);
    let (status, body) = crate::server::json(request.send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    (text("client_id"), text("registration_access_token"))
}

async fn callers<'s>(server: &'s Server, management: &str) -> Vec<Caller<'s>> {
    person(server, "stranger@elsewhere.example", false).await;
    person(server, "operator@vendor.example", true).await;
    for (email, role) in [
        ("member@acme.example", "viewer"),
        ("manager@acme.example", "admin"),
    ] {
        let user = member(server, email, OrganizationRole::Member).await;
        join_workspace(server, server.planted.workspace, user, role).await;
    }
    let token = own_token(server).await;
    let first_party = tenants::management_token(
        server,
        admin(server).await,
        "management:read management:write",
    )
    .await;
    let catalogue = &server.app.settings.catalogue;
    let everything = catalogue
        .names((catalogue.management() | catalogue.organization()) & catalogue.all())
        .join(" ");
    let made = tenants::made_management_token(server, admin(server).await, &everything, None).await;
    let made = made.1;
    let mut callers = Vec::new();
    for who in ALL {
        let (email, authorization) = match who {
            Who::Nobody => (None, None),
            Who::Stranger => (Some("stranger@elsewhere.example"), None),
            Who::Operator => (Some("operator@vendor.example"), None),
            Who::Member => (Some("member@acme.example"), None),
            Who::WorkspaceAdmin => (Some("manager@acme.example"), None),
            Who::OrganizationAdmin => (
                Some(countersign::domain::lifecycle::quickstart::ADMIN),
                None,
            ),
            Who::Application => (
                None,
                Some(basic(
                    server.planted.application.as_str(),
                    &server.secrets.client_secret,
                )),
            ),
            Who::ResourceServer => (
                None,
                Some(basic(
                    server.planted.resource_server.as_str(),
                    &server.secrets.resource_server_secret,
                )),
            ),
            Who::SandboxKey => (
                None,
                Some(format!("API-Key {}", server.secrets.sandbox_key)),
            ),
            Who::Token => (None, Some(format!("Bearer {token}"))),
            Who::Registrant => (
                None,
                Some(format!("Bearer {}", server.secrets.registration_token)),
            ),
            Who::RegisteredClient => (None, Some(format!("Bearer {management}"))),
            Who::OperatorToken => (
                None,
                Some(format!("Bearer {}", server.secrets.operator_token)),
            ),
            Who::FirstPartyToken => (None, Some(format!("Bearer {first_party}"))),
            Who::ManagementToken => (None, Some(format!("Bearer {made}"))),
        };
        callers.push(Caller::new(server, who, email, authorization).await);
    }
    callers
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"))
    )
}

/// Many sign-ins fail here.
async fn start(db: TestDatabase) -> Server {
    let change = |config: &mut Config| {
        (
            config.sessions.failures_per_account,
            config.sessions.failures_per_address,
        ) = (Rate::NONE, Rate::NONE);
        // every caller of every route gets an application of its own
        config.keys.max_applications_per_organization = 10_000;
    };
    Server::start_with(db, change).await
}

async fn every_route_lets_in_whom_its_guard_names_and_nobody_else(db: TestDatabase) {
    let server = start(db).await;
    let (registered, management) = registered(&server).await;
    let callers = callers(&server, &management).await;
    // signing out comes last: it ends the callers' sessions
    let (last, routes): (Vec<Route>, Vec<Route>) = table()
        .into_iter()
        .partition(|route| route.path.starts_with("/logout"));
    assert_eq!(last.len(), 2);
    for route in &routes {
        for caller in &callers {
            let (path, body) = sample(&server, route, &registered).await;
            let response = caller
                .request(&route.method, &path, &body)
                .send()
                .await
                .expect("an answer");
            let case = format!(
                "{} {} as {:?}: {}",
                route.method,
                route.path,
                caller.who,
                response.status()
            );
            let expected = match expected(route, caller.who) {
                // the endpoint's answer to what it never takes
                Door::WrongKind => (Door::In, StatusCode::BAD_REQUEST),
                door => (door, response.status()),
            };
            assert_eq!((seen(&response), response.status()), expected, "{case}");
            assert_armoured(&response, &case);
        }
    }
    for caller in &callers {
        let response = caller
            .request(&Method::POST, "/logout", &Body::Form)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            (response.status(), &response.headers()[LOCATION]),
            (StatusCode::SEE_OTHER, &"/login".parse().expect("a value"))
        );
        assert_armoured(&response, "POST /logout");
        let console = caller
            .request(&Method::GET, "/dev-centre", &Body::None)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            seen(&console),
            Door::SignIn,
            "{:?} has signed out",
            caller.who
        );
    }
}

/// What every answer carries, whoever asked.
fn assert_armoured(response: &Response, case: &str) {
    let headers = response.headers();
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        (text("x-content-type-options"), text("x-frame-options")),
        ("nosniff".to_owned(), "DENY".to_owned()),
        "{case}"
    );
    assert!(text("x-request-id").starts_with("req_"), "{case}");
    assert!(!text("referrer-policy").is_empty(), "{case}");
    if !case.contains("/static/")
        && !case.contains("/.well-known/")
        && response.status() != StatusCode::MISDIRECTED_REQUEST
    {
        assert_eq!(text("cache-control"), "no-store", "{case}");
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2
        assert!(headers.contains_key(WWW_AUTHENTICATE), "{case}");
    }
    if text("content-type").starts_with("text/html") {
        let policy = text(CONTENT_SECURITY_POLICY.as_str());
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("frame-ancestors 'none'")
                && !policy.contains("unsafe"),
            "{case}: {policy}"
        );
    }
    assert_cookies(headers, case);
}

fn assert_cookies(headers: &HeaderMap, case: &str) {
    for cookie in headers.get_all(SET_COOKIE) {
        let cookie = cookie.to_str().expect("text");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(
                cookie.split("; ").any(|part| part == attribute),
                "{case}: {cookie}"
            );
        }
        assert!(!cookie.contains("Domain="), "{case}: {cookie}");
    }
}

async fn a_form_without_its_own_token_changes_nothing(db: TestDatabase) {
    let server = start(db).await;
    person(&server, "stranger@elsewhere.example", false).await;
    let owner = Caller::new(
        &server,
        Who::OrganizationAdmin,
        Some(countersign::domain::lifecycle::quickstart::ADMIN),
        None,
    )
    .await;
    let stranger = Caller::new(
        &server,
        Who::Stranger,
        Some("stranger@elsewhere.example"),
        None,
    )
    .await;
    let nobody = Caller::new(&server, Who::Nobody, None, None).await;
    person(&server, "operator@vendor.example", true).await;
    let operator = Caller::new(
        &server,
        Who::Operator,
        Some("operator@vendor.example"),
        None,
    )
    .await;
    let forms = table().into_iter().filter(|route| {
        let for_browsers = matches!(
            route.guard,
            Guard::Anyone
                | Guard::Person
                | Guard::Own
                | Guard::KeyAdmin
                | Guard::OrganizationAdmin
                | Guard::Operator
        );
        route.method == Method::POST && for_browsers
    });
    let mut count = 0;
    for route in forms {
        let (path, _) = sample(&server, &route, server.planted.application.as_str()).await;
        let before = written(&server).await;
        let owner = if route.guard == Guard::Operator {
            &operator
        } else {
            &owner
        };
        let post = |form: Vec<(&str, &str)>| {
            owner
                .browser
                .client
                .post(server.url(&path))
                .form(&form)
                .send()
        };
        let twice = vec![("csrf", owner.csrf.as_str()), ("csrf", owner.csrf.as_str())];
        for form in [
            vec![],
            vec![("csrf", "")],
            vec![("csrf", &stranger.csrf)],
            vec![("csrf", &nobody.csrf)],
            vec![("csrf", "x")],
        ] {
            let response = post(form).await.expect("an answer");
            // who is signed in by now goes on, as who they are
            if path == "/login" {
                assert_eq!(location(response.headers()), "/");
                continue;
            }
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "POST {path}");
            assert!(
                response
                    .text()
                    .await
                    .expect("text")
                    .contains("This form has expired"),
                "POST {path}"
            );
        }
        assert_eq!(
            post(twice).await.expect("an answer").status(),
            StatusCode::BAD_REQUEST,
            "POST {path}"
        );
        // in the URL, in a body of another type, from another origin
        let request = owner
            .browser
            .client
            .post(server.url(&format!("{path}?csrf={}", owner.csrf)))
            .form::<[(&str, &str)]>(&[]);
        let response = request.send().await.expect("an answer");
        // its query is the authorization request: back to the page that asks
        if path == "/oauth2/authorize" {
            assert!(location(response.headers()).starts_with("/oauth2/authorize?"));
        } else if path == "/login" {
            assert_eq!(location(response.headers()), "/");
        } else {
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
        }
        let request = owner
            .browser
            .client
            .post(server.url(&path))
            .header(CONTENT_TYPE, "text/plain")
            .body(format!("csrf={}", owner.csrf));
        assert_eq!(
            request.send().await.expect("an answer").status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
        let request = owner
            .browser
            .client
            .post(server.url(&path))
            .header("Origin", "https://evil.example")
            .form(&[("csrf", &owner.csrf)]);
        assert_eq!(
            request.send().await.expect("an answer").status(),
            StatusCode::FORBIDDEN
        );
        assert_eq!(written(&server).await, before, "POST {path}");
        count += 1;
    }
    assert!(count >= 7, "{count}");
    // the owner is still signed in
    assert_eq!(
        owner
            .request(&Method::GET, "/login", &Body::None)
            .send()
            .await
            .expect("an answer")
            .status(),
        StatusCode::SEE_OTHER
    );
}

/// Every change leaves an audit event.
async fn written(server: &Server) -> i64 {
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let mut conn = countersign::store::Conn::open(&server.database.database).expect("a connection");
    diesel::sql_query("SELECT count(*) AS count FROM audit_events")
        .get_result::<Row>(&mut conn)
        .expect("a count")
        .count
}

async fn metrics_are_for_their_networks(db: TestDatabase) {
    let change = |config: &mut Config| {
        config.operations.allowed_networks = vec!["192.0.2.0/24".parse().expect("a network")];
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    let server = Server::start_with(db, change).await;
    let from = async |address: Option<&str>| {
        let request = address
            .into_iter()
            .fold(server.get("/metrics"), |request, address| {
                request.header("X-Forwarded-For", address)
            });
        request.send().await.expect("an answer")
    };
    assert_eq!(from(None).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        from(Some("203.0.113.9")).await.status(),
        StatusCode::FORBIDDEN
    );
    // what stands left of the last proxy's entry was written by the client
    assert_eq!(
        from(Some("192.0.2.7, 203.0.113.9")).await.status(),
        StatusCode::FORBIDDEN
    );
    let allowed = from(Some("192.0.2.7")).await;
    assert_eq!(allowed.status(), StatusCode::OK);
    assert!(
        allowed
            .text()
            .await
            .expect("text")
            .contains("countersign_http_requests_total")
    );
}

async fn what_is_not_in_the_table_is_404_405_or_421(db: TestDatabase) {
    let server = Server::start(db).await;
    let send = async |request: RequestBuilder| request.send().await.expect("an answer");
    let json = "application/problem+json";
    for (path, content_type) in [
        ("/v1/nothing", json),
        ("/oauth2/nothing", json),
        ("/.well-known/nothing", json),
        ("/nothing", "text/html; charset=utf-8"),
        ("/static/nothing", "text/html; charset=utf-8"),
        ("/static/..%2f..%2fCargo.toml", "text/html; charset=utf-8"),
        ("/v1/verify/", json),
        ("//v1/verify", "text/html; charset=utf-8"),
        ("/dev-centre/%ff", "text/html; charset=utf-8"),
        (
            "/dev-centre/%00/api-keys/x/revoke/y",
            "text/html; charset=utf-8",
        ),
    ] {
        let response = send(server.get(path)).await;
        // a stranger at something like an organization is asked to sign in first
        if seen(&response) != Door::SignIn {
            assert_eq!(
                (response.status(), &response.headers()[CONTENT_TYPE]),
                (
                    StatusCode::NOT_FOUND,
                    &content_type.parse().expect("a value")
                ),
                "{path}"
            );
        }
        assert_armoured(&response, path);
    }
    let browser = server.signed_in_browser().await;
    for path in [
        "/dev-centre/%ff",
        "/dev-centre/%ff/api-keys",
        "/dev-centre/org_x",
        "/dev-centre/%00/applications",
    ] {
        let response = browser.get(path).await;
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_TYPE]),
            (
                StatusCode::NOT_FOUND,
                &"text/html; charset=utf-8".parse().expect("a value")
            ),
            "{path}"
        );
        assert_armoured(&response, path);
    }
    let nobodys = reqwest::Method::from_bytes(b"PROPFIND").expect("a method");
    for route in table() {
        let (path, _) = sample(&server, &route, server.planted.application.as_str()).await;
        let response = send(
            server
                .browser()
                .client
                .request(nobodys.clone(), server.url(&path)),
        )
        .await;
        assert_eq!(
            response.status(),
            StatusCode::METHOD_NOT_ALLOWED,
            "{nobodys} {path}"
        );
        assert!(
            response.headers()["allow"]
                .to_str()
                .expect("text")
                .contains(route.method.as_str())
        );
        assert_armoured(&response, &format!("{nobodys} {path}"));
    }
    // a HEAD is a GET without its body
    let head = send(
        server
            .browser()
            .client
            .head(server.url("/.well-known/jwks.json")),
    )
    .await;
    assert_eq!(
        (head.status(), head.bytes().await.expect("a body").len()),
        (StatusCode::OK, 0)
    );
    for path in ["/v1/verify", "/login", "/nothing"] {
        let response = send(server.get(path).header("Host", "evil.example")).await;
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert_armoured(&response, path);
    }
}
