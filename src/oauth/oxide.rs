//! oxide-auth's judgement. Its state machines are told what was sent and what is stored: the client as authenticated, redirect
//! URI, scope, expiry. [`super::referee`] compares their verdict with ours.
//!
//! These are judged by us alone, because the machines do not know them or read them otherwise:
//! - possession, PKCE, replay, sessions, resources, and which grant types a client may use;
//! - at the token endpoint, client and redirect URI come first, the URI by the byte: what fails there is refused before a
//!   machine is asked. The machine compares parsed URLs, where `https://a.example:443/` equals `https://a.example/`;
//! - that the redirect URI may be left out there (OAuth 2.1 §4.1.3): the machine demands one and is given the stored one;
//! - the port of a loopback address (RFC 8252 §7.3): the machine is given both URIs without it;
//! - which scopes a request gets that names none, where blank is none. The machine only checks that the client may have them;
//! - that a scope which cannot be had is left out (RFC 6749 §3.3): the machines are asked about what is left;
//! - the very instant of expiry: one machine compares by `<`, the other by `<=`, on a clock that runs on (see `Stored::until`).
//!
//! The machines' error texts, JSON and HTTP layers stay unused.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use oxide_auth::code_grant::accesstoken::{self, AccessToken};
use oxide_auth::code_grant::authorization::{self, Authorization as AuthorizationFlow};
use oxide_auth::code_grant::client_credentials::{self, ClientCredentials};
use oxide_auth::code_grant::error::{AccessTokenErrorType, AuthorizationErrorType};
use oxide_auth::code_grant::refresh::{self, Refresh};
use oxide_auth::primitives::grant::{Extensions, Grant};
use oxide_auth::primitives::registrar::{
    BoundClient, Client as Registration, ClientMap, ClientUrl, ExactUrl, PreGrant, RegisteredUrl,
    Registrar,
};
use oxide_auth::primitives::scope::Scope;
use url::Url;

use super::error::Code;
use crate::domain::clients::clients::Client;
use crate::store::authorizations::Authorization;
use crate::types::id::ApplicationId;
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;

/// Stands for the code, token or secret whose possession is proven: the machines want to see one.
const PROVEN: &str = "proven";
/// Stands for the redirect URI where nothing is redirected: the machines want to see one.
const NOWHERE: &str = "https://nowhere.invalid/";

/// RFC 6749 §4.1.3: the code was issued to this client, for this redirect URI, and has not expired.
pub fn authorization_code(
    client: &Client,
    redirect_uri: Option<&str>,
    authorization: &Authorization,
    until: DateTime<Utc>,
) -> Result<Scopes, Code> {
    let issued_for = authorization.redirect_uri.as_ref();
    let sent = Sent {
        redirect_uri: redirect_uri
            .or(issued_for.map(RedirectUri::as_str))
            .or(Some(NOWHERE)),
        ..Sent::by(client)
    };
    let mut machine = AccessToken::new(&sent);
    let mut input = accesstoken::Input::None;
    loop {
        input = match machine.advance(input) {
            accesstoken::Output::Authenticate { .. } => accesstoken::Input::Authenticated,
            accesstoken::Output::Recover { .. } => {
                accesstoken::Input::Recovered(Some(Box::new(grant(authorization, until)?)))
            }
            accesstoken::Output::Extend { .. } => accesstoken::Input::Extended {
                access_extensions: Extensions::new(),
            },
            accesstoken::Output::Issue { grant } => return scopes(&grant.scope),
            accesstoken::Output::Ok(_) | accesstoken::Output::Err(_) => {
                return Err(Code::InvalidGrant);
            }
        };
    }
}

/// RFC 6749 §6: the refresh token was issued to this client and has not expired; the new scopes are never wider.
pub fn refresh_token(
    client: &Client,
    asked: Option<&str>,
    authorization: &Authorization,
    until: DateTime<Utc>,
) -> Result<Scopes, Code> {
    let asked = asked
        .map(|asked| left_of(asked, &oxide_scope(&authorization.scopes)?))
        .transpose()?;
    let asked = asked.as_deref();
    let sent = Sent {
        scope: asked,
        ..Sent::by(client)
    };
    let mut machine = Refresh::new(&sent);
    let mut input = refresh::Input::None;
    loop {
        input = match machine.advance(input) {
            refresh::Output::Unauthenticated { .. } => refresh::Input::Authenticated {
                scope: asked.map(Cow::Borrowed),
            },
            refresh::Output::RecoverRefresh { .. } => refresh::Input::Recovered {
                scope: asked.map(Cow::Borrowed),
                grant: Some(Box::new(grant(authorization, until)?)),
            },
            refresh::Output::Refresh { grant, .. } => return scopes(&grant.scope),
            refresh::Output::Ok(_) => return Err(Code::InvalidGrant),
            refresh::Output::Err(mut error) => {
                let kind = error.description().map(|description| description.kind());
                return Err(match kind {
                    Some(AccessTokenErrorType::InvalidScope) => Code::InvalidScope,
                    _ => Code::InvalidGrant,
                });
            }
        };
    }
}

/// RFC 6749 §4.4.2: the scopes that the client gets for itself; `default` where it asks for none.
pub fn client_credentials(
    client: &Client,
    asked: Option<&str>,
    default: Option<&Scopes>,
) -> Result<Scopes, Code> {
    let sent = Sent {
        scope: asked,
        ..Sent::by(client)
    };
    let allowed = oxide_scope(&client.application.scopes)?;
    let registrar = registrar(client, [registered(NOWHERE)?].into(), &allowed)?;
    let mut machine = ClientCredentials::new(&sent);
    let mut input = client_credentials::Input::None;
    loop {
        input = match machine.advance(input) {
            client_credentials::Output::Authenticate { .. } => {
                client_credentials::Input::Authenticated
            }
            client_credentials::Output::Binding { client_id } => {
                let bound = bind(&registrar, client_id, None).ok_or(Code::InvalidClient)?;
                client_credentials::Input::Bound {
                    bound_client: bound,
                }
            }
            client_credentials::Output::Extend => client_credentials::Input::Extended {
                extensions: Extensions::new(),
            },
            client_credentials::Output::Negotiate {
                bound_client,
                scope,
            } => client_credentials::Input::Negotiated {
                pre_grant: negotiate(bound_client, &allowed, scope, default)?,
            },
            client_credentials::Output::Ok { pre_grant, .. } => return scopes(&pre_grant.scope),
            // it judges nothing else by itself
            client_credentials::Output::Err(_) => return Err(Code::InvalidScope),
        };
    }
}

/// RFC 6749 §3.1.2.3: the redirect URI is registered for the client.
pub fn redirect_uri(client: &Client, sent: &str) -> Result<RedirectUri, Code> {
    let comparable = without_loopback_port(sent);
    let request = Sent {
        redirect_uri: Some(&comparable),
        ..Sent::by(client)
    };
    let allowed = oxide_scope(&client.application.scopes)?;
    match AuthorizationFlow::new(&request).advance(authorization::Input::None) {
        authorization::Output::Bind {
            client_id,
            redirect_uri,
        } => {
            let registrar = registrar(client, registered_redirect_uris(client)?, &allowed)?;
            bind(&registrar, &client_id, redirect_uri).ok_or(Code::InvalidRequest)?;
            sent.parse().map_err(|_| Code::InvalidRequest)
        }
        _ => Err(Code::InvalidRequest),
    }
}

/// RFC 6749 §4.1.1: the response type, and the scopes that the request is about; `default` where it names none.
pub fn authorization_request(
    client: &Client,
    redirect_uri: &str,
    response_type: Option<&str>,
    asked: Option<&str>,
    default: Option<&Scopes>,
) -> Result<Scopes, Code> {
    let comparable = without_loopback_port(redirect_uri);
    let request = Sent {
        redirect_uri: Some(&comparable),
        scope: asked,
        response_type,
        ..Sent::by(client)
    };
    let allowed = oxide_scope(&client.application.scopes)?;
    let registrar = registrar(client, registered_redirect_uris(client)?, &allowed)?;
    let mut machine = AuthorizationFlow::new(&request);
    let mut input = authorization::Input::None;
    loop {
        input = match machine.advance(input) {
            authorization::Output::Bind {
                client_id,
                redirect_uri,
            } => authorization::Input::Bound {
                request: &request,
                bound_client: bind(&registrar, &client_id, redirect_uri)
                    .ok_or(Code::InvalidRequest)?,
            },
            authorization::Output::Extend => authorization::Input::Extended(Extensions::new()),
            authorization::Output::Negotiate {
                bound_client,
                scope,
            } => authorization::Input::Negotiated {
                pre_grant: negotiate(bound_client, &allowed, scope, default)?,
                state: None,
            },
            authorization::Output::Ok { pre_grant, .. } => return scopes(&pre_grant.scope),
            authorization::Output::Err(mut error) => {
                let kind = error.description().map(|description| description.kind());
                return Err(match kind {
                    Some(AuthorizationErrorType::InvalidScope) => Code::InvalidScope,
                    Some(AuthorizationErrorType::UnsupportedResponseType) => {
                        Code::UnsupportedResponseType
                    }
                    _ => Code::InvalidRequest,
                });
            }
        };
    }
}

/// What the machines read of the request.
#[derive(Debug, Clone, Copy)]
struct Sent<'r> {
    client: &'r ApplicationId,
    redirect_uri: Option<&'r str>,
    scope: Option<&'r str>,
    response_type: Option<&'r str>,
}

impl<'r> Sent<'r> {
    /// The client as authenticated; a public one by its id alone.
    fn by(client: &'r Client) -> Self {
        Self {
            client: &client.application.id,
            redirect_uri: None,
            scope: None,
            response_type: None,
        }
    }
}

impl accesstoken::Request for Sent<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(PROVEN.into())
    }
    fn authorization(&self) -> accesstoken::Authorization<'_> {
        accesstoken::Authorization::Username(self.client.as_str().into())
    }
    fn client_id(&self) -> Option<Cow<'_, str>> {
        None
    }
    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        self.redirect_uri.map(Cow::Borrowed)
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some("authorization_code".into())
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl refresh::Request for Sent<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn refresh_token(&self) -> Option<Cow<'_, str>> {
        Some(PROVEN.into())
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        self.scope.map(Cow::Borrowed)
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some("refresh_token".into())
    }
    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        Some((self.client.as_str().into(), PROVEN.as_bytes().into()))
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl client_credentials::Request for Sent<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        Some((self.client.as_str().into(), PROVEN.as_bytes().into()))
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        self.scope.map(Cow::Borrowed)
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some("client_credentials".into())
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl authorization::Request for Sent<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn client_id(&self) -> Option<Cow<'_, str>> {
        Some(self.client.as_str().into())
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        self.scope.map(Cow::Borrowed)
    }
    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        self.redirect_uri.map(Cow::Borrowed)
    }
    fn state(&self) -> Option<Cow<'_, str>> {
        None
    }
    fn response_type(&self) -> Option<Cow<'_, str>> {
        self.response_type.map(Cow::Borrowed)
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// The stored grant as a machine reads it.
fn grant(authorization: &Authorization, until: DateTime<Utc>) -> Result<Grant, Code> {
    let redirect_uri = authorization
        .redirect_uri
        .as_ref()
        .map_or(NOWHERE, RedirectUri::as_str);
    Ok(Grant {
        owner_id: authorization.user_id.to_string(),
        client_id: authorization.application_id.to_string(),
        scope: oxide_scope(&authorization.scopes)?,
        redirect_uri: redirect_uri
            .parse::<Url>()
            .map_err(|_| Code::InvalidGrant)?,
        until,
        extensions: Extensions::new(),
    })
}

/// What oxide-auth compares a client with.
fn registrar(
    client: &Client,
    redirect_uris: Vec<RegisteredUrl>,
    allowed: &Scope,
) -> Result<ClientMap, Code> {
    let mut redirect_uris = redirect_uris.into_iter();
    let first = redirect_uris.next().ok_or(Code::InvalidRequest)?;
    // authentication is ours: to oxide-auth every client is public
    let registration = Registration::public(client.application.id.as_str(), first, allowed.clone())
        .with_additional_redirect_uris(redirect_uris.collect());
    Ok(ClientMap::from_iter([registration]))
}

fn bind(
    registrar: &ClientMap,
    client_id: &str,
    redirect_uri: Option<ExactUrl>,
) -> Option<BoundClient<'static>> {
    registrar
        .bound_redirect(ClientUrl {
            client_id: Cow::Owned(client_id.to_owned()),
            redirect_uri: redirect_uri.map(Cow::Owned),
        })
        .ok()
}

/// What was asked for, by oxide-auth's order of scopes; `default` where nothing was. Never more than the client may have.
fn negotiate(
    client: &BoundClient<'_>,
    allowed: &Scope,
    asked: Option<Scope>,
    default: Option<&Scopes>,
) -> Result<PreGrant, Code> {
    let scope = match asked.filter(|asked| asked.iter().next().is_some()) {
        Some(asked) => left_of(&asked.to_string(), allowed)?
            .parse()
            .map_err(|_| Code::InvalidScope)?,
        None => oxide_scope(default.ok_or(Code::InvalidScope)?)?,
    };
    if !allowed.priviledged_to(&scope) {
        return Err(Code::InvalidScope);
    }
    Ok(PreGrant {
        client_id: client.client_id.to_string(),
        redirect_uri: client.redirect_uri.as_ref().clone(),
        scope,
    })
}

/// RFC 6749 §3.3: what of it may be had. The machines refuse a request for one scope too many, and are asked about the rest.
fn left_of(asked: &str, allowed: &Scope) -> Result<String, Code> {
    let asked: Scope = asked.parse().map_err(|_| Code::InvalidScope)?;
    let left: Vec<&str> = asked
        .iter()
        .filter(|token| allowed.iter().any(|own| own == *token))
        .collect();
    if left.is_empty() && asked.iter().next().is_some() {
        return Err(Code::InvalidScope);
    }
    Ok(left.join(" "))
}

fn registered_redirect_uris(client: &Client) -> Result<Vec<RegisteredUrl>, Code> {
    let comparable = client.redirect_uris.iter();
    comparable
        .map(|uri| registered(&uri.without_loopback_port()))
        .collect()
}

fn registered(redirect_uri: &str) -> Result<RegisteredUrl, Code> {
    let exact: ExactUrl = redirect_uri.parse().map_err(|_| Code::InvalidRequest)?;
    Ok(RegisteredUrl::Exact(exact))
}

/// What is no redirect URI stays as it was sent, and is not registered.
fn without_loopback_port(sent: &str) -> String {
    sent.parse::<RedirectUri>()
        .map_or_else(|_| sent.to_owned(), |uri| uri.without_loopback_port())
}

fn oxide_scope(scopes: &Scopes) -> Result<Scope, Code> {
    scopes.as_str().parse().map_err(|_| Code::InvalidScope)
}

fn scopes(scope: &Scope) -> Result<Scopes, Code> {
    scope.to_string().parse().map_err(|_| Code::InvalidScope)
}
