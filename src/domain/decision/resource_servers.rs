//! Resource servers as the doors know them: authenticated, with what they enforce. The operator keeps them in
//! [`crate::domain::operations::resource_servers`].
//!
//! Invariant: a `resource` URI names one server.

use crate::crypto::digest::Digest;
use crate::domain::decision::memory::Depends;
use crate::store::resource_servers::ResourceServer;
use crate::store::{Error, Snapshot, Subject};
use crate::types::environment::Environment;
use crate::types::id::ResourceServerId;
use crate::types::resource::{ResourceUri, Resources};
use crate::types::state::ObligationKind;

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

/// What is asked for, as it is registered (RFC 8707 §2). None when one of them is not, or its server does not serve this
/// environment.
pub fn find_targets(
    snapshot: &mut Snapshot,
    asked: &[ResourceUri],
    environment: Environment,
) -> Result<Option<Resources>, Error> {
    let mut targets = Vec::new();
    for uri in asked {
        let found = snapshot.find_resource_server_by_uri(uri)?;
        let serves =
            |server: &ResourceServer| server.environment.is_none_or(|own| own == environment);
        match found.filter(|(server, _)| serves(server)) {
            Some((_, registered)) => targets.push(registered),
            None => return Ok(None),
        }
    }
    Ok(Some(targets.into_iter().collect()))
}

/// The names of the servers that are called so.
pub fn names(snapshot: &mut Snapshot, resources: &Resources) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for uri in resources.iter().filter_map(|uri| uri.parse().ok()) {
        names.extend(
            snapshot
                .find_resource_server_by_uri(&uri)?
                .map(|(server, _)| server.name),
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
