//! OpenID Connect as a relying party: the code flow with PKCE, state and nonce (OpenID Connect Core §3.1, RFC 9700 §2.1).
//!
//! Invariant: what comes out as [`Proven`] was signed by a key of the issuer itself, for this client, for this very sign-in
//! and in time; an address in it is there only if the issuer says that it verified it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreJwsSigningAlgorithm as Algorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType, CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthType, AuthorizationCode,
    ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, ProviderMetadata, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse,
};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use url::Url;

use super::http::{Http, NamedBy, with_causes};
use crate::types::email::Mailbox;
use crate::types::time::Timestamp;

/// Providers whose metadata is remembered.
const MOST_PROVIDERS: usize = 1000;
/// How long metadata and keys count as fresh.
const FRESH_SECONDS: i64 = 60 * 60;
/// A key that is not known is asked for at most this often.
const REFRESH_SECONDS: i64 = 60;
/// How far the provider's clock may be away from ours.
const SKEW_SECONDS: i64 = 60;
/// OpenID Connect Core §2: at most 255 ASCII characters.
const MOST_SUBJECT: usize = 255;
/// Never `none`, never with a shared secret: whoever knows the client's secret must not be able to sign.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
];

/// As what this server is known to a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    pub issuer: String,
    pub client_id: String,
    /// Empty: a public client.
    pub client_secret: String,
    pub scopes: Vec<String>,
    pub named_by: NamedBy,
}

/// What must be remembered in the browser between leaving and coming back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    pub state: String,
    nonce: String,
    verifier: String,
}

/// What the browser brought back.
pub struct Answer<'q> {
    pub code: &'q str,
    /// RFC 9207.
    pub iss: Option<&'q str>,
}

/// Whom the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    pub issuer: String,
    pub subject: String,
    /// Only an address that the provider says it verified.
    pub verified_email: Option<Mailbox>,
    pub name: Option<String>,
}

/// Why nobody was proven. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the provider cannot be asked: {0}")]
    Unreachable(String),
    /// RFC 9207 §2.4: another issuer answered than the one that was asked.
    #[error("the answer names another issuer, or none")]
    OtherIssuer,
    #[error("the provider did not take the code: {0}")]
    CodeRefused(String),
    #[error("the clocks differ: {0}")]
    Clock(String),
    #[error("the identity cannot be believed: {0}")]
    NotBelieved(String),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Announced {
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Announced {}

type Metadata = ProviderMetadata<
    Announced,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Party = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

struct Known {
    metadata: Metadata,
    fetched_at: Timestamp,
}

pub struct OpenId {
    http: Http,
    /// By who named it, too: what was fetched without a guard is not taken for a stranger's.
    known: Cache<(NamedBy, String), Arc<Known>>,
    /// Where every provider sends the browser back.
    pub redirect_uri: String,
}

impl OpenId {
    pub fn new(redirect_uri: String, private_allowed: bool) -> Self {
        Self {
            http: Http::new(private_allowed),
            known: Cache::new(MOST_PROVIDERS),
            redirect_uri,
        }
    }

    /// Whether there is a provider at this issuer that could be used.
    pub async fn probe(&self, registration: &Registration, now: Timestamp) -> Result<(), Failure> {
        self.known
            .remove(&(registration.named_by, registration.issuer.clone()));
        let known = self.metadata(registration, now).await?;
        ensure(
            known.metadata.token_endpoint().is_some(),
            Failure::Unreachable("it has no token endpoint".to_owned()),
        )
    }

    /// Where the browser goes, and what it takes along.
    pub async fn begin(
        &self,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<(Url, Flow), Failure> {
        let known = self.metadata(registration, now).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let party = self.party(registration, &known.metadata)?;
        let request = party.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        // the crate adds openid by itself
        let scopes = registration
            .scopes
            .iter()
            .filter(|scope| *scope != "openid")
            .cloned()
            .map(Scope::new);
        let (url, state, nonce) = request
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .url();
        Ok((
            url,
            Flow {
                state: state.into_secret(),
                nonce: nonce.secret().clone(),
                verifier: verifier.into_secret(),
            },
        ))
    }

    /// Redeems what the browser brought back.
    pub async fn finish(
        &self,
        registration: &Registration,
        flow: &Flow,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Result<Proven, Failure> {
        let known = self.metadata(registration, now).await?;
        let required = known
            .metadata
            .additional_metadata()
            .authorization_response_iss_parameter_supported;
        ensure(
            answer
                .iss
                .map_or(!required, |iss| iss == registration.issuer),
            Failure::OtherIssuer,
        )?;
        let tokens = self
            .redeem(registration, &known.metadata, flow, answer.code)
            .await?;
        let id_token = tokens
            .id_token()
            .ok_or_else(|| Failure::NotBelieved("there is no ID token".to_owned()))?;
        let nonce = Nonce::new(flow.nonce.clone());
        let known = self
            .with_signing_key(registration, known, id_token, &nonce, now)
            .await?;
        let verifier = verifier(registration, &known.metadata, now);
        let claims = id_token.claims(&verifier, &nonce).map_err(not_believed)?;
        // §3.1.3.7 rule 5; the library looks at it only when there are several audiences
        let ours = claims
            .authorized_party()
            .is_none_or(|party| party.as_str() == registration.client_id);
        ensure(
            ours,
            Failure::NotBelieved("azp is another client".to_owned()),
        )?;
        check_access_token(claims, id_token, &verifier, &tokens)?;
        let proven = proven(registration, claims)?;
        if claims.email().is_some() || known.metadata.userinfo_endpoint().is_none() {
            return Ok(proven);
        }
        // who is known by the subject needs no address
        let told = self
            .ask_for_address(registration, &known.metadata, claims, &tokens, &proven)
            .await;
        Ok(told.unwrap_or_else(|failure| {
            tracing::warn!("The UserInfo endpoint told no address: {failure}");
            proven
        }))
    }

    async fn redeem(
        &self,
        registration: &Registration,
        metadata: &Metadata,
        flow: &Flow,
        code: &str,
    ) -> Result<CoreTokenResponse, Failure> {
        let party = self.party(registration, metadata)?;
        let request = party
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
        let http = |request: HttpRequest| self.http.fetch(registration.named_by, request);
        request
            .request_async(&http)
            .await
            .map_err(|error| match error {
                // the code of the error alone: a provider may repeat in its description what it was sent
                RequestTokenError::ServerResponse(refused) => {
                    Failure::CodeRefused(format!("{:?}", refused.error().to_string()))
                }
                RequestTokenError::Request(error) => Failure::Unreachable(error.to_string()),
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                    Failure::Unreachable("its token endpoint does not speak OAuth".to_owned())
                }
            })
    }

    /// OpenID Connect Core §10.1.1: a key that is not known yet is asked for, but not as often as somebody likes.
    async fn with_signing_key(
        &self,
        registration: &Registration,
        known: Arc<Known>,
        id_token: &CoreIdToken,
        nonce: &Nonce,
        now: Timestamp,
    ) -> Result<Arc<Known>, Failure> {
        let verdict = id_token
            .claims(&verifier(registration, &known.metadata, now), nonce)
            .map(drop);
        let unknown = matches!(
            verdict,
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey
            ))
        );
        if unknown && known.fetched_at.plus_seconds(REFRESH_SECONDS) <= now {
            return self.fetch_metadata(registration, now).await;
        }
        Ok(known)
    }

    /// OpenID Connect Core §5.3: many providers tell the address at the UserInfo endpoint only.
    async fn ask_for_address(
        &self,
        registration: &Registration,
        metadata: &Metadata,
        claims: &CoreIdTokenClaims,
        tokens: &CoreTokenResponse,
        proven: &Proven,
    ) -> Result<Proven, Failure> {
        let party = self.party(registration, metadata)?;
        let request = party.user_info(
            tokens.access_token().clone(),
            Some(claims.subject().clone()),
        );
        let request = request.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let http = |request: HttpRequest| self.http.fetch(registration.named_by, request);
        let told: CoreUserInfoClaims = request
            .request_async(&http)
            .await
            .map_err(|error| Failure::NotBelieved(format!("UserInfo: {error}")))?;
        let verified_email = told
            .email()
            .filter(|_| told.email_verified() == Some(true))
            .and_then(|email| Mailbox::parse(email).ok());
        let name = told
            .name()
            .and_then(|name| name.get(None))
            .map(|name| name.to_string());
        Ok(Proven {
            verified_email,
            name: proven.name.clone().or(name),
            ..proven.clone()
        })
    }

    fn party(&self, registration: &Registration, metadata: &Metadata) -> Result<Party, Failure> {
        let secret = (!registration.client_secret.is_empty())
            .then(|| ClientSecret::new(registration.client_secret.clone()));
        let redirect_uri = RedirectUrl::new(self.redirect_uri.clone())
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let party = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(registration.client_id.clone()),
            secret,
        );
        // OpenID Connect Discovery §3: Basic when nothing is said
        let methods = metadata.token_endpoint_auth_methods_supported();
        let is_basic = methods
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let auth_type = if is_basic {
            AuthType::BasicAuth
        } else {
            AuthType::RequestBody
        };
        Ok(party
            .set_redirect_uri(redirect_uri)
            .set_auth_type(auth_type))
    }

    async fn metadata(
        &self,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Arc<Known>, Failure> {
        let remembered = self
            .known
            .get(&(registration.named_by, registration.issuer.clone()));
        match remembered.filter(|known| known.fetched_at.plus_seconds(FRESH_SECONDS) > now) {
            Some(known) => Ok(known),
            None => self.fetch_metadata(registration, now).await,
        }
    }

    async fn fetch_metadata(
        &self,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Arc<Known>, Failure> {
        let issuer = IssuerUrl::new(registration.issuer.clone())
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        let http = |request: HttpRequest| self.http.fetch(registration.named_by, request);
        let metadata = Metadata::discover_async(issuer, &http)
            .await
            .map_err(|error| Failure::Unreachable(with_causes(&error)))?;
        // the browser is sent there: never to javascript:, never in clear
        ensure(
            self.http.permits(
                metadata.authorization_endpoint().url(),
                registration.named_by,
            ),
            Failure::Unreachable(
                "its authorization endpoint is not an address to send a browser to".to_owned(),
            ),
        )?;
        let known = Arc::new(Known {
            metadata,
            fetched_at: now,
        });
        self.known.insert(
            (registration.named_by, registration.issuer.clone()),
            Arc::clone(&known),
        );
        Ok(known)
    }
}

/// OpenID Connect Core §3.1.3.7. Made without the client's secret, so that no algorithm with a shared secret can pass.
fn verifier<'v>(
    registration: &Registration,
    metadata: &Metadata,
    now: Timestamp,
) -> CoreIdTokenVerifier<'v> {
    let client_id = ClientId::new(registration.client_id.clone());
    CoreIdTokenVerifier::new_public_client(
        client_id,
        metadata.issuer().clone(),
        metadata.jwks().clone(),
    )
    .set_allowed_algs(ALGORITHMS)
    .set_time_fn(move || utc(now.plus_seconds(-SKEW_SECONDS)))
    .set_issue_time_verifier_fn(move |issued| {
        if issued > utc(now.plus_seconds(SKEW_SECONDS)) {
            Err(FROM_THE_FUTURE.to_owned())
        } else {
            Ok(())
        }
    })
}

const FROM_THE_FUTURE: &str = "issued in the future";

fn utc(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at.millis()).unwrap_or_default()
}

fn not_believed(error: ClaimsVerificationError) -> Failure {
    match error {
        ClaimsVerificationError::Expired(reason) => Failure::Clock(reason),
        ClaimsVerificationError::Other(reason) if reason.contains(FROM_THE_FUTURE) => {
            Failure::Clock(reason)
        }
        other => Failure::NotBelieved(with_causes(&other)),
    }
}

/// OpenID Connect Core §3.1.3.8: the access token must be the one the ID token came with.
fn check_access_token(
    claims: &CoreIdTokenClaims,
    id_token: &CoreIdToken,
    verifier: &CoreIdTokenVerifier<'_>,
    tokens: &CoreTokenResponse,
) -> Result<(), Failure> {
    let Some(expected) = claims.access_token_hash() else {
        return Ok(());
    };
    let unsuitable = |error: String| Failure::NotBelieved(error);
    let algorithm = id_token
        .signing_alg()
        .map_err(|error| unsuitable(error.to_string()))?;
    let key = id_token
        .signing_key(verifier)
        .map_err(|error| unsuitable(error.to_string()))?;
    let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
        .map_err(|error| unsuitable(error.to_string()))?;
    ensure(
        actual == *expected,
        unsuitable("at_hash is another token's".to_owned()),
    )
}

fn proven(registration: &Registration, claims: &CoreIdTokenClaims) -> Result<Proven, Failure> {
    let subject = claims.subject().as_str();
    let well_formed =
        (1..=MOST_SUBJECT).contains(&subject.len()) && !subject.contains(char::is_control);
    ensure(
        well_formed,
        Failure::NotBelieved("sub is empty or too long".to_owned()),
    )?;
    Ok(Proven {
        issuer: registration.issuer.clone(),
        subject: subject.to_owned(),
        verified_email: claims
            .email()
            .filter(|_| claims.email_verified() == Some(true))
            .and_then(|email| Mailbox::parse(email).ok()),
        name: claims
            .name()
            .and_then(|name| name.get(None))
            .map(|name| name.to_string()),
    })
}

fn ensure(holds: bool, otherwise: Failure) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(otherwise) }
}
