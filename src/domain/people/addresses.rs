//! Whose an address is.
//!
//! Invariants:
//!
//! - An address belongs to whoever has proven it: by a provider that vouches for it, or because the vendor or the operator does.
//!   An account that has proven nothing has it only until then, and gives way: it keeps what it owns, signs in as
//!   `<address>#<4 digits>`. Each membership that somebody else got by an invitation to that address is suspended, with its keys
//!   and connections, until an admin of the organization confirms or ends it.
//! - By an invitation nobody learns whether an address has an account: whoever makes one gets one, where the address is
//!   somebody's under such a name.

use crate::store::users::User;
use crate::store::{Error, Tx};
use crate::types::email::Mailbox;
use crate::types::event::Event;
use crate::types::id::UserId;
use crate::types::state::MemberState;

const DIGITS: usize = 4;
const MOST_NAMES: i64 = 10_000;

/// The name that a person signs in with, as accounts are found by it. What is neither an address nor such a name is nobody's.
pub fn account_key(typed: &str) -> String {
    let (address, digits) = split(typed.trim());
    match Mailbox::parse(address) {
        Ok(mailbox) => format!("{}{digits}", mailbox.account_key()),
        Err(_) => typed.to_owned(),
    }
}

/// The address in the name that a person signs in with.
pub fn address_in(name: &str) -> &str {
    split(name).0
}

/// The address, and what follows it.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('#') {
        Some(at) if is_digits(&name[at + 1..]) => name.split_at(at),
        _ => (name, ""),
    }
}

fn is_digits(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name for somebody who has not proven the address: the address itself while nobody has it.
pub(in crate::domain) fn unproven_name(tx: &mut Tx, address: &str) -> Result<String, Error> {
    if tx.find_user_by_email(address)?.is_none() {
        return Ok(address.to_owned());
    }
    let now = tx.now.millis();
    for number in 0..MOST_NAMES {
        let digits = (now + number).rem_euclid(MOST_NAMES);
        let name = format!("{address}#{digits:04}");
        if tx.find_user_by_email(&name)?.is_none() {
            return Ok(name);
        }
    }
    Err(Error::Constraint(
        "every name for this address is taken".to_owned(),
    ))
}

/// Whether the address is free for somebody who has proven it. `by`: who vouches.
pub(in crate::domain) fn claim(
    tx: &mut Tx,
    by: Option<UserId>,
    address: &str,
) -> Result<bool, Error> {
    match tx.find_user_by_email(address)? {
        None => Ok(true),
        Some(holder) if holder.email_verified_at.is_some() => Ok(false),
        Some(holder) => give_way(tx, by, &holder).map(|()| true),
    }
}

/// The account loses an address that it has not proven.
pub(in crate::domain) fn give_way(
    tx: &mut Tx,
    by: Option<UserId>,
    holder: &User,
) -> Result<(), Error> {
    let Some(address) = holder.email.as_deref() else {
        return Ok(());
    };
    let name = unproven_name(tx, address)?;
    let renamed = User {
        email: Some(name),
        ..holder.clone()
    };
    tx.change_user(&renamed)?;
    tx.record(None, by, Event::UserAddressLost, holder.id.as_str(), "")?;
    suspend_invited(tx, by, address)
}

/// Suspends what was got by an invitation to the address by whoever has not proven it.
fn suspend_invited(tx: &mut Tx, by: Option<UserId>, address: &str) -> Result<(), Error> {
    let now = tx.now;
    for (organization, user) in tx.list_joined_unproven(address)? {
        tx.advance_generation(organization)?;
        let Some(member) = tx.find_member(organization, user, now)? else {
            continue;
        };
        if member.state == MemberState::Active {
            let (from, to) = (MemberState::Active, MemberState::Suspended);
            tx.change_member_state(organization, user, from, to)?;
        }
        tx.change_member_address_loss(organization, user, Some(now))?;
        let event = Event::MemberAddressLost;
        tx.record(Some(organization), by, event, user.as_str(), "")?;
    }
    Ok(())
}

/// The account is that of whoever has proven its address.
pub(in crate::domain) fn prove(tx: &mut Tx, holder: &User) -> Result<User, Error> {
    let proven = User {
        email_verified_at: Some(tx.now),
        ..holder.clone()
    };
    tx.change_user(&proven)?;
    let id = proven.id;
    tx.record(None, Some(id), Event::UserAddressProven, id.as_str(), "")?;
    let address = proven.email.as_deref().unwrap_or_default();
    suspend_invited(tx, Some(id), address)?;
    Ok(proven)
}

/// Proves the account's address if this is it, and nothing is proven yet.
pub(in crate::domain) fn prove_own(
    tx: &mut Tx,
    user: User,
    verified: Option<&Mailbox>,
) -> Result<User, Error> {
    let is_own = verified.is_some_and(|own| user.email.as_ref() == Some(&own.account_key()));
    if is_own && user.email_verified_at.is_none() {
        prove(tx, &user)
    } else {
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_with_or_without_four_digits() {
        for (typed, key, address) in [
            ("Ada@ACME.example", "ada@acme.example", "ada@acme.example"),
            (
                " Ada@ACME.example#0421 ",
                "ada@acme.example#0421",
                "ada@acme.example",
            ),
            ("a#b@acme.example", "a#b@acme.example", "a#b@acme.example"),
            (
                "ada@acme.example#42",
                "ada@acme.example#42",
                "ada@acme.example#42",
            ),
            ("nobody", "nobody", "nobody"),
            ("#1234", "#1234", ""),
        ] {
            assert_eq!(account_key(typed), key);
            assert_eq!(address_in(&account_key(typed)), address);
        }
    }
}
