//! The domains of organizations: claimed, proven, lost.
//!
//! Invariant, by the index `domains_verified`: of all organizations at most one has a name verified.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
};

use super::schema::domains;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{DomainId, OrganizationId};
use crate::types::state::{DomainFinding, DomainState};
use crate::types::time::Timestamp;

/// A domain is the organization's own while it is verified.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = domains, treat_none_as_default_value = false)]
pub struct Domain {
    pub id: DomainId,
    pub organization_id: OrganizationId,
    /// As `types::email::Domain` writes it.
    pub name: String,
    pub verified_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// What its record has to hold. None: who runs the server vouches for the domain.
    pub verification_token: Option<String>,
    /// The domain's own switch. None: the installation's.
    pub include_subdomains: Option<bool>,
    /// When it stopped being verified.
    pub lost_at: Option<Timestamp>,
    /// When the last look-up began.
    pub checked_at: Option<Timestamp>,
    pub last_finding: Option<DomainFinding>,
    /// Scheduled look-ups in a row that definitely did not find the record.
    pub failed_checks: i64,
    /// None: only when somebody asks.
    pub next_check_at: Option<Timestamp>,
}

impl Domain {
    pub fn state(&self) -> DomainState {
        match (self.verified_at, self.lost_at) {
            (Some(_), _) => DomainState::Verified,
            (None, Some(_)) => DomainState::Lost,
            (None, None) => DomainState::Pending,
        }
    }
}

/// What a look-up leaves behind, whatever it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    pub finding: DomainFinding,
    pub failed_checks: i64,
    pub next_check_at: Option<Timestamp>,
}

impl Snapshot<'_> {
    pub fn find_domain(
        &mut self,
        organization: OrganizationId,
        id: DomainId,
    ) -> Result<Option<Domain>, Error> {
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization));
        self.run(|conn| row.select(Domain::as_select()).first(conn).optional())
    }

    pub fn find_domain_by_name(
        &mut self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<Domain>, Error> {
        let row = domains::table.filter(
            domains::organization_id
                .eq(organization)
                .and(domains::name.eq(name)),
        );
        self.run(|conn| row.select(Domain::as_select()).first(conn).optional())
    }

    /// The verified ones among these names, whosever they are; each name at most once.
    pub fn find_verified_domains(&mut self, names: &[&str]) -> Result<Vec<Domain>, Error> {
        let verified = domains::table.filter(
            domains::name
                .eq_any(names)
                .and(domains::verified_at.is_not_null()),
        );
        self.run(|conn| verified.select(Domain::as_select()).load(conn))
    }

    /// The newest first, at most `most`, from behind `after` on.
    pub fn list_domains(
        &mut self,
        organization: OrganizationId,
        after: Option<(Timestamp, DomainId)>,
        most: i64,
    ) -> Result<Vec<Domain>, Error> {
        let mut page = domains::table
            .filter(domains::organization_id.eq(organization))
            .into_boxed();
        if let Some((at, id)) = after {
            page = page.filter(
                domains::created_at
                    .lt(at)
                    .or(domains::created_at.eq(at).and(domains::id.lt(id))),
            );
        }
        let page = page
            .order((domains::created_at.desc(), domains::id.desc()))
            .limit(most);
        self.run(|conn| page.select(Domain::as_select()).load(conn))
    }

    /// Verified or not.
    pub fn count_domains(&mut self, organization: OrganizationId) -> Result<i64, Error> {
        self.run(|conn| {
            domains::table
                .filter(domains::organization_id.eq(organization))
                .count()
                .get_result(conn)
        })
    }

    /// The names of the organization's verified domains.
    pub fn list_verified_domains(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Vec<String>, Error> {
        Ok(self
            .list_own_domains(organization)?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// The organization's verified domains by name, each with its own switch for sub-domains.
    pub fn list_own_domains(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Vec<(String, Option<bool>)>, Error> {
        self.run(|conn| {
            domains::table
                .filter(domains::organization_id.eq(organization))
                .filter(domains::verified_at.is_not_null())
                .order(domains::name)
                .select((domains::name, domains::include_subdomains))
                .load(conn)
        })
    }

    /// Whose next look-up is at or before `now`, the longest overdue first, at most `most`.
    pub fn list_due_domains(&mut self, now: Timestamp, most: i64) -> Result<Vec<Domain>, Error> {
        self.run(|conn| {
            domains::table
                .filter(domains::next_check_at.le(now))
                .order((domains::next_check_at, domains::id))
                .limit(most)
                .select(Domain::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    pub fn insert_domain(&mut self, domain: &Domain) -> Result<(), Error> {
        self.run_one_news([Subject::Organization(domain.organization_id)], |conn| {
            diesel::insert_into(domains::table)
                .values(domain)
                .execute(conn)
        })
    }

    /// Says that a look-up begins now. False: one began after `recently` (a look-up in the future does not count: the clock
    /// was set back), or the domain is not there.
    pub fn begin_domain_check(
        &mut self,
        organization: OrganizationId,
        id: DomainId,
        recently: Timestamp,
    ) -> Result<bool, Error> {
        let now = self.now;
        let long_ago = domains::checked_at
            .is_null()
            .or(domains::checked_at.le(recently))
            .or(domains::checked_at.gt(now));
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization))
            .filter(long_ago);
        let begun = self.run_quiet(|conn| {
            diesel::update(row)
                .set(domains::checked_at.eq(Some(now)))
                .execute(conn)
        })?;
        Ok(begun == 1)
    }

    /// What the look-up found; whether that changes the state is said by `verify_domain` and `lose_domain`.
    pub fn record_domain_check(
        &mut self,
        organization: OrganizationId,
        id: DomainId,
        checked: Checked,
    ) -> Result<(), Error> {
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization));
        let new = (
            domains::last_finding.eq(Some(checked.finding)),
            domains::failed_checks.eq(checked.failed_checks),
            domains::next_check_at.eq(checked.next_check_at),
        );
        self.run_one_quiet(|conn| diesel::update(row).set(new).execute(conn))
    }

    /// From pending or lost. `Constraint`: another organization has it verified.
    pub fn verify_domain(
        &mut self,
        organization: OrganizationId,
        id: DomainId,
    ) -> Result<(), Error> {
        let (now, nothing) = (self.now, None::<Timestamp>);
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization))
            .filter(domains::verified_at.is_null());
        let new = (
            domains::verified_at.eq(Some(now)),
            domains::lost_at.eq(nothing),
        );
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(row).set(new).execute(conn)
        })
    }

    /// From verified.
    pub fn lose_domain(&mut self, organization: OrganizationId, id: DomainId) -> Result<(), Error> {
        let (now, nothing) = (self.now, None::<Timestamp>);
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization))
            .filter(domains::verified_at.is_not_null());
        let new = (
            domains::verified_at.eq(nothing),
            domains::lost_at.eq(Some(now)),
        );
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(row).set(new).execute(conn)
        })
    }

    /// None: the installation's switch counts again.
    pub fn change_domain_subdomains(
        &mut self,
        organization: OrganizationId,
        id: DomainId,
        to: Option<bool>,
    ) -> Result<(), Error> {
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::update(row)
                .set(domains::include_subdomains.eq(to))
                .execute(conn)
        })
    }

    pub fn delete_domain(
        &mut self,
        organization: OrganizationId,
        id: DomainId,
    ) -> Result<(), Error> {
        let row = domains::table
            .find(id)
            .filter(domains::organization_id.eq(organization));
        self.run_one_news([Subject::Organization(organization)], |conn| {
            diesel::delete(row).execute(conn)
        })
    }
}
