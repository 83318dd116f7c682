//! `/v1/invitations`: people who are asked to join. The link is shown once, to who made it: nothing mails it yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::members::WorkspaceRole;
use super::page::{Cursor, Limit, Page};
use crate::crypto::Plaintext;
use crate::crypto::digest::{Digest, Purpose};
use crate::crypto::format::{TokenKind, mint_token};
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::domain::people::admission::Grant;
use crate::domain::people::invitations::{self, ListedInvitation, NewInvitation};
use crate::types::id::{InvitationId, OrganizationId, UserId};
use crate::types::state::{InvitationState, Licence, OrganizationRole};
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// An invitation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub struct InvitationView {
    pub id: InvitationId,
    pub organization: OrganizationId,
    pub email: String,
    pub role: OrganizationRole,
    pub licence: Licence,
    /// When the membership that it grants ends by itself.
    pub member_ends_at: Option<Timestamp>,
    pub workspaces: Vec<WorkspaceRole>,
    pub state: InvitationState,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where it is accepted: shown once, when it is made or sent again. Give it to the invited person.
    pub link: Option<String>,
}

impl From<ListedInvitation> for InvitationView {
    fn from(listed: ListedInvitation) -> Self {
        let row = listed.invitation;
        Self {
            id: row.id,
            organization: row.organization_id,
            email: row.email,
            role: row.role,
            licence: row.licence,
            member_ends_at: row.member_ends_at,
            workspaces: WorkspaceRole::of(listed.workspaces),
            state: row.state,
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            link: None,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationPath {
    id: InvitationId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<InvitationId>>,
    state: Option<InvitationState>,
}

/// Whom to invite, as what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewInvitation")]
pub struct NewInvitationBody {
    #[schemars(length(min = 3, max = 320))]
    email: String,
    #[serde(default = "member")]
    role: OrganizationRole,
    #[serde(default = "full")]
    licence: Licence,
    /// When the membership ends by itself: for a viewer who helps for some weeks.
    member_ends_at: Option<Timestamp>,
    #[serde(default)]
    #[schemars(length(max = 100))]
    workspaces: Vec<WorkspaceRole>,
}

pub(super) fn member() -> OrganizationRole {
    OrganizationRole::Member
}

pub(super) fn full() -> Licence {
    Licence::Full
}

/// The link's token, and what is stored of it.
pub(super) fn mint(call: &Call) -> (Plaintext, Digest) {
    let token = mint_token(&call.app.config.keys.prefix, TokenKind::Invitation);
    let digest = call
        .app
        .digester
        .digest(Purpose::Invitation, token.expose());
    (token, digest)
}

pub(super) fn link(call: &Call, token: &Plaintext) -> String {
    format!(
        "{}/invitations/{}",
        call.app.issuer.as_str(),
        token.expose()
    )
}

pub async fn list(
    call: Call,
    input: Input<NoPath, InvitationQuery, NoBody>,
) -> Result<Answer<Page<InvitationView>>, Problem> {
    let InvitationQuery {
        limit,
        cursor,
        state,
    } = input.query;
    let list =
        move |view: &mut View| invitations::list(view, state, Cursor::place(cursor)?, limit.rows());
    let rows = call.ask(call.organization()?, list).await?;
    Ok(Answer::of(Page::of(
        limit,
        rows,
        |row| (row.invitation.created_at, row.invitation.id),
        InvitationView::from,
    )))
}

pub async fn get(
    call: Call,
    input: Input<InvitationPath, NoQuery, NoBody>,
) -> Result<Answer<InvitationView>, Problem> {
    let get = move |view: &mut View| invitations::get(view, input.path.id);
    Ok(Answer::of(
        call.ask(call.organization()?, get).await?.into(),
    ))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewInvitationBody>,
) -> Result<Answer<InvitationView>, Problem> {
    let NewInvitationBody {
        email,
        role,
        licence,
        member_ends_at,
        workspaces,
    } = input.body;
    let (token, digest) = mint(&call);
    let grant = Grant {
        role,
        licence,
        ends_at: member_ends_at,
        workspaces: WorkspaceRole::pairs(workspaces),
    };
    let new = NewInvitation {
        email,
        grant,
        digest,
    };
    let create = move |desk: &mut Desk| {
        let made = invitations::create(desk, &new)?;
        Ok((made.invitation.id.to_string(), made))
    };
    let again = move |desk: &mut Desk, id: &str| {
        invitations::made(desk, id.parse().map_err(|_| Refusal::NotFound)?)
    };
    let made = call.make(call.organization()?, create, again).await?;
    // the answer to a repetition does not show it again
    let link = (!made.replayed).then(|| link(&call, &token));
    Ok(Answer::made(
        made,
        |row| format!("/v1/invitations/{}", row.invitation.id),
        |row| InvitationView { link, ..row.into() },
    ))
}

pub async fn resend(
    call: Call,
    input: Input<InvitationPath, NoQuery, NoBody>,
) -> Result<Answer<InvitationView>, Problem> {
    let (token, digest) = mint(&call);
    let resend = move |desk: &mut Desk| invitations::resend(desk, input.path.id, &digest);
    let sent = call.change(call.organization()?, resend).await?;
    Ok(Answer::of(InvitationView {
        link: Some(link(&call, &token)),
        ..sent.into()
    }))
}

pub async fn delete(
    call: Call,
    input: Input<InvitationPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let revoke = move |desk: &mut Desk| invitations::revoke(desk, input.path.id);
    call.change(call.organization()?, revoke).await?;
    Ok(Answer::none())
}
