//! OAuth applications (clients) and their redirect URIs.

use diesel::dsl::{exists, not};
use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, Insertable,
    NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper, TextExpressionMethods,
};

use super::conn::Conn;
use super::schema::{
    application_redirect_uris, applications, approved_redirect_uris, organizations, registrations,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::grant_types::{GrantType, GrantTypes};
use crate::types::id::{ApplicationId, OrganizationId, UserId};
use crate::types::redirect_uri::RedirectUri;
use crate::types::scope::Scopes;
use crate::types::state::{
    AccessTokenFormat, ApplicationStanding, ApplicationState, Approval, ClientType,
};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = applications, treat_none_as_default_value = false)]
pub struct Application {
    /// Also its `client_id`.
    pub id: ApplicationId,
    pub organization_id: OrganizationId,
    pub environment: Environment,
    pub name: String,
    pub client_type: ClientType,
    pub access_token_format: AccessTokenFormat,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// Whom it acts as by client credentials; none for a public one.
    pub service_account_id: Option<UserId>,
    pub state: ApplicationState,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub grants: GrantTypes,
    /// Whether every refresh returns a new refresh token; a public application's always does.
    pub refresh_rotation: bool,
    /// Seconds a refresh token lives unused; none: as configured.
    pub refresh_idle_seconds: Option<i64>,
    /// Seconds after which a person must allow it again; none: as configured.
    pub refresh_absolute_seconds: Option<i64>,
    /// Whether people of other organizations may authorize it.
    pub approval: Approval,
    pub approval_reason: Option<String>,
    /// When the operator has checked who is behind it.
    pub verified_at: Option<Timestamp>,
    /// When the operator has stopped it everywhere.
    pub stopped_at: Option<Timestamp>,
    pub stopped_because: Option<String>,
    pub last_used_at: Option<Timestamp>,
    /// The vendor's own, as the operator says: the only one that may have management scopes.
    pub first_party: bool,
    /// Of the version that the operator approved; none while it is not approved.
    pub approved_name: Option<String>,
    pub approved_scopes: Option<Scopes>,
}

impl Application {
    /// Neither deleted nor stopped by the operator.
    pub fn is_live(&self) -> bool {
        self.state == ApplicationState::Active && self.stopped_at.is_none()
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(grant)
    }

    /// RFC 9700 §2.2.2: for a public client always.
    pub fn rotates(&self) -> bool {
        self.refresh_rotation || self.client_type == ClientType::Public
    }

    /// Whether members of this organization may authorize it, as far as it is up to the application.
    pub fn is_open_to(&self, organization: OrganizationId) -> bool {
        self.organization_id == organization
            || (self.environment == Environment::Production && self.approval == Approval::Approved)
    }

    /// What people of this organization know it as: others than its own by the name that was approved.
    pub fn name_for(&self, organization: OrganizationId) -> &str {
        match &self.approved_name {
            Some(approved) if self.organization_id != organization => approved,
            _ => &self.name,
        }
    }

    /// What it is called before it is known who asks: as others than its own people know it.
    pub fn public_name(&self) -> &str {
        self.approved_name.as_deref().unwrap_or(&self.name)
    }

    /// What people of this organization can let it do: others than its own no more than was approved.
    pub fn scopes_for(&self, organization: OrganizationId) -> Scopes {
        if self.organization_id == organization {
            return self.scopes.clone();
        }
        let approved = self.approved_scopes.as_ref();
        approved.map_or_else(Scopes::default, |approved| {
            self.scopes.intersection(approved)
        })
    }
}

/// What an operator looks for.
#[derive(Debug, Clone, Default)]
pub struct ApplicationFilter {
    /// Part of an application's or its organization's name, ASCII letters in either case, or the whole id of one of them.
    /// Empty: all.
    pub search: String,
    pub standing: Option<ApplicationStanding>,
    /// Those that come behind this one.
    pub after: Option<ApplicationId>,
}

/// Of one organization's applications; none asks for all.
#[derive(Debug, Clone, Default)]
pub struct OwnApplicationFilter {
    /// Exactly this name.
    pub name: Option<String>,
    pub environment: Option<Environment>,
    pub client_type: Option<ClientType>,
    pub approval: Option<Approval>,
    /// Whether it registered by itself.
    pub registered: Option<bool>,
}

/// A pattern for [`lower`]: `\` escapes.
pub(super) fn containing(search: &str) -> String {
    format!(
        "%{}%",
        search
            .to_ascii_lowercase()
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_")
    )
}

diesel::define_sql_function! { fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text; }

#[derive(Insertable)]
#[diesel(table_name = application_redirect_uris)]
struct ApplicationRedirectUri<'a> {
    application_id: ApplicationId,
    uri: &'a RedirectUri,
}

#[derive(Insertable)]
#[diesel(table_name = approved_redirect_uris)]
struct ApprovedRedirectUri<'a> {
    application_id: ApplicationId,
    uri: &'a RedirectUri,
}

impl Snapshot<'_> {
    /// Deleted ones too: their tokens must find out.
    pub fn find_application(&mut self, id: ApplicationId) -> Result<Option<Application>, Error> {
        self.run(|conn| {
            applications::table
                .find(id)
                .select(Application::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Those that people created and nobody deleted, the newest first, at most `most`. Those that registered by themselves
    /// are in `registrations.rs`: they must not push these out of a page.
    pub fn list_applications(
        &mut self,
        organization: OrganizationId,
        most: i64,
    ) -> Result<Vec<Application>, Error> {
        self.run(|conn| {
            applications::table
                .filter(applications::organization_id.eq(organization))
                .filter(applications::state.eq(ApplicationState::Active))
                .filter(not(exists(
                    registrations::table.filter(registrations::application_id.eq(applications::id)),
                )))
                .order((applications::created_at.desc(), applications::id.desc()))
                .limit(most)
                .select(Application::as_select())
                .load(conn)
        })
    }

    /// Those that nobody deleted, however they came to be, the newest first, at most `most`, from behind `after` on.
    pub fn list_applications_page(
        &mut self,
        organization: OrganizationId,
        filter: &OwnApplicationFilter,
        after: Option<(Timestamp, ApplicationId)>,
        most: i64,
    ) -> Result<Vec<Application>, Error> {
        let mut page = applications::table
            .filter(applications::organization_id.eq(organization))
            .filter(applications::state.eq(ApplicationState::Active))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(name) = &filter.name {
            page = page.filter(applications::name.eq(name));
        }
        if let Some(environment) = filter.environment {
            page = page.filter(applications::environment.eq(environment));
        }
        if let Some(client_type) = filter.client_type {
            page = page.filter(applications::client_type.eq(client_type));
        }
        if let Some(approval) = filter.approval {
            page = page.filter(applications::approval.eq(approval));
        }
        let registration =
            exists(registrations::table.filter(registrations::application_id.eq(applications::id)));
        page = match filter.registered {
            Some(true) => page.filter(registration),
            Some(false) => page.filter(not(registration)),
            None => page,
        };
        if let Some((at, id)) = after {
            page = page.filter(
                applications::created_at
                    .lt(at)
                    .or(applications::created_at.eq(at).and(applications::id.lt(id))),
            );
        }
        let page = page
            .order((applications::created_at.desc(), applications::id.desc()))
            .limit(most);
        self.run(|conn| page.select(Application::as_select()).load(conn))
    }

    /// Of every organization, those that ask for approval, and approved ones that have another name, other scopes or a new
    /// redirect URI since; the oldest first, at most `most`.
    pub fn list_applications_to_approve(&mut self, most: i64) -> Result<Vec<Application>, Error> {
        let known = approved_redirect_uris::table
            .filter(approved_redirect_uris::application_id.eq(applications::id))
            .filter(approved_redirect_uris::uri.eq(application_redirect_uris::uri));
        let new_uri = application_redirect_uris::table
            .filter(application_redirect_uris::application_id.eq(applications::id))
            .filter(not(exists(known)));
        let changed = applications::name
            .ne(applications::approved_name.assume_not_null())
            .or(applications::scopes.ne(applications::approved_scopes.assume_not_null()))
            .or(exists(new_uri));
        let approved = applications::approval.eq(Approval::Approved);
        self.run(|conn| {
            applications::table
                .filter(
                    applications::approval
                        .eq(Approval::Requested)
                        .or(approved.and(changed)),
                )
                .filter(applications::state.eq(ApplicationState::Active))
                .order((applications::created_at, applications::id))
                .limit(most)
                .select(Application::as_select())
                .load(conn)
        })
    }

    /// The Production applications of every organization, with its name, the newest first, at most `most`; a Sandbox one only
    /// by its id.
    pub fn list_production_applications(
        &mut self,
        filter: &ApplicationFilter,
        most: i64,
    ) -> Result<Vec<(Application, String)>, Error> {
        let search = filter.search.as_str();
        let part = containing(search);
        let mut found = applications::table
            .inner_join(organizations::table)
            .filter(applications::state.eq(ApplicationState::Active))
            .filter(
                applications::environment
                    .eq(Environment::Production)
                    .or(applications::id.eq(search)),
            )
            .into_boxed::<<Conn as Connection>::Backend>();
        if !search.is_empty() {
            let named = lower(applications::name)
                .like(part.clone())
                .escape('\\')
                .or(lower(organizations::name).like(part).escape('\\'));
            found = found.filter(
                named
                    .or(applications::id.eq(search))
                    .or(organizations::id.eq(search)),
            );
        }
        found = match filter.standing {
            None => found,
            Some(ApplicationStanding::Requested) => {
                found.filter(applications::approval.eq(Approval::Requested))
            }
            Some(ApplicationStanding::Approved) => {
                found.filter(applications::approval.eq(Approval::Approved))
            }
            Some(ApplicationStanding::Refused) => {
                found.filter(applications::approval.eq(Approval::Refused))
            }
            Some(ApplicationStanding::Verified) => {
                found.filter(applications::verified_at.is_not_null())
            }
            Some(ApplicationStanding::Unverified) => {
                found.filter(applications::verified_at.is_null())
            }
            Some(ApplicationStanding::Stopped) => {
                found.filter(applications::stopped_at.is_not_null())
            }
        };
        if let Some(after) = filter.after {
            found = found.filter(applications::id.lt(after));
        }
        // ids sort by the time of their making
        let found = found
            .order(applications::id.desc())
            .limit(most)
            .select((Application::as_select(), organizations::name));
        self.run(|conn| found.load(conn))
    }

    pub fn list_redirect_uris(
        &mut self,
        application: ApplicationId,
    ) -> Result<Vec<RedirectUri>, Error> {
        self.run(|conn| {
            application_redirect_uris::table
                .filter(application_redirect_uris::application_id.eq(application))
                .order(application_redirect_uris::uri)
                .select(application_redirect_uris::uri)
                .load(conn)
        })
    }

    /// Those of the version that the operator approved.
    pub fn list_approved_redirect_uris(
        &mut self,
        application: ApplicationId,
    ) -> Result<Vec<RedirectUri>, Error> {
        self.run(|conn| {
            approved_redirect_uris::table
                .filter(approved_redirect_uris::application_id.eq(application))
                .order(approved_redirect_uris::uri)
                .select(approved_redirect_uris::uri)
                .load(conn)
        })
    }

    /// Those that are neither deleted nor stopped, registered ones too.
    pub fn count_working_applications(
        &mut self,
        organization: OrganizationId,
        environment: Environment,
    ) -> Result<i64, Error> {
        let working = applications::table
            .filter(
                applications::organization_id
                    .eq(organization)
                    .and(applications::environment.eq(environment)),
            )
            .filter(applications::state.eq(ApplicationState::Active))
            .filter(applications::stopped_at.is_null());
        self.run(|conn| working.count().get_result(conn))
    }

    /// Those that people created and nobody deleted.
    pub fn count_applications(&mut self, organization: OrganizationId) -> Result<i64, Error> {
        self.run(|conn| {
            applications::table
                .filter(applications::organization_id.eq(organization))
                .filter(applications::state.eq(ApplicationState::Active))
                .filter(not(exists(
                    registrations::table.filter(registrations::application_id.eq(applications::id)),
                )))
                .count()
                .get_result(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_application(
        &mut self,
        application: &Application,
        redirect_uris: &[RedirectUri],
    ) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(applications::table)
                .values(application)
                .execute(conn)
        })?;
        self.insert_redirect_uris(application.id, redirect_uris)
    }

    /// Quiet: a new application is in no memory, and for another one the caller has removed the old URIs, which is news.
    pub(super) fn insert_redirect_uris(
        &mut self,
        application_id: ApplicationId,
        uris: &[RedirectUri],
    ) -> Result<(), Error> {
        uris.iter().try_for_each(|uri| {
            let row = ApplicationRedirectUri {
                application_id,
                uri,
            };
            self.run_one_quiet(|conn| {
                diesel::insert_into(application_redirect_uris::table)
                    .values(&row)
                    .execute(conn)
            })
        })
    }

    /// Writes what its people may change of it: name, scopes, grants, refresh policy and service account, and that it
    /// is not verified any more; never that it is. `NotFound` when it is deleted.
    pub fn change_application(&mut self, application: &Application) -> Result<(), Error> {
        let active = applications::table
            .find(application.id)
            .filter(applications::state.eq(ApplicationState::Active));
        let changed = (
            applications::name.eq(&application.name),
            applications::scopes.eq(&application.scopes),
            applications::grants.eq(application.grants),
            applications::refresh_rotation.eq(application.refresh_rotation),
            applications::refresh_idle_seconds.eq(application.refresh_idle_seconds),
            applications::refresh_absolute_seconds.eq(application.refresh_absolute_seconds),
            applications::service_account_id.eq(application.service_account_id),
        );
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| diesel::update(active).set(changed).execute(conn),
        )?;
        if application.verified_at.is_some() {
            // the operator's word, which may have changed since it was read
            return Ok(());
        }
        let none = applications::verified_at.eq(None::<Timestamp>);
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| {
                diesel::update(applications::table.find(application.id))
                    .set(none)
                    .execute(conn)
            },
        )
    }

    pub fn change_redirect_uris(
        &mut self,
        application: &Application,
        uris: &[RedirectUri],
    ) -> Result<(), Error> {
        let all = application_redirect_uris::table
            .filter(application_redirect_uris::application_id.eq(application.id));
        self.run_news(
            [Subject::Organization(application.organization_id)],
            |conn| diesel::delete(all).execute(conn),
        )?;
        self.insert_redirect_uris(application.id, uris)
    }

    /// Compare-and-swap: `NotFound` when it is deleted already, or another organization's.
    pub fn delete_application(
        &mut self,
        organization: OrganizationId,
        id: ApplicationId,
    ) -> Result<(), Error> {
        let now = self.now;
        let active = applications::table
            .find(id)
            .filter(applications::organization_id.eq(organization))
            .filter(applications::state.eq(ApplicationState::Active));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(active)
                .set((
                    applications::state.eq(ApplicationState::Deleted),
                    applications::deleted_at.eq(Some(now)),
                ))
                .execute(conn)
        })?;
        // one that registered by itself: who registers the same again gets another one
        let registration = registrations::table.find(id);
        let ended = (
            registrations::management_digest.eq(None::<Digest>),
            registrations::metadata_digest.eq(None::<Digest>),
        );
        self.run_news([Subject::Organization(organization)], |conn| {
            diesel::update(registration).set(ended).execute(conn)
        })
        .map(drop)
    }

    /// Compare-and-swap on the approval, the name and the scopes that were read: `NotFound` when somebody has changed one of
    /// them. What is approved from now on is this version, with these redirect URIs.
    pub fn approve_application(
        &mut self,
        application: &Application,
        redirect_uris: &[RedirectUri],
    ) -> Result<(), Error> {
        let row = applications::table
            .find(application.id)
            .filter(applications::approval.eq(application.approval))
            .filter(applications::name.eq(&application.name))
            .filter(applications::scopes.eq(&application.scopes));
        let changed = (
            applications::approval.eq(Approval::Approved),
            applications::approval_reason.eq(None::<String>),
            applications::approved_name.eq(Some(&application.name)),
            applications::approved_scopes.eq(Some(&application.scopes)),
        );
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| diesel::update(row).set(changed).execute(conn),
        )?;
        self.delete_approved_redirect_uris(application)?;
        redirect_uris.iter().try_for_each(|uri| {
            let row = ApprovedRedirectUri {
                application_id: application.id,
                uri,
            };
            // quiet: the approval is the news
            self.run_one_quiet(|conn| {
                diesel::insert_into(approved_redirect_uris::table)
                    .values(&row)
                    .execute(conn)
            })
        })
    }

    fn delete_approved_redirect_uris(&mut self, application: &Application) -> Result<(), Error> {
        let all = approved_redirect_uris::table
            .filter(approved_redirect_uris::application_id.eq(application.id));
        self.run_news(
            [Subject::Organization(application.organization_id)],
            |conn| diesel::delete(all).execute(conn),
        )
        .map(drop)
    }

    /// Compare-and-swap on the approval that was read: `NotFound` when somebody else has decided. No version is approved any
    /// more: [`Self::approve_application`] approves one.
    pub fn change_approval(
        &mut self,
        application: &Application,
        to: Approval,
        reason: Option<&str>,
    ) -> Result<(), Error> {
        let row = applications::table
            .find(application.id)
            .filter(applications::approval.eq(application.approval));
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| {
                diesel::update(row)
                    .set((
                        applications::approval.eq(to),
                        applications::approval_reason.eq(reason),
                        applications::approved_name.eq(None::<String>),
                        applications::approved_scopes.eq(None::<Scopes>),
                    ))
                    .execute(conn)
            },
        )?;
        self.delete_approved_redirect_uris(application)
    }

    pub fn set_application_verified(
        &mut self,
        application: &Application,
        verified: bool,
    ) -> Result<(), Error> {
        let at = verified.then_some(self.now);
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| {
                diesel::update(applications::table.find(application.id))
                    .set(applications::verified_at.eq(at))
                    .execute(conn)
            },
        )
    }

    /// Compare-and-swap: `NotFound` when it is so already.
    pub fn set_application_first_party(
        &mut self,
        application: &Application,
        first_party: bool,
    ) -> Result<(), Error> {
        let row = applications::table
            .find(application.id)
            .filter(applications::first_party.ne(first_party));
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| {
                diesel::update(row)
                    .set(applications::first_party.eq(first_party))
                    .execute(conn)
            },
        )
    }

    /// Compare-and-swap: with a reason it is stopped everywhere, without one it goes on. `NotFound` when it was, or did, already.
    pub fn set_application_stopped(
        &mut self,
        application: &Application,
        because: Option<&str>,
    ) -> Result<(), Error> {
        let (row, change) = (
            applications::table.find(application.id),
            (
                applications::stopped_at.eq(because.map(|_| self.now)),
                applications::stopped_because.eq(because),
            ),
        );
        self.run_one_news(
            [Subject::Organization(application.organization_id)],
            |conn| match because {
                Some(_) => diesel::update(row.filter(applications::stopped_at.is_null()))
                    .set(change)
                    .execute(conn),
                None => diesel::update(row.filter(applications::stopped_at.is_not_null()))
                    .set(change)
                    .execute(conn),
            },
        )
    }
}
