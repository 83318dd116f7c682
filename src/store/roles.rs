//! Roles that an organization has made for its workspaces.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};

use super::schema::roles;
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{OrganizationId, RoleId};
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
    pub fn find_role(&mut self, organization: OrganizationId, id: RoleId) -> Result<Option<Role>, Error> {
        let own = roles::table.find(id).filter(roles::organization_id.eq(organization));
        self.run(|conn| own.select(Role::as_select()).first(conn).optional())
    }

    /// All of the organization, the oldest first; their number is bounded.
    pub fn list_roles(&mut self, organization: OrganizationId) -> Result<Vec<Role>, Error> {
        self.run(|conn| {
            let own = roles::table.filter(roles::organization_id.eq(organization));
            own.order((roles::created_at, roles::id)).select(Role::as_select()).load(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_role(&mut self, role: &Role) -> Result<(), Error> {
        self.touch(Subject::Organization(role.organization_id));
        self.run_one(|conn| diesel::insert_into(roles::table).values(role).execute(conn))
    }

    /// Takes effect at the next check, in every workspace where somebody holds it.
    pub fn change_role(&mut self, role: &Role) -> Result<(), Error> {
        self.touch(Subject::Organization(role.organization_id));
        let own = roles::table.find(role.id).filter(roles::organization_id.eq(role.organization_id));
        self.run_one(|conn| diesel::update(own).set(role).execute(conn))
    }

    pub fn delete_role(&mut self, organization: OrganizationId, id: RoleId) -> Result<(), Error> {
        self.touch(Subject::Organization(organization));
        let own = roles::table.find(id).filter(roles::organization_id.eq(organization));
        self.run_one(|conn| diesel::delete(own).execute(conn))
    }
}
