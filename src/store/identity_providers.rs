//! The providers by which organizations sign their own people in: one each.

use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::identity_providers;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::id::{IdentityProviderId, OrganizationId, UserId};
use crate::types::state::OrganizationRole;
use crate::types::time::Timestamp;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = identity_providers)]
pub struct IdentityProvider {
    pub id: IdentityProviderId,
    pub organization_id: OrganizationId,
    /// As the provider writes it, byte for byte.
    pub issuer: String,
    pub client_id: String,
    /// Sealed in the context of the id.
    pub sealed_client_secret: String,
    /// What the button says after "Sign in with".
    pub name: String,
    /// Whether the organization's people, but for its owners, must sign in by it.
    pub enforced: bool,
    pub created_at: Timestamp,
}

impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentityProvider({})", self.id)
    }
}

impl Snapshot<'_> {
    pub fn find_identity_provider(
        &mut self,
        id: IdentityProviderId,
    ) -> Result<Option<IdentityProvider>, Error> {
        self.run(|conn| {
            identity_providers::table
                .find(id)
                .select(IdentityProvider::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn find_identity_provider_of(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Option<IdentityProvider>, Error> {
        let own =
            identity_providers::table.filter(identity_providers::organization_id.eq(organization));
        self.run(|conn| {
            own.select(IdentityProvider::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The providers that the user's organizations enforce, and the user's role there.
    pub fn list_enforced_providers(
        &mut self,
        user: UserId,
    ) -> Result<Vec<(IdentityProvider, OrganizationRole)>, Error> {
        use super::schema::members;
        self.run(|conn| {
            identity_providers::table
                .inner_join(
                    members::table
                        .on(members::organization_id.eq(identity_providers::organization_id)),
                )
                .filter(members::user_id.eq(user))
                .filter(identity_providers::enforced.eq(true))
                .order(identity_providers::id)
                .select((IdentityProvider::as_select(), members::role))
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// `Constraint` when the organization has one already.
    pub fn insert_identity_provider(&mut self, provider: &IdentityProvider) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(identity_providers::table)
                .values(provider)
                .execute(conn)
        })
    }

    pub fn change_identity_provider(&mut self, provider: &IdentityProvider) -> Result<(), Error> {
        let row = identity_providers::table.find(provider.id);
        self.run_one_quiet(|conn| {
            diesel::update(row)
                .set((
                    identity_providers::issuer.eq(&provider.issuer),
                    identity_providers::client_id.eq(&provider.client_id),
                    identity_providers::sealed_client_secret.eq(&provider.sealed_client_secret),
                    identity_providers::name.eq(&provider.name),
                    identity_providers::enforced.eq(provider.enforced),
                ))
                .execute(conn)
        })
    }

    pub fn delete_identity_provider(&mut self, id: IdentityProviderId) -> Result<(), Error> {
        self.run_one_quiet(|conn| diesel::delete(identity_providers::table.find(id)).execute(conn))
    }
}
