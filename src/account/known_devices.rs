//! Known devices: the browsers in which a person has signed in before. They go on when strangers have tried too many passwords.
//!
//! Invariants: what a browser keeps is sealed for this purpose and for one account; it ends with the password that the account
//! had then, and by itself; it proves nothing but that the browser was here: without the password it opens nothing.

use actix_web::cookie::Cookie;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::crypto::digest::Purpose;
use crate::store::users::User;
use crate::types::id::UserId;
use crate::types::text::random_base62;
use crate::types::time::Timestamp;
use crate::web::cookies;

/// Half a year after the last sign-in.
const KEPT_SECONDS: i64 = 180 * 24 * 60 * 60;
/// Accounts that one browser is known to, the latest: browsers keep 4096 bytes of a cookie (RFC 6265 §6.1).
const MOST_ACCOUNTS: usize = 8;
const BETWEEN: char = '|';

/// Sealed, one for each account.
#[derive(Serialize, Deserialize)]
struct Device {
    id: String,
    /// The digest of the account's password hash.
    password: String,
    ends_at: i64,
}

/// The device's id, if the browser that shows this cookie is known to the person's account.
pub(super) fn recognize(app: &App, shown: &str, person: &User, now: Timestamp) -> Option<String> {
    let password_hash = person.password_hash.as_deref()?;
    let current = app.digester.candidates(Purpose::KnownDevice, password_hash);
    let device = shown
        .split(BETWEEN)
        .find_map(|sealed| open(app, sealed, person.id))?;
    let is_current = current
        .iter()
        .any(|digest| digest.as_str() == device.password);
    (is_current && Timestamp::from_millis(device.ends_at) > now).then_some(device.id)
}

/// The cookie by which the browser is known to the person's account from now on, and to others as before. None for an
/// account without a password.
pub(super) fn remember(
    app: &App,
    shown: &str,
    person: &User,
    now: Timestamp,
) -> Option<Cookie<'static>> {
    let password_hash = person.password_hash.as_deref()?;
    let device = Device {
        id: recognize(app, shown, person, now).unwrap_or_else(|| random_base62(16)),
        password: app
            .digester
            .digest(Purpose::KnownDevice, password_hash)
            .as_str()
            .to_owned(),
        ends_at: now.plus_seconds(KEPT_SECONDS).millis(),
    };
    let text = serde_json::to_vec(&device).ok()?;
    let others = shown
        .split(BETWEEN)
        .filter(|sealed| !sealed.is_empty() && open(app, sealed, person.id).is_none());
    let own = app.sealer.seal(&context(person.id), &text);
    let all: Vec<&str> = std::iter::once(own.as_str())
        .chain(others)
        .take(MOST_ACCOUNTS)
        .collect();
    let value = all.join(&BETWEEN.to_string());
    Some(cookies::devices(
        app.issuer.is_secure(),
        value,
        KEPT_SECONDS,
    ))
}

fn open(app: &App, sealed: &str, person: UserId) -> Option<Device> {
    let text = app.sealer.open(&context(person), sealed).ok()?;
    serde_json::from_slice(&text).ok()
}

fn context(person: UserId) -> String {
    format!("known device of {person}")
}
