//! Resource servers: as the doors know them, authenticated, with what they enforce; and how the operator keeps them.
//!
//! Invariants: only an operator registers or changes one. A `resource` URI names one server. A server has one or two live
//! secrets, so that a new one is in use before the old one ends.

use crate::crypto::digest::Digest;
use crate::domain::clients::approval::ensure_operator;
use crate::domain::decision::memory::Depends;
use crate::domain::decision::sandbox::ObligationKind;
use crate::domain::{Refusal, ensure};
use crate::store::application_secrets::NewSecret;
use crate::store::resource_servers::{ResourceServer, ResourceServerSecret};
use crate::store::{Error, Snapshot, Subject, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ClientSecretId, ResourceServerId, UserId};
use crate::types::resource::{ResourceUri, Resources};
use crate::types::text::parse_text;

const MOST_NAME: usize = 100;
/// Resource servers that one page lists.
const MOST_LISTED: i64 = 200;
/// URIs that one server is called by.
const MOST_URIS: usize = 50;
const MOST_SECRETS: usize = 2;

/// A resource server and the digests of its live secrets.
#[derive(Debug, Clone)]
pub struct Server {
    pub id: ResourceServerId,
    pub name: String,
    /// None: both.
    pub environment: Option<Environment>,
    pub enforces: Vec<ObligationKind>,
    pub secrets: Vec<Digest>,
    /// What it is called in `resource` and `aud` (RFC 8707).
    pub resources: Vec<ResourceUri>,
    /// Whether tokens that name no resource are for it, too.
    pub default_audience: bool,
}

impl Depends for Server {
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        std::iter::once(Subject::ResourceServer(self.id))
    }
}

pub fn find(snapshot: &mut Snapshot, id: ResourceServerId) -> Result<Option<Server>, Error> {
    let Some(row) = snapshot.find_resource_server(id)? else {
        return Ok(None);
    };
    let secrets = snapshot
        .list_resource_server_secrets(id)?
        .into_iter()
        .map(|secret| secret.digest)
        .collect();
    let enforces = enforced(&row);
    let resources = snapshot.list_resources(id)?;
    Ok(Some(Server {
        id,
        name: row.name,
        environment: row.environment,
        enforces,
        secrets,
        resources,
        default_audience: row.default_audience,
    }))
}

/// The first of `asked` that no resource server is called by, or that does not serve this environment (RFC 8707 §2).
pub fn find_wrong_target(
    snapshot: &mut Snapshot,
    asked: &Resources,
    environment: Environment,
) -> Result<Option<String>, Error> {
    for uri in asked.iter() {
        let server = snapshot.find_resource_server_by_uri(uri)?;
        let serves =
            |server: ResourceServer| server.environment.is_none_or(|own| own == environment);
        if !server.is_some_and(serves) {
            return Ok(Some(uri.to_owned()));
        }
    }
    Ok(None)
}

/// The names of the servers that are called so.
pub fn names(snapshot: &mut Snapshot, resources: &Resources) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for uri in resources.iter() {
        names.extend(
            snapshot
                .find_resource_server_by_uri(uri)?
                .map(|server| server.name),
        );
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// What the server declares to enforce.
pub fn enforced(row: &ResourceServer) -> Vec<ObligationKind> {
    row.obligations
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// Registers a resource server that enforces `obligations`, as the installation itself.
pub fn create(
    tx: &mut Tx,
    name: &str,
    environment: Option<Environment>,
    obligations: &[ObligationKind],
    secret: &Digest,
) -> Result<ResourceServer, Error> {
    let secret = NewSecret {
        digest: secret.clone(),
        hint: String::new(),
    };
    let new = NewServer {
        name: name.to_owned(),
        environment,
        obligations: obligations.to_vec(),
        default_audience: true,
        secret,
    };
    insert(tx, None, &new)
}

/// What an operator asks for.
#[derive(Debug, Clone)]
pub struct NewServer {
    pub name: String,
    /// None: both.
    pub environment: Option<Environment>,
    pub obligations: Vec<ObligationKind>,
    /// Whether tokens that name no resource are for it, too.
    pub default_audience: bool,
    pub secret: NewSecret,
}

pub fn register(tx: &mut Tx, operator: UserId, new: NewServer) -> Result<ResourceServer, Refusal> {
    ensure_operator(tx, operator)?;
    let name = parse_text(&new.name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    Ok(insert(tx, Some(operator), &NewServer { name, ..new })?)
}

fn insert(tx: &mut Tx, actor: Option<UserId>, new: &NewServer) -> Result<ResourceServer, Error> {
    let words: Vec<&str> = new.obligations.iter().map(ObligationKind::as_str).collect();
    let server = ResourceServer {
        id: ResourceServerId::generate(tx.now),
        name: new.name.clone(),
        environment: new.environment,
        obligations: words.join(" "),
        created_at: tx.now,
        default_audience: new.default_audience,
    };
    tx.insert_resource_server(&server, &new.secret.digest, &new.secret.hint)?;
    tx.record(
        None,
        actor,
        Event::ResourceServerCreated,
        server.id.as_str(),
        &server.name,
    )?;
    Ok(server)
}

/// A resource server as the operator's pages show it.
#[derive(Debug, Clone)]
pub struct Detail {
    pub server: ResourceServer,
    pub resources: Vec<ResourceUri>,
    /// The live ones, the oldest first.
    pub secrets: Vec<ResourceServerSecret>,
}

/// All of them, the oldest first.
pub fn list(snapshot: &mut Snapshot, operator: UserId) -> Result<Vec<Detail>, Refusal> {
    ensure_operator(snapshot, operator)?;
    let servers = snapshot.list_resource_servers(MOST_LISTED)?;
    Ok(servers
        .into_iter()
        .map(|server| detail(snapshot, server))
        .collect::<Result<_, _>>()?)
}

pub fn get(
    snapshot: &mut Snapshot,
    operator: UserId,
    id: ResourceServerId,
) -> Result<Detail, Refusal> {
    ensure_operator(snapshot, operator)?;
    let server = snapshot
        .find_resource_server(id)?
        .ok_or(Refusal::NotFound)?;
    Ok(detail(snapshot, server)?)
}

fn detail(snapshot: &mut Snapshot, server: ResourceServer) -> Result<Detail, Error> {
    let (resources, secrets) = (
        snapshot.list_resources(server.id)?,
        snapshot.list_resource_server_secrets(server.id)?,
    );
    Ok(Detail {
        server,
        resources,
        secrets,
    })
}

/// The server behind its lock: whoever else changes it waits.
fn hold(tx: &mut Tx, operator: UserId, id: ResourceServerId) -> Result<(), Refusal> {
    ensure_operator(tx, operator)?;
    Ok(tx.hold_resource_server(id)?)
}

/// One more URI that it is called by; never the issuer's, which is the `aud` of tokens that name no resource. One that it has
/// already stays.
pub fn add_resource(
    tx: &mut Tx,
    operator: UserId,
    id: ResourceServerId,
    uri: &str,
    issuer: &str,
) -> Result<(), Refusal> {
    hold(tx, operator, id)?;
    let refused = |message: String| Refusal::Invalid(vec![("uri", message)]);
    let uri: ResourceUri = uri
        .trim()
        .parse()
        .map_err(|error: crate::types::resource::ResourceError| refused(error.to_string()))?;
    ensure(
        uri.as_str() != issuer,
        refused("This is the address of this server itself.".to_owned()),
    )?;
    match tx.find_resource_server_by_uri(uri.as_str())? {
        Some(owner) if owner.id == id => return Ok(()),
        Some(owner) => {
            return Err(refused(format!(
                "This is what {} is called: a URI names one resource server.",
                owner.name
            )));
        }
        None => {}
    }
    ensure(
        tx.list_resources(id)?.len() < MOST_URIS,
        refused(format!("At most {MOST_URIS} URIs a resource server.")),
    )?;
    match tx.insert_resource(id, &uri) {
        // another server took it at the same time
        Err(Error::Constraint(_)) => {
            return Err(refused(
                "Another resource server is called so: a URI names one.".to_owned(),
            ));
        }
        inserted => inserted?,
    }
    Ok(tx.record(
        None,
        Some(operator),
        Event::ResourceServerResourceAdded,
        id.as_str(),
        uri.as_str(),
    )?)
}

/// Tokens for the URI alone are for nobody from now on. One that it has not stays away.
pub fn remove_resource(
    tx: &mut Tx,
    operator: UserId,
    id: ResourceServerId,
    uri: &ResourceUri,
) -> Result<(), Refusal> {
    hold(tx, operator, id)?;
    match tx.delete_resource(id, uri) {
        Err(Error::NotFound) => Ok(()),
        deleted => {
            deleted?;
            Ok(tx.record(
                None,
                Some(operator),
                Event::ResourceServerResourceRemoved,
                id.as_str(),
                uri.as_str(),
            )?)
        }
    }
}

/// Whether tokens that name no resource are for it, too.
pub fn set_default_audience(
    tx: &mut Tx,
    operator: UserId,
    id: ResourceServerId,
    default_audience: bool,
) -> Result<(), Refusal> {
    hold(tx, operator, id)?;
    let server = tx.find_resource_server(id)?.ok_or(Refusal::NotFound)?;
    if server.default_audience == default_audience {
        return Ok(());
    }
    tx.set_default_audience(id, default_audience)?;
    let event = if default_audience {
        Event::ResourceServerDefaultAudienceJoined
    } else {
        Event::ResourceServerDefaultAudienceLeft
    };
    Ok(tx.record(None, Some(operator), event, id.as_str(), "")?)
}

/// One more live secret beside the one in use.
pub fn add_secret(
    tx: &mut Tx,
    operator: UserId,
    id: ResourceServerId,
    secret: &NewSecret,
) -> Result<ResourceServer, Refusal> {
    hold(tx, operator, id)?;
    let room = tx.list_resource_server_secrets(id)?.len() < MOST_SECRETS;
    ensure(
        room,
        Refusal::Blocked(
            "It has two secrets. Revoke the one that is not in use any more first.".to_owned(),
        ),
    )?;
    let secret = tx.insert_resource_server_secret(id, &secret.digest, &secret.hint)?;
    tx.record(
        None,
        Some(operator),
        Event::ResourceServerSecretCreated,
        id.as_str(),
        secret.as_str(),
    )?;
    tx.find_resource_server(id)?.ok_or(Refusal::NotFound)
}

/// Ends a secret at once; the last one stays.
pub fn revoke_secret(
    tx: &mut Tx,
    operator: UserId,
    id: ResourceServerId,
    secret: ClientSecretId,
) -> Result<(), Refusal> {
    hold(tx, operator, id)?;
    let live = tx.list_resource_server_secrets(id)?;
    if !live.iter().any(|own| own.id == secret) {
        return Ok(());
    }
    ensure(
        live.len() > 1,
        Refusal::Blocked(
            "It is the only one: create the new secret first, and switch to it.".to_owned(),
        ),
    )?;
    tx.revoke_resource_server_secret(id, secret)?;
    Ok(tx.record(
        None,
        Some(operator),
        Event::ResourceServerSecretRevoked,
        id.as_str(),
        secret.as_str(),
    )?)
}

/// Ends it at once, with its secrets and what it is called.
pub fn delete(tx: &mut Tx, operator: UserId, id: ResourceServerId) -> Result<(), Refusal> {
    hold(tx, operator, id)?;
    let server = tx.find_resource_server(id)?.ok_or(Refusal::NotFound)?;
    tx.delete_resource_server(id)?;
    Ok(tx.record(
        None,
        Some(operator),
        Event::ResourceServerDeleted,
        id.as_str(),
        &server.name,
    )?)
}
