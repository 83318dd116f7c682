//! An OAuth client library as its users use it: the `oauth2` crate, unchanged.

use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RequestTokenError,
    RevocationUrl, Scope, StandardRevocableToken, TokenIntrospectionResponse, TokenResponse,
    TokenUrl,
};

use super::is_active;
use crate::databases::{TestDatabase, both_databases};
use crate::server::{REDIRECT_URI, Server, parameter};

both_databases!(
    the_code_flow_refresh_and_revocation,
    client_credentials_and_introspection,
    an_error_is_understood
);

/// The library's own http client is another version of reqwest: this is ours. For revocation alone the library insists on
/// https: the proxy in front of a loopback server is played here.
async fn carry(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let (parts, body) = request.into_parts();
    let answer = client
        .request(
            parts.method,
            parts.uri.to_string().replacen("https:", "http:", 1),
        )
        .headers(parts.headers)
        .body(body)
        .send()
        .await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = HttpResponse::new(answer.bytes().await?.to_vec());
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

pub fn http() -> impl for<'c> AsyncHttpClient<'c, Error = reqwest::Error> {
    carry
}

fn secret(text: &str) -> ClientSecret {
    ClientSecret::new(text.to_owned())
}

fn at<T>(server: &Server, path: &str, make: impl Fn(String) -> Result<T, url::ParseError>) -> T {
    make(server.url(path)).expect("a URL")
}

async fn the_code_flow_refresh_and_revocation(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = BasicClient::new(ClientId::new(server.planted.application.to_string()))
        .set_client_secret(secret(&server.secrets.client_secret))
        .set_auth_uri(at(&server, "/oauth2/authorize", AuthUrl::new))
        .set_token_uri(at(&server, "/oauth2/token", TokenUrl::new))
        .set_revocation_url(at(&server, "/oauth2/revoke", |url| {
            RevocationUrl::new(url.replacen("http:", "https:", 1))
        }))
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).expect("a URL"));
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(["read", "write"].map(|name| Scope::new(name.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let path = url
        .as_str()
        .strip_prefix(&server.base)
        .expect("it is ours")
        .to_owned();
    let target = server.signed_in_browser().await.allow(&path).await;
    assert_eq!(parameter(&target, "state").as_ref(), Some(state.secret()));
    let code = AuthorizationCode::new(parameter(&target, "code").expect("a code"));
    let tokens = client
        .exchange_code(code)
        .set_pkce_verifier(verifier)
        .request_async(&http())
        .await
        .expect("tokens");
    assert_eq!(tokens.scopes().map(Vec::len), Some(2));
    assert_eq!(
        tokens.expires_in().map(|duration| duration.as_secs()),
        Some(900)
    );
    assert!(is_active(&server, tokens.access_token().secret()).await);
    let refreshed = client
        .exchange_refresh_token(tokens.refresh_token().expect("a refresh token"))
        .request_async(&http())
        .await
        .expect("refreshed");
    let token: StandardRevocableToken = refreshed.refresh_token().expect("a refresh token").into();
    client
        .revoke_token(token)
        .expect("https")
        .request_async(&http())
        .await
        .expect("revoked");
    assert!(!is_active(&server, refreshed.access_token().secret()).await);
}

async fn client_credentials_and_introspection(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = BasicClient::new(ClientId::new(server.planted.application.to_string()))
        .set_client_secret(secret(&server.secrets.client_secret))
        .set_token_uri(at(&server, "/oauth2/token", TokenUrl::new));
    let tokens = client
        .exchange_client_credentials()
        .add_scope(Scope::new("read".to_owned()))
        .request_async(&http())
        .await
        .expect("tokens");
    let resource_server =
        BasicClient::new(ClientId::new(server.planted.resource_server.to_string()))
            .set_client_secret(secret(&server.secrets.resource_server_secret))
            .set_introspection_url(at(&server, "/oauth2/introspect", IntrospectionUrl::new));
    let answer = resource_server
        .introspect(tokens.access_token())
        .request_async(&http())
        .await
        .expect("introspected");
    assert!(answer.active());
    assert_eq!(
        answer.client_id().map(|id| id.as_str()),
        Some(server.planted.application.as_str())
    );
    assert_eq!(
        answer.scopes().map(|scopes| scopes.as_slice()),
        Some([Scope::new("read".to_owned())].as_slice())
    );
}

async fn an_error_is_understood(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = BasicClient::new(ClientId::new(server.planted.application.to_string()))
        .set_client_secret(secret(&server.secrets.client_secret))
        .set_token_uri(at(&server, "/oauth2/token", TokenUrl::new));
    let refused = client
        .exchange_code(AuthorizationCode::new("x".to_owned()))
        .request_async(&http())
        .await
        .expect_err("refused");
    let code = match &refused {
        RequestTokenError::ServerResponse(response) => response.error().to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(code, "invalid_grant");
}
