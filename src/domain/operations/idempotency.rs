//! A create that is sent again gives what it gave the first time (draft-ietf-httpapi-idempotency-key-header).
//!
//! Invariant: the key commits with what it created, so there is never one without the other. Under a clock that has leapt
//! no key is forgotten: what is sent again must not be created again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::crypto::digest::Digest;
use crate::domain::Refusal;
use crate::store::Tx;
use crate::store::idempotency_keys::IdempotencyKey;

/// How long a key is remembered.
pub const REMEMBERED_SECONDS: i64 = 24 * 60 * 60;

/// A request that carries a key.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The key, the application for its user, or the operator token; and the organization.
    pub caller: String,
    /// Method and path pattern.
    pub route: String,
    pub key: String,
    /// Of path, query and body, under the live secret keys, the current one first.
    pub fingerprints: Vec<Digest>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once<T> {
    Created(T),
    /// The id of what the first request created.
    Replayed(String),
    /// The key came with another request before.
    Reused,
}

/// Runs `create` unless its ticket was used before; it returns the new id, too.
pub fn once<T>(
    tx: &mut Tx,
    ticket: Option<&Ticket>,
    create: impl FnOnce(&mut Tx) -> Result<(String, T), Refusal>,
) -> Result<Once<T>, Refusal> {
    let Some(ticket) = ticket else {
        return Ok(Once::Created(create(tx)?.1));
    };
    if let Some(known) = tx.find_idempotency_key(&ticket.caller, &ticket.route, &ticket.key)? {
        if !tx.trusts_clock || known.created_at.plus_seconds(REMEMBERED_SECONDS) > tx.now {
            let same = ticket.fingerprints.contains(&known.fingerprint);
            return Ok(if same {
                Once::Replayed(known.subject_id)
            } else {
                Once::Reused
            });
        }
        tx.delete_idempotency_key(&ticket.caller, &ticket.route, &ticket.key)?;
    }
    let (subject_id, created) = create(tx)?;
    let Some(fingerprint) = ticket.fingerprints.first().cloned() else {
        return Ok(Once::Created(created));
    };
    tx.insert_idempotency_key(&IdempotencyKey {
        caller: ticket.caller.clone(),
        route: ticket.route.clone(),
        idempotency_key: ticket.key.clone(),
        fingerprint,
        subject_id,
        created_at: tx.now,
    })?;
    Ok(Once::Created(created))
}

/// The tickets that are being worked on: one process serves a database.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<Place>>>);

type Place = (String, String, String);

/// Held while a request is worked on.
#[derive(Debug)]
pub struct Held {
    of: InFlight,
    place: Place,
}

impl InFlight {
    /// None while another request with the same ticket is worked on.
    pub fn enter(&self, ticket: &Ticket) -> Option<Held> {
        let place = (
            ticket.caller.clone(),
            ticket.route.clone(),
            ticket.key.clone(),
        );
        self.lock().insert(place.clone()).then(|| Held {
            of: self.clone(),
            place,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.lock().remove(&self.place);
    }
}
