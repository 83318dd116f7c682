//! How the operator keeps the resource servers: registers them, says what they are called, rotates their secrets.
//!
//! Invariants: only who operates the installation in person registers or changes one, or a program that holds
//! `operator:resource_servers` (`VendorDesk::as_operator`). A `resource` URI names one server. A
//! server has one or two live secrets, so that a new one is in use before the old one ends.

use crate::domain::rights::asker::Asker;
use crate::domain::rights::rights;
use crate::domain::{Refusal, ensure};
use crate::store::application_secrets::NewSecret;
use crate::store::resource_servers::{ResourceServer, ResourceServerSecret};
use crate::store::{Error, Snapshot, Tx};
use crate::types::environment::Environment;
use crate::types::event::Event;
use crate::types::id::{ClientSecretId, ResourceServerId, UserId};
use crate::types::resource::{ResourceError, ResourceUri, is_same};
use crate::types::state::ObligationKind;
use crate::types::text::parse_text;

const MOST_NAME: usize = 100;
/// Resource servers that one page lists.
const MOST_LISTED: i64 = 200;
/// URIs that one server is called by.
const MOST_URIS: usize = 50;
const MOST_SECRETS: usize = 2;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResourceServer {
    pub name: String,
    /// None: both.
    pub environment: Option<Environment>,
    pub obligations: Vec<ObligationKind>,
    /// Whether tokens that name no resource are for it, too.
    pub default_audience: bool,
    pub secret: NewSecret,
}

/// Registers one, as the installation itself.
pub fn create(tx: &mut Tx, new: &NewResourceServer) -> Result<ResourceServer, Error> {
    insert(tx, None, &new.name, new)
}

/// The same with a name that somebody typed.
pub fn create_checked(tx: &mut Tx, new: &NewResourceServer) -> Result<ResourceServer, Refusal> {
    let name = parse_text(&new.name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    Ok(insert(tx, None, &name, new)?)
}

/// Registers one, as the operator.
pub fn register(
    tx: &mut Tx,
    asker: &Asker,
    new: &NewResourceServer,
) -> Result<ResourceServer, Refusal> {
    rights::ensure_operates(tx, asker)?;
    let name = parse_text(&new.name, MOST_NAME)
        .map_err(|error| Refusal::Invalid(vec![("name", error.to_string())]))?;
    Ok(insert(tx, Some(asker.user), &name, new)?)
}

fn insert(
    tx: &mut Tx,
    actor: Option<UserId>,
    name: &str,
    new: &NewResourceServer,
) -> Result<ResourceServer, Error> {
    let server = ResourceServer {
        id: ResourceServerId::generate(tx.now),
        name: name.to_owned(),
        environment: new.environment,
        obligations: words(&new.obligations),
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

/// As they are stored.
fn words(obligations: &[ObligationKind]) -> String {
    let words: Vec<&str> = obligations.iter().map(ObligationKind::as_str).collect();
    words.join(" ")
}

/// A resource server as the operator's pages show it.
#[derive(Debug, Clone)]
pub struct RegisteredServer {
    pub server: ResourceServer,
    pub resources: Vec<ResourceUri>,
    /// The live ones, the oldest first.
    pub secrets: Vec<ResourceServerSecret>,
}

/// All of them, the oldest first.
pub fn list(snapshot: &mut Snapshot, asker: &Asker) -> Result<Vec<RegisteredServer>, Refusal> {
    rights::ensure_operates(snapshot, asker)?;
    let servers = snapshot.list_resource_servers(MOST_LISTED)?;
    Ok(servers
        .into_iter()
        .map(|server| detail(snapshot, server))
        .collect::<Result<_, _>>()?)
}

pub fn get(
    snapshot: &mut Snapshot,
    asker: &Asker,
    id: ResourceServerId,
) -> Result<RegisteredServer, Refusal> {
    rights::ensure_operates(snapshot, asker)?;
    let server = snapshot
        .find_resource_server(id)?
        .ok_or(Refusal::NotFound)?;
    Ok(detail(snapshot, server)?)
}

fn detail(snapshot: &mut Snapshot, server: ResourceServer) -> Result<RegisteredServer, Error> {
    let (resources, secrets) = (
        snapshot.list_resources(server.id)?,
        snapshot.list_resource_server_secrets(server.id)?,
    );
    Ok(RegisteredServer {
        server,
        resources,
        secrets,
    })
}

/// The server behind its lock: whoever else changes it waits.
fn hold(tx: &mut Tx, asker: &Asker, id: ResourceServerId) -> Result<(), Refusal> {
    rights::ensure_operates(tx, asker)?;
    Ok(tx.hold_resource_server(id)?)
}

/// One more URI that it is called by; never the issuer's, which is the `aud` of tokens that name no resource. One that it has
/// already stays.
pub fn add_resource(
    tx: &mut Tx,
    asker: &Asker,
    id: ResourceServerId,
    uri: &str,
    issuer: &str,
) -> Result<(), Refusal> {
    hold(tx, asker, id)?;
    let refused = |message: String| Refusal::Invalid(vec![("uri", message)]);
    let uri: ResourceUri = uri
        .trim()
        .parse()
        .map_err(|error: ResourceError| refused(error.to_string()))?;
    ensure(
        !is_same(uri.as_str(), issuer),
        refused("This is the address of this server itself.".to_owned()),
    )?;
    match tx.find_resource_server_by_uri(&uri)? {
        Some((owner, _)) if owner.id == id => return Ok(()),
        Some((owner, _)) => {
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
        Some(asker.user),
        Event::ResourceServerResourceAdded,
        id.as_str(),
        uri.as_str(),
    )?)
}

/// Tokens for the URI alone are for nobody from now on. One that it has not stays away.
pub fn remove_resource(
    tx: &mut Tx,
    asker: &Asker,
    id: ResourceServerId,
    uri: &ResourceUri,
) -> Result<(), Refusal> {
    hold(tx, asker, id)?;
    match tx.delete_resource(id, uri) {
        Err(Error::NotFound) => Ok(()),
        deleted => {
            deleted?;
            Ok(tx.record(
                None,
                Some(asker.user),
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
    asker: &Asker,
    id: ResourceServerId,
    default_audience: bool,
) -> Result<(), Refusal> {
    hold(tx, asker, id)?;
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
    Ok(tx.record(None, Some(asker.user), event, id.as_str(), "")?)
}

/// What it enforces from now on: decisions that demand anything else are refused to it at once.
pub fn set_obligations(
    tx: &mut Tx,
    asker: &Asker,
    id: ResourceServerId,
    obligations: &[ObligationKind],
) -> Result<(), Refusal> {
    hold(tx, asker, id)?;
    let server = tx.find_resource_server(id)?.ok_or(Refusal::NotFound)?;
    let wanted = words(obligations);
    if server.obligations == wanted {
        return Ok(());
    }
    tx.set_obligations(id, &wanted)?;
    Ok(tx.record(
        None,
        Some(asker.user),
        Event::ResourceServerObligationsChanged,
        id.as_str(),
        &wanted,
    )?)
}

/// One more live secret beside the one in use.
pub fn add_secret(
    tx: &mut Tx,
    asker: &Asker,
    id: ResourceServerId,
    secret: &NewSecret,
) -> Result<ResourceServer, Refusal> {
    hold(tx, asker, id)?;
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
        Some(asker.user),
        Event::ResourceServerSecretCreated,
        id.as_str(),
        secret.as_str(),
    )?;
    tx.find_resource_server(id)?.ok_or(Refusal::NotFound)
}

/// Ends a secret at once; the last one stays.
pub fn revoke_secret(
    tx: &mut Tx,
    asker: &Asker,
    id: ResourceServerId,
    secret: ClientSecretId,
) -> Result<(), Refusal> {
    hold(tx, asker, id)?;
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
        Some(asker.user),
        Event::ResourceServerSecretRevoked,
        id.as_str(),
        secret.as_str(),
    )?)
}

/// Ends it at once, with its secrets and what it is called.
pub fn delete(tx: &mut Tx, asker: &Asker, id: ResourceServerId) -> Result<(), Refusal> {
    hold(tx, asker, id)?;
    let server = tx.find_resource_server(id)?.ok_or(Refusal::NotFound)?;
    tx.delete_resource_server(id)?;
    Ok(tx.record(
        None,
        Some(asker.user),
        Event::ResourceServerDeleted,
        id.as_str(),
        &server.name,
    )?)
}
