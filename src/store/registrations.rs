//! Registrations (RFC 7591): what an application said of itself when it registered. An application that a person created has none.

use diesel::dsl::{exists, not};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::applications::Application;
use super::schema::{
    application_redirect_uris, application_secrets, applications, approved_redirect_uris,
    authorization_requests, authorizations, consents, registrations,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::id::{ApplicationId, OrganizationId, RegistrationTokenId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::state::{ApplicationState, AuthorizationState, ConsentState, GrantKind};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = registrations, treat_none_as_default_value = false)]
pub struct Registration {
    pub application_id: ApplicationId,
    /// None: registered while registration was open to anybody.
    pub registration_token_id: Option<RegistrationTokenId>,
    /// Of the registration access token (RFC 7592).
    pub management_digest: Option<Digest>,
    /// The JSON object that is echoed.
    pub metadata: String,
    /// Of what makes two registrations the same; none for a confidential application, and for one that has ended.
    pub metadata_digest: Option<Digest>,
    pub created_at: Timestamp,
    /// When it was last registered again, authorized or authenticated; to the day.
    pub last_used_at: Timestamp,
}

/// Live, unused since before an instant, and with nothing that anybody allowed it and that still stands. One that the operator
/// stopped stays, or registering again would start it again.
macro_rules! unused_since {
    ($before:expr) => {
        registrations::table
            .inner_join(applications::table)
            .filter(registrations::last_used_at.lt($before))
            .filter(
                applications::state
                    .eq(ApplicationState::Active)
                    .and(applications::stopped_at.is_null()),
            )
            .filter(not(exists(
                consents::table.filter(
                    consents::application_id
                        .eq(applications::id)
                        .and(consents::state.eq(ConsentState::Active)),
                ),
            )))
            .filter(not(exists(
                authorizations::table
                    .filter(authorizations::application_id.eq(applications::id))
                    .filter(
                        authorizations::kind
                            .eq(GrantKind::AuthorizationCode)
                            .and(authorizations::state.ne(AuthorizationState::Revoked)),
                    ),
            )))
            .order((registrations::last_used_at, registrations::application_id))
            .select((applications::organization_id, applications::id))
    };
}

impl Snapshot<'_> {
    pub fn find_registration(
        &mut self,
        application: ApplicationId,
    ) -> Result<Option<Registration>, Error> {
        self.run(|conn| {
            registrations::table
                .find(application)
                .select(Registration::as_select())
                .first(conn)
                .optional()
        })
    }

    /// By the registration access token.
    pub fn find_registration_by_token(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<Registration>, Error> {
        let of_digest =
            registrations::table.filter(registrations::management_digest.eq_any(candidates));
        self.run(|conn| {
            of_digest
                .select(Registration::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The live one with the same metadata.
    pub fn find_registration_by_metadata(
        &mut self,
        candidates: &[Digest],
    ) -> Result<Option<Registration>, Error> {
        let of_digest =
            registrations::table.filter(registrations::metadata_digest.eq_any(candidates));
        self.run(|conn| {
            of_digest
                .select(Registration::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Live applications of the organization that registered by themselves.
    pub fn count_registered_applications(
        &mut self,
        organization: OrganizationId,
    ) -> Result<i64, Error> {
        self.run(|conn| {
            registrations::table
                .inner_join(applications::table)
                .filter(
                    applications::organization_id
                        .eq(organization)
                        .and(applications::state.eq(ApplicationState::Active)),
                )
                .count()
                .get_result(conn)
        })
    }

    /// Those of them that are not deleted, the newest first, at most `most`.
    pub fn list_registered_applications(
        &mut self,
        organization: OrganizationId,
        most: i64,
    ) -> Result<Vec<Application>, Error> {
        self.run(|conn| {
            registrations::table
                .inner_join(applications::table)
                .filter(
                    applications::organization_id
                        .eq(organization)
                        .and(applications::state.eq(ApplicationState::Active)),
                )
                .order((applications::created_at.desc(), applications::id.desc()))
                .limit(most)
                .select(Application::as_select())
                .load(conn)
        })
    }

    /// Those that nobody has used since `before`, the longest unused first, at most `most`.
    pub fn list_unused_registrations(
        &mut self,
        before: Timestamp,
        most: i64,
    ) -> Result<Vec<(OrganizationId, ApplicationId)>, Error> {
        self.run(|conn| unused_since!(before).limit(most).load(conn))
    }

    /// The longest unused one of those that anybody registered here, if it is unused since `before`.
    pub fn find_unused_open_registration(
        &mut self,
        organization: OrganizationId,
        before: Timestamp,
    ) -> Result<Option<ApplicationId>, Error> {
        let open = registrations::registration_token_id
            .is_null()
            .and(applications::organization_id.eq(organization));
        let found = self.run(|conn| {
            unused_since!(before)
                .filter(open)
                .first::<(OrganizationId, ApplicationId)>(conn)
                .optional()
        })?;
        Ok(found.map(|(_, application)| application))
    }
}

impl Tx<'_> {
    /// Of an application that is new, and so in no memory. `Constraint` when there is a live one with the same metadata.
    pub fn insert_registration(&mut self, registration: &Registration) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(registrations::table)
                .values(registration)
                .execute(conn)
        })
    }

    /// The organization has changed it: its registration access token is worth nothing any more, and nobody else registers
    /// the same. One that people created is no error.
    pub fn take_over_registration(&mut self, application: ApplicationId) -> Result<(), Error> {
        let ended = (
            registrations::management_digest.eq(None::<Digest>),
            registrations::metadata_digest.eq(None::<Digest>),
        );
        self.run_quiet(|conn| {
            diesel::update(registrations::table.find(application))
                .set(ended)
                .execute(conn)
        })
        .map(drop)
    }

    /// What is known of the application ends, so that the next look at it tells this instant.
    pub fn record_registration_use(
        &mut self,
        organization: OrganizationId,
        application: ApplicationId,
    ) -> Result<(), Error> {
        let (row, now) = (registrations::table.find(application), self.now);
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(row)
                .set(registrations::last_used_at.eq(now))
                .execute(conn)
        })
    }

    /// Replaces what the application said of itself (RFC 7592 §2.2). `NotFound` when it is not live any more.
    pub fn change_registration(
        &mut self,
        changed: &Application,
        uris: &[RedirectUri],
        metadata: &str,
        digest: Option<&Digest>,
    ) -> Result<(), Error> {
        let now = self.now;
        let live = applications::table
            .find(changed.id)
            .filter(applications::state.eq(ApplicationState::Active));
        let columns = (
            applications::name.eq(&changed.name),
            applications::scopes.eq(&changed.scopes),
            applications::grants.eq(changed.grants),
            applications::verified_at.eq(changed.verified_at),
        );
        self.run_one_news([Subject::Organization(changed.organization_id)], |conn| {
            diesel::update(live).set(columns).execute(conn)
        })?;
        let of_application = application_redirect_uris::table
            .filter(application_redirect_uris::application_id.eq(changed.id));
        self.run_news([Subject::Organization(changed.organization_id)], |conn| {
            diesel::delete(of_application).execute(conn)
        })?;
        self.insert_redirect_uris(changed.id, uris)?;
        let row = registrations::table.find(changed.id);
        let columns = (
            registrations::metadata.eq(metadata),
            registrations::metadata_digest.eq(digest),
            registrations::last_used_at.eq(now),
        );
        self.run_one_news([Subject::Organization(changed.organization_id)], |conn| {
            diesel::update(row).set(columns).execute(conn)
        })
    }

    /// Ends a registered application that is still unused since `before`. `NotFound` when it was used meanwhile, or has ended.
    pub fn end_unused_registration(
        &mut self,
        organization: OrganizationId,
        application: ApplicationId,
        before: Timestamp,
    ) -> Result<(), Error> {
        let row = registrations::table
            .find(application)
            .filter(registrations::last_used_at.lt(before));
        // quiet: the deletion is the news
        self.run_one_quiet(|conn| {
            diesel::update(row)
                .set(registrations::management_digest.eq(None::<Digest>))
                .execute(conn)
        })?;
        self.delete_application(organization, application)
    }

    /// Removes registered applications that ended before `before` and of which nothing else is left, with all that hangs off them.
    pub fn sweep_ended_registrations(
        &mut self,
        before: Timestamp,
        most: i64,
    ) -> Result<usize, Error> {
        let old = registrations::table
            .inner_join(applications::table)
            .filter(
                applications::state
                    .eq(ApplicationState::Deleted)
                    .and(applications::deleted_at.lt(before)),
            )
            .filter(not(exists(
                authorizations::table.filter(authorizations::application_id.eq(applications::id)),
            )))
            .filter(not(exists(
                consents::table.filter(consents::application_id.eq(applications::id)),
            )))
            .filter(not(exists(authorization_requests::table.filter(
                authorization_requests::application_id.eq(applications::id),
            ))))
            .limit(most);
        let ids: Vec<ApplicationId> =
            self.run(|conn| old.select(registrations::application_id).load(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(registrations::table.filter(registrations::application_id.eq_any(&ids)))
                .execute(conn)
        })?;
        let uris = application_redirect_uris::table
            .filter(application_redirect_uris::application_id.eq_any(&ids));
        self.run_quiet(|conn| diesel::delete(uris).execute(conn))?;
        let approved = approved_redirect_uris::table
            .filter(approved_redirect_uris::application_id.eq_any(&ids));
        self.run_quiet(|conn| diesel::delete(approved).execute(conn))?;
        let secrets =
            application_secrets::table.filter(application_secrets::application_id.eq_any(&ids));
        self.run_quiet(|conn| diesel::delete(secrets).execute(conn))?;
        self.run_quiet(|conn| {
            diesel::delete(applications::table.filter(applications::id.eq_any(&ids))).execute(conn)
        })
    }
}
