//! The memories of accesses, clients and resource servers: each from memory, or by one query.

use std::sync::Arc;

use super::App;
use crate::crypto::digest::Fingerprint;
use crate::domain::clients::clients::{self, Client};
use crate::domain::decision::access::Access;
use crate::domain::decision::memory::{Memory, Unknown};
use crate::domain::decision::resource_servers::{self, Server};
use crate::store::{self, Tx, Verdict};
use crate::types::id::{ApplicationId, ResourceServerId};
use crate::types::time::Timestamp;

/// Credentials that are remembered at most.
const MOST_REMEMBERED: usize = 100_000;
const MOST_UNKNOWN: usize = 10_000;
/// Clients; and as many resource servers.
const MOST_CLIENTS: usize = 10_000;

pub(super) struct Remembered {
    pub accesses: Memory<Fingerprint, Access>,
    pub unknown: Unknown<Fingerprint>,
    clients: Memory<ApplicationId, Client>,
    unknown_clients: Unknown<ApplicationId>,
    servers: Memory<ResourceServerId, Server>,
    unknown_servers: Unknown<ResourceServerId>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            accesses: Memory::new(MOST_REMEMBERED),
            unknown: Unknown::new(MOST_UNKNOWN),
            clients: Memory::new(MOST_CLIENTS),
            unknown_clients: Unknown::new(MOST_UNKNOWN),
            servers: Memory::new(MOST_CLIENTS),
            unknown_servers: Unknown::new(MOST_UNKNOWN),
        }
    }
}

impl App {
    /// The live client with this id, if it needs no query.
    pub fn remembered_client(&self, id: ApplicationId) -> Option<Arc<Client>> {
        self.remembered
            .clients
            .get(&id, self.store.changes())
            .filter(|client| client.application.is_live())
    }

    /// The live client with this id.
    pub async fn client(&self, id: ApplicationId) -> Result<Option<Arc<Client>>, store::Error> {
        Ok(self
            .client_or_stopped(id)
            .await?
            .filter(|client| client.application.is_live()))
    }

    /// The client with this id, also one that the operator has stopped: only to tell a person so.
    pub async fn client_or_stopped(
        &self,
        id: ApplicationId,
    ) -> Result<Option<Arc<Client>>, store::Error> {
        if let Some(client) = self.remembered.clients.get(&id, self.store.changes()) {
            return Ok(Some(client));
        }
        if self
            .remembered
            .unknown_clients
            .contains(&id, self.store.changes())
        {
            return Ok(None);
        }
        let stamp = self.store.changes().stamp();
        let (settings, now) = (Arc::clone(&self.settings), self.clock.now());
        let client = self
            .store
            .read(move |snapshot| clients::find(snapshot, &settings.catalogue, id, now))
            .await?
            .map(Arc::new);
        match &client {
            Some(client) => self.remembered.clients.put(id, stamp, client),
            None => self.remembered.unknown_clients.put(id, stamp),
        }
        Ok(client)
    }

    /// Writes down, once a day, that an application which registered by itself is used: what nobody uses ends.
    pub async fn note_client_use(
        &self,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        if !client.is_use_due(now) {
            return Ok(());
        }
        let (organization, id) = (client.application.organization_id, client.application.id);
        let note = move |tx: &mut Tx| clients::note_use(tx, organization, id).map(Verdict::Done);
        self.store.write(now, note).await
    }

    /// The resource server with this id, if it needs no query.
    pub fn remembered_server(&self, id: ResourceServerId) -> Option<Arc<Server>> {
        self.remembered.servers.get(&id, self.store.changes())
    }

    /// The resource server with this id.
    pub async fn resource_server(
        &self,
        id: ResourceServerId,
    ) -> Result<Option<Arc<Server>>, store::Error> {
        if let Some(server) = self.remembered_server(id) {
            return Ok(Some(server));
        }
        if self
            .remembered
            .unknown_servers
            .contains(&id, self.store.changes())
        {
            return Ok(None);
        }
        let stamp = self.store.changes().stamp();
        let server = self
            .store
            .read(move |snapshot| resource_servers::find(snapshot, id))
            .await?
            .map(Arc::new);
        match &server {
            Some(server) => self.remembered.servers.put(id, stamp, server),
            None => self.remembered.unknown_servers.put(id, stamp),
        }
        Ok(server)
    }
}
