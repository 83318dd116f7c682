//! `/v1/users`: the people of the whole installation, for operator tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::call::Call;
use super::input::{Input, NoBody, NoQuery, present};
use super::upsert::{ExternalPath, Put, upsert};
use crate::domain::desk::VendorDesk;
use crate::domain::lifecycle::provisioning::{self, WantedUser};
use crate::store::users::User;
use crate::types::id::UserId;
use crate::types::state::UserState;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

/// A person.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView {
    id: UserId,
    external_id: Option<String>,
    email: Option<String>,
    name: String,
    state: UserState,
    created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(row: User) -> Self {
        let User {
            id,
            external_id,
            email,
            name,
            state,
            created_at,
            ..
        } = row;
        Self {
            id,
            external_id,
            email,
            name,
            state,
            created_at,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPath {
    id: UserId,
}

/// A person as they are to be; what is left out stays. A new one needs an address and a name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UserUpsert")]
pub struct UserUpsert {
    /// The vendor vouches for it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    email: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 100))]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "UserState")]
    state: Option<UserState>,
}

pub async fn put_by_external_id(
    call: Call,
    input: Input<ExternalPath, NoQuery, UserUpsert>,
) -> Result<Answer<Put<UserView>>, Problem> {
    let external_id = input.path.external_id;
    let UserUpsert { email, name, state } = input.body;
    let wanted = WantedUser { email, name, state };
    let put = move |desk: &mut VendorDesk| provisioning::put_user(desk, &external_id, &wanted);
    let (user, effect) = upsert(&call, put).await?;
    Ok(Answer::of(Put::of(effect, user.into())))
}

pub async fn suspend(
    call: Call,
    input: Input<UserPath, NoQuery, NoBody>,
) -> Result<Answer<UserView>, Problem> {
    set_state(&call, input.path.id, UserState::Suspended).await
}

pub async fn resume(
    call: Call,
    input: Input<UserPath, NoQuery, NoBody>,
) -> Result<Answer<UserView>, Problem> {
    set_state(&call, input.path.id, UserState::Active).await
}

async fn set_state(call: &Call, id: UserId, to: UserState) -> Result<Answer<UserView>, Problem> {
    let set = move |desk: &mut VendorDesk| provisioning::set_user_state(desk, id, to);
    Ok(Answer::of(call.change_vendor(set).await?.into()))
}
