//! What every request shares: the store, the keys, the memories and the rules, built from the configuration.

mod build;
mod domains;
mod presented;
pub mod readiness;
mod remembered;
mod signing;
mod strangers;
pub mod uploads;
mod watch;

use std::sync::{Arc, OnceLock};

use actix_web::web::Bytes;
use tokio::sync::Mutex;

pub use self::build::{BuildError, existing_secret_keys, secret_keys_of};
pub use self::presented::{Lookup, ManagementLookup, OperatorLookup};
use self::readiness::Readiness;
use self::remembered::Remembered;
pub use self::strangers::{PAUSED, Proof};
use self::uploads::Uploads;
use self::watch::Probe;
use crate::config::{Config, Issuer};
use crate::crypto::Plaintext;
use crate::crypto::digest::{Digester, Purpose};
use crate::crypto::format::{self, TokenKind};
use crate::crypto::password::PasswordQueue;
use crate::crypto::seal::Sealer;
use crate::crypto::signer::Signer;
use crate::domain::decision::check::Rules;
use crate::domain::decision::limiter::Limiter;
use crate::domain::decision::quotas::Quotas;
use crate::domain::decision::sandbox::Policy;
use crate::domain::decision::usage::Usage;
use crate::domain::operations::idempotency::InFlight;
use crate::domain::settings::Settings;
use crate::outbound::dns::Dns;
use crate::outbound::openid::OpenId;
use crate::pdf::Stamper;
use crate::store::Store;
use crate::store::application_secrets::NewSecret;
use crate::telemetry::metrics::Metrics;
use crate::types::clock_watch::ClockWatch;
use crate::types::time::Clock;

pub struct App {
    pub config: Arc<Config>,
    pub settings: Arc<Settings>,
    pub policy: Policy,
    pub issuer: Issuer,
    pub clock: Clock,
    pub clock_watch: Arc<ClockWatch>,
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
    /// PDFs in memory.
    pub uploads: Arc<Uploads>,
    pub metrics: Metrics,
    pub readiness: Readiness,
    probe: Probe,
    /// Creates that carry an idempotency key and have no answer yet.
    pub in_flight: InFlight,
    /// The description of the management API, made when it is first asked for.
    pub openapi: OnceLock<Bytes>,
    remembered: Remembered,
}

impl App {
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            catalogue: &self.settings.catalogue,
            policy: &self.policy,
            quotas: &self.quotas,
        }
    }

    /// A new client secret, and what is stored of it.
    pub fn mint_client_secret(&self) -> (Plaintext, NewSecret) {
        let secret = format::mint_token(&self.config.keys.prefix, TokenKind::ClientSecret);
        let digest = self.digester.digest(Purpose::ClientSecret, secret.expose());
        let hint = format::hint(&secret);
        (secret, NewSecret { digest, hint })
    }
}
