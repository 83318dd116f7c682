//! Opens everything that the configuration names.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, Semaphore};

use super::readiness::Readiness;
use super::remembered::Remembered;
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
        let clock_watch = watch_clock(&store, &clock).await?;
        let issuer = config.server.issuer().map_err(ConfigError::from)?;
        let sealer = Sealer::new(&secret_keys);
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
            stamp_places: Semaphore::new(
                config
                    .watermark
                    .concurrency
                    .saturating_mul(PLACES_PER_PROCESS),
            ),
            metrics: Metrics::default(),
            readiness: Readiness::default(),
            in_flight: InFlight::default(),
            openapi: OnceLock::new(),
            remembered: Remembered::default(),
            config: Arc::new(config),
        })
    }
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
