//! Organizations: their name, time zone, state and subscription.

use crate::config::Catalogue;
use crate::domain::desk::{Desk, VendorView, View};
use crate::domain::people::accounts;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::settings::Settings;
use crate::domain::{Refusal, ensure};
use crate::store::organizations::{Organization, OrganizationFilter};
use crate::store::subscriptions::Subscription;
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::id::{OrganizationId, UserId};
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::OrganizationState;
use crate::types::text::parse_text;
use crate::types::time::Timestamp;

/// The longest name that a billing system gives things.
pub const MOST_EXTERNAL_ID: usize = 100;
const MOST_SEATS: i64 = 1_000_000;

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Unchanged,
    Updated,
    Created,
}

impl Effect {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
            Self::Created => "created",
        }
    }
}

/// What is to change; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct OrganizationChange {
    pub name: Option<String>,
    /// An IANA name: `Europe/Berlin`.
    pub time_zone: Option<String>,
}

/// What is to be subscribed to; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct SubscriptionChange {
    /// `Some(None)` takes it away, as for the seats: then the plan's count.
    pub external_id: Option<Option<String>>,
    pub plan: Option<String>,
    pub full_seats: Option<Option<i64>>,
    pub read_only_seats: Option<Option<i64>>,
}

/// The asker's organization, if it is one that the filter lets through. `plan_is_default` is answered here.
pub fn list(
    view: &mut View,
    filter: &OrganizationFilter,
    after: Option<(Timestamp, OrganizationId)>,
    most: i64,
) -> Result<Vec<Organization>, Refusal> {
    view.ensure(Right::OrganizationRead)?;
    let filter = OrganizationFilter {
        only: Some(view.organization),
        ..completed(view.settings, filter)
    };
    Ok(view
        .snapshot
        .list_organizations_page(&filter, after, most)?)
}

/// A page of the whole installation.
pub fn list_all(
    view: &mut VendorView,
    filter: &OrganizationFilter,
    after: Option<(Timestamp, OrganizationId)>,
    most: i64,
) -> Result<Vec<Organization>, Refusal> {
    view.ensure(Right::OrganizationRead)?;
    let filter = completed(view.settings, filter);
    Ok(view
        .snapshot
        .list_organizations_page(&filter, after, most)?)
}

fn completed(settings: &Settings, filter: &OrganizationFilter) -> OrganizationFilter {
    let default = settings.catalogue.plan(None).entry.name.as_str();
    OrganizationFilter {
        plan_is_default: filter.plan.as_deref() == Some(default),
        ..filter.clone()
    }
}

pub fn get(view: &mut View) -> Result<Organization, Refusal> {
    view.ensure(Right::OrganizationRead)?;
    view.snapshot
        .find_organization(view.organization)?
        .ok_or(Refusal::NotFound)
}

/// The organization with its subscription; none: it is on the default plan.
pub fn subscription(view: &mut View) -> Result<(Organization, Option<Subscription>), Refusal> {
    let organization = get(view)?;
    let found = view.snapshot.find_subscription(view.organization)?;
    Ok((organization, found))
}

/// Changes the name or the time zone.
pub fn change(desk: &mut Desk, wanted: &OrganizationChange) -> Result<Organization, Refusal> {
    desk.ensure(Right::OrganizationManage)?;
    let before = find(desk)?;
    ensure(
        desk.asker.is_operator() || before.state == OrganizationState::Active,
        Refusal::Blocked(open::SUSPENDED.to_owned()),
    )?;
    Ok(apply(desk.tx, desk.asker.user, before, wanted)?.0)
}

fn find(desk: &mut Desk) -> Result<Organization, Refusal> {
    desk.tx
        .find_organization(desk.organization)?
        .ok_or(Refusal::NotFound)
}

/// The same, once the asker's rights are known.
pub(in crate::domain) fn apply(
    tx: &mut Tx,
    by: UserId,
    before: Organization,
    wanted: &OrganizationChange,
) -> Result<(Organization, Effect), Refusal> {
    let mut after = before.clone();
    if let Some(name) = &wanted.name {
        after.name = parse_name(name)?;
    }
    if let Some(zone) = &wanted.time_zone {
        after.time_zone = parse_time_zone(zone)?;
    }
    if (&after.name, &after.time_zone) == (&before.name, &before.time_zone) {
        return Ok((before, Effect::Unchanged));
    }
    tx.change_organization(&after)?;
    tx.record(
        Some(after.id),
        Some(by),
        Event::OrganizationChanged,
        after.id.as_str(),
        &after.name,
    )?;
    Ok((after, Effect::Updated))
}

/// Suspends it, or takes the suspension back: what worked before works again. The operator's.
pub fn set_state(desk: &mut Desk, to: OrganizationState) -> Result<Organization, Refusal> {
    desk.ensure(Right::OperatorOrganizations)?;
    let before = find(desk)?;
    Ok(apply_state(desk.tx, desk.asker.user, before, to)?.0)
}

pub(in crate::domain) fn apply_state(
    tx: &mut Tx,
    by: UserId,
    before: Organization,
    to: OrganizationState,
) -> Result<(Organization, Effect), Refusal> {
    if before.state == to {
        return Ok((before, Effect::Unchanged));
    }
    let after = Organization {
        state: to,
        ..before.clone()
    };
    match tx.change_organization_state(before.id, before.state, to) {
        // somebody else was quicker: it is so, as asked
        Err(Error::NotFound) => return Ok((after, Effect::Unchanged)),
        changed => changed?,
    }
    let event = match to {
        OrganizationState::Suspended => Event::OrganizationSuspended,
        OrganizationState::Active => Event::OrganizationResumed,
    };
    tx.record(Some(before.id), Some(by), event, before.id.as_str(), "")?;
    Ok((after, Effect::Updated))
}

/// Puts the organization on a plan, at once: a downgrade deletes nothing, and coming back revives. The operator's. Runs behind
/// the organization's lock.
pub fn subscribe(
    desk: &mut Desk,
    wanted: &SubscriptionChange,
) -> Result<(Subscription, Effect), Refusal> {
    desk.ensure(Right::OperatorSubscriptions)?;
    let (organization, now) = (desk.organization, desk.now());
    let catalogue = &desk.settings.catalogue;
    let before = desk.tx.find_subscription(organization)?;
    let default = || Subscription::new(organization, &catalogue.plan(None).entry.name, now);
    let mut after = wanted.applied(catalogue, before.clone().unwrap_or_else(default))?;
    if before.as_ref() == Some(&after) {
        return Ok((after, Effect::Unchanged));
    }
    if let Some(external_id) = &after.external_id {
        let taken = desk
            .tx
            .find_subscription_by_external_id(external_id)?
            .is_some_and(|found| found.organization_id != organization);
        ensure(
            !taken,
            Refusal::Coded(
                RefusalCode::ExternalIdTaken,
                "Another organization's subscription has this external_id.".to_owned(),
            ),
        )?;
    }
    after.updated_at = now;
    desk.tx.put_subscription(&after)?;
    let (event, effect) = if before.is_some() {
        (Event::SubscriptionChanged, Effect::Updated)
    } else {
        (Event::SubscriptionCreated, Effect::Created)
    };
    desk.record(event, organization.as_str(), &after.plan)?;
    // whoever has keys or applications from a plan without a trial begins it now, or Sandbox would be open for ever
    if desk.tx.has_credentials(organization)? {
        plans::start_trial(desk.tx, catalogue.plan(Some(&after.plan)), organization)?;
    }
    Ok((after, effect))
}

impl SubscriptionChange {
    fn applied(
        &self,
        catalogue: &Catalogue,
        mut after: Subscription,
    ) -> Result<Subscription, Refusal> {
        if let Some(plan) = &self.plan {
            after.plan = parse_plan(catalogue, plan)?;
        }
        if let Some(external_id) = &self.external_id {
            after.external_id = external_id.as_deref().map(parse_external_id).transpose()?;
        }
        if let Some(seats) = self.full_seats {
            after.full_seats = parse_seats("full_seats", seats)?;
        }
        if let Some(seats) = self.read_only_seats {
            after.read_only_seats = parse_seats("read_only_seats", seats)?;
        }
        Ok(after)
    }
}

fn parse_plan(catalogue: &Catalogue, plan: &str) -> Result<String, Refusal> {
    let known: Vec<&str> = catalogue
        .plans()
        .map(|plan| plan.entry.name.as_str())
        .collect();
    ensure(
        known.contains(&plan),
        Refusal::field("plan", format!("must be one of {}", known.join(", "))),
    )?;
    Ok(plan.to_owned())
}

fn parse_seats(field: &'static str, seats: Option<i64>) -> Result<Option<i64>, Refusal> {
    let possible = seats.is_none_or(|seats| (0..=MOST_SEATS).contains(&seats));
    ensure(
        possible,
        Refusal::field(
            field,
            format!("must be 0 to {MOST_SEATS}, or null for the plan's"),
        ),
    )?;
    Ok(seats)
}

pub(in crate::domain) fn parse_name(name: &str) -> Result<String, Refusal> {
    parse_text(name, accounts::MOST_NAME).map_err(|error| Refusal::field("name", error.to_string()))
}

pub(in crate::domain) fn parse_external_id(external_id: &str) -> Result<String, Refusal> {
    let parsed = parse_text(external_id, MOST_EXTERNAL_ID)
        .map_err(|error| Refusal::field("external_id", error.to_string()))?;
    // it is compared byte by byte: what is trimmed away would make two names of one
    ensure(
        parsed == external_id,
        Refusal::field("external_id", "must not begin or end with a space"),
    )?;
    Ok(parsed)
}

pub(in crate::domain) fn parse_time_zone(name: &str) -> Result<String, Refusal> {
    let zone: Result<chrono_tz::Tz, _> = name.parse();
    zone.map(|zone| zone.name().to_owned())
        .map_err(|_| Refusal::field("time_zone", "must be an IANA name such as Europe/Berlin"))
}
