//! oxide-auth at arm's length: its state machines give the order of steps, the client match and the scope verdict.
//!
//! They get canonical requests: the client is authenticated, code and refresh token are resolved, the expiry is far away.
//! Their clock, error text, JSON and HTTP layers stay unused; possession, time, replay and PKCE are ours.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use oxide_auth::code_grant::accesstoken::{self, AccessToken};
use oxide_auth::code_grant::authorization::{self, Authorization as AuthorizationFlow};
use oxide_auth::code_grant::client_credentials::{self, ClientCredentials};
use oxide_auth::code_grant::refresh::{self, Refresh};
use oxide_auth::primitives::grant::{Extensions, Grant};
use oxide_auth::primitives::registrar::{BoundClient, ExactUrl, PreGrant, RegisteredUrl};
use oxide_auth::primitives::scope::Scope;
use url::Url;

use super::error::{Code, Error};
use crate::domain::clients::clients::Client;
use crate::store::authorizations::Authorization;
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;

/// Stands for what is resolved already: the machines want to see something.
const RESOLVED: &str = "resolved";
/// Where a client without a redirect URI would be redirected; nobody is.
const NOWHERE: &str = "https://nowhere.invalid/";

/// What a machine may read of the request at hand.
struct Canonical<'r> {
    client_id: &'r str,
    redirect_uri: Option<&'r str>,
    scope: Option<&'r str>,
    grant_type: &'r str,
    response_type: Option<&'r str>,
}

impl Canonical<'_> {
    fn text<'s>(value: Option<&'s str>) -> Option<Cow<'s, str>> {
        value.map(Cow::Borrowed)
    }
}

impl accesstoken::Request for Canonical<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(RESOLVED.into())
    }
    fn authorization(&self) -> accesstoken::Authorization<'_> {
        accesstoken::Authorization::Username(self.client_id.into())
    }
    fn client_id(&self) -> Option<Cow<'_, str>> {
        None
    }
    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        Self::text(self.redirect_uri)
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(self.grant_type.into())
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl refresh::Request for Canonical<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn refresh_token(&self) -> Option<Cow<'_, str>> {
        Some(RESOLVED.into())
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        Self::text(self.scope)
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(self.grant_type.into())
    }
    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        Some((self.client_id.into(), RESOLVED.as_bytes().into()))
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl client_credentials::Request for Canonical<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn authorization(&self) -> Option<(Cow<'_, str>, Cow<'_, [u8]>)> {
        Some((self.client_id.into(), RESOLVED.as_bytes().into()))
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        Self::text(self.scope)
    }
    fn grant_type(&self) -> Option<Cow<'_, str>> {
        Some(self.grant_type.into())
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl authorization::Request for Canonical<'_> {
    fn valid(&self) -> bool {
        true
    }
    fn client_id(&self) -> Option<Cow<'_, str>> {
        Some(self.client_id.into())
    }
    fn scope(&self) -> Option<Cow<'_, str>> {
        Self::text(self.scope)
    }
    fn redirect_uri(&self) -> Option<Cow<'_, str>> {
        Self::text(self.redirect_uri)
    }
    fn state(&self) -> Option<Cow<'_, str>> {
        None
    }
    fn response_type(&self) -> Option<Cow<'_, str>> {
        Self::text(self.response_type)
    }
    fn extension(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

/// RFC 6749 §4.1.3: the code was issued to this client, for this redirect URI.
pub fn referee_code(
    client: &Client,
    authorization: &Authorization,
    redirect_uri: Option<&str>,
) -> Result<(), Error> {
    let stored = authorization.redirect_uri.as_ref().map(RedirectUri::as_str);
    // OAuth 2.1 §4.1.3: the parameter may be left out; what is there is compared by the byte, which the machine's URL type does not do
    if redirect_uri.is_some() && redirect_uri != stored {
        return Err(Code::InvalidGrant
            .because("redirect_uri differs from the one of the authorization request."));
    }
    let request = canonical(client, stored.or(Some(NOWHERE)), None, "authorization_code");
    let mut machine = AccessToken::new(&request);
    let mut input = accesstoken::Input::None;
    loop {
        input = match machine.advance(input) {
            accesstoken::Output::Authenticate { .. } => accesstoken::Input::Authenticated,
            accesstoken::Output::Recover { .. } => {
                accesstoken::Input::Recovered(Some(Box::new(grant(authorization)?)))
            }
            accesstoken::Output::Extend { .. } => accesstoken::Input::Extended {
                access_extensions: Extensions::new(),
            },
            accesstoken::Output::Issue { .. } => return Ok(()),
            accesstoken::Output::Ok(_) | accesstoken::Output::Err(_) => {
                return Err(Code::InvalidGrant.into());
            }
        };
    }
}

/// RFC 6749 §6: the refresh token was issued to this client; the scopes of the new access token, never wider.
pub fn referee_refresh(
    client: &Client,
    authorization: &Authorization,
    asked: Option<&str>,
) -> Result<Scopes, Error> {
    let request = canonical(client, None, asked, "refresh_token");
    let mut machine = Refresh::new(&request);
    let mut input = refresh::Input::None;
    loop {
        input = match machine.advance(input) {
            refresh::Output::Unauthenticated { .. } => refresh::Input::Authenticated {
                scope: asked.map(Cow::Borrowed),
            },
            refresh::Output::RecoverRefresh { .. } => refresh::Input::Recovered {
                scope: asked.map(Cow::Borrowed),
                grant: Some(Box::new(grant(authorization)?)),
            },
            refresh::Output::Refresh { grant, .. } => return scopes(&grant.scope),
            refresh::Output::Ok(_) => return Err(Code::InvalidGrant.into()),
            refresh::Output::Err(_) if client.application.id != authorization.application_id => {
                return Err(Code::InvalidGrant.into());
            }
            refresh::Output::Err(_) => {
                return Err(Code::InvalidScope
                    .because("scope is malformed, or wider than what was granted."));
            }
        };
    }
}

/// RFC 6749 §4.4.2: which scopes the client gets for itself, as `negotiate` grants them.
pub fn referee_client_credentials(
    client: &Client,
    asked: Option<&str>,
    negotiate: impl Fn(Option<&Scopes>) -> Option<Scopes>,
) -> Result<Scopes, Error> {
    let request = canonical(client, None, asked, "client_credentials");
    let mut machine = ClientCredentials::new(&request);
    let mut input = client_credentials::Input::None;
    loop {
        input = match machine.advance(input) {
            client_credentials::Output::Authenticate { .. } => {
                client_credentials::Input::Authenticated
            }
            client_credentials::Output::Binding { .. } => client_credentials::Input::Bound {
                bound_client: bound(client, NOWHERE)?,
            },
            client_credentials::Output::Extend => client_credentials::Input::Extended {
                extensions: Extensions::new(),
            },
            client_credentials::Output::Negotiate { scope, .. } => {
                let granted = negotiated(scope.as_ref(), &negotiate)?;
                client_credentials::Input::Negotiated {
                    pre_grant: pre_grant(client, NOWHERE, &granted)?,
                }
            }
            client_credentials::Output::Ok { pre_grant, .. } => return scopes(&pre_grant.scope),
            client_credentials::Output::Err(_) => {
                return Err(Code::InvalidScope.because("scope is malformed."));
            }
        };
    }
}

/// RFC 6749 §4.1.1: the response type, and which scopes the request is about, as `negotiate` grants them.
pub fn referee_authorization(
    client: &Client,
    redirect_uri: &RedirectUri,
    response_type: Option<&str>,
    asked: Option<&str>,
    negotiate: impl Fn(Option<&Scopes>) -> Option<Scopes>,
) -> Result<Scopes, Error> {
    let request = Canonical {
        response_type,
        ..canonical(client, Some(redirect_uri.as_str()), asked, "")
    };
    let mut machine = AuthorizationFlow::new(&request);
    let mut input = authorization::Input::None;
    loop {
        input = match machine.advance(input) {
            authorization::Output::Bind { .. } => authorization::Input::Bound {
                request: &request,
                bound_client: bound(client, redirect_uri.as_str())?,
            },
            authorization::Output::Extend => authorization::Input::Extended(Extensions::new()),
            authorization::Output::Negotiate { scope, .. } => {
                let granted = negotiated(scope.as_ref(), &negotiate)?;
                authorization::Input::Negotiated {
                    pre_grant: pre_grant(client, redirect_uri.as_str(), &granted)?,
                    state: None,
                }
            }
            authorization::Output::Ok { pre_grant, .. } => return scopes(&pre_grant.scope),
            authorization::Output::Err(_) if response_type != Some("code") => {
                return Err(Code::UnsupportedResponseType.because("response_type must be code."));
            }
            authorization::Output::Err(_) => {
                return Err(Code::InvalidScope.because("scope is malformed."));
            }
        };
    }
}

fn canonical<'r>(
    client: &'r Client,
    redirect_uri: Option<&'r str>,
    scope: Option<&'r str>,
    grant_type: &'r str,
) -> Canonical<'r> {
    Canonical {
        client_id: client.application.id.as_str(),
        redirect_uri,
        scope,
        grant_type,
        response_type: None,
    }
}

fn negotiated(
    asked: Option<&Scope>,
    negotiate: impl Fn(Option<&Scopes>) -> Option<Scopes>,
) -> Result<Scopes, Error> {
    let asked = asked.map(scopes).transpose()?;
    negotiate(asked.as_ref()).ok_or_else(|| {
        Code::InvalidScope
            .because("scope names one that is unknown or not allowed for this client.")
    })
}

fn grant(authorization: &Authorization) -> Result<Grant, Error> {
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
            .map_err(|error| Error::from(Code::ServerError).caused_by(error))?,
        until: DateTime::<Utc>::MAX_UTC,
        extensions: Extensions::new(),
    })
}

fn bound(client: &Client, redirect_uri: &str) -> Result<BoundClient<'static>, Error> {
    Ok(BoundClient {
        client_id: client.application.id.to_string().into(),
        redirect_uri: Cow::Owned(registered(redirect_uri)?),
    })
}

fn pre_grant(client: &Client, redirect_uri: &str, granted: &Scopes) -> Result<PreGrant, Error> {
    Ok(PreGrant {
        client_id: client.application.id.to_string(),
        redirect_uri: registered(redirect_uri)?,
        scope: oxide_scope(granted)?,
    })
}

fn registered(redirect_uri: &str) -> Result<RegisteredUrl, Error> {
    let exact: ExactUrl = redirect_uri
        .parse()
        .map_err(|error| Error::from(Code::ServerError).caused_by(error))?;
    Ok(RegisteredUrl::Exact(exact))
}

fn oxide_scope(scopes: &Scopes) -> Result<Scope, Error> {
    scopes
        .as_str()
        .parse()
        .map_err(|error| Error::from(Code::ServerError).caused_by(error))
}

fn scopes(scope: &Scope) -> Result<Scopes, Error> {
    scope
        .to_string()
        .parse()
        .map_err(|_| Code::InvalidScope.because("scope is malformed."))
}
