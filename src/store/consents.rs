//! Consents: what a person lets an application do with one organization's data. Authorizations come of it.

use diesel::{
    AggregateExpressionMethods, BoolExpressionMethods, ExpressionMethods, Insertable,
    OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};

use super::authorizations::Authorization;
use super::schema::{authorizations, consent_workspaces, consents};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::id::{ApplicationId, ConsentId, OrganizationId, UserId, WorkspaceId};
use crate::types::scope::Scopes;
use crate::types::state::{AuthorizationState, ConsentState, ReachKind};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = consents, treat_none_as_default_value = false)]
pub struct Consent {
    pub id: ConsentId,
    pub user_id: UserId,
    pub application_id: ApplicationId,
    /// Whose data it opens.
    pub organization_id: OrganizationId,
    /// Everything that was ever allowed and not taken back.
    pub scopes: Scopes,
    pub reach: ReachKind,
    pub state: ConsentState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// What the application was called on the page that was allowed last.
    pub application_name: String,
    /// When the person first allowed it under this name: what was allowed before was allowed to another one.
    pub named_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = consent_workspaces)]
struct ConsentWorkspace {
    consent_id: ConsentId,
    workspace_id: WorkspaceId,
}

impl Snapshot<'_> {
    /// The person's own consent, live or not.
    pub fn find_consent(&mut self, user: UserId, id: ConsentId) -> Result<Option<Consent>, Error> {
        self.run(|conn| {
            consents::table
                .find(id)
                .filter(consents::user_id.eq(user))
                .select(Consent::as_select())
                .first(conn)
                .optional()
        })
    }

    /// What this person lets the application do, organization by organization.
    pub fn list_live_consents(
        &mut self,
        user: UserId,
        application: ApplicationId,
    ) -> Result<Vec<Consent>, Error> {
        self.run(|conn| {
            consents::table
                .filter(
                    consents::user_id
                        .eq(user)
                        .and(consents::application_id.eq(application)),
                )
                .filter(consents::state.eq(ConsentState::Active))
                .order((consents::created_at, consents::id))
                .select(Consent::as_select())
                .load(conn)
        })
    }

    /// Everything this person has allowed and not taken back, the newest first, at most `most`.
    pub fn list_consents_of(&mut self, user: UserId, most: i64) -> Result<Vec<Consent>, Error> {
        self.run(|conn| {
            consents::table
                .filter(
                    consents::user_id
                        .eq(user)
                        .and(consents::state.eq(ConsentState::Active)),
                )
                .order((consents::created_at.desc(), consents::id.desc()))
                .limit(most)
                .select(Consent::as_select())
                .load(conn)
        })
    }

    pub fn list_consent_workspaces(&mut self, id: ConsentId) -> Result<Vec<WorkspaceId>, Error> {
        self.run(|conn| {
            consent_workspaces::table
                .filter(consent_workspaces::consent_id.eq(id))
                .order(consent_workspaces::workspace_id)
                .select(consent_workspaces::workspace_id)
                .load(conn)
        })
    }

    /// When a token was last issued for it.
    pub fn last_use_of_consent(&mut self, id: ConsentId) -> Result<Option<Timestamp>, Error> {
        self.run(|conn| {
            authorizations::table
                .filter(
                    authorizations::consent_id
                        .eq(id)
                        .and(authorizations::last_used_at.is_not_null()),
                )
                .order(authorizations::last_used_at.desc())
                .select(authorizations::last_used_at)
                .first::<Option<Timestamp>>(conn)
                .optional()
        })
        .map(Option::flatten)
    }

    /// The authorizations that live by it, the oldest first.
    pub fn list_authorizations_of_consent(
        &mut self,
        id: ConsentId,
    ) -> Result<Vec<Authorization>, Error> {
        self.run(|conn| {
            authorizations::table
                .filter(
                    authorizations::consent_id
                        .eq(id)
                        .and(authorizations::state.ne(AuthorizationState::Revoked)),
                )
                .order((authorizations::created_at, authorizations::id))
                .select(Authorization::as_select())
                .load(conn)
        })
    }

    /// How many people let the application act for them, over all organizations.
    pub fn count_consents(&mut self, application: ApplicationId) -> Result<i64, Error> {
        let live = consents::table.filter(
            consents::application_id
                .eq(application)
                .and(consents::state.eq(ConsentState::Active)),
        );
        self.run(|conn| {
            live.select(diesel::dsl::count(consents::user_id).aggregate_distinct())
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_consent(
        &mut self,
        consent: &Consent,
        workspaces: &[WorkspaceId],
    ) -> Result<(), Error> {
        self.expect_workspaces(consent.organization_id, workspaces)?;
        self.run_one_quiet(|conn| {
            diesel::insert_into(consents::table)
                .values(consent)
                .execute(conn)
        })?;
        self.insert_consent_workspaces(consent.id, workspaces)
    }

    /// Compare-and-swap: what was allowed, where and to whom from now on. Quiet, as [`Tx::revoke_consent`]: an access depends on the
    /// authorizations that came of the consent, each of which has its own scopes, workspaces and end. `NotFound` when it was revoked meanwhile.
    pub fn change_consent(
        &mut self,
        consent: &Consent,
        workspaces: &[WorkspaceId],
    ) -> Result<(), Error> {
        self.expect_workspaces(consent.organization_id, workspaces)?;
        let now = self.now;
        let live = consents::table
            .find(consent.id)
            .filter(consents::state.eq(ConsentState::Active));
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set((
                    consents::scopes.eq(&consent.scopes),
                    consents::reach.eq(consent.reach),
                    consents::application_name.eq(&consent.application_name),
                    consents::named_at.eq(consent.named_at),
                    consents::updated_at.eq(now),
                ))
                .execute(conn)
        })?;
        let old = consent_workspaces::table.filter(consent_workspaces::consent_id.eq(consent.id));
        self.run_quiet(|conn| diesel::delete(old).execute(conn))?;
        self.insert_consent_workspaces(consent.id, workspaces)
    }

    /// Holds the consent until this transaction ends: nobody revokes it meanwhile. `NotFound` when somebody has.
    pub fn hold_consent(&mut self, id: ConsentId) -> Result<(), Error> {
        let now = self.now;
        let live = consents::table
            .find(id)
            .filter(consents::state.eq(ConsentState::Active));
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set(consents::updated_at.eq(now))
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it is revoked already.
    pub fn revoke_consent(&mut self, id: ConsentId) -> Result<(), Error> {
        let now = self.now;
        let live = consents::table
            .find(id)
            .filter(consents::state.eq(ConsentState::Active));
        self.run_one_quiet(|conn| {
            diesel::update(live)
                .set((
                    consents::state.eq(ConsentState::Revoked),
                    consents::revoked_at.eq(Some(now)),
                ))
                .execute(conn)
        })
    }

    fn insert_consent_workspaces(
        &mut self,
        consent_id: ConsentId,
        workspaces: &[WorkspaceId],
    ) -> Result<(), Error> {
        workspaces.iter().try_for_each(|workspace_id| {
            let row = ConsentWorkspace {
                consent_id,
                workspace_id: *workspace_id,
            };
            self.run_one_quiet(|conn| {
                diesel::insert_into(consent_workspaces::table)
                    .values(&row)
                    .execute(conn)
            })
        })
    }
}
