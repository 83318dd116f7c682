//! What every upsert by an `external_id` does the same way. It is safe to repeat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::Call;
use crate::domain::Refusal;
use crate::domain::desk::VendorDesk;
use crate::domain::people::organizations::Effect;
use crate::store;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalPath {
    #[schemars(length(min = 1, max = 100))]
    pub(super) external_id: String,
}

/// What an upsert did, and what is there now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Put")]
pub struct Put<T> {
    /// `created`, `updated` or `unchanged`.
    outcome: &'static str,
    #[serde(flatten)]
    it: T,
}

impl<T> Put<T> {
    pub(super) fn of(effect: Effect, it: T) -> Self {
        Self {
            outcome: effect.as_str(),
            it,
        }
    }
}

/// A change that may meet its twin: who loses the race for a unique name finds what the winner made.
pub(super) async fn upsert<T: Send + 'static>(
    call: &Call,
    change: impl FnMut(&mut VendorDesk<'_, '_>) -> Result<T, Refusal> + Clone + Send + 'static,
) -> Result<T, Refusal> {
    match call.change_vendor(change.clone()).await {
        Err(Refusal::Store(store::Error::Constraint(_))) => call.change_vendor(change).await,
        answer => answer,
    }
}
