//! A provider that people sign in at, ready to be asked: the operator's, from the configuration, or an organization's, from
//! the store with its secret opened.

use super::html::PageError;
use crate::app::App;
use crate::config;
use crate::domain::people::identities::{OPERATOR, Realm};
use crate::outbound::http::NamedBy;
use crate::outbound::openid::Registration;
use crate::store::identity_providers::IdentityProvider;
use crate::types::id::{IdentityProviderId, OrganizationId};

pub struct Provider {
    pub realm: Realm,
    pub registration: Registration,
    /// What the button says after "Sign in with".
    pub name: String,
}

impl Provider {
    /// The operator's; none while none is configured.
    pub fn operator(app: &App) -> Option<Self> {
        let config = &app.config.identity;
        let registration = Registration {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            scopes: config.scopes.clone(),
            named_by: NamedBy::Operator,
        };
        (!config.issuer.is_empty()).then(|| Self {
            realm: Realm::Operator,
            registration,
            name: config.name.clone(),
        })
    }

    /// By what a path or a sealed cookie says.
    pub async fn find(app: &App, realm: &str) -> Result<Option<Self>, PageError> {
        if realm == OPERATOR {
            return Ok(Self::operator(app));
        }
        let Ok(id) = realm.parse::<IdentityProviderId>() else {
            return Ok(None);
        };
        let found = app
            .store
            .read(move |snapshot| snapshot.find_identity_provider(id))
            .await?;
        found.map(|provider| Self::of(app, provider)).transpose()
    }

    fn of(app: &App, provider: IdentityProvider) -> Result<Self, PageError> {
        let opened = app
            .sealer
            .open(provider.id.as_str(), &provider.sealed_client_secret);
        let secret = opened.map_err(|error| {
            PageError::Unavailable(format!("the secret of {}: {error}", provider.id))
        })?;
        let secret = String::from_utf8_lossy(&secret).into_owned();
        let registration = registration(
            &app.config.identity,
            &provider.issuer,
            &provider.client_id,
            secret,
        );
        Ok(Self {
            registration,
            name: provider.name.clone(),
            realm: Realm::Organization(provider),
        })
    }

    /// The organization's button on the sign-in page.
    pub async fn of_organization(
        app: &App,
        organization: OrganizationId,
    ) -> Result<Option<IdentityProvider>, PageError> {
        Ok(app
            .store
            .read(move |snapshot| snapshot.find_identity_provider_of(organization))
            .await?)
    }

    /// The same for somebody who is signed in: the provider asks them again (OpenID Connect Core §3.1.2.1, `prompt=login`).
    pub fn again_href(realm: &str, return_to: &str) -> String {
        format!("{}&again=true", Self::href(realm, return_to))
    }

    /// Starts a sign-in there, and goes on to `return_to`.
    pub fn href(realm: &str, return_to: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        let place = if realm == OPERATOR {
            String::new()
        } else {
            format!("/{realm}")
        };
        format!("/login/oidc{place}?{query}")
    }
}

/// What an organization's provider knows this server as.
pub fn registration(
    config: &config::Identity,
    issuer: &str,
    client_id: &str,
    client_secret: String,
) -> Registration {
    Registration {
        issuer: issuer.to_owned(),
        client_id: client_id.to_owned(),
        client_secret,
        scopes: config.scopes.clone(),
        named_by: NamedBy::Stranger,
    }
}
