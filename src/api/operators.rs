//! `/v1/operators`: the people who run this installation, for operator tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery};
use super::users::UserView;
use crate::crypto::password;
use crate::domain::Refusal;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::people::accounts::NewPerson;
use crate::domain::people::operators;
use crate::store::users::User;
use crate::types::email::Mailbox;
use crate::types::id::UserId;
use crate::web::problem::{Problem, internal_error};

/// The operators, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Operators {
    data: Vec<UserView>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorPath {
    id: UserId,
}

/// An operator to be made. The caller vouches for the address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOperator", example = serde_json::json!({"email": "olga@vendor.example", "name": "Olga Operator"}))]
pub struct NewOperatorBody {
    #[schemars(length(min = 3, max = 320))]
    email: String,
    #[schemars(length(min = 1, max = 100))]
    name: String,
}

/// What a create answers with: the only time that the password is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedOperator")]
pub struct CreatedOperatorView {
    #[serde(flatten)]
    user: UserView,
    /// The first one, made here: to be changed by the operator. null when the request was sent before.
    password: Option<String>,
}

pub async fn list(
    call: Call,
    _: Input<NoPath, NoQuery, NoBody>,
) -> Result<Answer<Operators>, Problem> {
    let list = |view: &mut VendorView| operators::list(view);
    let data = call.ask_vendor(list).await?;
    let data = data.into_iter().map(UserView::from).collect();
    Ok(Answer::of(Operators { data }))
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewOperatorBody>,
) -> Result<Answer<CreatedOperatorView>, Problem> {
    let NewOperatorBody { email, name } = input.body;
    let email =
        Mailbox::parse(&email).map_err(|error| Refusal::field("email", error.to_string()))?;
    let password = password::generate();
    let plain = password.clone();
    // off this thread: it takes a while by design
    let password_hash = actix_web::web::block(move || password::hash(&plain))
        .await
        .map_err(|_| internal_error())?;
    let person = NewPerson {
        email,
        name,
        password_hash,
        operator: true,
    };
    let create = move |desk: &mut VendorDesk| {
        let made = operators::create_person(desk, &person)?;
        Ok((made.id.to_string(), made))
    };
    let again = |desk: &mut VendorDesk, id: &str| {
        let id = id.parse().map_err(|_| Refusal::NotFound)?;
        desk.tx.find_user(id)?.ok_or(Refusal::NotFound)
    };
    let made = call.make_vendor(create, again).await?;
    let password = (!made.replayed).then_some(password);
    let location = |row: &User| format!("/v1/operators/{}", row.id);
    Ok(Answer::made(made, location, |row| CreatedOperatorView {
        user: row.into(),
        password,
    }))
}

pub async fn delete(
    call: Call,
    input: Input<OperatorPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let remove = move |desk: &mut VendorDesk| operators::remove(desk, input.path.id);
    call.change_vendor(remove).await?;
    Ok(Answer::none())
}
