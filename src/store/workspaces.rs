//! Workspaces.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

use super::schema::workspaces;
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = workspaces, treat_none_as_default_value = false)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub organization_id: OrganizationId,
    pub name: String,
    pub external_id: Option<String>,
    pub created_at: Timestamp,
    /// Holds the keys for operations on the organization, where a profile asks for it.
    pub is_service: bool,
    /// Acts for the keys that belong to the workspace itself.
    pub service_account_id: Option<UserId>,
}

impl Workspace {
    pub fn new(organization_id: OrganizationId, name: String, now: Timestamp) -> Self {
        Self {
            id: WorkspaceId::generate(now),
            organization_id,
            name,
            external_id: None,
            created_at: now,
            is_service: false,
            service_account_id: None,
        }
    }
}

impl Snapshot<'_> {
    /// All workspaces of the organization, the oldest first.
    pub fn list_workspaces(&mut self, organization: OrganizationId) -> Result<Vec<Workspace>, Error> {
        self.run(|conn| {
            workspaces::table
                .filter(workspaces::organization_id.eq(organization))
                .order((workspaces::created_at, workspaces::id))
                .select(Workspace::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// `NotFound` unless every one of `ids` is a workspace of this organization.
    pub(super) fn expect_workspaces(&mut self, organization: OrganizationId, ids: &[WorkspaceId]) -> Result<(), Error> {
        for id in ids {
            let own = workspaces::table.find(id).filter(workspaces::organization_id.eq(organization));
            self.run(|conn| own.select(workspaces::id).first::<WorkspaceId>(conn))?;
        }
        Ok(())
    }

    pub fn insert_workspace(&mut self, workspace: &Workspace) -> Result<(), Error> {
        self.touch(Subject::Organization(workspace.organization_id));
        self.run_one(|conn| diesel::insert_into(workspaces::table).values(workspace).execute(conn))
    }
}
