//! `/v1/members` and `/v1/workspaces/{id}/members`: who belongs to the organization, and where with which role.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::NoPath;
use super::input::{Change, Input, NoBody, NoQuery, present};
use super::page::{Cursor, Limit, Page};
use crate::crypto::Plaintext;
use crate::crypto::digest::Purpose;
use crate::crypto::format::mint_key;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::keys::api_keys::Minted;
use crate::domain::keys::rotation::MOST_GRACE_SECONDS;
use crate::domain::lifecycle::departures::{self, Departure, Removed, ShownSecrets};
use crate::domain::people::members::{self, ListedMember, MemberChange};
use crate::store::api_keys::ApiKey;
use crate::store::members::{MemberFilter, WorkspaceMember};
use crate::store::users::User;
use crate::types::email::Mailbox;
use crate::types::environment::Environment;
use crate::types::id::{
    ApiKeyId, ApplicationId, ClientSecretId, OrganizationId, UserId, WorkspaceId,
};
use crate::types::state::{Licence, MemberState, OrganizationRole, UserKind};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A member of the organization: a person or a service account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Member")]
pub struct MemberView {
    /// Of the user.
    pub id: UserId,
    pub organization: OrganizationId,
    pub kind: UserKind,
    pub name: String,
    /// Of a person.
    pub email: Option<String>,
    pub role: OrganizationRole,
    pub licence: Licence,
    pub state: MemberState,
    /// When the membership ends by itself.
    pub ends_at: Option<Timestamp>,
    /// When somebody else proved the address by which this person was invited. The membership was suspended then: confirm it by
    /// making it active, or remove the member.
    pub address_lost_at: Option<Timestamp>,
    /// The roles in workspaces, as far as the caller may see them. Owners and admins of the organization need none.
    pub workspaces: Vec<WorkspaceRole>,
    pub created_at: Timestamp,
}

/// A role in one workspace.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceRole {
    pub workspace: WorkspaceId,
    /// One of the configured roles, or the id of one of the organization's own.
    #[schemars(length(min = 1, max = 100))]
    pub role: String,
}

impl WorkspaceRole {
    pub(super) fn pairs(roles: Vec<Self>) -> Vec<(WorkspaceId, String)> {
        roles
            .into_iter()
            .map(|own| (own.workspace, own.role))
            .collect()
    }

    pub(super) fn of(pairs: Vec<(WorkspaceId, String)>) -> Vec<Self> {
        pairs
            .into_iter()
            .map(|(workspace, role)| Self { workspace, role })
            .collect()
    }
}

impl From<ListedMember> for MemberView {
    fn from(listed: ListedMember) -> Self {
        let (member, user) = (listed.member, listed.user);
        Self {
            id: member.user_id,
            organization: member.organization_id,
            kind: user.kind,
            name: user.name,
            email: user.email,
            role: member.role,
            licence: member.licence,
            state: member.state,
            ends_at: member.ends_at,
            address_lost_at: member.address_lost_at,
            workspaces: WorkspaceRole::of(listed.workspaces),
            created_at: member.created_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberPath {
    pub(super) id: UserId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<UserId>>,
    role: Option<OrganizationRole>,
    licence: Option<Licence>,
    state: Option<MemberState>,
    kind: Option<UserKind>,
    /// Those that have a role in this workspace.
    workspace: Option<WorkspaceId>,
    /// Exactly this address.
    email: Option<String>,
    /// `true`: only those who were invited by an address that somebody else has proven since, and wait to be confirmed.
    #[serde(default)]
    address_lost: bool,
}

/// What is to change of a member; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberChange")]
pub struct MemberChangeBody {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "OrganizationRole")]
    role: Option<OrganizationRole>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Licence")]
    licence: Option<Licence>,
    /// `suspended` is reversible: the member's keys answer `suspended`, and work again afterwards.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "MemberState")]
    state: Option<MemberState>,
    /// null: the membership does not end by itself.
    #[serde(default)]
    ends_at: Change<Timestamp>,
}

/// What happens to secrets of others that the member was shown.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Secrets {
    #[default]
    Keep,
    /// Keys get a new secret, which the answer shows once.
    Rotate,
    /// Keys and application secrets end at once.
    Revoke,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovalQuery {
    /// What happens to secrets of others that the member was shown; the member's own keys are deactivated in any case.
    #[serde(default)]
    secrets: Secrets,
    /// Of a rotation: seconds that the former secret lives on once the new one is used. Only with `secrets=rotate`.
    grace_seconds: Option<Grace>,
}

/// As the query spells it: a whole number of seconds.
#[derive(Debug, Clone, Copy)]
struct Grace(i64);

impl<'de> Deserialize<'de> for Grace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds| (0..=MOST_GRACE_SECONDS).contains(seconds));
        seconds.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "grace_seconds must be a whole number from 0 to {MOST_GRACE_SECONDS}"
            ))
        })
    }
}

impl JsonSchema for Grace {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Grace".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": MOST_GRACE_SECONDS})
    }
}

impl RemovalQuery {
    /// The grace of a rotation; none for everything else.
    fn grace_seconds(&self) -> Result<Option<i64>, Problem> {
        match (self.secrets, self.grace_seconds) {
            (Secrets::Rotate, grace) => Ok(Some(grace.map_or(0, |grace| grace.0))),
            (_, Some(_)) => {
                Err(Refusal::field("grace_seconds", "goes with secrets=rotate only").into())
            }
            (Secrets::Keep | Secrets::Revoke, None) => Ok(None),
        }
    }
}

/// A key, by what may be shown of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeySummary")]
pub struct KeyView {
    pub id: ApiKeyId,
    pub name: String,
    pub public_id: String,
    pub environment: Environment,
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            public_id: key.public_id.clone(),
            environment: key.environment,
        }
    }
}

/// A secret of an application, by what may be shown of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApplicationSecretSummary")]
pub struct SecretView {
    pub application: ApplicationId,
    pub application_name: String,
    pub id: ClientSecretId,
    pub hint: String,
}

/// What stops when this member leaves.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Departure")]
pub struct DepartureView {
    /// In words: `3 live production keys`.
    pub stops: Vec<String>,
    /// Live keys that act as the member: they are deactivated for good.
    pub keys: Vec<KeyView>,
    /// Keys of others of which the member was shown a secret that still lives.
    pub shown_keys: Vec<KeyView>,
    /// Live secrets of applications that the member was shown.
    pub shown_application_secrets: Vec<SecretView>,
    /// Applications that the member let act in their name: they are disconnected.
    pub consents: i64,
    /// Connections of applications that act as the member.
    pub authorizations: i64,
    /// Single sign-on sessions.
    pub sessions: i64,
    pub workspaces: i64,
    /// Invitations that the member has made and nobody has answered.
    pub invitations: i64,
    /// Management tokens that act as the member: they end.
    pub management_tokens: i64,
}

impl From<&Departure> for DepartureView {
    fn from(departure: &Departure) -> Self {
        let secret = |(application, secret): &(
            crate::store::applications::Application,
            crate::store::application_secrets::ApplicationSecret,
        )| {
            SecretView {
                application: application.id,
                application_name: application.name.clone(),
                id: secret.id,
                hint: secret.hint.clone(),
            }
        };
        Self {
            stops: departure.in_words(),
            keys: departure.keys.iter().map(KeyView::from).collect(),
            shown_keys: departure.shown_keys.iter().map(KeyView::from).collect(),
            shown_application_secrets: departure
                .shown_application_secrets
                .iter()
                .map(secret)
                .collect(),
            consents: departure.consents,
            authorizations: departure.authorizations,
            sessions: departure.sessions,
            workspaces: departure.workspaces,
            invitations: departure.invitations,
            management_tokens: departure.management_tokens,
        }
    }
}

/// A key that was rotated: its new secret, shown once.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RotatedKey")]
pub struct RotatedView {
    pub id: ApiKeyId,
    pub secret: String,
}

/// What a removal has done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Removal")]
pub struct RemovalView {
    pub removed: DepartureView,
    pub rotated: Vec<RotatedView>,
    pub revoked_keys: Vec<ApiKeyId>,
    pub revoked_application_secrets: Vec<ClientSecretId>,
}

impl RemovalView {
    /// `secrets`: the new ones, of which some keys may have needed none.
    fn of(removed: Removed, secrets: &[(ApiKeyId, Plaintext)]) -> Self {
        let rotated = |(id, secret): &(ApiKeyId, Plaintext)| RotatedView {
            id: *id,
            secret: secret.expose().to_owned(),
        };
        Self {
            removed: DepartureView::from(&removed.departure),
            rotated: secrets
                .iter()
                .filter(|(id, _)| removed.rotated.contains(id))
                .map(rotated)
                .collect(),
            revoked_keys: removed.revoked_keys,
            revoked_application_secrets: removed
                .revoked_application_secrets
                .iter()
                .map(|(_, secret)| secret.id)
                .collect(),
        }
    }
}

pub async fn list(
    call: Call,
    input: Input<NoPath, MemberQuery, NoBody>,
) -> Result<Answer<Page<MemberView>>, Problem> {
    let kind = input.query.kind;
    page(call, input.query, kind).await
}

pub(super) async fn page(
    call: Call,
    query: MemberQuery,
    kind: Option<UserKind>,
) -> Result<Answer<Page<MemberView>>, Problem> {
    let MemberQuery {
        limit,
        cursor,
        role,
        licence,
        state,
        kind: _,
        workspace,
        email,
        address_lost,
    } = query;
    // what is no address is nobody's
    let email =
        email.map(|email| Mailbox::parse(&email).map_or(email, |mailbox| mailbox.account_key()));
    let filter = MemberFilter {
        role,
        state,
        licence,
        kind,
        workspace,
        only: None,
        email,
        address_lost,
    };
    let list =
        move |view: &mut View| members::list(view, &filter, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.member.created_at, row.member.user_id),
        MemberView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<MemberPath, NoQuery, NoBody>,
) -> Result<Answer<MemberView>, Problem> {
    let get = move |view: &mut View| members::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn change(
    call: Call,
    input: Input<MemberPath, NoQuery, MemberChangeBody>,
) -> Result<Answer<MemberView>, Problem> {
    let MemberChangeBody {
        role,
        licence,
        state,
        ends_at,
    } = input.body;
    let wanted = MemberChange {
        role,
        licence,
        state,
        ends_at: ends_at.into_option(),
    };
    let change = move |desk: &mut Desk| members::change(desk, input.path.id, &wanted);
    Ok(Answer::of(
        call.change(call.organization()?, change).await?.into(),
    ))
}

pub async fn departure(
    call: Call,
    input: Input<MemberPath, NoQuery, NoBody>,
) -> Result<Answer<DepartureView>, Problem> {
    let preview = move |view: &mut View| departures::preview(view, input.path.id);
    let found = call.ask(call.organization()?, preview).await?;
    Ok(Answer::of(DepartureView::from(&found)))
}

pub async fn delete(
    call: Call,
    input: Input<MemberPath, RemovalQuery, NoBody>,
) -> Result<Answer<RemovalView>, Problem> {
    remove(call, input.path.id, input.query, departures::remove).await
}

/// By the rule for members, or by the one for service accounts.
pub(super) async fn remove(
    call: Call,
    id: UserId,
    query: RemovalQuery,
    rule: fn(&mut Desk, UserId, &ShownSecrets) -> Result<Removed, Refusal>,
) -> Result<Answer<RemovalView>, Problem> {
    let organization = call.organization()?;
    let grace_seconds = query.grace_seconds()?;
    let mut secrets = Vec::new();
    let shown = match (query.secrets, grace_seconds) {
        (Secrets::Rotate, grace) => {
            let preview = move |view: &mut View| departures::preview(view, id);
            let keys = call.ask(organization, preview).await?.shown_keys;
            let (plain, minted) = keys.iter().map(|key| mint(&call, key)).unzip();
            secrets = plain;
            ShownSecrets::Rotate {
                grace_seconds: grace.unwrap_or(0),
                minted,
            }
        }
        (Secrets::Keep, _) => ShownSecrets::Keep,
        (Secrets::Revoke, _) => ShownSecrets::Revoke,
    };
    let remove = move |desk: &mut Desk| rule(desk, id, &shown);
    let removed = call.change(organization, remove).await?;
    Ok(Answer::of(RemovalView::of(removed, &secrets)))
}

/// A new secret of the key, and what is stored of it.
fn mint(call: &Call, key: &ApiKey) -> ((ApiKeyId, Plaintext), (ApiKeyId, Minted)) {
    let (public_id, secret) = mint_key(&key.prefix, &key.marker);
    let digest = call.app.digester.digest(Purpose::ApiKey, secret.expose());
    ((key.id, secret), (key.id, Minted { public_id, digest }))
}

/// A member of a workspace.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WorkspaceMember")]
pub struct WorkspaceMemberView {
    /// Of the user.
    pub id: UserId,
    pub workspace: WorkspaceId,
    pub kind: UserKind,
    pub name: String,
    pub email: Option<String>,
    pub role: String,
    pub created_at: Timestamp,
}

impl From<(WorkspaceMember, User)> for WorkspaceMemberView {
    fn from((member, user): (WorkspaceMember, User)) -> Self {
        Self {
            id: user.id,
            workspace: member.workspace_id,
            kind: user.kind,
            name: user.name,
            email: user.email,
            role: member.role,
            created_at: member.created_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceMembersPath {
    id: WorkspaceId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceMembersQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<UserId>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceMemberPath {
    id: WorkspaceId,
    user: UserId,
}

/// The role that the member is to have in the workspace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WorkspaceMemberRole")]
pub struct WorkspaceMemberBody {
    /// One of the configured roles, or the id of one of the organization's own.
    #[schemars(length(min = 1, max = 100))]
    role: String,
}

pub async fn list_of_workspace(
    call: Call,
    input: Input<WorkspaceMembersPath, WorkspaceMembersQuery, NoBody>,
) -> Result<Answer<Page<WorkspaceMemberView>>, Problem> {
    let (workspace, WorkspaceMembersQuery { limit, cursor }) = (input.path.id, input.query);
    let list = move |view: &mut View| {
        members::list_of_workspace(view, workspace, Cursor::place(cursor)?, limit.rows())
    };
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |(member, _)| (member.created_at, member.user_id),
        WorkspaceMemberView::from,
    )))
}

pub async fn put_role(
    call: Call,
    input: Input<WorkspaceMemberPath, NoQuery, WorkspaceMemberBody>,
) -> Result<Answer<NoContent>, Problem> {
    let (WorkspaceMemberPath { id, user }, role) = (input.path, input.body.role);
    let put = move |desk: &mut Desk| members::put_workspace_role(desk, id, user, &role);
    call.change(call.organization()?, put).await?;
    Ok(Answer::none())
}

pub async fn leave_workspace(
    call: Call,
    input: Input<WorkspaceMemberPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let WorkspaceMemberPath { id, user } = input.path;
    let remove = move |desk: &mut Desk| members::remove_from_workspace(desk, id, user);
    call.change(call.organization()?, remove).await?;
    Ok(Answer::none())
}
