//! Applications as the management API reads and writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::present;
use crate::domain::Refusal;
use crate::domain::clients::applications::{NewApplication, OwnApplication};
use crate::domain::clients::settings::{ApplicationSettings, RefreshPolicy};
use crate::domain::clients::versions::Version;
use crate::store::application_secrets::{ApplicationSecret, NewSecret};
use crate::store::applications::Application;
use crate::types::environment::Environment;
use crate::types::grant_types::GrantType;
use crate::types::id::{ApplicationId, ClientSecretId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::{Scopes, is_scope_token};
use crate::types::state::{AccessTokenFormat, Approval, ClientType};
use crate::types::time::Timestamp;

/// An OAuth application.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Application")]
pub struct ApplicationView {
    /// Also its `client_id`.
    pub id: ApplicationId,
    pub organization: OrganizationId,
    pub environment: Environment,
    pub name: String,
    pub client_type: ClientType,
    pub access_token_format: AccessTokenFormat,
    /// What it may ask for at most.
    pub scopes: Vec<String>,
    pub grants: Vec<GrantType>,
    pub refresh: Refresh,
    /// Whether people of other organizations may authorize it.
    pub approval: Approval,
    pub approval_reason: Option<String>,
    /// The vendor has checked who is behind it.
    pub verified: bool,
    /// The vendor's own.
    pub first_party: bool,
    /// When the vendor stopped it everywhere.
    pub stopped_at: Option<Timestamp>,
    pub stopped_because: Option<String>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// How its refresh tokens live.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// A new refresh token at every refresh; a public application's always rotate.
    #[serde(default = "yes")]
    rotation: bool,
    /// Seconds that one lives unused; null: as the installation says.
    #[schemars(range(min = 60, max = 315_360_000))]
    idle_seconds: Option<i64>,
    /// Seconds after which a person must allow it again; null: as the installation says.
    #[schemars(range(min = 60, max = 315_360_000))]
    absolute_seconds: Option<i64>,
}

fn yes() -> bool {
    true
}

impl Default for Refresh {
    fn default() -> Self {
        RefreshPolicy::default().into()
    }
}

impl From<RefreshPolicy> for Refresh {
    fn from(policy: RefreshPolicy) -> Self {
        Self {
            rotation: policy.rotation,
            idle_seconds: policy.idle_seconds,
            absolute_seconds: policy.absolute_seconds,
        }
    }
}

impl From<Refresh> for RefreshPolicy {
    fn from(refresh: Refresh) -> Self {
        Self {
            rotation: refresh.rotation,
            idle_seconds: refresh.idle_seconds,
            absolute_seconds: refresh.absolute_seconds,
        }
    }
}

/// An application with what belongs to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApplicationDetail")]
pub struct DetailView {
    #[serde(flatten)]
    application: ApplicationView,
    redirect_uris: Vec<String>,
    /// What people of other organizations get; null while it is not approved.
    approved_version: Option<VersionView>,
    /// Of its own service account, by which it acts as itself.
    role: Option<String>,
    /// The live ones, the oldest first.
    secrets: Vec<SecretView>,
    /// People who let it act for them.
    connected_people: i64,
}

/// The version of an application that the vendor approved. Another name, another host or more scopes wait for the vendor.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApprovedVersion")]
pub struct VersionView {
    name: String,
    redirect_uris: Vec<String>,
    scopes: Vec<String>,
}

impl From<Version> for VersionView {
    fn from(version: Version) -> Self {
        let uris = version.redirect_uris().iter();
        Self {
            name: version.name().to_owned(),
            redirect_uris: uris.map(RedirectUri::to_string).collect(),
            scopes: version.scopes().iter().map(str::to_owned).collect(),
        }
    }
}

/// What a create answers with: the only time that the secret is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedApplication")]
pub struct CreatedView {
    #[serde(flatten)]
    pub application: DetailView,
    /// null for a public application, and when the request was sent before.
    pub client_secret: Option<String>,
}

/// A secret, by what may be shown of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApplicationSecret")]
pub struct SecretView {
    pub id: ClientSecretId,
    /// How it starts; empty for an older one.
    pub hint: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl From<Application> for ApplicationView {
    fn from(row: Application) -> Self {
        Self {
            scopes: row.scopes.iter().map(str::to_owned).collect(),
            grants: row.grants.iter().collect(),
            refresh: RefreshPolicy::of(&row).into(),
            id: row.id,
            organization: row.organization_id,
            environment: row.environment,
            name: row.name,
            client_type: row.client_type,
            access_token_format: row.access_token_format,
            approval: row.approval,
            approval_reason: row.approval_reason,
            verified: row.verified_at.is_some(),
            first_party: row.first_party,
            stopped_at: row.stopped_at,
            stopped_because: row.stopped_because,
            created_by: row.created_by,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl From<OwnApplication> for DetailView {
    fn from(own: OwnApplication) -> Self {
        Self {
            redirect_uris: own
                .redirect_uris
                .iter()
                .map(RedirectUri::to_string)
                .collect(),
            approved_version: own.approved.map(VersionView::from),
            role: own
                .role
                .filter(|_| own.application.may_use(GrantType::ClientCredentials)),
            secrets: own.secrets.into_iter().map(SecretView::from).collect(),
            connected_people: own.people,
            application: own.application.into(),
        }
    }
}

impl From<ApplicationSecret> for SecretView {
    fn from(row: ApplicationSecret) -> Self {
        Self {
            id: row.id,
            hint: row.hint,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// An application to be created. Its environment, client type and token format stay for good.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApplication")]
pub struct NewApplicationBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    environment: Environment,
    #[serde(default = "confidential")]
    client_type: ClientType,
    #[serde(default = "jwt")]
    access_token_format: AccessTokenFormat,
    #[serde(default)]
    #[schemars(length(max = 20))]
    redirect_uris: Vec<String>,
    #[schemars(length(min = 1))]
    scopes: Vec<String>,
    #[serde(default = "code_and_refresh")]
    grants: Vec<GrantType>,
    /// Of its own service account in every workspace; needed with the grant `client_credentials`.
    role: Option<String>,
    #[serde(default)]
    refresh: Refresh,
}

fn confidential() -> ClientType {
    ClientType::Confidential
}

fn jwt() -> AccessTokenFormat {
    AccessTokenFormat::Jwt
}

fn code_and_refresh() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
}

impl NewApplicationBody {
    pub fn read(self, secret: NewSecret) -> Result<NewApplication, Refusal> {
        Ok(NewApplication {
            redirect_uris: redirect_uris(&self.redirect_uris)?,
            scopes: scopes(&self.scopes)?,
            name: self.name,
            environment: self.environment,
            client_type: self.client_type,
            access_token_format: self.access_token_format,
            role: self.role.unwrap_or_default(),
            grants: self.grants.into_iter().collect(),
            refresh: self.refresh.into(),
            secret,
        })
    }
}

/// What is to change of an application; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApplicationChange")]
pub struct ApplicationChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<String>", length(max = 20))]
    redirect_uris: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<String>", length(min = 1))]
    scopes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<GrantType>")]
    grants: Option<Vec<GrantType>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    role: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Refresh")]
    refresh: Option<Refresh>,
}

impl ApplicationChangeBody {
    /// The settings as they are, with what changes.
    pub fn apply(&self, current: ApplicationSettings) -> Result<ApplicationSettings, Refusal> {
        Ok(ApplicationSettings {
            name: self.name.clone().unwrap_or(current.name),
            redirect_uris: self
                .redirect_uris
                .as_ref()
                .map_or(Ok(current.redirect_uris), |uris| redirect_uris(uris))?,
            scopes: self
                .scopes
                .as_ref()
                .map_or(Ok(current.scopes), |names| scopes(names))?,
            grants: self
                .grants
                .as_ref()
                .map_or(current.grants, |grants| grants.iter().copied().collect()),
            role: self.role.clone().unwrap_or(current.role),
            refresh: self
                .refresh
                .clone()
                .map_or(current.refresh, RefreshPolicy::from),
        })
    }
}

/// Each once; errors name the one.
fn redirect_uris(texts: &[String]) -> Result<Vec<RedirectUri>, Refusal> {
    let (mut uris, mut errors) = (Vec::<RedirectUri>::new(), Vec::new());
    for (number, text) in (1..).zip(texts) {
        match text.parse() {
            Ok(uri) if uris.contains(&uri) => {}
            Ok(uri) => uris.push(uri),
            Err(error) => errors.push(("redirect_uris", format!("number {number} {error}"))),
        }
    }
    if errors.is_empty() {
        Ok(uris)
    } else {
        Err(Refusal::Invalid(errors))
    }
}

fn scopes(names: &[String]) -> Result<Scopes, Refusal> {
    match names.iter().find(|name| !is_scope_token(name)) {
        Some(_) => Err(Refusal::Invalid(vec![(
            "scopes",
            "one of them is not a scope".to_owned(),
        )])),
        None => Ok(names.iter().map(String::as_str).collect()),
    }
}

/// A form calls its field `scope`.
pub fn as_fields(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid(errors) => {
            let named =
                |(field, message)| (if field == "scope" { "scopes" } else { field }, message);
            Refusal::Invalid(errors.into_iter().map(named).collect())
        }
        other => other,
    }
}
