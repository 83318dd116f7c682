//! Seats: how many people of a licence the plan has place for.
//!
//! Invariant: counted behind the organization's lock, so that the last one is taken once. Service accounts, the suspended and
//! those whose membership has ended take none.

use crate::config::Catalogue;
use crate::domain::plans::plans;
use crate::domain::{Refusal, ensure};
use crate::store::{Error, Snapshot, Tx};
use crate::types::id::OrganizationId;
use crate::types::refusal_code::RefusalCode;
use crate::types::state::Licence;
use crate::types::time::Timestamp;

/// The seats of one licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    pub taken: i64,
    /// None: as many as are wanted.
    pub most: Option<i64>,
}

pub fn seats(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    organization: OrganizationId,
    licence: Licence,
    now: Timestamp,
) -> Result<Seats, Error> {
    let subscription = snapshot.find_subscription(organization)?;
    let plan = &plans::plan_of(snapshot, catalogue, organization)?.entry;
    let (bought, sold) = match licence {
        Licence::Full => (subscription.and_then(|own| own.full_seats), plan.full_seats),
        Licence::ReadOnly => (
            subscription.and_then(|own| own.read_only_seats),
            plan.read_only_seats,
        ),
    };
    Ok(Seats {
        taken: snapshot.count_seats(organization, licence, now)?,
        most: bought.or(sold),
    })
}

/// Refuses one more person. Runs behind the organization's lock.
pub fn ensure_free(
    tx: &mut Tx,
    catalogue: &Catalogue,
    organization: OrganizationId,
    licence: Licence,
) -> Result<(), Refusal> {
    let now = tx.now;
    let seats = seats(tx, catalogue, organization, licence, now)?;
    let Some(most) = seats.most else {
        return Ok(());
    };
    let words = match licence {
        Licence::Full => "full",
        Licence::ReadOnly => "read-only",
    };
    let message = format!(
        "All {most} {words} seats of this organization are taken. Remove or suspend somebody, or ask the vendor for more seats."
    );
    ensure(
        seats.taken < most,
        Refusal::Coded(RefusalCode::SeatsExhausted, message),
    )
}
