//! Presented credentials: the access behind one, from memory or by one query, and the trace that it leaves.

use std::net::IpAddr;
use std::sync::Arc;

use super::App;
use crate::crypto::digest::Purpose;
use crate::crypto::format::{self, TokenKind};
use crate::domain::decision::access::Access;
use crate::domain::decision::presented::{self, FirstUse, TokenClaims};
use crate::domain::decision::usage::Used;
use crate::domain::operations::operator_tokens;
use crate::domain::people::management_tokens::{self, PresentedToken};
use crate::store::operator_tokens::OperatorToken;
use crate::store::{self, Snapshot, Tx, Verdict};
use crate::telemetry::metrics::MemoryLabels;
use crate::types::id::{ApplicationId, ClientSecretId};
use crate::types::time::Timestamp;

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

/// What the look-up of a management token found.
#[derive(Debug, Clone)]
pub enum ManagementLookup {
    Found(Box<PresentedToken>),
    Unknown,
    Throttled { retry_after_seconds: i64 },
}

impl App {
    /// The access behind a presented key or token: from memory, or by one query. `address`: whose budget unknown ones are
    /// charged to. Without an address no limit applies: a stranger at a resource server that tells no addresses must not use
    /// up what everybody else there needs.
    pub async fn access(
        &self,
        credential: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Lookup, store::Error> {
        let found = self.look_up(credential, address, now).await?;
        match &found {
            Lookup::Found(access)
                if presented::plays_unknown(access)
                    || !self.note_first_use(access, now).await? =>
            {
                Ok(Lookup::Unknown)
            }
            _ => Ok(found),
        }
    }

    /// The same without a trace: a secret that waits for its first use goes on waiting.
    pub async fn peek(
        &self,
        credential: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Lookup, store::Error> {
        match self.look_up(credential, address, now).await? {
            Lookup::Found(access) if presented::plays_unknown(&access) => Ok(Lookup::Unknown),
            found => Ok(found),
        }
    }

    /// The operator token behind what was credential, read at every request: no memory holds one, so that a command beside the
    /// server may make and revoke them. It may have expired.
    pub async fn operator_token(
        &self,
        credential: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<OperatorLookup, store::Error> {
        let candidates = self.digester.candidates(Purpose::OperatorToken, credential);
        let found = self
            .store
            .read(move |snapshot| operator_tokens::find_live(snapshot, &candidates))
            .await?;
        Ok(match found {
            Some(token) => OperatorLookup::Found(token),
            None => match self.count_unknown(address, now) {
                Ok(()) => OperatorLookup::Unknown,
                Err(retry_after_seconds) => OperatorLookup::Throttled {
                    retry_after_seconds,
                },
            },
        })
    }

    /// The management token behind what was presented, read at every request: a use is judged by what its maker holds then.
    /// It may have expired.
    pub async fn management_token(
        &self,
        credential: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<ManagementLookup, store::Error> {
        let candidates = self
            .digester
            .candidates(Purpose::ManagementToken, credential);
        let found = self
            .store
            .read(move |snapshot| management_tokens::find_live(snapshot, &candidates, now))
            .await?;
        Ok(match found {
            Some(found) => ManagementLookup::Found(Box::new(found)),
            None => match self.count_unknown(address, now) {
                Ok(()) => ManagementLookup::Unknown,
                Err(retry_after_seconds) => ManagementLookup::Throttled {
                    retry_after_seconds,
                },
            },
        })
    }

    /// Whether it has the shape of a management token.
    pub fn is_management_token(&self, credential: &str) -> bool {
        format::is_token(
            &self.config.keys.prefix,
            TokenKind::ManagementToken,
            credential,
        )
    }

    /// Whether it has the shape of an operator token.
    pub fn is_operator_token(&self, credential: &str) -> bool {
        format::is_token(
            &self.config.keys.prefix,
            TokenKind::OperatorToken,
            credential,
        )
    }

    /// What a first use writes down is written before the answer. False when the credential is dead by now.
    async fn note_first_use(&self, access: &Access, now: Timestamp) -> Result<bool, store::Error> {
        let Some(first) = FirstUse::of(access) else {
            return Ok(true);
        };
        let write = move |tx: &mut Tx| first.write(tx).map(Verdict::<_, store::Error>::Done);
        let written = match first {
            FirstUse::Receipt(_) => self.store.write(now, write).await?,
            FirstUse::Secret(organization, _) => {
                self.store
                    .write_organization(organization, now, write)
                    .await?
            }
        };
        if written {
            first.settle(access);
        }
        Ok(written)
    }

    async fn look_up(
        &self,
        credential: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Lookup, store::Error> {
        let Some(shape) = self.shape(credential) else {
            return Ok(Lookup::Unknown);
        };
        let fingerprint = self.digester.fingerprint(shape.purpose(), credential);
        let current = |access: &Arc<Access>| presented::is_current(access, now);
        if let Some(access) = self
            .remembered
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
        if self
            .remembered
            .unknown
            .contains(&fingerprint, self.store.changes())
        {
            return Ok(Lookup::Unknown);
        }
        self.metrics
            .access_memory
            .get_or_create(&MemoryLabels { result: "miss" })
            .inc();
        // before the SELECT: what is written from here on ends the entry
        let stamp = self.store.changes().stamp();
        let Some(access) = self.load(shape, credential, now).await?.map(Arc::new) else {
            self.remembered.unknown.put(fingerprint, stamp);
            let counted = address.map_or(Ok(()), |address| self.count_unknown(address, now));
            return Ok(match counted {
                Ok(()) => Lookup::Unknown,
                Err(retry_after_seconds) => Lookup::Throttled {
                    retry_after_seconds,
                },
            });
        };
        self.remembered.accesses.put(fingerprint, stamp, &access);
        Ok(Lookup::Found(access))
    }

    fn shape(&self, credential: &str) -> Option<Shape> {
        let prefix = &self.config.keys.prefix;
        if format::is_token(prefix, TokenKind::AccessToken, credential) {
            return Some(Shape::AccessToken);
        }
        if credential.bytes().filter(|byte| *byte == b'.').count() == 2 {
            return Some(Shape::Jwt);
        }
        format::key_public_id(credential).map(|_| Shape::ApiKey)
    }

    async fn load(
        &self,
        shape: Shape,
        credential: &str,
        now: Timestamp,
    ) -> Result<Option<Access>, store::Error> {
        let settings = Arc::clone(&self.settings);
        let candidates = self.digester.candidates(shape.purpose(), credential);
        match shape {
            Shape::ApiKey => {
                let load = move |snapshot: &mut Snapshot| {
                    presented::find_by_api_key(snapshot, &settings.catalogue, &candidates, now)
                };
                self.store.read(load).await
            }
            Shape::AccessToken => {
                let load = move |snapshot: &mut Snapshot| {
                    presented::find_by_access_token(snapshot, &settings.catalogue, &candidates, now)
                };
                self.store.read(load).await
            }
            Shape::Jwt => {
                let verified = self.signer.verify(credential).ok();
                let issuer = self.issuer.as_str();
                let Some(claims) = verified.and_then(|claims| TokenClaims::of_jwt(&claims, issuer))
                else {
                    return Ok(None);
                };
                let load = move |snapshot: &mut Snapshot| {
                    presented::find_by_claims(snapshot, &settings.catalogue, claims, now)
                };
                self.store.read(load).await
            }
        }
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
