//! Resource servers: the vendor's APIs, which ask `verify` and `introspect`.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::{resource_server_secrets, resource_servers, resources};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::crypto::digest::Digest;
use crate::types::environment::Environment;
use crate::types::id::{ClientSecretId, ResourceServerId};
use crate::types::resource::ResourceUri;
use crate::types::state::SecretState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = resource_servers, treat_none_as_default_value = false)]
pub struct ResourceServer {
    pub id: ResourceServerId,
    pub name: String,
    /// None: it serves both.
    pub environment: Option<Environment>,
    /// The obligations it enforces: a space-separated list of their names.
    pub obligations: String,
    pub created_at: Timestamp,
    /// Whether tokens that name no resource are for it, too.
    pub default_audience: bool,
}

#[derive(Insertable)]
#[diesel(table_name = resources)]
struct Resource<'a> {
    uri: &'a ResourceUri,
    uri_folded: String,
    resource_server_id: ResourceServerId,
    created_at: Timestamp,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = resource_server_secrets, treat_none_as_default_value = false)]
pub struct ResourceServerSecret {
    pub id: ClientSecretId,
    pub resource_server_id: ResourceServerId,
    pub digest: Digest,
    pub state: SecretState,
    pub created_at: Timestamp,
    /// How it starts, to tell it from another; empty for one that was made before this was kept.
    pub hint: String,
    pub revoked_at: Option<Timestamp>,
}

impl Snapshot<'_> {
    pub fn find_resource_server(
        &mut self,
        id: ResourceServerId,
    ) -> Result<Option<ResourceServer>, Error> {
        self.run(|conn| {
            resource_servers::table
                .find(id)
                .select(ResourceServer::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The oldest of that name.
    pub fn find_resource_server_by_name(
        &mut self,
        name: &str,
    ) -> Result<Option<ResourceServer>, Error> {
        let oldest_first = resource_servers::table
            .filter(resource_servers::name.eq(name))
            .order((resource_servers::created_at, resource_servers::id));
        self.run(|conn| {
            oldest_first
                .select(ResourceServer::as_select())
                .first(conn)
                .optional()
        })
    }

    /// All of them, the oldest first, at most `most`.
    pub fn list_resource_servers(&mut self, most: i64) -> Result<Vec<ResourceServer>, Error> {
        let oldest_first = resource_servers::table
            .order((resource_servers::created_at, resource_servers::id))
            .limit(most);
        self.run(|conn| oldest_first.select(ResourceServer::as_select()).load(conn))
    }

    /// Which server is called so (RFC 8707), and how the resource is written there.
    pub fn find_resource_server_by_uri(
        &mut self,
        uri: &ResourceUri,
    ) -> Result<Option<(ResourceServer, ResourceUri)>, Error> {
        let of_uri = resource_servers::table
            .inner_join(resources::table)
            .filter(resources::uri_folded.eq(uri.key()));
        self.run(|conn| {
            of_uri
                .select((ResourceServer::as_select(), resources::uri))
                .first(conn)
                .optional()
        })
    }

    /// What the server is called.
    pub fn list_resources(&mut self, server: ResourceServerId) -> Result<Vec<ResourceUri>, Error> {
        self.run(|conn| {
            resources::table
                .filter(resources::resource_server_id.eq(server))
                .order(resources::uri)
                .select(resources::uri)
                .load(conn)
        })
    }

    /// The live secrets, the oldest first.
    pub fn list_resource_server_secrets(
        &mut self,
        id: ResourceServerId,
    ) -> Result<Vec<ResourceServerSecret>, Error> {
        self.run(|conn| {
            resource_server_secrets::table
                .filter(resource_server_secrets::resource_server_id.eq(id))
                .filter(resource_server_secrets::state.eq(SecretState::Active))
                .order((
                    resource_server_secrets::created_at,
                    resource_server_secrets::id,
                ))
                .select(ResourceServerSecret::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// `Constraint` when another server, or this one, is called so already.
    pub fn insert_resource(
        &mut self,
        server: ResourceServerId,
        uri: &ResourceUri,
    ) -> Result<(), Error> {
        let row = Resource {
            uri,
            uri_folded: uri.key(),
            resource_server_id: server,
            created_at: self.now,
        };
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            diesel::insert_into(resources::table)
                .values(&row)
                .execute(conn)
        })
    }

    pub fn delete_resource(
        &mut self,
        server: ResourceServerId,
        uri: &ResourceUri,
    ) -> Result<(), Error> {
        let row = resources::table
            .filter(resources::uri_folded.eq(uri.key()))
            .filter(resources::resource_server_id.eq(server));
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            diesel::delete(row).execute(conn)
        })
    }

    /// Whether tokens that name no resource are for the server, too.
    pub fn set_default_audience(
        &mut self,
        server: ResourceServerId,
        default_audience: bool,
    ) -> Result<(), Error> {
        let row = resource_servers::table.find(server);
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            diesel::update(row)
                .set(resource_servers::default_audience.eq(default_audience))
                .execute(conn)
        })
    }

    /// `obligations`: a space-separated list of the names of those that it enforces.
    pub fn set_obligations(
        &mut self,
        server: ResourceServerId,
        obligations: &str,
    ) -> Result<(), Error> {
        let row = resource_servers::table.find(server);
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            diesel::update(row)
                .set(resource_servers::obligations.eq(obligations))
                .execute(conn)
        })
    }

    pub fn insert_resource_server(
        &mut self,
        server: &ResourceServer,
        secret: &Digest,
        hint: &str,
    ) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(resource_servers::table)
                .values(server)
                .execute(conn)
        })?;
        self.insert_resource_server_secret(server.id, secret, hint)
            .map(drop)
    }

    /// One more live secret.
    pub fn insert_resource_server_secret(
        &mut self,
        server: ResourceServerId,
        digest: &Digest,
        hint: &str,
    ) -> Result<ClientSecretId, Error> {
        let row = ResourceServerSecret {
            id: ClientSecretId::generate(self.now),
            resource_server_id: server,
            digest: digest.clone(),
            state: SecretState::Active,
            created_at: self.now,
            hint: hint.to_owned(),
            revoked_at: None,
        };
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            diesel::insert_into(resource_server_secrets::table)
                .values(&row)
                .execute(conn)
        })?;
        Ok(row.id)
    }

    /// Compare-and-swap: `NotFound` when it is revoked already, or another server's.
    pub fn revoke_resource_server_secret(
        &mut self,
        server: ResourceServerId,
        id: ClientSecretId,
    ) -> Result<(), Error> {
        let now = self.now;
        let live = resource_server_secrets::table
            .find(id)
            .filter(resource_server_secrets::resource_server_id.eq(server))
            .filter(resource_server_secrets::state.eq(SecretState::Active));
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            let change = (
                resource_server_secrets::state.eq(SecretState::Revoked),
                resource_server_secrets::revoked_at.eq(Some(now)),
            );
            diesel::update(live).set(change).execute(conn)
        })
    }

    /// Whoever else holds the server waits until this transaction ends: what it has is counted behind this lock. `NotFound`
    /// when there is none.
    pub fn hold_resource_server(&mut self, server: ResourceServerId) -> Result<(), Error> {
        let row = resource_servers::table.find(server);
        self.run_one_quiet(|conn| {
            diesel::update(row)
                .set(resource_servers::name.eq(resource_servers::name))
                .execute(conn)
        })
    }

    /// With its secrets and what it is called.
    pub fn delete_resource_server(&mut self, server: ResourceServerId) -> Result<(), Error> {
        let secrets = resource_server_secrets::table
            .filter(resource_server_secrets::resource_server_id.eq(server));
        self.run_news([Subject::ResourceServer(server)], |conn| {
            diesel::delete(secrets).execute(conn)
        })?;
        self.run_news([Subject::ResourceServer(server)], |conn| {
            diesel::delete(resources::table.filter(resources::resource_server_id.eq(server)))
                .execute(conn)
        })?;
        self.run_one_news([Subject::ResourceServer(server)], |conn| {
            diesel::delete(resource_servers::table.find(server)).execute(conn)
        })
    }
}
