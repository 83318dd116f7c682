//! Workspaces.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension,
    QueryDsl, Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::{
    api_key_workspaces, api_keys, authorization_workspaces, consent_workspaces, consents,
    management_token_workspaces, workspace_members, workspaces,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApiKeyState, ConsentState};
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

/// Which workspaces a list holds.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceFilter {
    pub name: Option<String>,
    pub external_id: Option<String>,
    /// Only these; none: all.
    pub only: Option<Vec<WorkspaceId>>,
}

impl Snapshot<'_> {
    /// The organization's own.
    pub fn find_workspace(
        &mut self,
        organization: OrganizationId,
        id: WorkspaceId,
    ) -> Result<Option<Workspace>, Error> {
        let own = workspaces::table
            .find(id)
            .filter(workspaces::organization_id.eq(organization));
        self.run(|conn| own.select(Workspace::as_select()).first(conn).optional())
    }

    pub fn find_workspace_by_name(
        &mut self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<Workspace>, Error> {
        let named = workspaces::table.filter(
            workspaces::organization_id
                .eq(organization)
                .and(workspaces::name.eq(name)),
        );
        self.run(|conn| named.select(Workspace::as_select()).first(conn).optional())
    }

    /// Of any organization: the vendor's names are unique.
    pub fn find_workspace_by_external_id(
        &mut self,
        external_id: &str,
    ) -> Result<Option<Workspace>, Error> {
        let named = workspaces::table.filter(workspaces::external_id.eq(external_id));
        self.run(|conn| named.select(Workspace::as_select()).first(conn).optional())
    }

    /// The newest first, those behind `after`, at most `most`.
    pub fn list_workspaces_page(
        &mut self,
        organization: OrganizationId,
        filter: &WorkspaceFilter,
        after: Option<(Timestamp, WorkspaceId)>,
        most: i64,
    ) -> Result<Vec<Workspace>, Error> {
        let mut found = workspaces::table
            .filter(workspaces::organization_id.eq(organization))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(name) = &filter.name {
            found = found.filter(workspaces::name.eq(name));
        }
        if let Some(external_id) = &filter.external_id {
            found = found.filter(workspaces::external_id.eq(external_id));
        }
        if let Some(only) = &filter.only {
            found = found.filter(workspaces::id.eq_any(only));
        }
        if let Some((at, id)) = after {
            found = found.filter(
                workspaces::created_at
                    .lt(at)
                    .or(workspaces::created_at.eq(at).and(workspaces::id.lt(id))),
            );
        }
        let newest_first = found
            .order((workspaces::created_at.desc(), workspaces::id.desc()))
            .limit(most);
        self.run(|conn| newest_first.select(Workspace::as_select()).load(conn))
    }

    pub fn count_workspaces(&mut self, organization: OrganizationId) -> Result<i64, Error> {
        self.run(|conn| {
            workspaces::table
                .filter(workspaces::organization_id.eq(organization))
                .count()
                .get_result(conn)
        })
    }

    /// Keys that name it and are neither revoked nor expired.
    pub fn count_api_keys_of_workspace(
        &mut self,
        id: WorkspaceId,
        now: Timestamp,
    ) -> Result<i64, Error> {
        self.run(|conn| {
            api_key_workspaces::table
                .inner_join(api_keys::table.on(api_keys::id.eq(api_key_workspaces::api_key_id)))
                .filter(api_key_workspaces::workspace_id.eq(id))
                .filter(api_keys::state.ne(ApiKeyState::Revoked))
                .filter(
                    api_keys::expires_at
                        .is_null()
                        .or(api_keys::expires_at.gt(now)),
                )
                .count()
                .get_result(conn)
        })
    }

    /// Live consents that name it.
    pub fn count_consents_of_workspace(&mut self, id: WorkspaceId) -> Result<i64, Error> {
        self.run(|conn| {
            consent_workspaces::table
                .inner_join(consents::table.on(consents::id.eq(consent_workspaces::consent_id)))
                .filter(consent_workspaces::workspace_id.eq(id))
                .filter(consents::state.eq(ConsentState::Active))
                .count()
                .get_result(conn)
        })
    }

    /// All workspaces of the organization, the oldest first.
    pub fn list_workspaces(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Vec<Workspace>, Error> {
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
    pub(super) fn expect_workspaces(
        &mut self,
        organization: OrganizationId,
        ids: &[WorkspaceId],
    ) -> Result<(), Error> {
        for id in ids {
            let own = workspaces::table
                .find(id)
                .filter(workspaces::organization_id.eq(organization));
            self.run(|conn| own.select(workspaces::id).first::<WorkspaceId>(conn))?;
        }
        Ok(())
    }

    pub fn insert_workspace(&mut self, workspace: &Workspace) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(workspace.organization_id)], |conn| {
            diesel::insert_into(workspaces::table)
                .values(workspace)
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it has one.
    pub fn set_workspace_service_account(
        &mut self,
        organization: OrganizationId,
        id: WorkspaceId,
        account: UserId,
    ) -> Result<(), Error> {
        let own = workspaces::table
            .find(id)
            .filter(workspaces::organization_id.eq(organization));
        let without = own.filter(workspaces::service_account_id.is_null());
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(without)
                .set(workspaces::service_account_id.eq(Some(account)))
                .execute(conn)
        })
    }

    /// Writes its name and its external id. `NotFound` when it is deleted.
    pub fn change_workspace(&mut self, workspace: &Workspace) -> Result<(), Error> {
        let own = workspaces::table
            .find(workspace.id)
            .filter(workspaces::organization_id.eq(workspace.organization_id));
        let changed = (
            workspaces::name.eq(&workspace.name),
            workspaces::external_id.eq(&workspace.external_id),
        );
        self.run_one_news([Subject::Organization(workspace.organization_id)], |conn| {
            diesel::update(own).set(changed).execute(conn)
        })
    }

    /// Deletes it, and that anything was a member of it or could reach it. `NotFound` when it is not the organization's.
    pub fn delete_workspace(
        &mut self,
        organization: OrganizationId,
        id: WorkspaceId,
    ) -> Result<(), Error> {
        self.expect_workspaces(organization, &[id])?;
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(workspace_members::table.filter(workspace_members::workspace_id.eq(id)))
                .execute(conn)
        })?;
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(
                api_key_workspaces::table.filter(api_key_workspaces::workspace_id.eq(id)),
            )
            .execute(conn)
        })?;
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(
                consent_workspaces::table.filter(consent_workspaces::workspace_id.eq(id)),
            )
            .execute(conn)
        })?;
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::delete(
                authorization_workspaces::table
                    .filter(authorization_workspaces::workspace_id.eq(id)),
            )
            .execute(conn)
        })?;
        self.run_quiet(|conn| {
            diesel::delete(
                management_token_workspaces::table
                    .filter(management_token_workspaces::workspace_id.eq(id)),
            )
            .execute(conn)
        })?;
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::delete(workspaces::table.find(id)).execute(conn)
        })
    }
}
