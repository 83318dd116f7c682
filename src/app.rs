//! What every request shares: the store, the keys, the memories and the rules, built from the configuration.

mod domains;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, Semaphore};

use crate::config::{AliasError, Catalogue, Config, ConfigError, Issuer, OAuth};
use crate::crypto::Plaintext;
use crate::crypto::digest::{Digest, Digester, Fingerprint, Purpose};
use crate::crypto::format::{self, TokenKind};
use crate::crypto::password::{PasswordQueue, network};
use crate::crypto::seal::{CannotOpen, Sealer};
use crate::crypto::secret_key::{SecretKeyError, SecretKeys};
use crate::crypto::signer::{PrivateKey, ScheduledKey, Signer, SignerError};
use crate::domain::clients::clients::{self, Client};
use crate::domain::clients::registration;
use crate::domain::decision::access::{self, Access, PresentedToken};
use crate::domain::decision::check::Rules;
use crate::domain::decision::limiter::{Limiter, Quota, Taken};
use crate::domain::decision::memory::{Memory, Unknown};
use crate::domain::decision::presented;
use crate::domain::decision::quotas::Quotas;
use crate::domain::decision::resource_servers::{self, Server};
use crate::domain::decision::sandbox::Policy;
use crate::domain::decision::usage::{Usage, Used};
use crate::domain::operations::idempotency::InFlight;
use crate::domain::operations::operator_tokens;
use crate::domain::operations::signing_keys::{self, Fresh, Schedule};
use crate::domain::settings::Settings;
use crate::outbound::dns::Dns;
use crate::outbound::openid::OpenId;
use crate::pdf::{Limits as StampLimits, Stamper};
use crate::store::application_secrets::NewSecret;
use crate::store::operator_tokens::OperatorToken;
use crate::store::signing_keys::StoredSigningKey;
use crate::store::{self, Database, OpenError, Snapshot, Store, Verdict};
use crate::telemetry::metrics::{MemoryLabels, Metrics};
use crate::types::id::{AccessTokenId, ApplicationId, ClientSecretId, ResourceServerId};
use crate::types::scope::Scopes;
use crate::types::state::{SigningAlgorithm, Simulation};
use crate::types::time::{Clock, Timestamp};

/// Credentials, clients and resource servers that are remembered at most.
const MOST_REMEMBERED: usize = 100_000;
const MOST_UNKNOWN: usize = 10_000;
const MOST_CLIENTS: usize = 10_000;
/// Rows read at once.
const LIMITS_PAGE: i64 = 1_000;
/// Where every provider sends the browser back: to be registered there.
const OPENID_CALLBACK: &str = "/login/oidc/callback";
/// PDFs in memory for each process that stamps: one at work, the others waiting.
const PLACES_PER_PROCESS: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Alias(#[from] AliasError),
    #[error("[database] url: {0}")]
    DatabaseUrl(#[from] store::UnknownScheme),
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(
        "the signing keys in the database cannot be used: {0}. Is this the secret key that belongs to this database?"
    )]
    SealedKeys(#[from] CannotOpen),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// What one look-up of a presented credential found.
#[derive(Debug, Clone)]
pub enum Lookup {
    Found(Arc<Access>),
    /// Unknown, mistyped, foreign, revoked: they read the same.
    Unknown,
    /// This address has asked for too many unknown credentials.
    Throttled {
        retry_after_seconds: i64,
    },
}

/// What the look-up of an operator token found.
#[derive(Debug, Clone)]
pub enum OperatorLookup {
    Found(OperatorToken),
    Unknown,
    Throttled { retry_after_seconds: i64 },
}

pub struct App {
    pub config: Arc<Config>,
    pub settings: Arc<Settings>,
    pub catalogue: Arc<Catalogue>,
    pub policy: Policy,
    pub issuer: Issuer,
    pub clock: Clock,
    pub store: Store,
    pub digester: Digester,
    pub sealer: Arc<Sealer>,
    pub openid: OpenId,
    pub dns: Dns,
    pub signer: Signer,
    pub passwords: PasswordQueue,
    pub quotas: Quotas,
    pub limiter: Limiter,
    /// Held while the limits are written down: an older state must not overtake a newer one.
    pub limits_flush: Mutex<()>,
    /// The same for last uses.
    pub usage_flush: Mutex<()>,
    pub usage: Usage,
    pub stamper: Stamper,
    /// PDFs that may be in memory at once.
    pub stamp_places: Semaphore,
    pub metrics: Metrics,
    /// Creates that carry an idempotency key and have no answer yet.
    pub in_flight: InFlight,
    /// The description of the management API, made when it is first asked for.
    pub openapi: OnceLock<String>,
    accesses: Memory<Fingerprint, Access>,
    unknown: Unknown<Fingerprint>,
    clients: Memory<ApplicationId, Client>,
    unknown_clients: Unknown<ApplicationId>,
    servers: Memory<ResourceServerId, Server>,
    unknown_servers: Unknown<ResourceServerId>,
}

impl App {
    /// Opens everything that `config` names. `stamp_program` is this very binary: it is started again to stamp PDFs.
    pub async fn build(
        config: Config,
        clock: Clock,
        stamp_program: PathBuf,
    ) -> Result<Self, BuildError> {
        let secret_keys = secret_keys(&config)?;
        let settings = Settings::new(&config).map_err(ConfigError::from)?;
        let database: Database = config.database.url.parse()?;
        let store = Store::open(&database, config.database.connections)?;
        let issuer = config.server.issuer().map_err(ConfigError::from)?;
        let sealer = Sealer::new(&secret_keys);
        let keys = keep_signing_keys(&store, &sealer, &config.oauth, clock.now()).await?;
        let limiter = restore_limits(&store, clock.now()).await?;
        let signer = Signer::new(issuer.as_str(), &open_signing_keys(&keys, &sealer)?)?;
        let openid = OpenId::new(
            format!("{}{OPENID_CALLBACK}", issuer.as_str()),
            config.identity.allow_private_providers,
        );
        Ok(Self {
            catalogue: Arc::clone(&settings.catalogue),
            settings: Arc::new(settings),
            policy: config.sandbox.clone(),
            issuer,
            clock,
            store,
            digester: Digester::new(&secret_keys),
            sealer: Arc::new(sealer),
            openid,
            dns: Dns::new(&config.domains),
            signer,
            passwords: PasswordQueue::start()?,
            quotas: Quotas::new(&config.limits, &config.quota),
            limiter,
            limits_flush: Mutex::default(),
            usage_flush: Mutex::default(),
            usage: Usage::default(),
            stamper: Stamper::new(stamp_program, stamp_limits(&config)),
            stamp_places: Semaphore::new(
                config
                    .watermark
                    .concurrency
                    .saturating_mul(PLACES_PER_PROCESS),
            ),
            metrics: Metrics::default(),
            in_flight: InFlight::default(),
            openapi: OnceLock::new(),
            accesses: Memory::new(MOST_REMEMBERED),
            unknown: Unknown::new(MOST_UNKNOWN),
            clients: Memory::new(MOST_CLIENTS),
            unknown_clients: Unknown::new(MOST_UNKNOWN),
            servers: Memory::new(MOST_CLIENTS),
            unknown_servers: Unknown::new(MOST_UNKNOWN),
            config: Arc::new(config),
        })
    }

    pub fn rules(&self) -> Rules<'_> {
        Rules {
            catalogue: &self.catalogue,
            policy: &self.policy,
            quotas: &self.quotas,
        }
    }

    /// The access behind a presented key or token: from memory, or by one query. `address`: on whose account unknown ones
    /// go. Without one there is no budget: a stranger at a resource server that tells no addresses must not use up what
    /// everybody else there needs.
    pub async fn access(
        &self,
        presented: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Lookup, store::Error> {
        let found = self.look_up(presented, address, now).await?;
        match &found {
            // a Sandbox key that plays revoked
            Lookup::Found(access) if access.simulation == Some(Simulation::Revoked) => {
                Ok(Lookup::Unknown)
            }
            Lookup::Found(access)
                if !self.note_receipt(access, now).await?
                    || !self.note_rotation(access, now).await? =>
            {
                Ok(Lookup::Unknown)
            }
            _ => Ok(found),
        }
    }

    /// The same without a trace: a secret that waits for its first use goes on waiting.
    pub async fn peek(
        &self,
        presented: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Lookup, store::Error> {
        match self.look_up(presented, address, now).await? {
            Lookup::Found(access) if access.simulation == Some(Simulation::Revoked) => {
                Ok(Lookup::Unknown)
            }
            found => Ok(found),
        }
    }

    /// The operator token behind what was presented, read at every request: no memory holds one, so that a command beside the
    /// server may make and revoke them. It may have expired.
    pub async fn operator_token(
        &self,
        presented: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<OperatorLookup, store::Error> {
        let budget = match self.admit_stranger(address, now) {
            Ok(budget) => budget,
            Err(retry_after_seconds) => {
                return Ok(OperatorLookup::Throttled {
                    retry_after_seconds,
                });
            }
        };
        let candidates = self.digester.candidates(Purpose::OperatorToken, presented);
        let found = self
            .store
            .read(move |snapshot| operator_tokens::find_live(snapshot, &candidates))
            .await?;
        if found.is_none() {
            self.count_stranger(budget, now);
        }
        Ok(found.map_or(OperatorLookup::Unknown, OperatorLookup::Found))
    }

    /// Whether it has the shape of an operator token.
    pub fn is_operator_token(&self, presented: &str) -> bool {
        format::is_token(
            &self.config.keys.prefix,
            TokenKind::OperatorToken,
            presented,
        )
    }

    /// The first time that anybody shows an access token which came with a refresh token: its client has both. Written
    /// before the answer, because the refresh rule asks for it. False when the pair was replaced meanwhile, and is dead.
    async fn note_receipt(&self, access: &Access, now: Timestamp) -> Result<bool, store::Error> {
        let Some(token) = access
            .credential
            .token
            .as_ref()
            .filter(|token| token.unseen.load(Ordering::Acquire))
        else {
            return Ok(true);
        };
        let Ok(id) = access.credential.id.parse::<AccessTokenId>() else {
            return Ok(true);
        };
        let noted = self
            .store
            .write(now, move |tx| {
                tx.note_receipt(id).map(Verdict::<_, store::Error>::Done)
            })
            .await?;
        if noted {
            token.unseen.store(false, Ordering::Release);
        }
        Ok(noted)
    }

    /// The first use of a secret that a rotation made: the grace of the older one begins. False when it was revoked meanwhile.
    async fn note_rotation(&self, access: &Access, now: Timestamp) -> Result<bool, store::Error> {
        let Some(key) = access
            .credential
            .key
            .as_ref()
            .filter(|key| key.pending.load(Ordering::Acquire))
        else {
            return Ok(true);
        };
        let (organization, secret) = (access.organization, key.secret);
        let promote = move |tx: &mut store::Tx| {
            presented::promote(tx, organization, secret).map(Verdict::<_, store::Error>::Done)
        };
        let promoted = self
            .store
            .write_organization(organization, now, promote)
            .await?;
        if promoted {
            key.pending.store(false, Ordering::Release);
        }
        Ok(promoted)
    }

    async fn look_up(
        &self,
        presented: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Lookup, store::Error> {
        let Some(shape) = self.shape(presented) else {
            return Ok(Lookup::Unknown);
        };
        let fingerprint = self.digester.fingerprint(shape.purpose(), presented);
        let current = |access: &Arc<Access>| access.reload_at.is_none_or(|at| now < at);
        if let Some(access) = self
            .accesses
            .get(&fingerprint, self.store.changes())
            .filter(current)
        {
            self.metrics
                .access_memory
                .get_or_create(&MemoryLabels { result: "hit" })
                .inc();
            return Ok(Lookup::Found(access));
        }
        if self.unknown.contains(&fingerprint, self.store.changes()) {
            return Ok(Lookup::Unknown);
        }
        let budget = match address
            .map(|address| self.admit_stranger(address, now))
            .transpose()
        {
            Ok(budget) => budget,
            Err(retry_after_seconds) => {
                return Ok(Lookup::Throttled {
                    retry_after_seconds,
                });
            }
        };
        self.metrics
            .access_memory
            .get_or_create(&MemoryLabels { result: "miss" })
            .inc();
        // before the SELECT: what is written from here on ends the entry
        let stamp = self.store.changes().stamp();
        let Some(access) = self.load(shape, presented, now).await?.map(Arc::new) else {
            self.unknown.put(fingerprint, stamp);
            if let Some(budget) = budget {
                self.count_stranger(budget, now);
            }
            return Ok(Lookup::Unknown);
        };
        self.accesses.put(fingerprint, stamp, &access);
        Ok(Lookup::Found(access))
    }

    /// On whose account a look-up goes that a stranger can provoke: `Err` tells how long that address has to wait.
    pub fn admit_stranger(&self, address: IpAddr, now: Timestamp) -> Result<Quota, i64> {
        let rate = self.config.limits.unknown_credentials;
        let budget = Quota::new("unknown_credentials", network(address).to_string(), rate);
        if self.limiter.is_free(&budget.subject, &budget, now) {
            Ok(budget)
        } else {
            Err(budget.rate.window_seconds)
        }
    }

    /// The look-up found nobody: it counts.
    pub fn count_stranger(&self, budget: Quota, now: Timestamp) {
        let owner = budget.subject.clone();
        let _: Taken = self.limiter.take(&owner, &[budget], now);
    }

    /// Remembers that the credential was used, and from where, if that is told.
    pub fn note_use(&self, access: &Access, from: Option<IpAddr>, now: Timestamp) {
        if let Some(key) = &access.credential.key {
            self.usage.note(Used::ApiKey(key.id), now);
            self.usage
                .note_from(Used::ApiKeySecret(key.secret), (now, from));
        }
    }

    /// Remembers that the client was here, and by which secret it proved itself.
    pub fn note_client(
        &self,
        client: ApplicationId,
        secret: Option<ClientSecretId>,
        now: Timestamp,
    ) {
        self.usage.note(Used::Application(client), now);
        if let Some(secret) = secret {
            self.usage.note(Used::ApplicationSecret(secret), now);
        }
    }

    /// A new client secret, and what is stored of it.
    pub fn mint_client_secret(&self) -> (Plaintext, NewSecret) {
        let secret = format::mint_token(&self.config.keys.prefix, TokenKind::ClientSecret);
        let digest = self.digester.digest(Purpose::ClientSecret, secret.expose());
        let hint = format::hint(&secret);
        (secret, NewSecret { digest, hint })
    }

    /// The live client with this id, if it needs no query.
    pub fn remembered_client(&self, id: ApplicationId) -> Option<Arc<Client>> {
        self.clients
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
        if let Some(client) = self.clients.get(&id, self.store.changes()) {
            return Ok(Some(client));
        }
        if self.unknown_clients.contains(&id, self.store.changes()) {
            return Ok(None);
        }
        let stamp = self.store.changes().stamp();
        let (catalogue, now) = (Arc::clone(&self.catalogue), self.clock.now());
        let client = self
            .store
            .read(move |snapshot| clients::find(snapshot, &catalogue, id, now))
            .await?
            .map(Arc::new);
        match &client {
            Some(client) => self.clients.put(id, stamp, client),
            None => self.unknown_clients.put(id, stamp),
        }
        Ok(client)
    }

    /// Writes down, once a day, that an application which registered by itself is used: what nobody uses ends.
    pub async fn note_client_use(
        &self,
        client: &Client,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        let due = client
            .registration_used_at
            .is_some_and(|at| at.plus_seconds(registration::NOTED_SECONDS) <= now);
        if !due {
            return Ok(());
        }
        let (organization, id) = (client.application.organization_id, client.application.id);
        let write = move |tx: &mut store::Tx| {
            tx.record_registration_use(organization, id)
                .map(Verdict::Done)
        };
        match self.store.write(now, write).await {
            // it has ended meanwhile: whoever asks next finds out
            Err(store::Error::NotFound) => Ok(()),
            noted => noted,
        }
    }

    /// The resource server with this id, if it needs no query.
    pub fn remembered_server(&self, id: ResourceServerId) -> Option<Arc<Server>> {
        self.servers.get(&id, self.store.changes())
    }

    /// The resource server with this id.
    pub async fn resource_server(
        &self,
        id: ResourceServerId,
    ) -> Result<Option<Arc<Server>>, store::Error> {
        if let Some(server) = self.remembered_server(id) {
            return Ok(Some(server));
        }
        if self.unknown_servers.contains(&id, self.store.changes()) {
            return Ok(None);
        }
        let stamp = self.store.changes().stamp();
        let server = self
            .store
            .read(move |snapshot| resource_servers::find(snapshot, id))
            .await?
            .map(Arc::new);
        match &server {
            Some(server) => self.servers.put(id, stamp, server),
            None => self.unknown_servers.put(id, stamp),
        }
        Ok(server)
    }

    /// Which of the `live` secrets `secret` is. Failures are counted per client and address, before the comparison: what
    /// is over the limit learns nothing.
    pub fn proves<'d, I>(
        &self,
        client: &str,
        secret: &str,
        live: impl IntoIterator<Item = (I, &'d Digest)>,
        address: IpAddr,
        now: Timestamp,
    ) -> Proof<I> {
        let rate = self.config.limits.client_failures;
        let failures = Quota::new(
            "client_failures",
            format!("{client} {}", network(address)),
            rate,
        );
        if !self.limiter.is_free(client, &failures, now) {
            return Proof::Throttled {
                retry_after_seconds: rate.window_seconds,
            };
        }
        let matches = |(_, digest): &(I, &Digest)| {
            self.digester.matches(Purpose::ClientSecret, secret, digest)
        };
        if let Some((which, _)) = live.into_iter().find(matches) {
            return Proof::Proven(which);
        }
        let _: Taken = self.limiter.take(client, &[failures], now);
        Proof::Wrong
    }

    /// Keeps the signing keys on their schedule, and takes over what another process changed.
    pub async fn tend_signing_keys(&self) -> Result<(), BuildError> {
        let keys = keep_signing_keys(
            &self.store,
            &self.sealer,
            &self.config.oauth,
            self.clock.now(),
        )
        .await?;
        if !self
            .signer
            .holds(keys.iter().map(|key| (key.kid.as_str(), key.signs_from)))
        {
            self.signer
                .replace(&open_signing_keys(&keys, &self.sealer)?)?;
            // the tokens of a key that was removed
            self.store.changes().forget_all();
            tracing::info!(keys = keys.len(), "The signing keys have changed");
        }
        Ok(())
    }

    fn shape(&self, presented: &str) -> Option<Shape> {
        let prefix = &self.config.keys.prefix;
        if format::is_token(prefix, TokenKind::AccessToken, presented) {
            return Some(Shape::AccessToken);
        }
        if presented.bytes().filter(|byte| *byte == b'.').count() == 2 {
            return Some(Shape::Jwt);
        }
        format::key_public_id(presented).map(|_| Shape::ApiKey)
    }

    async fn load(
        &self,
        shape: Shape,
        presented: &str,
        now: Timestamp,
    ) -> Result<Option<Access>, store::Error> {
        let candidates = self.digester.candidates(shape.purpose(), presented);
        let catalogue = Arc::clone(&self.catalogue);
        match shape {
            Shape::ApiKey => {
                let load = move |snapshot: &mut Snapshot| match snapshot
                    .find_api_key_by_digest(&candidates)?
                {
                    Some((key, secret)) => {
                        access::of_api_key(snapshot, &catalogue, &key, &secret, now)
                    }
                    None => Ok(None),
                };
                self.store.read(load).await
            }
            Shape::AccessToken => {
                let load = move |snapshot: &mut Snapshot| {
                    let Some(row) = snapshot.find_access_token_by_digest(&candidates)? else {
                        return Ok(None);
                    };
                    let token = PresentedToken {
                        id: row.id.to_string(),
                        scopes: row.scopes,
                        issued_at: row.created_at,
                        expires_at: row.expires_at,
                        resources: row.resources,
                        unseen: snapshot.is_receipt_open(row.id)?,
                    };
                    of_live_token(
                        snapshot,
                        &catalogue,
                        row.authorization_id,
                        row.id,
                        &token,
                        now,
                    )
                };
                self.store.read(load).await
            }
            Shape::Jwt => {
                let Ok(claims) = self.signer.verify(presented) else {
                    return Ok(None);
                };
                let (Ok(id), Ok(scopes)) = (
                    claims.jti.parse::<AccessTokenId>(),
                    claims.scope.parse::<Scopes>(),
                ) else {
                    return Ok(None);
                };
                let issued_at = Timestamp::from_seconds(claims.iat);
                let Some(resources) = claims.resources(self.issuer.as_str()) else {
                    return Ok(None);
                };
                let load = move |snapshot: &mut Snapshot| {
                    let unseen = snapshot.is_receipt_open(id)?;
                    let token = PresentedToken {
                        id: claims.jti.clone(),
                        scopes,
                        issued_at,
                        expires_at: claims.expires_at(),
                        resources,
                        unseen,
                    };
                    of_live_token(snapshot, &catalogue, claims.authorization, id, &token, now)
                };
                self.store.read(load).await
            }
        }
    }
}

/// The outcome of comparing a client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<I> {
    Proven(I),
    Wrong,
    Throttled { retry_after_seconds: i64 },
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    ApiKey,
    AccessToken,
    Jwt,
}

impl Shape {
    fn purpose(self) -> Purpose {
        match self {
            Self::ApiKey => Purpose::ApiKey,
            Self::AccessToken | Self::Jwt => Purpose::AccessToken,
        }
    }
}

fn of_live_token(
    snapshot: &mut Snapshot,
    catalogue: &Catalogue,
    authorization: crate::types::id::AuthorizationId,
    id: AccessTokenId,
    token: &PresentedToken,
    now: Timestamp,
) -> Result<Option<Access>, store::Error> {
    if snapshot.is_token_revoked(id)? {
        return Ok(None);
    }
    let Some(authorization) = snapshot.find_authorization(authorization)? else {
        return Ok(None);
    };
    access::of_token(snapshot, catalogue, &authorization, token, now)
}

pub fn secret_keys(config: &Config) -> Result<SecretKeys, SecretKeyError> {
    if config.secret.key.is_empty() {
        SecretKeys::load_or_create(config.secret.key_file.as_ref())
    } else {
        SecretKeys::parse(&config.secret.key)
    }
}

/// For a command beside the server: it makes no key of its own.
pub fn existing_secret_keys(config: &Config) -> Result<SecretKeys, SecretKeyError> {
    if config.secret.key.is_empty() {
        SecretKeys::load(config.secret.key_file.as_ref())
    } else {
        SecretKeys::parse(&config.secret.key)
    }
}

fn stamp_limits(config: &Config) -> StampLimits {
    let watermark = &config.watermark;
    StampLimits {
        memory_bytes: watermark.memory_bytes,
        cpu_seconds: watermark.cpu_seconds,
        wall_seconds: watermark.wall_seconds,
        max_pages: watermark.max_pages,
        max_input_bytes: watermark.max_input_bytes,
        max_output_bytes: watermark.max_input_bytes.saturating_mul(2),
        concurrency: watermark.concurrency,
    }
}

/// What an earlier process wrote down of the limits.
async fn restore_limits(store: &Store, now: Timestamp) -> Result<Limiter, store::Error> {
    let (limiter, mut last) = (Limiter::default(), String::new());
    loop {
        let page = store
            .read(move |snapshot| snapshot.list_limit_windows(&last, now, LIMITS_PAGE))
            .await?;
        let Some(newest) = page.last() else {
            return Ok(limiter);
        };
        last = newest.name.clone();
        if let Err(unreadable) = limiter.restore(&page, now) {
            tracing::warn!(
                unreadable,
                "Limits in the database are not as they were written, and start afresh"
            );
        }
    }
}

/// Brings the stored signing keys up to their schedule; the first is made when there is none.
async fn keep_signing_keys(
    store: &Store,
    sealer: &Sealer,
    oauth: &OAuth,
    now: Timestamp,
) -> Result<Vec<StoredSigningKey>, BuildError> {
    let schedule = Schedule::of(oauth);
    let keys = store.read(|snapshot| snapshot.list_signing_keys()).await?;
    if signing_keys::is_on_schedule(&keys, schedule, now) {
        return Ok(keys);
    }
    let fresh = Fresh::generate(signing_algorithm(oauth)?, sealer)?;
    match store
        .write(now, move |tx| {
            signing_keys::tend(tx, schedule, fresh).map(Verdict::Done)
        })
        .await
    {
        // another rotation was first
        Ok(()) | Err(store::Error::Constraint(_) | store::Error::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(store.read(|snapshot| snapshot.list_signing_keys()).await?)
}

pub fn signing_algorithm(oauth: &OAuth) -> Result<SigningAlgorithm, ConfigError> {
    let unknown = |error: crate::types::state::UnknownWord| {
        ConfigError::Value("[oauth] signing_algorithm".to_owned(), error.to_string())
    };
    oauth.signing_algorithm.parse().map_err(unknown)
}

/// Opens what is stored under the key outside the database.
pub fn open_signing_keys(
    keys: &[StoredSigningKey],
    sealer: &Sealer,
) -> Result<Vec<ScheduledKey>, CannotOpen> {
    let open = |row: &StoredSigningKey| {
        let pkcs8 = sealer.open(&row.kid, &row.sealed_private_key)?;
        Ok((
            PrivateKey {
                kid: row.kid.clone(),
                algorithm: row.algorithm,
                pkcs8,
            },
            row.signs_from,
        ))
    };
    keys.iter().map(open).collect()
}
