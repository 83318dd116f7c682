//! Organizations: their name, time zone, state and subscription.

use crate::config::Catalogue;
use crate::domain::lifecycle::provisioning::Outcome;
use crate::domain::people::accounts;
use crate::domain::plans::open;
use crate::domain::plans::plans;
use crate::domain::rights::caller::Caller;
use crate::domain::rights::old_rights as rights;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKeyFilter;
use crate::store::organizations::Organization;
use crate::store::subscriptions::Subscription;
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::id::OrganizationId;
use crate::types::refusal_code::RefusalCode;
use crate::types::right::Right;
use crate::types::state::OrganizationState;
use crate::types::text::parse_text;

const MANAGE: Right = Right::OrganizationManage;
/// The longest name that a billing system gives things.
pub const MOST_EXTERNAL_ID: usize = 100;
const MOST_SEATS: i64 = 1_000_000;

/// What is to change; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct OrganizationChange {
    pub name: Option<String>,
    /// An IANA name: `Europe/Berlin`.
    pub time_zone: Option<String>,
}

/// What is to be subscribed to; none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `Some(None)` takes it away, as for the seats: then the plan's count.
    pub external_id: Option<Option<String>>,
    pub plan: Option<String>,
    pub full_seats: Option<Option<i64>>,
    pub read_only_seats: Option<Option<i64>>,
}

/// Changes the name or the time zone.
pub fn change(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    wanted: &OrganizationChange,
) -> Result<Organization, Refusal> {
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let before = tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    ensure(
        caller.operator || before.state == OrganizationState::Active,
        Refusal::Blocked(open::SUSPENDED.to_owned()),
    )?;
    Ok(apply(tx, caller, before, wanted)?.0)
}

/// The same, once the caller's rights are known.
pub(in crate::domain) fn apply(
    tx: &mut Tx,
    caller: &Caller,
    before: Organization,
    wanted: &OrganizationChange,
) -> Result<(Organization, Outcome), Refusal> {
    let mut after = before.clone();
    if let Some(name) = &wanted.name {
        after.name = parse_name(name)?;
    }
    if let Some(zone) = &wanted.time_zone {
        after.time_zone = parse_time_zone(zone)?;
    }
    if (&after.name, &after.time_zone) == (&before.name, &before.time_zone) {
        return Ok((before, Outcome::Unchanged));
    }
    tx.change_organization(&after)?;
    tx.record(
        Some(after.id),
        Some(caller.user),
        Event::OrganizationChanged,
        after.id.as_str(),
        &after.name,
    )?;
    Ok((after, Outcome::Updated))
}

/// Suspends it, or takes the suspension back: what worked before works again. The operator's.
pub fn set_state(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    to: OrganizationState,
) -> Result<Organization, Refusal> {
    ensure_operator(caller)?;
    rights::ensure_organization(tx, catalogue, organization, caller, MANAGE)?;
    let before = tx
        .find_organization(organization)?
        .ok_or(Refusal::NotFound)?;
    Ok(apply_state(tx, caller, before, to)?.0)
}

pub(in crate::domain) fn apply_state(
    tx: &mut Tx,
    caller: &Caller,
    before: Organization,
    to: OrganizationState,
) -> Result<(Organization, Outcome), Refusal> {
    if before.state == to {
        return Ok((before, Outcome::Unchanged));
    }
    match tx.change_organization_state(before.id, before.state, to) {
        // somebody else was quicker: it is so, as asked
        Err(Error::NotFound) => {
            return Ok((
                Organization {
                    state: to,
                    ..before
                },
                Outcome::Unchanged,
            ));
        }
        changed => changed?,
    }
    let event = match to {
        OrganizationState::Suspended => Event::OrganizationSuspended,
        OrganizationState::Active => Event::OrganizationResumed,
    };
    tx.record(
        Some(before.id),
        Some(caller.user),
        event,
        before.id.as_str(),
        "",
    )?;
    Ok((
        Organization {
            state: to,
            ..before
        },
        Outcome::Updated,
    ))
}

/// Puts the organization on a plan, at once: a downgrade deletes nothing, and coming back revives. The operator's. Runs behind
/// the organization's lock.
pub fn subscribe(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    caller: &Caller,
    wanted: &Wanted,
) -> Result<(Subscription, Outcome), Refusal> {
    ensure_operator(caller)?;
    let before = tx.find_subscription(organization)?;
    let now = tx.now;
    let default = || Subscription::new(organization, &catalogue.plan(None).entry.name, now);
    let mut after = before.clone().unwrap_or_else(default);
    if let Some(plan) = &wanted.plan {
        after.plan = parse_plan(catalogue, plan)?;
    }
    if let Some(external_id) = &wanted.external_id {
        after.external_id = external_id.as_deref().map(parse_external_id).transpose()?;
    }
    if let Some(seats) = wanted.full_seats {
        after.full_seats = parse_seats("full_seats", seats)?;
    }
    if let Some(seats) = wanted.read_only_seats {
        after.read_only_seats = parse_seats("read_only_seats", seats)?;
    }
    if before.as_ref() == Some(&after) {
        return Ok((after, Outcome::Unchanged));
    }
    if let Some(external_id) = &after.external_id {
        let taken = tx
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
    tx.put_subscription(&after)?;
    let event = if before.is_some() {
        Event::SubscriptionChanged
    } else {
        Event::SubscriptionCreated
    };
    tx.record(
        Some(organization),
        Some(caller.user),
        event,
        organization.as_str(),
        &after.plan,
    )?;
    // whoever has keys from a plan without a trial begins it now, or Sandbox would be open for ever
    let has_keys = !tx
        .list_api_keys_page(organization, &ApiKeyFilter::default(), None, 1)?
        .is_empty();
    if has_keys {
        plans::start_trial(tx, catalogue.plan(Some(&after.plan)), organization)?;
    }
    Ok((
        after,
        if before.is_some() {
            Outcome::Updated
        } else {
            Outcome::Created
        },
    ))
}

pub(in crate::domain) fn ensure_operator(caller: &Caller) -> Result<(), Refusal> {
    ensure(
        caller.operator,
        Refusal::Forbidden("Only an operator token does this."),
    )
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
