//! A Sandbox key plays revoked, expired, limited or forbidden for some minutes, so that clients can test it (A3). It ends by
//! itself: what is remembered of the key is read again at that instant.

use crate::domain::desk::Desk;
use crate::domain::keys::api_keys;
use crate::domain::{Refusal, ensure};
use crate::store::api_keys::ApiKey;
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::ApiKeyId;
use crate::types::refusal_code::RefusalCode;
use crate::types::state::{ApiKeyState, Simulation};

pub const MOST_MINUTES: i64 = 60;

pub fn start(
    desk: &mut Desk,
    id: ApiKeyId,
    what: Simulation,
    minutes: i64,
) -> Result<ApiKey, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    ensure(
        (1..=MOST_MINUTES).contains(&minutes),
        Refusal::field("minutes", "must be 1 to 60"),
    )?;
    let only = "Only Sandbox keys simulate: a Production key is paused or revoked.";
    ensure(
        key.environment == Environment::Sandbox,
        Refusal::Coded(RefusalCode::SandboxOnly, only.to_owned()),
    )?;
    let live = matches!(key.state, ApiKeyState::Active | ApiKeyState::Paused);
    ensure(
        live,
        Refusal::Coded(
            RefusalCode::WrongState,
            "Only a live key simulates.".to_owned(),
        ),
    )?;
    let until = desk.now().plus_seconds(minutes * 60);
    desk.tx
        .change_api_key_simulation(desk.organization, id, Some((what, until)))?;
    desk.record(Event::ApiKeySimulationStarted, id.as_str(), what.as_str())?;
    Ok(ApiKey {
        simulates: Some(what),
        simulates_until: Some(until),
        ..key
    })
}

/// One that has ended is no error.
pub fn stop(desk: &mut Desk, id: ApiKeyId) -> Result<ApiKey, Refusal> {
    let key = api_keys::find_managed(desk, id)?;
    if key.simulates.is_some() {
        desk.tx
            .change_api_key_simulation(desk.organization, id, None)?;
        desk.record(Event::ApiKeySimulationEnded, id.as_str(), "")?;
    }
    Ok(ApiKey {
        simulates: None,
        simulates_until: None,
        ..key
    })
}
