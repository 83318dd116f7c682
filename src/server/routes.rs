//! THE route table: method, path, handler, who may come in, whose law it keeps, and whether scripts of any origin may ask.

use actix_web::guard::fn_guard;
use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, Route as Handler, web};

use super::cors;
use super::middleware::{method_not_allowed, not_found};
use super::{assets, health, openapi};
use crate::api::operation::{self, Answered, Operation, Or, Rule};
use crate::config::{Alias, AliasError};
use crate::domain::ensure;
use crate::types::right::Right;
use crate::web::facts::WithoutFacts;
use crate::web::html::without_facts_page;
use crate::web::problem::internal_error;
use crate::{account, api, console, gateway, oauth, operator};

/// Who may come in. The `guards` test tries every route as everybody and fails for one that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Anyone,
    /// The networks in `[operations] allowed_networks`.
    Operations,
    /// A person with a session; others go to the sign-in page.
    Person,
    /// A person with a session, and only to what is that person's own.
    Own,
    /// A person who administers keys in the organization: its owners and admins, and admins of a workspace.
    KeyAdmin,
    /// An owner or admin of the organization.
    OrganizationAdmin,
    /// A person who is an operator, from `[operations] allowed_networks`; for everybody else it is not there.
    Operator,
    /// An OAuth client by its own authentication.
    Client,
    /// Who holds an initial access token; anybody where registration is open.
    Registrant,
    /// A registered application by its registration access token.
    RegisteredClient,
    /// A resource server by Basic.
    ResourceServer,
    /// A key or token.
    Holder,
    /// An operator token, or a token or key that holds one of the operation's permissions.
    Management,
}

pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub guard: Guard,
    /// The RFC, or the part of the product.
    pub law: &'static str,
    /// Scripts of any origin may ask and read the answer (`any_origin` in the table). A path has it for all its methods.
    pub any_origin: bool,
    /// Of the management API.
    pub operation: Option<fn() -> Operation>,
    handler: fn() -> Handler,
}

/// What a route is for, as metrics tell it: a few words, so that each may have a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asked for each request to the vendor's API.
    Verify,
    Introspect,
    /// A document goes in and out.
    Watermark,
    /// Tokens are issued and revoked.
    Token,
    /// The rest of OAuth: authorization, consent, registration, metadata.
    OAuth,
    Management,
    /// For people.
    Pages,
    Static,
    Operations,
    /// No route: unknown paths, and requests that are refused before.
    Unmatched,
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Introspect => "introspect",
            Self::Watermark => "watermark",
            Self::Token => "token",
            Self::OAuth => "oauth",
            Self::Management => "management",
            Self::Pages => "pages",
            Self::Static => "static",
            Self::Operations => "operations",
            Self::Unmatched => "unmatched",
        }
    }

    /// Of the path that was matched, whatever the request's own looks like.
    pub fn of(request: &HttpRequest) -> Self {
        request
            .app_data::<Self>()
            .copied()
            .unwrap_or(Self::Unmatched)
    }
}

impl Route {
    /// The same for all methods of a path.
    pub fn class(&self) -> Class {
        let oauth = ["/oauth2/", "/.well-known/"];
        match (self.path, self.law) {
            ("/v1/verify" | "/v1/whoami", _) => Class::Verify,
            ("/oauth2/introspect", _) => Class::Introspect,
            ("/v1/watermark", _) => Class::Watermark,
            ("/oauth2/token" | "/oauth2/access_token" | "/oauth2/revoke", _) => Class::Token,
            (_, "management") => Class::Management,
            (_, "assets") => Class::Static,
            (_, "operations") => Class::Operations,
            (path, _) if oauth.iter().any(|start| path.starts_with(start)) => Class::OAuth,
            _ => Class::Pages,
        }
    }
}

macro_rules! route {
    ($method:ident $path:literal, $guard:ident, $law:literal, $handler:path) => {
        Route {
            method: Method::$method,
            path: $path,
            guard: Guard::$guard,
            law: $law,
            any_origin: false,
            operation: None,
            handler: || web::route().guard(answers(Method::$method)).to($handler),
        }
    };
    ($method:ident $path:literal, $guard:ident, $law:literal, $handler:path, any_origin) => {
        Route { any_origin: true, ..route!($method $path, $guard, $law, $handler) }
    };
}

macro_rules! or {
    () => {
        None
    };
    ($or:ident) => {
        Some(Or::$or)
    };
}

/// `api::$noun::$verb`, for who holds one of the permissions.
macro_rules! operation {
    ($method:ident $path:literal, [$($needs:ident),+] $(or $or:ident)?, $status:literal, $noun:ident::$verb:ident, $summary:literal) => {{
        const RULE: Rule = Rule { handler: concat!(stringify!($noun), "::", stringify!($verb)), summary: $summary, needs: &[$(Right::$needs),+], or: or!($($or)?), status: $status };
        Route {
            method: Method::$method,
            path: $path,
            guard: Guard::Management,
            law: "management",
            any_origin: false,
            operation: Some(|| operation::describe(api::$noun::$verb, RULE)),
            handler: || {
                let serve: fn(HttpRequest, web::Payload) -> Answered = |request, payload| operation::serve(RULE, api::$noun::$verb, request, payload);
                web::route().guard(answers(Method::$method)).to(serve)
            },
        }
    }};
}

pub fn table() -> Vec<Route> {
    vec![
        route!(GET "/oauth2/authorize", Person, "RFC 6749 §3.1, RFC 7636, RFC 9207", oauth::authorize::get),
        route!(POST "/oauth2/authorize", Person, "RFC 6749 §4.1.2", oauth::consent::post),
        route!(GET "/oauth2/authorize/consent", Person, "consent", oauth::consent::get),
        route!(POST "/oauth2/token", Client, "RFC 6749 §3.2", oauth::token::post, any_origin),
        route!(POST "/oauth2/access_token", Client, "RFC 6749 §3.2, as PandaDoc names it", oauth::token::post, any_origin),
        route!(POST "/oauth2/revoke", Client, "RFC 7009", oauth::revoke::post, any_origin),
        route!(POST "/oauth2/introspect", ResourceServer, "RFC 7662", oauth::introspect::post),
        route!(POST "/oauth2/register", Registrant, "RFC 7591 §3", oauth::registration::post, any_origin),
        route!(GET "/oauth2/register/{client_id}", RegisteredClient, "RFC 7592 §2.1", oauth::registration_management::get, any_origin),
        route!(PUT "/oauth2/register/{client_id}", RegisteredClient, "RFC 7592 §2.2", oauth::registration_management::put, any_origin),
        route!(DELETE "/oauth2/register/{client_id}", RegisteredClient, "RFC 7592 §2.3", oauth::registration_management::delete, any_origin),
        route!(GET "/.well-known/oauth-authorization-server", Anyone, "RFC 8414", oauth::metadata::get, any_origin),
        route!(GET "/.well-known/oauth-protected-resource", Anyone, "RFC 9728 §3", oauth::protected_resource::get, any_origin),
        route!(GET "/.well-known/oauth-protected-resource/{path:.*}", Anyone, "RFC 9728 §3.1", oauth::protected_resource::get, any_origin),
        route!(GET "/.well-known/jwks.json", Anyone, "RFC 7517 §5", oauth::jwks::get, any_origin),
        route!(POST "/v1/verify", ResourceServer, "verify", gateway::verify::post),
        route!(POST "/v1/watermark", ResourceServer, "watermark", gateway::watermark::post),
        route!(GET "/v1/whoami", Holder, "whoami", gateway::whoami::get),
        route!(GET "/v1/openapi.json", Anyone, "management", openapi::get),
        route!(GET "/v1/docs", Anyone, "management", api::docs::page),
        route!(GET "/v1/docs/examples", Anyone, "management", openapi::examples),
        route!(GET "/v1/docs/{name}", Anyone, "management", api::docs::file),
        operation!(GET "/v1/organizations", [OrganizationRead], 200, organizations::list, "List organizations"),
        operation!(GET "/v1/organizations/{id}", [OrganizationRead], 200, organizations::get, "Read an organization"),
        operation!(POST "/v1/organizations", [OperatorOrganizations], 201, organizations::create, "Create an organization with a workspace, and invite its owner"),
        operation!(PUT "/v1/organizations/by-external-id/{external_id}", [OperatorOrganizations], 200, provisioning::put_organization, "Create or change an organization by its external id"),
        operation!(PATCH "/v1/organizations/{id}", [OrganizationManage], 200, organizations::change, "Change an organization"),
        operation!(POST "/v1/organizations/{id}/suspend", [OperatorOrganizations], 200, organizations::suspend, "Suspend an organization"),
        operation!(POST "/v1/organizations/{id}/resume", [OperatorOrganizations], 200, organizations::resume, "Resume a suspended organization"),
        operation!(GET "/v1/organizations/{id}/dev-centre", [OrganizationRead], 200, dev_centre::get, "Read whether the Dev Centre is switched on, and what switching it off suspends"),
        operation!(PUT "/v1/organizations/{id}/dev-centre", [OrganizationManage], 200, dev_centre::put, "Switch the Dev Centre on or off"),
        operation!(GET "/v1/organizations/{id}/production-access", [OrganizationRead], 200, production_access::get, "Read where an organization stands with Production"),
        operation!(POST "/v1/organizations/{id}/production-access", [OrganizationManage], 200, production_access::request, "Request access to Production"),
        operation!(DELETE "/v1/organizations/{id}/production-access", [OrganizationManage], 200, production_access::cancel, "Take the request for Production back"),
        operation!(PUT "/v1/organizations/{id}/production-access", [OperatorApprovals], 200, production_access::decide, "Approve, refuse or withdraw access to Production"),
        operation!(GET "/v1/organizations/{id}/subscription", [OrganizationRead], 200, subscriptions::get, "Read the subscription of an organization"),
        operation!(PUT "/v1/organizations/{id}/subscription", [OperatorSubscriptions], 200, subscriptions::put, "Put an organization on a plan"),
        operation!(PUT "/v1/subscriptions/by-external-id/{external_id}", [OperatorSubscriptions], 200, subscriptions::put_by_external_id, "Create or change a subscription by its external id"),
        operation!(PUT "/v1/users/by-external-id/{external_id}", [OperatorOrganizations], 200, users::put_by_external_id, "Create or change a person by their external id"),
        operation!(POST "/v1/users/{id}/suspend", [OperatorOrganizations], 200, users::suspend, "Suspend a person everywhere"),
        operation!(POST "/v1/users/{id}/resume", [OperatorOrganizations], 200, users::resume, "Resume a suspended person"),
        operation!(POST "/v1/provisioning", [OperatorOrganizations], 200, provisioning::bulk, "Create or change organizations with their workspaces, users and subscriptions"),
        operation!(GET "/v1/resource-servers", [OperatorResourceServers], 200, resource_servers::list, "List resource servers"),
        operation!(POST "/v1/resource-servers", [OperatorResourceServers], 201, resource_servers::create, "Register a resource server"),
        operation!(GET "/v1/resource-servers/{id}", [OperatorResourceServers], 200, resource_servers::get, "Read a resource server"),
        operation!(PATCH "/v1/resource-servers/{id}", [OperatorResourceServers], 200, resource_servers::change, "Change a resource server"),
        operation!(DELETE "/v1/resource-servers/{id}", [OperatorResourceServers], 204, resource_servers::delete, "Delete a resource server"),
        operation!(POST "/v1/resource-servers/{id}/resources", [OperatorResourceServers], 200, resource_servers::add_resource, "Add a URI that a resource server is called by"),
        operation!(DELETE "/v1/resource-servers/{id}/resources", [OperatorResourceServers], 200, resource_servers::remove_resource, "Remove a URI that a resource server is called by"),
        operation!(POST "/v1/resource-servers/{id}/secrets", [OperatorResourceServers], 201, resource_servers::add_secret, "Create a second secret of a resource server"),
        operation!(DELETE "/v1/resource-servers/{id}/secrets/{secret}", [OperatorResourceServers], 204, resource_servers::revoke_secret, "Revoke a secret of a resource server"),
        operation!(GET "/v1/operators", [OperatorOperators], 200, operators::list, "List operators"),
        operation!(POST "/v1/operators", [OperatorOperators], 201, operators::create, "Make an operator"),
        operation!(DELETE "/v1/operators/{id}", [OperatorOperators], 204, operators::delete, "Make an operator an ordinary person"),
        operation!(GET "/v1/operator-tokens", [OperatorOperators], 200, operator_tokens::list, "List operator tokens"),
        operation!(POST "/v1/operator-tokens", [OperatorOperators], 201, operator_tokens::create, "Make an operator token"),
        operation!(DELETE "/v1/operator-tokens/{id}", [OperatorOperators], 204, operator_tokens::delete, "Revoke an operator token"),
        operation!(GET "/v1/signing-keys", [OperatorSigningKeys], 200, signing_keys::list, "List the signing keys"),
        operation!(POST "/v1/signing-keys/rotate", [OperatorSigningKeys], 200, signing_keys::rotate, "Make the next signing key"),
        operation!(DELETE "/v1/signing-keys/{kid}", [OperatorSigningKeys], 204, signing_keys::delete, "Take a signing key out of the key set"),
        operation!(GET "/v1/plans", [OrganizationRead, OperatorRead], 200, plans::list, "List the plans"),
        operation!(PUT "/v1/workspaces/by-external-id/{external_id}", [OperatorOrganizations], 200, provisioning::put_workspace, "Create or change a workspace by its external id"),
        operation!(GET "/v1/workspaces", [OrganizationRead, WorkspacesManage], 200, workspaces::list, "List workspaces"),
        operation!(POST "/v1/workspaces", [WorkspacesManage], 201, workspaces::create, "Create a workspace"),
        operation!(GET "/v1/workspaces/{id}", [OrganizationRead, WorkspacesManage], 200, workspaces::get, "Read a workspace"),
        operation!(PATCH "/v1/workspaces/{id}", [WorkspacesManage], 200, workspaces::change, "Change a workspace"),
        operation!(DELETE "/v1/workspaces/{id}", [WorkspacesManage], 204, workspaces::delete, "Delete a workspace"),
        operation!(GET "/v1/api-keys", [ApiKeysRead], 200, api_keys::list, "List API keys"),
        operation!(POST "/v1/api-keys", [ApiKeysManage], 201, api_keys::create, "Create an API key"),
        operation!(GET "/v1/api-keys/workspaces", [ApiKeysRead], 200, api_keys::workspaces, "Tell which keys reach which workspace"),
        operation!(POST "/v1/api-keys/bulk-revoke", [ApiKeysManage], 200, api_key_life::bulk_revoke, "Revoke many API keys, or the tokens of an application"),
        operation!(GET "/v1/api-keys/{id}", [ApiKeysRead], 200, api_keys::get, "Read an API key"),
        operation!(PATCH "/v1/api-keys/{id}", [ApiKeysManage], 200, api_keys::change, "Change or narrow an API key"),
        operation!(DELETE "/v1/api-keys/{id}", [ApiKeysManage] or Itself, 204, api_keys::delete, "Revoke an API key"),
        operation!(POST "/v1/api-keys/{id}/rotate", [ApiKeysManage] or Itself, 201, api_key_life::rotate, "Rotate an API key"),
        operation!(POST "/v1/api-keys/{id}/secrets/{secret}/revoke", [ApiKeysManage], 200, api_key_life::revoke_secret, "End one secret of an API key"),
        operation!(POST "/v1/api-keys/{id}/pause", [ApiKeysManage], 200, api_key_life::pause, "Pause an API key"),
        operation!(POST "/v1/api-keys/{id}/resume", [ApiKeysManage], 200, api_key_life::resume, "Resume an API key"),
        operation!(POST "/v1/api-keys/{id}/simulate", [ApiKeysManage], 200, api_key_life::simulate, "Let a Sandbox key play dead"),
        operation!(DELETE "/v1/api-keys/{id}/simulate", [ApiKeysManage], 200, api_key_life::stop_simulation, "End a simulation"),
        operation!(POST "/v1/api-keys/{id}/transfer", [ApiKeysManage], 201, api_key_transfers::offer, "Offer an API key to another owner"),
        operation!(GET "/v1/api-key-transfers", [ApiKeysRead], 200, api_key_transfers::list, "List offers of API keys"),
        operation!(GET "/v1/api-key-transfers/{id}", [ApiKeysRead], 200, api_key_transfers::get, "Read an offer of an API key"),
        operation!(POST "/v1/api-key-transfers/{id}/accept", [ApiKeysManage], 201, api_key_transfers::accept, "Take an offered API key, with a new secret"),
        operation!(POST "/v1/api-key-transfers/{id}/decline", [ApiKeysManage], 200, api_key_transfers::decline, "Decline an offered API key"),
        operation!(DELETE "/v1/api-key-transfers/{id}", [ApiKeysManage], 200, api_key_transfers::withdraw, "Withdraw an offer of an API key"),
        operation!(GET "/v1/api-keys/{id}/hand-over", [ApiKeysManage], 200, hand_overs::list, "List the hand-over links of an API key"),
        operation!(POST "/v1/api-keys/{id}/hand-over", [ApiKeysManage], 201, hand_overs::create, "Make a one-time link to a secret of an API key"),
        operation!(DELETE "/v1/api-keys/{id}/hand-over", [ApiKeysManage], 204, hand_overs::delete, "End the hand-over link of an API key"),
        operation!(GET "/v1/api-key-requests", [ApiKeysRead] or Member, 200, api_key_requests::list, "List requests for API keys"),
        operation!(POST "/v1/api-key-requests", [ApiKeysManage] or Member, 201, api_key_requests::create, "Ask for an API key"),
        operation!(GET "/v1/api-key-requests/{id}", [ApiKeysRead] or Member, 200, api_key_requests::get, "Read a request for an API key"),
        operation!(DELETE "/v1/api-key-requests/{id}", [ApiKeysManage] or Member, 204, api_key_requests::delete, "Withdraw a request for an API key"),
        operation!(POST "/v1/api-key-requests/{id}/approve", [ApiKeysManage] or Member, 200, api_key_requests::approve, "Approve a request for an API key"),
        operation!(POST "/v1/api-key-requests/{id}/refuse", [ApiKeysManage] or Member, 200, api_key_requests::refuse, "Refuse a request for an API key"),
        operation!(POST "/v1/api-key-requests/{id}/collect", [ApiKeysManage] or Member, 201, api_key_requests::collect, "Collect the secret of a requested API key"),
        route!(GET "/hand-over/{token}", Anyone, "hand-over", account::hand_over::show),
        route!(POST "/hand-over/{token}", Anyone, "hand-over", account::hand_over::collect),
        operation!(GET "/v1/domains", [DomainsRead], 200, domains::list, "List domains"),
        operation!(POST "/v1/domains", [DomainsManage], 201, domains::create, "Add a domain"),
        operation!(GET "/v1/domains/{id}", [DomainsRead], 200, domains::get, "Read a domain"),
        operation!(PATCH "/v1/domains/{id}", [DomainsManage], 200, domains::change, "Change a domain"),
        operation!(DELETE "/v1/domains/{id}", [DomainsManage], 204, domains::delete, "Remove a domain"),
        operation!(POST "/v1/domains/{id}/check", [DomainsManage], 200, domains::check, "Look for a domain's record now"),
        operation!(GET "/v1/applications", [ApplicationsRead], 200, applications::list, "List applications"),
        operation!(POST "/v1/applications", [ApplicationsManage], 201, applications::create, "Create an application"),
        operation!(GET "/v1/applications/{id}", [ApplicationsRead], 200, applications::get, "Read an application"),
        operation!(PATCH "/v1/applications/{id}", [ApplicationsManage], 200, applications::change, "Change an application"),
        operation!(DELETE "/v1/applications/{id}", [ApplicationsManage], 204, applications::delete, "Delete an application"),
        operation!(POST "/v1/applications/{id}/secrets", [ApplicationsManage], 201, application_secrets::create, "Create a secret"),
        operation!(DELETE "/v1/applications/{id}/secrets/{secret}", [ApplicationsManage], 204, application_secrets::delete, "Revoke a secret"),
        operation!(POST "/v1/applications/{id}/request-approval", [ApplicationsManage], 200, application_approval::request, "Ask that other organizations may use it"),
        operation!(POST "/v1/applications/{id}/approve", [OperatorApprovals], 200, application_approval::approve, "Approve an application"),
        operation!(POST "/v1/applications/{id}/refuse", [OperatorApprovals], 200, application_approval::refuse, "Refuse an application, or take its approval back"),
        operation!(POST "/v1/applications/{id}/stop", [OperatorApprovals], 200, application_approval::stop, "Stop an application everywhere"),
        operation!(POST "/v1/applications/{id}/resume", [OperatorApprovals], 200, application_approval::resume, "Let a stopped application go on"),
        operation!(GET "/v1/workspaces/{id}/members", [MembersRead], 200, members::list_of_workspace, "List a workspace's members"),
        operation!(PUT "/v1/workspaces/{id}/members/{user}", [MembersManage], 204, members::put_role, "Give a member a role in a workspace"),
        operation!(DELETE "/v1/workspaces/{id}/members/{user}", [MembersManage], 204, members::leave_workspace, "Remove a member from a workspace"),
        operation!(GET "/v1/members", [MembersRead], 200, members::list, "List members"),
        operation!(GET "/v1/members/{id}", [MembersRead], 200, members::get, "Read a member"),
        operation!(PATCH "/v1/members/{id}", [MembersManage], 200, members::change, "Change a member"),
        operation!(DELETE "/v1/members/{id}", [MembersManage], 200, members::delete, "Remove a member"),
        operation!(GET "/v1/members/{id}/departure", [MembersManage], 200, members::departure, "See what stops when a member leaves"),
        operation!(GET "/v1/service-accounts", [MembersRead], 200, service_accounts::list, "List service accounts"),
        operation!(POST "/v1/service-accounts", [MembersManage], 201, service_accounts::create, "Create a service account"),
        operation!(GET "/v1/service-accounts/{id}", [MembersRead], 200, service_accounts::get, "Read a service account"),
        operation!(PATCH "/v1/service-accounts/{id}", [MembersManage], 200, service_accounts::change, "Change a service account"),
        operation!(DELETE "/v1/service-accounts/{id}", [MembersManage], 200, service_accounts::delete, "Delete a service account"),
        operation!(GET "/v1/roles", [MembersRead, RolesManage], 200, roles::list, "List the organization's own roles"),
        operation!(POST "/v1/roles", [RolesManage], 201, roles::create, "Create a role"),
        operation!(GET "/v1/roles/{id}", [MembersRead, RolesManage], 200, roles::get, "Read a role"),
        operation!(PATCH "/v1/roles/{id}", [RolesManage], 200, roles::change, "Change a role"),
        operation!(DELETE "/v1/roles/{id}", [RolesManage], 204, roles::delete, "Delete a role"),
        operation!(GET "/v1/invitations", [MembersRead], 200, invitations::list, "List invitations"),
        operation!(POST "/v1/invitations", [MembersManage, UsersManage], 201, invitations::create, "Invite somebody"),
        operation!(GET "/v1/invitations/{id}", [MembersRead], 200, invitations::get, "Read an invitation"),
        operation!(POST "/v1/invitations/{id}/resend", [MembersManage], 200, invitations::resend, "Make a new link for an invitation"),
        operation!(DELETE "/v1/invitations/{id}", [MembersManage], 204, invitations::delete, "Revoke an invitation"),
        operation!(GET "/v1/management-tokens", [OrganizationRead], 200, management_tokens::list, "List management tokens"),
        operation!(GET "/v1/management-tokens/{id}", [OrganizationRead], 200, management_tokens::get, "Read a management token"),
        operation!(DELETE "/v1/management-tokens/{id}", [OrganizationManage], 204, management_tokens::delete, "Revoke a management token"),
        operation!(GET "/v1/join-requests", [MembersRead], 200, join_requests::list, "List requests to join"),
        operation!(GET "/v1/join-requests/{id}", [MembersRead], 200, join_requests::get, "Read a request to join"),
        operation!(POST "/v1/join-requests/{id}/approve", [MembersManage], 200, join_requests::approve, "Approve a request to join"),
        operation!(POST "/v1/join-requests/{id}/refuse", [MembersManage], 200, join_requests::refuse, "Refuse a request to join"),
        route!(GET "/", Anyone, "account", account::home::show),
        route!(GET "/login", Anyone, "account", account::sign_in::form),
        route!(POST "/login", Anyone, "account", account::sign_in::submit),
        route!(GET "/login/continue", Anyone, "account", account::sign_in::go_on),
        route!(GET "/login/oidc", Anyone, "OpenID Connect Core §3.1", account::openid::start),
        route!(GET "/login/oidc/callback", Anyone, "OpenID Connect Core §3.1, RFC 9207", account::openid::callback),
        route!(POST "/login/oidc/claim", Anyone, "OpenID Connect Core §5.7", account::claims::answer),
        route!(GET "/login/oidc/{provider}", Anyone, "OpenID Connect Core §3.1", account::openid::start_at),
        route!(GET "/account/identity", Person, "account", account::identity::show),
        route!(POST "/account/identity/link", Person, "account", account::identity::link),
        route!(POST "/account/identity/unlink", Person, "account", account::identity::unlink),
        route!(GET "/account/password", Person, "account", account::password::show),
        route!(POST "/account/password", Person, "account", account::password::change),
        route!(GET "/account/confirm", Person, "account", account::confirm::form),
        route!(POST "/account/confirm", Person, "account", account::confirm::submit),
        route!(GET "/account/organizations", Person, "organizations", account::organizations::list),
        route!(POST "/account/organizations", Person, "organizations", account::organizations::create),
        route!(POST "/account/organizations/ask", Person, "organizations", account::organizations::ask),
        route!(POST "/account/organizations/withdraw", Person, "organizations", account::organizations::withdraw),
        route!(POST "/account/organizations/accept", Person, "organizations", account::organizations::accept),
        route!(POST "/account/organizations/decline", Person, "organizations", account::organizations::decline),
        route!(GET "/account/organizations/{id}/leave", Own, "organizations", account::organizations::confirm_leave),
        route!(POST "/account/organizations/{id}/leave", Own, "organizations", account::organizations::leave),
        route!(GET "/invitations/{token}", Anyone, "invitations", account::invitations::show),
        route!(POST "/invitations/{token}/account", Anyone, "invitations", account::invitations::create_account),
        route!(POST "/invitations/{token}/accept", Person, "invitations", account::invitations::accept),
        route!(POST "/invitations/{token}/decline", Person, "invitations", account::invitations::decline),
        route!(POST "/logout/everywhere", Person, "account", account::sign_out::everywhere),
        route!(POST "/logout", Person, "account", account::sign_out::submit),
        route!(GET "/account/applications", Person, "connected applications", account::connected_apps::list),
        route!(GET "/account/applications/{id}/revoke", Own, "connected applications", account::connected_apps::confirm_revoke),
        route!(POST "/account/applications/{id}/revoke", Own, "connected applications", account::connected_apps::revoke),
        route!(GET "/dev-centre", Person, "console", console::organizations::list),
        route!(GET "/dev-centre/{organization}", Person, "console", console::organizations::show),
        route!(GET "/dev-centre/{organization}/api-keys", KeyAdmin, "console", console::api_keys::list),
        route!(POST "/dev-centre/{organization}/api-keys", KeyAdmin, "console", console::api_keys::create),
        route!(GET "/dev-centre/{organization}/api-keys/new", KeyAdmin, "console", console::api_keys::new),
        route!(GET "/dev-centre/{organization}/api-keys/{id}/revoke", KeyAdmin, "console", console::api_keys::confirm_revoke),
        route!(POST "/dev-centre/{organization}/api-keys/{id}/revoke", KeyAdmin, "console", console::api_keys::revoke),
        route!(GET "/dev-centre/{organization}/applications", OrganizationAdmin, "console", console::applications::list),
        route!(POST "/dev-centre/{organization}/applications", OrganizationAdmin, "console", console::applications::create),
        route!(GET "/dev-centre/{organization}/applications/new", OrganizationAdmin, "console", console::applications::new),
        route!(GET "/dev-centre/{organization}/applications/{id}", OrganizationAdmin, "console", console::applications::show),
        route!(GET "/dev-centre/{organization}/applications/{id}/delete", OrganizationAdmin, "console", console::applications::confirm_delete),
        route!(POST "/dev-centre/{organization}/applications/{id}/delete", OrganizationAdmin, "console", console::applications::delete),
        route!(GET "/dev-centre/{organization}/management-tokens", OrganizationAdmin, "console", console::management_tokens::list),
        route!(POST "/dev-centre/{organization}/management-tokens", OrganizationAdmin, "console", console::management_tokens::create),
        route!(POST "/dev-centre/{organization}/management-tokens/{id}/revoke", OrganizationAdmin, "console", console::management_tokens::revoke),
        route!(GET "/dev-centre/{organization}/registration", OrganizationAdmin, "console", console::registration::list),
        route!(POST "/dev-centre/{organization}/registration", OrganizationAdmin, "console", console::registration::create),
        route!(POST "/dev-centre/{organization}/registration/{id}/revoke", OrganizationAdmin, "console", console::registration::revoke),
        route!(GET "/dev-centre/{organization}/applications/{id}/edit", OrganizationAdmin, "console", console::application_edit::form),
        route!(POST "/dev-centre/{organization}/applications/{id}/edit", OrganizationAdmin, "console", console::application_edit::save),
        route!(POST "/dev-centre/{organization}/applications/{id}/request-approval", OrganizationAdmin, "console", console::applications::request_approval),
        route!(POST "/dev-centre/{organization}/applications/{id}/secrets", OrganizationAdmin, "console", console::application_secrets::create),
        route!(GET "/dev-centre/{organization}/applications/{id}/secrets/{secret}/revoke", OrganizationAdmin, "console", console::application_secrets::confirm_revoke),
        route!(POST "/dev-centre/{organization}/applications/{id}/secrets/{secret}/revoke", OrganizationAdmin, "console", console::application_secrets::revoke),
        route!(GET "/dev-centre/{organization}/plan", OrganizationAdmin, "console", console::plan::show),
        route!(POST "/dev-centre/{organization}/plan", OrganizationAdmin, "console", console::plan::change),
        route!(GET "/dev-centre/{organization}/single-sign-on", OrganizationAdmin, "console", console::single_sign_on::show),
        route!(POST "/dev-centre/{organization}/single-sign-on", OrganizationAdmin, "console", console::single_sign_on::configure),
        route!(POST "/dev-centre/{organization}/single-sign-on/remove", OrganizationAdmin, "console", console::single_sign_on::remove),
        route!(GET "/operator", Operator, "operator", operator::home::show),
        route!(GET "/operator/organizations", Operator, "operator", operator::organizations::list),
        route!(POST "/operator/organizations", Operator, "operator", operator::customers::create),
        route!(GET "/operator/organizations/new", Operator, "operator", operator::customers::new),
        route!(GET "/operator/organizations/{id}", Operator, "operator", operator::organizations::show),
        route!(POST "/operator/organizations/{id}", Operator, "operator", operator::organizations::decide),
        route!(GET "/operator/applications", Operator, "operator", operator::applications::list),
        route!(GET "/operator/applications/{id}", Operator, "operator", operator::applications::show),
        route!(POST "/operator/applications/{id}", Operator, "operator", operator::applications::decide),
        route!(GET "/operator/applications/{id}/stop", Operator, "operator", operator::applications::confirm_stop),
        route!(POST "/operator/applications/{id}/stop", Operator, "operator", operator::applications::stop),
        route!(GET "/operator/people", Operator, "operator", operator::people::list),
        route!(POST "/operator/people", Operator, "operator", operator::people::create),
        route!(POST "/operator/people/{id}/remove-operator", Operator, "operator", operator::people::remove_operator),
        route!(GET "/operator/tokens", Operator, "operator", operator::tokens::list),
        route!(POST "/operator/tokens", Operator, "operator", operator::tokens::create),
        route!(POST "/operator/tokens/{id}/revoke", Operator, "operator", operator::tokens::revoke),
        route!(GET "/operator/resource-servers", Operator, "operator", operator::resource_servers::list),
        route!(POST "/operator/resource-servers", Operator, "operator", operator::resource_servers::create),
        route!(GET "/operator/resource-servers/new", Operator, "operator", operator::resource_servers::new),
        route!(GET "/operator/resource-servers/{id}", Operator, "operator", operator::resource_servers::show),
        route!(POST "/operator/resource-servers/{id}", Operator, "operator", operator::resource_servers::change),
        route!(POST "/operator/resource-servers/{id}/secrets", Operator, "operator", operator::resource_servers::add_secret),
        route!(GET "/operator/resource-servers/{id}/delete", Operator, "operator", operator::resource_servers::confirm_delete),
        route!(POST "/operator/resource-servers/{id}/delete", Operator, "operator", operator::resource_servers::delete),
        route!(GET "/static/{name}", Anyone, "assets", assets::get),
        route!(GET "/healthz", Anyone, "operations", health::healthz),
        route!(GET "/readyz", Anyone, "operations", health::readyz),
        route!(GET "/metrics", Operations, "operations", health::metrics),
    ]
}

/// A path answers HEAD where it answers GET.
fn answers(method: Method) -> impl actix_web::guard::Guard {
    fn_guard(move |context| {
        let asked = &context.head().method;
        *asked == method || (*asked == Method::HEAD && method == Method::GET)
    })
}

/// An alias is a new path, of an endpoint that is there.
pub fn check_aliases(aliases: &[Alias]) -> Result<(), AliasError> {
    let table = table();
    for (index, alias) in aliases.iter().enumerate() {
        let taken = table.iter().any(|route| route.path == alias.path)
            || aliases[..index]
                .iter()
                .any(|other| other.path == alias.path);
        ensure(!taken, AliasError::Taken(alias.path.clone()))?;
        ensure(
            table.iter().any(|route| route.path == alias.of),
            AliasError::NoEndpoint(alias.of.clone()),
        )?;
    }
    Ok(())
}

/// Registers the table, and each alias as the endpoint it stands for: 405 with `Allow` where a path has another method, 404
/// elsewhere.
pub fn configure(config: &mut web::ServiceConfig, aliases: &[Alias]) {
    let table = table();
    let mut paths: Vec<(&str, Vec<&Route>)> = Vec::new();
    for route in &table {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, routes)) => routes.push(route),
            None => paths.push((route.path, vec![route])),
        }
    }
    for alias in aliases {
        paths.push((
            &alias.path,
            table
                .iter()
                .filter(|route| route.path == alias.of)
                .collect(),
        ));
    }
    for (path, routes) in paths {
        let any_origin = routes.iter().any(|route| route.any_origin);
        let methods = routes
            .iter()
            .map(|route| route.method.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let allow = if any_origin {
            format!("{methods}, OPTIONS")
        } else {
            methods.clone()
        };
        let other = web::to(move |request: HttpRequest| method_not_allowed(request, allow.clone()));
        let resource = routes
            .iter()
            .fold(web::resource(path), |resource, route| {
                resource
                    .app_data(without_facts(route.path))
                    .app_data(route.class())
                    .route((route.handler)())
            })
            .default_service(other);
        if any_origin {
            let preflight =
                web::method(Method::OPTIONS).to(move || cors::preflight(methods.clone()));
            config.service(resource.route(preflight).wrap(from_fn(cors::share)));
        } else {
            config.service(resource);
        }
    }
    config
        .app_data(WithoutFacts(without_facts_page))
        .default_service(web::to(not_found));
}

/// How a door says that a request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Page,
    OAuth,
    Problem,
}

/// Of the door behind a path.
pub fn form(path: &str) -> Form {
    let starts_with = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
    if starts_with(&["/oauth2/authorize", "/v1/docs"]) {
        return Form::Page;
    }
    if starts_with(&["/oauth2/"]) {
        return Form::OAuth;
    }
    if starts_with(&["/v1/", "/.well-known/", "/healthz", "/readyz", "/metrics"]) {
        return Form::Problem;
    }
    Form::Page
}

fn without_facts(path: &str) -> WithoutFacts {
    match form(path) {
        Form::Page => WithoutFacts(without_facts_page),
        Form::OAuth => WithoutFacts(|| oauth::error::without_facts().respond()),
        Form::Problem => WithoutFacts(|| internal_error().respond_without_facts()),
    }
}
