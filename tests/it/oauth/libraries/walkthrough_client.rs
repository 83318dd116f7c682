//! An application that uses the crate `oauth2`, version 5.

use std::error::Error;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::url::Url;
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, PkceCodeChallenge, RedirectUrl, RevocationUrl, Scope, TokenResponse, TokenUrl,
};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointSet>;

pub struct Settings {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
}

pub fn client(settings: &Settings) -> Result<Client, Box<dyn Error>> {
    let issuer = &settings.issuer;
    Ok(BasicClient::new(ClientId::new(settings.client_id.clone()))
        .set_client_secret(ClientSecret::new(settings.client_secret.clone()))
        .set_auth_uri(AuthUrl::new(format!("{issuer}/oauth2/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{issuer}/oauth2/token"))?)
        .set_revocation_url(RevocationUrl::new(format!("{issuer}/oauth2/revoke"))?)
        .set_redirect_uri(RedirectUrl::new(settings.redirect_uri.clone())?))
}

/// `ask` shows a person the address to open, and returns the address the browser was sent to.
/// `http` is an `oauth2::reqwest::Client` that follows no redirects.
pub async fn connect<H>(
    settings: &Settings,
    http: &H,
    ask: impl AsyncFnOnce(Url) -> String,
) -> Result<BasicTokenResponse, Box<dyn Error>>
where
    H: for<'c> AsyncHttpClient<'c>,
{
    let client = client(settings)?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let scopes = ["read", "write"].map(|scope| Scope::new(scope.to_owned()));
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(scopes)
        .set_pkce_challenge(challenge)
        .url();

    let answer = Url::parse(&ask(url).await)?;
    let parameter = |name| {
        answer
            .query_pairs()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    };
    if parameter("state").as_ref() != Some(state.secret())
        || parameter("iss").as_ref() != Some(&settings.issuer)
    {
        return Err("not an answer to this question".into());
    }
    let Some(code) = parameter("code") else {
        return Err(format!(
            "{:?}: {:?}",
            parameter("error"),
            parameter("error_description")
        )
        .into());
    };
    Ok(client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request_async(http)
        .await?)
}

pub async fn refresh<H>(
    settings: &Settings,
    http: &H,
    tokens: &BasicTokenResponse,
) -> Result<BasicTokenResponse, Box<dyn Error>>
where
    H: for<'c> AsyncHttpClient<'c>,
{
    let token = tokens.refresh_token().ok_or("no refresh token")?;
    Ok(client(settings)?
        .exchange_refresh_token(token)
        .request_async(http)
        .await?)
}

/// Without a person.
pub async fn connect_as_itself<H>(
    settings: &Settings,
    http: &H,
) -> Result<BasicTokenResponse, Box<dyn Error>>
where
    H: for<'c> AsyncHttpClient<'c>,
{
    let scope = Scope::new("read".to_owned());
    Ok(client(settings)?
        .exchange_client_credentials()
        .add_scope(scope)
        .request_async(http)
        .await?)
}

pub async fn disconnect<H>(
    settings: &Settings,
    http: &H,
    tokens: &BasicTokenResponse,
) -> Result<(), Box<dyn Error>>
where
    H: for<'c> AsyncHttpClient<'c>,
{
    let token = tokens.refresh_token().ok_or("no refresh token")?;
    Ok(client(settings)?
        .revoke_token(token.into())?
        .request_async(http)
        .await?)
}
