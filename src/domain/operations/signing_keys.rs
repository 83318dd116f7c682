//! Signing keys by schedule (9700-44). Time alone decides which key signs ([`due`]): one that was prepared takes over at its
//! instant, without a write or a restart.
//!
//! Invariants:
//! - No key signs before it was published for `publish_seconds`, except the first of a database and an urgent one. Only the
//!   server publishes: a key that the command line made while no server ran starts to count when one runs.
//! - A key stays in the key set until the last token that it can have signed has expired, and [`SLACK_SECONDS`] more.
//! - Two rotations at once make one key: both name the key they replace, which the database lets only one of them do.
//! - Under a clock that has leapt no key leaves, and none is prepared but the first: the schedule waits.
//! - A clock that steps back gives the turn back to the key before, which is still there unless its tokens had expired.

use crate::config::{ConfigError, OAuth};
use crate::crypto::seal::{CannotOpen, Sealer};
use crate::crypto::signer::{PrivateKey, ScheduledKey, SignerError, due};
use crate::store::signing_keys::StoredSigningKey;
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::state::{SigningAlgorithm, UnknownWord};
use crate::types::time::Timestamp;

/// For servers that learn of a rotation late, and clocks that differ.
pub const SLACK_SECONDS: i64 = 60 * 60;

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// How long a key signs; 0: until somebody rotates.
    pub seconds: i64,
    pub publish_seconds: i64,
    /// The longest lifetime of a token that is signed.
    pub longest_token_seconds: i64,
}

impl Schedule {
    pub fn of(oauth: &OAuth) -> Self {
        Self {
            seconds: oauth.signing_key_seconds,
            publish_seconds: oauth.signing_key_publish_seconds,
            longest_token_seconds: oauth.access_token_seconds,
        }
    }
}

/// What new keys sign with.
pub fn algorithm(oauth: &OAuth) -> Result<SigningAlgorithm, ConfigError> {
    let unknown = |error: UnknownWord| {
        ConfigError::Value("[oauth] signing_algorithm".to_owned(), error.to_string())
    };
    oauth.signing_algorithm.parse().map_err(unknown)
}

/// Opens what is stored under the key outside the database.
pub fn open(keys: &[StoredSigningKey], sealer: &Sealer) -> Result<Vec<ScheduledKey>, CannotOpen> {
    let open = |row: &StoredSigningKey| {
        let pkcs8 = sealer.open(&row.kid, &row.sealed_private_key)?;
        Ok((
            PrivateKey {
                kid: row.kid.clone(),
                algorithm: row.algorithm,
                pkcs8,
            },
            row.signs_from,
        ))
    };
    keys.iter().map(open).collect()
}

/// Since when no token carries the higher of two signatures.
pub fn lower_from(keys: &[StoredSigningKey]) -> Timestamp {
    let begun = keys.iter().filter_map(|key| key.lower_from).max();
    begun.unwrap_or(Timestamp::from_millis(0))
}

/// A new key, sealed: made before the transaction that may need it.
pub struct Fresh {
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    pub sealed_private_key: String,
}

impl Fresh {
    pub fn generate(algorithm: SigningAlgorithm, sealer: &Sealer) -> Result<Self, SignerError> {
        let key = PrivateKey::generate(algorithm)?;
        Ok(Self {
            sealed_private_key: sealer.seal(&key.kid, &key.pkcs8),
            kid: key.kid,
            algorithm,
        })
    }

    fn stored(
        &self,
        schedule: Schedule,
        now: Timestamp,
        signs_from: Timestamp,
        replaces: &str,
    ) -> StoredSigningKey {
        StoredSigningKey {
            kid: self.kid.clone(),
            algorithm: self.algorithm,
            sealed_private_key: self.sealed_private_key.clone(),
            created_at: now,
            signs_from,
            replaces: replaces.to_owned(),
            published_at: None,
            longest_token_seconds: schedule.longest_token_seconds,
            lower_from: Some(Timestamp::from_millis(0)),
        }
    }
}

/// What a key is for at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Published; signs from its time.
    Next,
    Signs,
    /// Its tokens still verify.
    Verifies,
}

impl Turn {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signs => "signs",
            Self::Verifies => "verifies",
        }
    }
}

/// The turn of each of `keys`, which are in the order of [`crate::store::Snapshot::list_signing_keys`].
pub fn turns(
    keys: &[StoredSigningKey],
    now: Timestamp,
) -> impl Iterator<Item = (&StoredSigningKey, Turn)> {
    let current = current(keys, now);
    keys.iter().enumerate().map(move |(index, key)| {
        let turn = match current {
            Some(current) if index < current => Turn::Next,
            Some(current) if index > current => Turn::Verifies,
            _ => Turn::Signs,
        };
        (key, turn)
    })
}

fn current(keys: &[StoredSigningKey], now: Timestamp) -> Option<usize> {
    due(keys.iter().map(|key| key.signs_from), now)
}

/// What is to be done for the schedule.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chores {
    publish: Vec<(String, Timestamp)>,
    lengthen: Vec<String>,
    lower: Vec<String>,
    prepare: Option<Timestamp>,
    retire: Vec<String>,
}

/// `keys`: as they are listed.
fn due_chores(mut keys: Vec<StoredSigningKey>, schedule: Schedule, now: Timestamp) -> Chores {
    let mut chores = Chores {
        lower: keys
            .iter()
            .filter(|key| key.lower_from.is_none())
            .map(|key| key.kid.clone())
            .collect(),
        ..Chores::default()
    };
    let ready = now.plus_seconds(schedule.publish_seconds);
    for key in keys.iter_mut().filter(|key| key.published_at.is_none()) {
        // the clock of whoever made it may be ahead
        key.signs_from = if is_urgent(key) {
            key.signs_from.min(now)
        } else {
            key.signs_from.max(ready)
        };
        chores.publish.push((key.kid.clone(), key.signs_from));
    }
    keys.sort_by(|one, other| {
        other
            .signs_from
            .cmp(&one.signs_from)
            .then_with(|| one.kid.cmp(&other.kid))
    });
    let (Some(newest), Some(current)) = (keys.first(), current(&keys, now)) else {
        return Chores {
            prepare: Some(now),
            ..chores
        };
    };
    if schedule.seconds > 0 && newest.signs_from.plus_seconds(schedule.seconds) <= ready {
        chores.prepare = Some(ready);
    }
    let may_sign = keys[..=current].iter();
    chores.lengthen = may_sign
        .filter(|key| key.longest_token_seconds < schedule.longest_token_seconds)
        .map(|key| key.kid.clone())
        .collect();
    let superseded = keys[current..].iter().zip(&keys[current + 1..]);
    chores.retire = superseded
        .filter(|(next, key)| now > last_token_ends(key, next))
        .map(|(_, key)| key.kid.clone())
        .collect();
    chores
}

/// It was to sign as soon as it was made: the first of a database, or an emergency.
fn is_urgent(key: &StoredSigningKey) -> bool {
    key.signs_from <= key.created_at
}

/// When the key can leave the key set, once `next` signs.
pub fn last_token_ends(key: &StoredSigningKey, next: &StoredSigningKey) -> Timestamp {
    next.signs_from
        .plus_seconds(key.longest_token_seconds)
        .plus_seconds(SLACK_SECONDS)
}

/// What of it does not wait while the clock is in doubt: a key that is to sign at once, and the first one.
fn urgent_chores(keys: Vec<StoredSigningKey>, schedule: Schedule, now: Timestamp) -> Chores {
    let is_first = keys.is_empty();
    let urgent = |kid: &String| keys.iter().any(|key| key.kid == *kid && is_urgent(key));
    let due = due_chores(keys.clone(), schedule, now);
    Chores {
        publish: due
            .publish
            .into_iter()
            .filter(|(kid, _)| urgent(kid))
            .collect(),
        lengthen: due.lengthen,
        lower: due.lower,
        prepare: due.prepare.filter(|_| is_first),
        retire: Vec::new(),
    }
}

fn chores(
    keys: Vec<StoredSigningKey>,
    schedule: Schedule,
    (now, trusts_clock): (Timestamp, bool),
) -> Chores {
    if trusts_clock {
        due_chores(keys, schedule, now)
    } else {
        urgent_chores(keys, schedule, now)
    }
}

/// Whether nothing is to be done. `now`, and whether it is trusted.
pub fn is_on_schedule(
    keys: &[StoredSigningKey],
    schedule: Schedule,
    now: (Timestamp, bool),
) -> bool {
    chores(keys.to_vec(), schedule, now) == Chores::default()
}

/// What the server does: publishes what was made elsewhere, prepares the next key, lets old ones go. `Constraint`: another
/// rotation was first.
pub fn tend(tx: &mut Tx, schedule: Schedule, fresh: &Fresh) -> Result<(), Error> {
    let (keys, now) = (tx.list_signing_keys()?, tx.now);
    let newest = keys.first().map_or_else(String::new, |key| key.kid.clone());
    let chores = chores(keys, schedule, (now, tx.trusts_clock));
    for (kid, signs_from) in &chores.publish {
        tx.schedule_signing_key(kid, *signs_from, Some(now))?;
    }
    for kid in &chores.lengthen {
        tx.lengthen_signing_key(kid, schedule.longest_token_seconds)?;
    }
    for kid in &chores.lower {
        tx.begin_lower_signatures(kid)?;
    }
    if let Some(signs_from) = chores.prepare {
        let key = StoredSigningKey {
            published_at: Some(now),
            ..fresh.stored(schedule, now, signs_from, &newest)
        };
        insert(tx, &key)?;
    }
    for kid in &chores.retire {
        tx.delete_signing_key(kid)?;
        tx.record(
            None,
            None,
            Event::SigningKeyRetired,
            kid,
            "its last token has expired",
        )?;
    }
    Ok(())
}

/// The keys of a database that was restored: another one signs, and nothing verifies that an older one has signed.
pub fn begin_anew(tx: &mut Tx, schedule: Schedule, fresh: &Fresh) -> Result<(), Error> {
    for key in tx.list_signing_keys()? {
        tx.delete_signing_key(&key.kid)?;
        let because = "the database was restored";
        tx.record(None, None, Event::SigningKeyRemoved, &key.kid, because)?;
    }
    tend(tx, schedule, fresh)
}

fn insert(tx: &mut Tx, key: &StoredSigningKey) -> Result<(), Error> {
    tx.insert_signing_key(key)?;
    tx.record(
        None,
        None,
        Event::SigningKeyCreated,
        &key.kid,
        &format!("{}, signs from {}", key.algorithm, key.signs_from.rfc3339()),
    )
}

/// What came of somebody's wish for another key.
pub enum Rotation {
    Made(StoredSigningKey),
    /// The next key waits already.
    Waiting(StoredSigningKey),
    /// Another rotation has made this one since `seen` was the newest.
    Overtaken(StoredSigningKey),
}

/// What the command line does. Urgent: the key signs at once, and one that waits is discarded with the suspicion.
pub fn rotate(
    tx: &mut Tx,
    schedule: Schedule,
    fresh: &Fresh,
    seen: &str,
    urgent: bool,
) -> Result<Rotation, Error> {
    let (keys, now) = (tx.list_signing_keys()?, tx.now);
    let (Some(newest), Some(current)) = (keys.first(), current(&keys, now)) else {
        return Err(Error::NotFound);
    };
    if newest.kid != seen {
        return Ok(Rotation::Overtaken(newest.clone()));
    }
    if !urgent && current > 0 {
        return Ok(Rotation::Waiting(newest.clone()));
    }
    if urgent {
        clear_the_way(tx, &keys, current)?;
    }
    let signs_from = if urgent {
        now
    } else {
        now.plus_seconds(schedule.publish_seconds.max(1))
    };
    let key = fresh.stored(schedule, now, signs_from, &newest.kid);
    insert(tx, &key)?;
    Ok(Rotation::Made(key))
}

/// Nothing of before may take over later.
fn clear_the_way(tx: &mut Tx, keys: &[StoredSigningKey], current: usize) -> Result<(), Error> {
    for waiting in &keys[..current] {
        tx.delete_signing_key(&waiting.kid)?;
        tx.record(
            None,
            None,
            Event::SigningKeyDiscarded,
            &waiting.kid,
            "another one signs at once",
        )?;
    }
    let old = &keys[current];
    // made under a clock that was ahead
    if old.signs_from >= tx.now {
        tx.schedule_signing_key(
            &old.kid,
            Timestamp::from_millis(tx.now.millis() - 1),
            old.published_at,
        )?;
    }
    Ok(())
}

/// Why a key stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRemove {
    #[error("there is no such key")]
    Unknown,
    #[error("it signs: run `signing-keys rotate --now` first")]
    Signs,
    #[error(transparent)]
    Store(#[from] Error),
}

/// Takes a key out of the key set before its time: what it signed ends. For a key that others may have.
pub fn remove(tx: &mut Tx, kid: &str) -> Result<(), CannotRemove> {
    let keys = tx.list_signing_keys()?;
    match turns(&keys, tx.now).find(|(key, _)| key.kid == kid) {
        None => Err(CannotRemove::Unknown),
        Some((_, Turn::Signs)) => Err(CannotRemove::Signs),
        Some(_) => {
            tx.delete_signing_key(kid)?;
            Ok(tx.record(
                None,
                None,
                Event::SigningKeyRemoved,
                kid,
                "by the command line",
            )?)
        }
    }
}
