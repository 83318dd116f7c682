//! Roles that an organization has made for its workspaces.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::{roles, workspace_members, workspaces};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{OrganizationId, RoleId, UserId, WorkspaceId};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, diesel::AsChangeset)]
#[diesel(table_name = roles)]
pub struct Role {
    pub id: RoleId,
    pub organization_id: OrganizationId,
    pub name: String,
    pub description: String,
    /// Names of the catalogue, separated by spaces; a name that is not configured any more grants nothing.
    pub permissions: String,
    pub created_at: Timestamp,
}

impl Snapshot<'_> {
    /// The role, if it is this organization's.
    pub fn find_role(
        &mut self,
        organization: OrganizationId,
        id: RoleId,
    ) -> Result<Option<Role>, Error> {
        let own = roles::table
            .find(id)
            .filter(roles::organization_id.eq(organization));
        self.run(|conn| own.select(Role::as_select()).first(conn).optional())
    }

    /// All of the organization, the oldest first; their number is bounded.
    pub fn list_roles(&mut self, organization: OrganizationId) -> Result<Vec<Role>, Error> {
        self.run(|conn| {
            let own = roles::table.filter(roles::organization_id.eq(organization));
            own.order((roles::created_at, roles::id))
                .select(Role::as_select())
                .load(conn)
        })
    }

    /// By its exact name.
    pub fn find_role_by_name(
        &mut self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<Role>, Error> {
        let own = roles::table.filter(
            roles::organization_id
                .eq(organization)
                .and(roles::name.eq(name)),
        );
        self.run(|conn| own.select(Role::as_select()).first(conn).optional())
    }

    /// The newest first, those behind `after`, at most `most`.
    pub fn list_roles_page(
        &mut self,
        organization: OrganizationId,
        after: Option<(Timestamp, RoleId)>,
        most: i64,
    ) -> Result<Vec<Role>, Error> {
        let mut own = roles::table
            .filter(roles::organization_id.eq(organization))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some((at, id)) = after {
            own = own.filter(
                roles::created_at
                    .lt(at)
                    .or(roles::created_at.eq(at).and(roles::id.lt(id))),
            );
        }
        let newest_first = own
            .order((roles::created_at.desc(), roles::id.desc()))
            .limit(most);
        self.run(|conn| newest_first.select(Role::as_select()).load(conn))
    }

    /// Who holds the role in any workspace, each once.
    pub fn list_holders_of_role(
        &mut self,
        organization: OrganizationId,
        id: RoleId,
    ) -> Result<Vec<UserId>, Error> {
        self.run(|conn| {
            workspace_members::table
                .inner_join(workspaces::table)
                .filter(
                    workspaces::organization_id
                        .eq(organization)
                        .and(workspace_members::role.eq(id.as_str())),
                )
                .order(workspace_members::user_id)
                .select(workspace_members::user_id)
                .distinct()
                .load(conn)
        })
    }

    /// The workspaces in which somebody holds the role, each once, by name.
    pub fn list_workspaces_of_role(
        &mut self,
        organization: OrganizationId,
        id: RoleId,
    ) -> Result<Vec<(WorkspaceId, String)>, Error> {
        self.run(|conn| {
            workspace_members::table
                .inner_join(workspaces::table)
                .filter(
                    workspaces::organization_id
                        .eq(organization)
                        .and(workspace_members::role.eq(id.as_str())),
                )
                .order((workspaces::name, workspaces::id))
                .select((workspaces::id, workspaces::name))
                .distinct()
                .load(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_role(&mut self, role: &Role) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(role.organization_id)], |conn| {
            diesel::insert_into(roles::table).values(role).execute(conn)
        })
    }

    /// Takes effect at the next check, in every workspace where somebody holds it.
    pub fn change_role(&mut self, role: &Role) -> Result<(), Error> {
        let own = roles::table
            .find(role.id)
            .filter(roles::organization_id.eq(role.organization_id));
        self.run_one_news([Subject::Organization(role.organization_id)], |conn| {
            diesel::update(own).set(role).execute(conn)
        })
    }

    pub fn delete_role(&mut self, organization: OrganizationId, id: RoleId) -> Result<(), Error> {
        let own = roles::table
            .find(id)
            .filter(roles::organization_id.eq(organization));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::delete(own).execute(conn)
        })
    }
}
