//! Initial access tokens (RFC 7591 §1.2): with one a program may register applications of its organization.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::schema::{applications, registration_tokens, registrations};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::id::{OrganizationId, RegistrationTokenId, UserId};
use crate::types::state::{ApplicationState, RegistrationTokenState};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = registration_tokens, treat_none_as_default_value = false)]
pub struct RegistrationToken {
    pub id: RegistrationTokenId,
    pub organization_id: OrganizationId,
    pub environment: Environment,
    pub name: String,
    pub digest: Digest,
    pub state: RegistrationTokenState,
    /// Live applications that it may have registered.
    pub max_clients: i64,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl Snapshot<'_> {
    /// Revoked and expired ones, too.
    pub fn find_registration_token(
        &mut self,
        id: RegistrationTokenId,
    ) -> Result<Option<RegistrationToken>, Error> {
        self.run(|conn| {
            registration_tokens::table
                .find(id)
                .select(RegistrationToken::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn find_registration_token_by_digest(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<RegistrationToken>, Error> {
        let of_digest =
            registration_tokens::table.filter(registration_tokens::digest.eq_any(candidates));
        self.run(|conn| {
            of_digest
                .select(RegistrationToken::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Those not revoked, the newest first, at most `most`.
    pub fn list_registration_tokens(
        &mut self,
        organization: OrganizationId,
        most: i64,
    ) -> Result<Vec<RegistrationToken>, Error> {
        self.run(|conn| {
            registration_tokens::table
                .filter(registration_tokens::organization_id.eq(organization))
                .filter(registration_tokens::state.eq(RegistrationTokenState::Active))
                .order((
                    registration_tokens::created_at.desc(),
                    registration_tokens::id.desc(),
                ))
                .limit(most)
                .select(RegistrationToken::as_select())
                .load(conn)
        })
    }

    /// Those that this person has made and nobody has revoked.
    pub fn list_registration_tokens_by(
        &mut self,
        organization: OrganizationId,
        creator: UserId,
    ) -> Result<Vec<RegistrationToken>, Error> {
        let made = registration_tokens::table
            .filter(registration_tokens::organization_id.eq(organization))
            .filter(registration_tokens::created_by.eq(creator));
        let live = made.filter(registration_tokens::state.eq(RegistrationTokenState::Active));
        self.run(|conn| live.select(RegistrationToken::as_select()).load(conn))
    }

    /// The live applications that were registered with it.
    pub fn count_clients_of_token(&mut self, id: RegistrationTokenId) -> Result<i64, Error> {
        self.run(|conn| {
            registrations::table
                .inner_join(applications::table)
                .filter(
                    registrations::registration_token_id
                        .eq(id)
                        .and(applications::state.eq(ApplicationState::Active)),
                )
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_registration_token(&mut self, token: &RegistrationToken) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(registration_tokens::table)
                .values(token)
                .execute(conn)
        })
    }

    pub fn record_registration_token_use(&mut self, id: RegistrationTokenId) -> Result<(), Error> {
        let now = self.now;
        let row = registration_tokens::table.find(id);
        self.run_one_quiet(|conn| {
            diesel::update(row)
                .set(registration_tokens::last_used_at.eq(Some(now)))
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it is revoked already, or another organization's.
    pub fn revoke_registration_token(
        &mut self,
        organization: OrganizationId,
        id: RegistrationTokenId,
    ) -> Result<(), Error> {
        let live = registration_tokens::table.find(id).filter(
            registration_tokens::organization_id
                .eq(organization)
                .and(registration_tokens::state.eq(RegistrationTokenState::Active)),
        );
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set(registration_tokens::state.eq(RegistrationTokenState::Revoked))
                .execute(conn)
        })
    }
}
