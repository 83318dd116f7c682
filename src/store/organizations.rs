//! Organizations.

use diesel::{
    BoolExpressionMethods, Connection, EscapeExpressionMethods, ExpressionMethods, Insertable,
    JoinOnDsl, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
    TextExpressionMethods,
};

use super::applications::{containing, lower};
use super::conn::Conn;
use super::members::{acts, has_not_ended};
use super::schema::{api_keys, applications, organizations, subscriptions};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{ApiKeyId, ApplicationId, OrganizationId, UserId};
use crate::types::state::{ApplicationState, OrganizationState, ProductionAccess};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = organizations, treat_none_as_default_value = false)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: String,
    /// The vendor's own name for it.
    pub external_id: Option<String>,
    pub state: OrganizationState,
    pub production_access: ProductionAccess,
    pub generation: i64,
    pub created_at: Timestamp,
    /// An IANA name: in which a date without a time ends.
    pub time_zone: String,
    /// Since when the Dev Centre is switched on; asked for only where the plan has the switch.
    pub dev_centre_enabled_at: Option<Timestamp>,
    /// Once per organization, ever.
    pub trial_started_at: Option<Timestamp>,
    pub trial_ends_at: Option<Timestamp>,
    pub production_use_case: Option<String>,
    pub production_requested_at: Option<Timestamp>,
    pub production_decided_at: Option<Timestamp>,
    /// Why it was refused or withdrawn.
    pub production_reason: Option<String>,
    /// Acts for the keys that belong to the organization itself.
    pub service_account_id: Option<UserId>,
}

impl Organization {
    /// An organization on the default plan, with nothing switched on.
    pub fn new(id: OrganizationId, name: String, now: Timestamp) -> Self {
        Self {
            id,
            name,
            external_id: None,
            state: OrganizationState::Active,
            production_access: ProductionAccess::None,
            generation: 0,
            created_at: now,
            time_zone: "UTC".to_owned(),
            dev_centre_enabled_at: None,
            trial_started_at: None,
            trial_ends_at: None,
            production_use_case: None,
            production_requested_at: None,
            production_decided_at: None,
            production_reason: None,
            service_account_id: None,
        }
    }
}

/// Which organizations a list holds.
#[derive(Debug, Clone, Default)]
pub struct OrganizationFilter {
    /// This one.
    pub only: Option<OrganizationId>,
    /// Part of the name, or the whole id or external id.
    pub search: Option<String>,
    pub external_id: Option<String>,
    /// Exactly this name.
    pub name: Option<String>,
    pub state: Option<OrganizationState>,
    pub production_access: Option<ProductionAccess>,
    pub plan: Option<String>,
    /// Whether those without a subscription are on `plan`.
    pub plan_is_default: bool,
}

impl Snapshot<'_> {
    pub fn find_organization(&mut self, id: OrganizationId) -> Result<Option<Organization>, Error> {
        self.run(|conn| {
            organizations::table
                .find(id)
                .select(Organization::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Of the whole installation, the newest first, those behind `after`, at most `most`.
    pub fn list_organizations_page(
        &mut self,
        filter: &OrganizationFilter,
        after: Option<(Timestamp, OrganizationId)>,
        most: i64,
    ) -> Result<Vec<Organization>, Error> {
        let mut found = organizations::table.into_boxed::<<Conn as Connection>::Backend>();
        if let Some(only) = filter.only {
            found = found.filter(organizations::id.eq(only));
        }
        if let Some(search) = &filter.search {
            let part = containing(search);
            let is_it = organizations::id
                .eq(search.as_str())
                .or(organizations::external_id.eq(search.as_str()));
            found = found.filter(lower(organizations::name).like(part).escape('\\').or(is_it));
        }
        if let Some(external_id) = &filter.external_id {
            found = found.filter(organizations::external_id.eq(external_id));
        }
        if let Some(name) = &filter.name {
            found = found.filter(organizations::name.eq(name));
        }
        if let Some(state) = filter.state {
            found = found.filter(organizations::state.eq(state));
        }
        if let Some(access) = filter.production_access {
            found = found.filter(organizations::production_access.eq(access));
        }
        if let Some(plan) = &filter.plan {
            let of_plan = subscriptions::table
                .filter(subscriptions::plan.eq(plan))
                .select(subscriptions::organization_id);
            let subscribed = subscriptions::table.select(subscriptions::organization_id);
            found = if filter.plan_is_default {
                found.filter(
                    organizations::id
                        .eq_any(of_plan)
                        .or(organizations::id.ne_all(subscribed)),
                )
            } else {
                found.filter(organizations::id.eq_any(of_plan))
            };
        }
        if let Some((at, id)) = after {
            found = found.filter(
                organizations::created_at
                    .lt(at)
                    .or(organizations::created_at
                        .eq(at)
                        .and(organizations::id.lt(id))),
            );
        }
        let newest_first = found
            .order((organizations::created_at.desc(), organizations::id.desc()))
            .limit(most);
        self.run(|conn| newest_first.select(Organization::as_select()).load(conn))
    }

    pub fn find_organization_by_external_id(
        &mut self,
        external_id: &str,
    ) -> Result<Option<Organization>, Error> {
        let named = organizations::table.filter(organizations::external_id.eq(external_id));
        self.run(|conn| {
            named
                .select(Organization::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The oldest of that name.
    pub fn find_organization_by_name(&mut self, name: &str) -> Result<Option<Organization>, Error> {
        let oldest_first = organizations::table
            .filter(organizations::name.eq(name))
            .order((organizations::created_at, organizations::id));
        self.run(|conn| {
            oldest_first
                .select(Organization::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The verified addresses of the members who act.
    pub fn list_verified_member_addresses(
        &mut self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        use super::schema::{members, users};
        let addresses: Vec<Option<String>> = self.run(|conn| {
            members::table
                .inner_join(users::table.on(users::id.eq(members::user_id)))
                .filter(members::organization_id.eq(organization))
                .filter(acts(now))
                .filter(users::email_verified_at.is_not_null())
                .order(users::email)
                .select(users::email)
                .load(conn)
        })?;
        Ok(addresses.into_iter().flatten().collect())
    }

    /// Whether the organization has an API key or an application, of any state but deleted.
    pub fn has_credentials(&mut self, id: OrganizationId) -> Result<bool, Error> {
        let keys = api_keys::table.filter(api_keys::organization_id.eq(id));
        let key: Option<ApiKeyId> =
            self.run(|conn| keys.select(api_keys::id).first(conn).optional())?;
        let own = applications::table
            .filter(applications::organization_id.eq(id))
            .filter(applications::state.eq(ApplicationState::Active));
        let application: Option<ApplicationId> =
            self.run(|conn| own.select(applications::id).first(conn).optional())?;
        Ok(key.is_some() || application.is_some())
    }

    /// The organizations a user belongs to, by name.
    pub fn list_organizations_of(
        &mut self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Organization>, Error> {
        use super::schema::members;
        self.run(|conn| {
            organizations::table
                .inner_join(members::table.on(members::organization_id.eq(organizations::id)))
                .filter(members::user_id.eq(user).and(has_not_ended(now)))
                .order((organizations::name, organizations::id))
                .select(Organization::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_organization(&mut self, organization: &Organization) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(organizations::table)
                .values(organization)
                .execute(conn)
        })
    }

    /// Replaces its name, external id and time zone.
    pub fn change_organization(&mut self, organization: &Organization) -> Result<(), Error> {
        let set = (
            organizations::name.eq(&organization.name),
            organizations::external_id.eq(&organization.external_id),
            organizations::time_zone.eq(&organization.time_zone),
        );
        self.run_one_news([Subject::Organization(organization.id)], |conn| {
            diesel::update(organizations::table.find(organization.id))
                .set(set)
                .execute(conn)
        })
    }

    pub fn change_dev_centre(
        &mut self,
        id: OrganizationId,
        enabled_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(id)], |conn| {
            diesel::update(organizations::table.find(id))
                .set(organizations::dev_centre_enabled_at.eq(enabled_at))
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when a trial was started before.
    pub fn start_trial(&mut self, id: OrganizationId, ends_at: Timestamp) -> Result<(), Error> {
        let now = self.now;
        let untried = organizations::table
            .find(id)
            .filter(organizations::trial_started_at.is_null());
        self.run_one_news([Subject::Organization(id)], |conn| {
            diesel::update(untried)
                .set((
                    organizations::trial_started_at.eq(Some(now)),
                    organizations::trial_ends_at.eq(Some(ends_at)),
                ))
                .execute(conn)
        })
    }

    /// Locks the organization's row until the end of the transaction.
    pub fn advance_generation(&mut self, id: OrganizationId) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(organizations::table.find(id))
                .set(organizations::generation.eq(organizations::generation + 1))
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it has one.
    pub fn set_organization_service_account(
        &mut self,
        id: OrganizationId,
        account: UserId,
    ) -> Result<(), Error> {
        let without = organizations::table
            .find(id)
            .filter(organizations::service_account_id.is_null());
        self.run_one_news([Subject::Organization(id)], |conn| {
            diesel::update(without)
                .set(organizations::service_account_id.eq(Some(account)))
                .execute(conn)
        })
    }

    pub fn change_production_access(
        &mut self,
        id: OrganizationId,
        from: ProductionAccess,
        to: ProductionAccess,
    ) -> Result<(), Error> {
        let from_row = organizations::table
            .find(id)
            .filter(organizations::production_access.eq(from));
        self.run_one_news([Subject::Organization(id)], |conn| {
            diesel::update(from_row)
                .set(organizations::production_access.eq(to))
                .execute(conn)
        })
    }

    /// Replaces everything about Production. Compare-and-swap: `NotFound` unless it was `from`.
    pub fn change_production(
        &mut self,
        from: ProductionAccess,
        organization: &Organization,
    ) -> Result<(), Error> {
        let from_row = organizations::table
            .find(organization.id)
            .filter(organizations::production_access.eq(from));
        let set = (
            organizations::production_access.eq(organization.production_access),
            organizations::production_use_case.eq(&organization.production_use_case),
            organizations::production_requested_at.eq(organization.production_requested_at),
            organizations::production_decided_at.eq(organization.production_decided_at),
            organizations::production_reason.eq(&organization.production_reason),
        );
        self.run_one_news([Subject::Organization(organization.id)], |conn| {
            diesel::update(from_row).set(set).execute(conn)
        })
    }

    pub fn change_organization_state(
        &mut self,
        id: OrganizationId,
        from: OrganizationState,
        to: OrganizationState,
    ) -> Result<(), Error> {
        let from_row = organizations::table
            .find(id)
            .filter(organizations::state.eq(from));
        self.run_one_news([Subject::Organization(id)], |conn| {
            diesel::update(from_row)
                .set(organizations::state.eq(to))
                .execute(conn)
        })
    }
}
