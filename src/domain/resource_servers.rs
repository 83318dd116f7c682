//! Resource servers as the doors know them: authenticated, with what they enforce.

use crate::crypto::digest::Digest;
use crate::domain::memory::Depends;
use crate::domain::sandbox::ObligationKind;
use crate::store::{Error, Snapshot, Subject, Tx, resource_servers::ResourceServer};
use crate::types::environment::Environment;
use crate::types::id::ResourceServerId;

/// A resource server and the digests of its live secrets.
#[derive(Debug, Clone)]
pub struct Server {
    pub id: ResourceServerId,
    pub name: String,
    /// None: both.
    pub environment: Option<Environment>,
    pub enforces: Vec<ObligationKind>,
    pub secrets: Vec<Digest>,
}

impl Depends for Server {
    fn subjects(&self) -> impl Iterator<Item = Subject> {
        std::iter::once(Subject::ResourceServer(self.id))
    }
}

pub fn find(snapshot: &mut Snapshot, id: ResourceServerId) -> Result<Option<Server>, Error> {
    let Some(row) = snapshot.find_resource_server(id)? else { return Ok(None) };
    let secrets = snapshot.list_resource_server_secrets(id)?;
    let enforces = row.obligations.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok(Some(Server { id, name: row.name, environment: row.environment, enforces, secrets }))
}

/// Registers a resource server that enforces `obligations`.
pub fn create(
    tx: &mut Tx, name: &str, environment: Option<Environment>, obligations: &[ObligationKind], secret: &Digest,
) -> Result<ResourceServer, Error> {
    let words: Vec<&str> = obligations.iter().map(ObligationKind::as_str).collect();
    let server = ResourceServer {
        id: ResourceServerId::generate(tx.now),
        name: name.to_owned(),
        environment,
        obligations: words.join(" "),
        created_at: tx.now,
    };
    tx.insert_resource_server(&server, secret)?;
    tx.record(None, None, "resource_server.created", server.id.as_str(), name)?;
    Ok(server)
}
