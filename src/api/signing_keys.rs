//! `/v1/signing-keys`: the keys that sign access tokens, for operator tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use crate::domain::Refusal;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::operations::signing_keys::{
    self, CannotRemove, Fresh, Rotation, Schedule, last_token_ends, turns,
};
use crate::store::signing_keys::StoredSigningKey;
use crate::types::right::Right;
use crate::types::time::Timestamp;
use crate::web::problem::{Problem, internal_error};

/// A signing key, by what is public of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
pub struct SigningKeyView {
    kid: String,
    /// `ES256` or `EdDSA`.
    algorithm: &'static str,
    /// `next`, `signs` or `verifies`.
    state: &'static str,
    signs_from: Timestamp,
    /// Until when it stays in the key set, once another one signs.
    kept_until: Option<Timestamp>,
    created_at: Timestamp,
}

/// The next key, the one that signs, and those whose tokens still verify.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SigningKeys {
    data: Vec<SigningKeyView>,
}

impl SigningKeys {
    fn of(keys: &[StoredSigningKey], now: Timestamp) -> Self {
        let mut successor: Option<&StoredSigningKey> = None;
        let view = |(key, turn): (_, signing_keys::Turn)| {
            let key: &StoredSigningKey = key;
            let kept_until = successor.map(|next| last_token_ends(key, next));
            successor = Some(key);
            SigningKeyView {
                kid: key.kid.clone(),
                algorithm: key.algorithm.as_str(),
                state: turn.as_str(),
                signs_from: key.signs_from,
                kept_until,
                created_at: key.created_at,
            }
        };
        Self {
            data: turns(keys, now).map(view).collect(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyPath {
    #[schemars(length(min = 1))]
    kid: String,
}

/// How to rotate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rotation", example = serde_json::json!({}))]
pub struct RotationBody {
    /// In an emergency: the new key signs at once, before resource servers have it.
    #[serde(default)]
    now: bool,
}

/// What came of a rotation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RotationResult")]
pub struct RotationView {
    /// `made`; `waiting`: there is a next key already; `overtaken`: another rotation was first.
    outcome: &'static str,
    kid: String,
    signs_from: Timestamp,
}

pub async fn list(
    call: Call,
    _: Input<NoPath, NoQuery, NoBody>,
) -> Result<Answer<SigningKeys>, Problem> {
    let list = |view: &mut VendorView| {
        view.ensure(Right::OperatorSigningKeys)?;
        Ok(view.snapshot.list_signing_keys()?)
    };
    let keys = call.ask_vendor(list).await?;
    Ok(Answer::of(SigningKeys::of(&keys, call.facts.now)))
}

pub async fn rotate(
    call: Call,
    input: Input<NoPath, NoQuery, RotationBody>,
) -> Result<Answer<RotationView>, Problem> {
    let oauth = &call.app.config.oauth;
    let algorithm = signing_keys::algorithm(oauth).map_err(|_| internal_error())?;
    let fresh = Fresh::generate(algorithm, &call.app.sealer).map_err(|_| internal_error())?;
    let (schedule, urgent) = (Schedule::of(oauth), input.body.now);
    let rotate = move |desk: &mut VendorDesk| {
        desk.ensure(Right::OperatorSigningKeys)?;
        let keys = desk.tx.list_signing_keys()?;
        let seen = keys.first().ok_or(Refusal::NotFound)?.kid.clone();
        Ok(signing_keys::rotate(
            desk.tx, schedule, &fresh, &seen, urgent,
        )?)
    };
    let rotation = call.change_vendor(rotate).await?;
    take_over(&call).await?;
    let (outcome, key) = match rotation {
        Rotation::Made(key) => ("made", key),
        Rotation::Waiting(key) => ("waiting", key),
        Rotation::Overtaken(key) => ("overtaken", key),
    };
    Ok(Answer::of(RotationView {
        outcome,
        kid: key.kid,
        signs_from: key.signs_from,
    }))
}

pub async fn delete(
    call: Call,
    input: Input<SigningKeyPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let kid = input.path.kid;
    let remove = move |desk: &mut VendorDesk| {
        desk.ensure(Right::OperatorSigningKeys)?;
        signing_keys::remove(desk.tx, &kid).map_err(|reason| match reason {
            CannotRemove::Unknown => Refusal::NotFound,
            CannotRemove::Signs => {
                Refusal::Blocked("This key signs: rotate with now = true first.".to_owned())
            }
            CannotRemove::Store(error) => error.into(),
        })
    };
    call.change_vendor(remove).await?;
    take_over(&call).await?;
    Ok(Answer::none())
}

/// Before the answer, so that the next token and the next check follow the change.
async fn take_over(call: &Call) -> Result<(), Problem> {
    call.app.tend_signing_keys().await.map_err(|error| {
        tracing::error!("The signing keys could not be taken over: {error}");
        internal_error()
    })
}
