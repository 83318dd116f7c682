//! Opens everything that the configuration names.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Mutex;

use super::readiness::Readiness;
use super::remembered::Remembered;
use super::uploads::Uploads;
use super::watch::Probe;
use super::{App, signing};
use crate::config::{AliasError, Config, ConfigError};
use crate::crypto::digest::Digester;
use crate::crypto::password::PasswordQueue;
use crate::crypto::seal::{CannotOpen, Sealer};
use crate::crypto::secret_key::{SecretKeyError, SecretKeys};
use crate::crypto::signer::{Signer, SignerError};
use crate::domain::decision::limiter::Limiter;
use crate::domain::decision::quotas::Quotas;
use crate::domain::decision::usage::Usage;
use crate::domain::operations::idempotency::InFlight;
use crate::domain::operations::signing_keys;
use crate::domain::settings::Settings;
use crate::outbound::dns::Dns;
use crate::outbound::openid::OpenId;
use crate::pdf::{Limits as StampLimits, Stamper};
use crate::store::{self, Database, OpenError, Store};
use crate::telemetry::metrics::Metrics;
use crate::types::clock_watch::ClockWatch;
use crate::types::time::{Clock, Timestamp};

/// Rows read at once.
const LIMITS_PAGE: i64 = 1_000;
/// Where every provider sends the browser back: to be registered there.
const OPENID_CALLBACK: &str = "/login/oidc/callback";
/// PDFs of the largest size in memory for each process that stamps: one at work, the others waiting.
const PDFS_PER_PROCESS: usize = 5;

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
    #[error(
        "the secret key file {0} is missing, and the database holds what was made under the key {1}: bring it back from your copy. \
         No other one was made"
    )]
    LostSecretKey(String, String),
    #[error(
        "the secret key {0} is not the one that the database needs, which is {1}. Is this the secret key that belongs to this \
         database?"
    )]
    ForeignSecretKey(String, String),
    #[error(transparent)]
    Signer(#[from] SignerError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

impl BuildError {
    /// Whether it is the database that is away, and may come.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Open(error) => error.is_away(),
            Self::Store(error) => matches!(error, store::Error::Unavailable(_)),
            _ => false,
        }
    }
}

impl App {
    /// Opens everything that `config` names. `stamp_program` is this very binary: it is started again to stamp PDFs.
    pub async fn build(
        config: Config,
        clock: Clock,
        stamp_program: PathBuf,
    ) -> Result<Self, BuildError> {
        let settings = Settings::new(&config).map_err(ConfigError::from)?;
        let database: Database = config.database.url.parse()?;
        let timeout = Duration::from_secs(config.database.timeout_seconds);
        let store = Store::connect(database, config.database.connections, timeout).await?;
        let clock_watch = watch_clock(&store, &clock).await?;
        let issuer = config.server.issuer().map_err(ConfigError::from)?;
        let secret_keys = secret_keys_of(&config, &store).await?;
        let sealer = Sealer::new(&secret_keys);
        warn_of_paused(&store).await?;
        let keys = signing::keep(&store, &sealer, &config.oauth, &clock_watch, clock.now()).await?;
        let limiter = restore_limits(&store, clock.now()).await?;
        let signer = Signer::new(issuer.as_str(), &signing_keys::open(&keys, &sealer)?)?;
        signer.refuse_twins_from(signing_keys::lower_from(&keys));
        let openid = OpenId::new(
            format!("{}{OPENID_CALLBACK}", issuer.as_str()),
            config.identity.allow_private_providers,
        );
        Ok(Self {
            settings: Arc::new(settings),
            policy: config.sandbox.clone(),
            metrics: Metrics::new(store.metrics()),
            issuer,
            clock,
            clock_watch,
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
            uploads: Arc::new(Uploads::new(upload_bytes(&config))),
            readiness: Readiness::default(),
            probe: Probe::default(),
            in_flight: InFlight::default(),
            openapi: OnceLock::new(),
            remembered: Remembered::default(),
            config: Arc::new(config),
        })
    }
}

/// The keys under which the secrets in the database are. Made only for a database that holds nothing yet: whatever is in
/// another one would be lost with them.
pub async fn secret_keys_of(config: &Config, store: &Store) -> Result<SecretKeys, BuildError> {
    let needed: BTreeSet<String> = store
        .read(|snapshot| snapshot.list_secret_key_ids())
        .await?;
    if needed.is_empty() {
        return Ok(secret_keys(config)?);
    }
    let names = || needed.iter().cloned().collect::<Vec<_>>().join(", ");
    match existing_secret_keys(config) {
        Err(SecretKeyError::File { path, source }) if source.kind() == ErrorKind::NotFound => {
            Err(BuildError::LostSecretKey(path, names()))
        }
        Ok(keys) if !keys.iter().any(|key| needed.contains(&key.id)) => Err(
            BuildError::ForeignSecretKey(keys.current().id.clone(), names()),
        ),
        Ok(keys) => {
            // before anything is written under them
            let stored = store.read(|snapshot| snapshot.list_signing_keys()).await?;
            signing_keys::open(&stored, &Sealer::new(&keys))?;
            Ok(keys)
        }
        Err(error) => Err(error.into()),
    }
}

/// After a restore somebody has to decide, and nobody else is told.
async fn warn_of_paused(store: &Store) -> Result<(), store::Error> {
    let paused: usize = store
        .read(|snapshot| {
            Ok::<_, store::Error>(match snapshot.find_restore()? {
                Some(_) => snapshot.list_paused_secrets()?.len(),
                None => 0,
            })
        })
        .await?;
    if paused > 0 {
        tracing::warn!(
            paused,
            "Keys and secrets are paused since the database was restored: see `countersign restored list`, and lift it by \
             `countersign restored resume`"
        );
    }
    Ok(())
}

fn secret_keys(config: &Config) -> Result<SecretKeys, SecretKeyError> {
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

fn upload_bytes(config: &Config) -> usize {
    let one = usize::try_from(config.watermark.max_input_bytes).unwrap_or(usize::MAX);
    let processes = config.watermark.concurrency;
    one.saturating_mul(PDFS_PER_PROCESS)
        .saturating_mul(processes)
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

/// From here on every write knows whether its instant is trusted.
async fn watch_clock(store: &Store, clock: &Clock) -> Result<Arc<ClockWatch>, store::Error> {
    let (recorded, newest) = store
        .read(|snapshot| {
            let recorded = snapshot.find_clock_record()?;
            Ok::<_, store::Error>((recorded, snapshot.find_newest_instant()?))
        })
        .await?;
    let watch = Arc::new(ClockWatch::start(clock.clone(), recorded, newest));
    store.judge_instants_by(Arc::clone(&watch));
    Ok(watch)
}

/// What an earlier process wrote down of the limits.
async fn restore_limits(store: &Store, now: Timestamp) -> Result<Limiter, store::Error> {
    let (limiter, mut last) = (Limiter::default(), String::new());
    loop {
        let page = store
            .read_unhurried(move |snapshot| snapshot.list_limit_windows(&last, now, LIMITS_PAGE))
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
