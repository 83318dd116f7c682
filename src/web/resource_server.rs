//! Which resource server asks: HTTP Basic with its id and secret.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;

use super::basic::{BasicError, basic};
use super::facts::Facts;
use super::problem::{Challenge, Problem};
use crate::app::{App, PAUSED, Proof};
use crate::domain::decision::resource_servers::Server;
use crate::store;
use crate::types::id::ResourceServerId;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Basic(#[from] BasicError),
    #[error("unknown resource server, or wrong secret")]
    Unknown,
    #[error("a secret that is paused since the database was restored")]
    Paused,
    #[error("too many wrong secrets")]
    Throttled { retry_after_seconds: i64 },
    #[error(transparent)]
    Store(#[from] store::Error),
}

pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    facts: &Facts,
) -> Result<Arc<Server>, ServerError> {
    let presented = basic(headers)?.ok_or(ServerError::Unknown)?;
    let id: ResourceServerId = presented.id.parse().map_err(|_| ServerError::Unknown)?;
    let server = match app.remembered_server(id) {
        Some(server) => server,
        None => look_up(app, id, facts).await?.ok_or(ServerError::Unknown)?,
    };
    let live = server.secrets.iter().map(|digest| ((), digest));
    match app.proves(
        id.as_str(),
        &presented.secret,
        live,
        facts.address,
        facts.now,
    ) {
        Proof::Proven(()) => Ok(server),
        Proof::Paused => Err(ServerError::Paused),
        Proof::Wrong => Err(ServerError::Unknown),
        Proof::Throttled {
            retry_after_seconds,
        } => Err(ServerError::Throttled {
            retry_after_seconds,
        }),
    }
}

/// A look-up that anybody can provoke: unknown ids use up the address's budget.
async fn look_up(
    app: &App,
    id: ResourceServerId,
    facts: &Facts,
) -> Result<Option<Arc<Server>>, ServerError> {
    let server = app.resource_server(id).await?;
    if server.is_none() {
        app.count_unknown(facts.address, facts.now)
            .map_err(|retry_after_seconds| ServerError::Throttled {
                retry_after_seconds,
            })?;
    }
    Ok(server)
}

impl From<ServerError> for Problem {
    fn from(error: ServerError) -> Self {
        let detail = "This endpoint needs the id and secret of a resource server, by HTTP Basic.";
        match error {
            ServerError::Basic(BasicError::Repeated) => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                error.to_string(),
            ),
            ServerError::Basic(BasicError::Malformed) | ServerError::Unknown => {
                Self::unauthorized("resource_server_required", detail, Challenge::Basic)
            }
            ServerError::Paused => {
                Self::unauthorized("resource_server_required", PAUSED, Challenge::Basic)
            }
            ServerError::Throttled {
                retry_after_seconds,
            } => Self::rate_limited(retry_after_seconds),
            ServerError::Store(error) => error.into(),
        }
    }
}
