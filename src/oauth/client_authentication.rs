//! Which client asks (RFC 6749 §2.3): `client_secret_basic`, `client_secret_post`, or `none` for a public one. One method a request.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

use super::error::{Code, Error};
use crate::app::{App, PAUSED, Proof};
use crate::domain::clients::clients::Client;
use crate::domain::ensure;
use crate::types::id::{ApplicationId, ClientSecretId};
use crate::web::basic::basic;
use crate::web::facts::Facts;
use crate::web::form::Form;

/// The authenticated client. Unknown ids and wrong secrets read the same (9700-25, 9700-26).
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    facts: &Facts,
) -> Result<Arc<Client>, Error> {
    let presented = present(headers, form)?;
    let refused = || Error::from(Code::InvalidClient);
    let id: ApplicationId = presented.id.parse().map_err(|_| refused())?;
    let client = match app.remembered_client(id) {
        Some(client) => client,
        None => look_up(app, id, facts).await?.ok_or_else(refused)?,
    };
    let proven_by = match (client.is_confidential(), &presented.secret) {
        (true, Some(secret)) => Some(prove(app, &client, secret, facts)?),
        (false, None) => None,
        // a confidential client must authenticate; a public one has no secret to be right
        _ => return Err(refused()),
    };
    // anybody can say a public client's id: it was here when its grant was good
    if proven_by.is_some() {
        app.note_client(id, proven_by, facts.now);
    }
    Ok(client)
}

/// Which of its secrets the client has shown.
fn prove(app: &App, client: &Client, secret: &str, facts: &Facts) -> Result<ClientSecretId, Error> {
    let live = client.secrets.iter().map(|live| (live.id, &live.digest));
    match app.proves(
        client.application.id.as_str(),
        secret,
        live,
        facts.address,
        facts.now,
    ) {
        Proof::Proven(which) => Ok(which),
        Proof::Paused => Err(Code::InvalidClient.because(PAUSED)),
        Proof::Wrong => Err(Code::InvalidClient.into()),
        Proof::Throttled {
            retry_after_seconds,
        } => Err(Error::throttled(retry_after_seconds)),
    }
}

/// A look-up that anybody can provoke: unknown ids use up the address's budget.
async fn look_up(
    app: &App,
    id: ApplicationId,
    facts: &Facts,
) -> Result<Option<Arc<Client>>, Error> {
    let client = app.client(id).await?;
    if client.is_none() {
        app.count_unknown(facts.address, facts.now)
            .map_err(Error::throttled)?;
    }
    Ok(client)
}

struct Presented {
    id: String,
    secret: Option<String>,
}

fn present(headers: &HeaderMap, form: &Form) -> Result<Presented, Error> {
    let (body_id, body_secret) = (form.one("client_id")?, form.one("client_secret")?);
    let Some(header) = basic(headers)? else {
        // RFC 6749 §5.2: a scheme that is not ours is not client authentication
        ensure(
            !headers.contains_key(AUTHORIZATION),
            Code::InvalidRequest.because("Authorization must be Basic, or absent."),
        )?;
        let id = body_id
            .ok_or_else(|| Code::InvalidClient.because("No client authentication was sent."))?;
        return Ok(Presented {
            id: id.to_owned(),
            secret: body_secret.map(str::to_owned),
        });
    };
    // RFC 6749 §2.3, 9700-24
    ensure(
        body_secret.is_none(),
        Code::InvalidRequest.because("Use one method of client authentication, not two."),
    )?;
    let same = body_id.is_none_or(|id| id == header.id);
    ensure(
        same,
        Code::InvalidRequest.because("client_id differs between the header and the body."),
    )?;
    // RFC 6749 §2.3.1: an empty secret is none. Libraries try Basic first, for public clients too.
    Ok(Presented {
        id: header.id,
        secret: Some(header.secret).filter(|secret| !secret.is_empty()),
    })
}
