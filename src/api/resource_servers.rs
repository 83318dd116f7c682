//! `/v1/resource-servers`: the vendor's APIs, for operator tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, NoContent};
use super::call::Call;
use super::input::{Input, NoBody, NoPath, NoQuery, present};
use crate::domain::decision::resource_servers::enforced;
use crate::domain::desk::{VendorDesk, VendorView};
use crate::domain::operations::resource_servers::{self, NewResourceServer, RegisteredServer};
use crate::domain::{Refusal, ensure};
use crate::store::resource_servers::ResourceServerSecret;
use crate::types::environment::Environment;
use crate::types::id::{ClientSecretId, ResourceServerId};
use crate::types::resource::ResourceUri;
use crate::types::right::Right;
use crate::types::state::ObligationKind;
use crate::types::time::Timestamp;
use crate::web::problem::Problem;

const NEEDED: Right = Right::OperatorResourceServers;

/// A resource server: one of the vendor's APIs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ResourceServer")]
pub struct ResourceServerView {
    id: ResourceServerId,
    name: String,
    /// null: it serves both.
    environment: Option<Environment>,
    /// The Sandbox rules that its code carries out.
    enforces: Vec<ObligationKind>,
    /// Whether tokens that name no resource are for it, too.
    default_audience: bool,
    /// What applications call it in `resource` (RFC 8707).
    resources: Vec<String>,
    secrets: Vec<ServerSecretView>,
    created_at: Timestamp,
}

/// A live secret of a resource server, by what may be shown of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ResourceServerSecret")]
pub struct ServerSecretView {
    id: ClientSecretId,
    /// How it starts.
    hint: String,
    created_at: Timestamp,
}

impl From<ResourceServerSecret> for ServerSecretView {
    fn from(row: ResourceServerSecret) -> Self {
        Self {
            id: row.id,
            hint: row.hint,
            created_at: row.created_at,
        }
    }
}

impl From<RegisteredServer> for ResourceServerView {
    fn from(found: RegisteredServer) -> Self {
        Self {
            enforces: enforced(&found.server).into_iter().collect(),
            id: found.server.id,
            name: found.server.name,
            environment: found.server.environment,
            default_audience: found.server.default_audience,
            resources: found
                .resources
                .iter()
                .map(|uri| uri.as_str().to_owned())
                .collect(),
            secrets: found
                .secrets
                .into_iter()
                .map(ServerSecretView::from)
                .collect(),
            created_at: found.server.created_at,
        }
    }
}

/// All of them, the oldest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceServers {
    data: Vec<ResourceServerView>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceServerPath {
    id: ResourceServerId,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSecretPath {
    id: ResourceServerId,
    secret: ClientSecretId,
}

/// A resource server to be registered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewResourceServer")]
pub struct NewResourceServerBody {
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// Left out or null: both.
    environment: Option<Environment>,
    /// The Sandbox rules that its code carries out: a decision that demands another one is a refusal.
    #[schemars(length(max = 3))]
    enforces: Vec<ObligationKind>,
    /// Whether tokens that name no resource are for it, too.
    #[serde(default = "yes")]
    default_audience: bool,
}

fn yes() -> bool {
    true
}

/// What is to change of a resource server; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ResourceServerChange")]
pub struct ResourceServerChangeBody {
    /// The Sandbox rules that its code carries out, all of them.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<ObligationKind>", length(max = 3))]
    enforces: Option<Vec<ObligationKind>>,
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    default_audience: Option<bool>,
}

/// A URI that the server is called by.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Resource", example = serde_json::json!({"uri": "https://api.example.com/"}))]
pub struct ResourceBody {
    /// An absolute https URI without a fragment.
    #[schemars(length(min = 1, max = 2000))]
    uri: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceQuery {
    /// As it was registered.
    uri: String,
}

/// What a create answers with: the only time that the secret is shown.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedResourceServer")]
pub struct CreatedServerView {
    #[serde(flatten)]
    server: ResourceServerView,
    /// null when the request was sent before.
    client_secret: Option<String>,
}

pub async fn list(
    call: Call,
    _: Input<NoPath, NoQuery, NoBody>,
) -> Result<Answer<ResourceServers>, Problem> {
    let list = |view: &mut VendorView| {
        let operator = view.as_operator(NEEDED)?;
        resource_servers::list(view.snapshot, &operator)
    };
    let found = call.ask_vendor(list).await?;
    let data = found.into_iter().map(ResourceServerView::from).collect();
    Ok(Answer::of(ResourceServers { data }))
}

pub async fn get(
    call: Call,
    input: Input<ResourceServerPath, NoQuery, NoBody>,
) -> Result<Answer<ResourceServerView>, Problem> {
    let get = move |view: &mut VendorView| {
        let operator = view.as_operator(NEEDED)?;
        resource_servers::get(view.snapshot, &operator, input.path.id)
    };
    Ok(Answer::of(call.ask_vendor(get).await?.into()))
}

/// Each once.
fn in_order(mut rules: Vec<ObligationKind>) -> Result<Vec<ObligationKind>, Refusal> {
    let named = rules.len();
    rules.sort_unstable_by_key(ObligationKind::as_str);
    rules.dedup();
    ensure(
        rules.len() == named,
        Refusal::field("enforces", "names one twice"),
    )?;
    Ok(rules)
}

/// The server, after a change.
fn read(desk: &mut VendorDesk, id: ResourceServerId) -> Result<RegisteredServer, Refusal> {
    let operator = desk.as_operator(NEEDED)?;
    resource_servers::get(desk.tx, &operator, id)
}

pub async fn create(
    call: Call,
    input: Input<NoPath, NoQuery, NewResourceServerBody>,
) -> Result<Answer<CreatedServerView>, Problem> {
    let NewResourceServerBody {
        name,
        environment,
        enforces,
        default_audience,
    } = input.body;
    let (secret, stored) = call.app.mint_client_secret();
    let new = NewResourceServer {
        name,
        environment,
        obligations: in_order(enforces)?,
        default_audience,
        secret: stored,
    };
    let create = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        let made = resource_servers::register(desk.tx, &operator, &new)?.id;
        Ok((made.to_string(), read(desk, made)?))
    };
    let again =
        |desk: &mut VendorDesk, id: &str| read(desk, id.parse().map_err(|_| Refusal::NotFound)?);
    let made = call.make_vendor(create, again).await?;
    let client_secret = (!made.replayed).then(|| secret.expose().to_owned());
    let location = |row: &RegisteredServer| format!("/v1/resource-servers/{}", row.server.id);
    Ok(Answer::made(made, location, |row| CreatedServerView {
        server: row.into(),
        client_secret,
    }))
}

pub async fn change(
    call: Call,
    input: Input<ResourceServerPath, NoQuery, ResourceServerChangeBody>,
) -> Result<Answer<ResourceServerView>, Problem> {
    let id = input.path.id;
    let ResourceServerChangeBody {
        enforces,
        default_audience: wanted,
    } = input.body;
    let enforces = enforces.map(in_order).transpose()?;
    let change = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        if let Some(wanted) = wanted {
            resource_servers::set_default_audience(desk.tx, &operator, id, wanted)?;
        }
        if let Some(enforces) = &enforces {
            resource_servers::set_obligations(desk.tx, &operator, id, enforces)?;
        }
        read(desk, id)
    };
    Ok(Answer::of(call.change_vendor(change).await?.into()))
}

pub async fn delete(
    call: Call,
    input: Input<ResourceServerPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let delete = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        resource_servers::delete(desk.tx, &operator, input.path.id)
    };
    call.change_vendor(delete).await?;
    Ok(Answer::none())
}

pub async fn add_resource(
    call: Call,
    input: Input<ResourceServerPath, NoQuery, ResourceBody>,
) -> Result<Answer<ResourceServerView>, Problem> {
    let (id, uri) = (input.path.id, input.body.uri);
    let issuer = call.app.issuer.as_str().to_owned();
    let add = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        resource_servers::add_resource(desk.tx, &operator, id, &uri, &issuer)?;
        read(desk, id)
    };
    Ok(Answer::of(call.change_vendor(add).await?.into()))
}

pub async fn remove_resource(
    call: Call,
    input: Input<ResourceServerPath, ResourceQuery, NoBody>,
) -> Result<Answer<ResourceServerView>, Problem> {
    let id = input.path.id;
    let uri: ResourceUri = input.query.uri.parse().map_err(|_| Refusal::NotFound)?;
    let remove = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        resource_servers::remove_resource(desk.tx, &operator, id, &uri)?;
        read(desk, id)
    };
    Ok(Answer::of(call.change_vendor(remove).await?.into()))
}

pub async fn add_secret(
    call: Call,
    input: Input<ResourceServerPath, NoQuery, NoBody>,
) -> Result<Answer<CreatedServerView>, Problem> {
    let id = input.path.id;
    let (secret, stored) = call.app.mint_client_secret();
    let add = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        resource_servers::add_secret(desk.tx, &operator, id, &stored)?;
        Ok((id.to_string(), read(desk, id)?))
    };
    let again = move |desk: &mut VendorDesk, _: &str| read(desk, id);
    let made = call.make_vendor(add, again).await?;
    let client_secret = (!made.replayed).then(|| secret.expose().to_owned());
    let location = |row: &RegisteredServer| format!("/v1/resource-servers/{}", row.server.id);
    Ok(Answer::made(made, location, |row| CreatedServerView {
        server: row.into(),
        client_secret,
    }))
}

pub async fn revoke_secret(
    call: Call,
    input: Input<ServerSecretPath, NoQuery, NoBody>,
) -> Result<Answer<NoContent>, Problem> {
    let ServerSecretPath { id, secret } = input.path;
    let revoke = move |desk: &mut VendorDesk| {
        let operator = desk.as_operator(NEEDED)?;
        resource_servers::revoke_secret(desk.tx, &operator, id, secret)
    };
    call.change_vendor(revoke).await?;
    Ok(Answer::none())
}
