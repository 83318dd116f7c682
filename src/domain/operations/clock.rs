//! An operator says that the clock is right, after a leap that was its correction.

use crate::store::{Error, Tx};
use crate::types::clock_watch::ClockRecord;
use crate::types::event::Event;
use crate::types::time::Clock;

/// From now on the database takes `clock` for right, and what was written under another time for no evidence of it. A
/// running server sees it within seconds.
pub fn accept(tx: &mut Tx, clock: &Clock) -> Result<(), Error> {
    let (before, newest) = (tx.find_clock_record()?, tx.find_newest_instant()?);
    let record = ClockRecord::accepted(clock, before.as_ref(), newest);
    tx.put_clock_record(&record)?;
    tx.record(None, None, Event::ClockAccepted, "", "by the command line")
}

/// What a server does while its clock is in doubt: writes `due` for what it `knows`, unless somebody else has written
/// meanwhile. Then nothing is changed, and this is what they wrote.
pub fn record_doubt(
    tx: &mut Tx,
    knows: Option<&ClockRecord>,
    due: Option<&ClockRecord>,
) -> Result<Option<ClockRecord>, Error> {
    let found = tx.find_clock_record()?;
    if found.as_ref() != knows {
        return Ok(found);
    }
    if let Some(due) = due {
        tx.put_clock_record(due)?;
    }
    Ok(None)
}
