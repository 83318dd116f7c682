//! Operators: the people who run this installation.
//!
//! Invariant: an operator can do everything. So only whoever holds everything makes one, and the last one stays.

use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::people::accounts::{self, NewPerson};
use crate::domain::{Refusal, ensure};
use crate::store::operator_tokens::OperatorToken;
use crate::store::users::User;
use crate::types::event::Event;
use crate::types::id::UserId;
use crate::types::right::Right;
use crate::types::state::{UserKind, UserState};

/// What a page lists.
const MOST_LISTED: i64 = 200;
const ENDS: &str = "An operator has no end: a token that has one makes none.";

/// The newest first.
pub fn list(view: &mut VendorView) -> Result<Vec<User>, Refusal> {
    view.ensure(Right::OperatorOperators)?;
    Ok(view.snapshot.list_operators(MOST_LISTED)?)
}

/// The people of the installation, the newest first.
pub fn list_people(view: &mut VendorView) -> Result<Vec<User>, Refusal> {
    view.ensure(Right::OperatorOrganizations)?;
    Ok(view.snapshot.list_people(MOST_LISTED)?)
}

/// An account with a verified address, for which the asker vouches. An operator needs everything that operators hold.
pub fn create_person(desk: &mut VendorDesk, person: &NewPerson) -> Result<User, Refusal> {
    if person.operator {
        desk.ensure(Right::OperatorOperators)?;
        let catalogue = &desk.settings.catalogue;
        let everything = catalogue.all() | catalogue.operator();
        desk.ensure_holds(everything)?;
        // a token that ends gives nothing that does not
        let maker = desk.tx.find_operator_token_of(desk.asker.user)?;
        let endless = |own: OperatorToken| own.revoked_at.is_none() && own.expires_at.is_none();
        ensure(maker.is_none_or(endless), Refusal::Forbidden(ENDS))?;
    } else {
        desk.ensure(Right::OperatorOrganizations)?;
    }
    accounts::create_person(desk.tx, person)
}

/// The person operates the installation no more; the account stays. `NotFound` when they do not.
pub fn remove(desk: &mut VendorDesk, id: UserId) -> Result<(), Refusal> {
    desk.ensure(Right::OperatorOperators)?;
    // always in one order: of two who remove each other at once, the second finds that it may not any more
    let mut all = desk.tx.list_operators(MOST_LISTED)?;
    all.sort_unstable_by_key(|user| user.id);
    for user in &all {
        desk.tx.hold_user(user.id)?;
    }
    desk.ensure(Right::OperatorOperators)?;
    desk.tx
        .find_user(id)?
        .filter(|user| user.operator && user.kind == UserKind::Person)
        .ok_or(Refusal::NotFound)?;
    let others = desk
        .tx
        .list_operators(MOST_LISTED)?
        .into_iter()
        .filter(|user| user.id != id && user.state == UserState::Active)
        .count();
    let last = "This is the last operator. Make another one first.";
    ensure(others > 0, Refusal::Blocked(last.to_owned()))?;
    desk.tx.change_operator(id, false)?;
    Ok(desk.record(Event::UserChanged, id.as_str(), "operates no more")?)
}
