//! An API key as the management API shows it: never a secret but the one that was just made.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::crypto::Plaintext;
use crate::crypto::format::key_start;
use crate::domain::keys::lists::{KeyDetail, ListedKey, SecretDetail};
use crate::store::api_keys::KeyStatus;
use crate::types::environment::Environment;
use crate::types::id::{ApiKeyId, ApiKeySecretId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApiKeySecretState, PermissionLevel, ReachKind, Simulation};
use crate::types::time::Timestamp;

pub fn word<W: Display, S: Serializer>(word: &W, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(word)
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Person")]
pub struct PersonView {
    pub id: UserId,
    pub name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkspaceName")]
pub struct WorkspaceNameView {
    pub id: WorkspaceId,
    pub name: String,
}

/// What a Sandbox key plays, and until when.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Simulation_of_key")]
pub struct SimulationView {
    #[serde(serialize_with = "word")]
    pub what: Simulation,
    pub until: Timestamp,
}

/// An API key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct KeyView {
    pub id: ApiKeyId,
    pub organization: OrganizationId,
    /// May be empty where names are optional.
    pub name: String,
    pub description: String,
    pub environment: Environment,
    /// pending, active, paused, deactivated, expired or revoked.
    pub state: &'static str,
    pub state_reason: Option<String>,
    /// Twelve characters inside the key.
    pub public_id: String,
    /// What the key starts with, up to the public id.
    pub display: String,
    /// organization or workspaces.
    #[serde(serialize_with = "word")]
    pub scope: ReachKind,
    pub workspaces: Vec<WorkspaceNameView>,
    pub permission_level: PermissionLevel,
    pub organization_operations: bool,
    pub self_rotation: bool,
    pub owner: PersonView,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub simulation: Option<SimulationView>,
}

impl KeyView {
    pub fn of(listed: ListedKey, now: Timestamp) -> Self {
        let ListedKey {
            key,
            owner_name,
            workspaces,
            status,
        } = listed;
        let simulation = key
            .simulates
            .zip(key.simulates_until)
            .filter(|(_, until)| *until > now);
        Self {
            id: key.id,
            organization: key.organization_id,
            environment: key.environment,
            state: match status {
                KeyStatus::Expired => "expired",
                KeyStatus::Stored(state) => state.as_str(),
            },
            state_reason: key.state_reason,
            display: format!("{}{}", key_start(&key.prefix, &key.marker), key.public_id),
            public_id: key.public_id,
            name: key.name,
            description: key.description,
            scope: key.reach,
            workspaces: workspaces
                .into_iter()
                .map(|(id, name)| WorkspaceNameView { id, name })
                .collect(),
            permission_level: key.permission_level,
            organization_operations: key.organization_operations,
            self_rotation: key.self_rotation,
            owner: PersonView {
                id: key.owner_id,
                name: owner_name,
            },
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
            simulation: simulation.map(|(what, until)| SimulationView { what, until }),
        }
    }
}

/// Who was shown a secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Disclosure")]
pub struct DisclosureView {
    pub user: PersonView,
    pub at: Timestamp,
}

/// One secret of a key, without the secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeySecret")]
pub struct SecretView {
    pub id: ApiKeySecretId,
    pub public_id: String,
    /// pending until its first use; retiring while an older one still has its grace.
    #[serde(serialize_with = "word")]
    pub state: ApiKeySecretState,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// The network of the last request: 192.0.2.0/24.
    pub last_used_from: Option<String>,
    /// Seconds that the older secret lives on once this one is used.
    pub grace_seconds: i64,
    /// The end of the grace.
    pub expires_at: Option<Timestamp>,
    pub shown_to: Vec<DisclosureView>,
}

impl From<SecretDetail> for SecretView {
    fn from(
        SecretDetail {
            secret,
            state,
            shown_to,
        }: SecretDetail,
    ) -> Self {
        let shown = |(id, name, at)| DisclosureView {
            user: PersonView { id, name },
            at,
        };
        Self {
            id: secret.id,
            public_id: secret.public_id,
            state,
            created_at: secret.created_at,
            last_used_at: secret.last_used_at,
            last_used_from: secret.last_used_from,
            grace_seconds: secret.grace_seconds,
            expires_at: secret.expires_at,
            shown_to: shown_to.into_iter().map(shown).collect(),
        }
    }
}

/// An API key with its secrets.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyDetail")]
pub struct KeyDetailView {
    #[serde(flatten)]
    pub key: KeyView,
    pub creator_name: String,
    /// The secret that was used last of those that live.
    pub secret_in_use: Option<ApiKeySecretId>,
    /// The newest first.
    pub secrets: Vec<SecretView>,
}

impl KeyDetailView {
    pub fn of(detail: KeyDetail, now: Timestamp) -> Self {
        let live = detail
            .secrets
            .iter()
            .filter(|secret| secret.state != ApiKeySecretState::Revoked);
        let in_use = live
            .filter(|secret| secret.secret.last_used_at.is_some())
            .max_by_key(|secret| secret.secret.last_used_at);
        Self {
            secret_in_use: in_use.map(|secret| secret.secret.id),
            key: KeyView::of(detail.listed, now),
            creator_name: detail.creator_name,
            secrets: detail.secrets.into_iter().map(SecretView::from).collect(),
        }
    }
}

/// An API key, and its secret: this answer is the only one that ever shows it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyWithSecret")]
pub struct KeyWithSecretView {
    #[serde(flatten)]
    pub key: KeyView,
    /// null in the answer to a repeated request, and for a key that waits to be collected.
    pub secret: Option<String>,
    /// `never_expires`, `secret_shown_before`, `secret_waits_for_collection`.
    pub warnings: Vec<&'static str>,
}

impl KeyWithSecretView {
    pub fn of(
        listed: ListedKey,
        secret: Option<Plaintext>,
        replayed: bool,
        now: Timestamp,
    ) -> Self {
        let mut warnings = Vec::new();
        if listed.key.expires_at.is_none() {
            warnings.push("never_expires");
        }
        if replayed {
            warnings.push("secret_shown_before");
        } else if secret.is_none() {
            warnings.push("secret_waits_for_collection");
        }
        let secret = secret
            .filter(|_| !replayed)
            .map(|secret| secret.expose().to_owned());
        Self {
            key: KeyView::of(listed, now),
            secret,
            warnings,
        }
    }
}
