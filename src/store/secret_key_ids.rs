//! Under which keys outside the database its secrets are: each digest and each sealed row begins with the id of its key.

use std::collections::BTreeSet;

use diesel::QueryDsl;

use super::schema::{
    api_key_secrets, application_secrets, identity_providers, operator_tokens,
    resource_server_secrets, sessions, signing_keys,
};
use super::statements::{ReadDsl, Reading};
use super::{Error, Snapshot};

impl Snapshot<'_> {
    /// The ids of the keys without which the server does not start: of what is sealed; while nothing is, of some digest of each
    /// kind. Empty: nothing in the database depends on a key yet.
    pub fn list_secret_key_ids(&mut self) -> Result<BTreeSet<String>, Error> {
        let sealed: Vec<String> = self.run(sealed)?;
        let stored = if sealed.is_empty() {
            self.run(digests)?
        } else {
            sealed
        };
        Ok(stored.iter().filter_map(|text| key_id(text)).collect())
    }
}

fn sealed(conn: &mut Reading) -> diesel::QueryResult<Vec<String>> {
    let mut all: Vec<String> = signing_keys::table
        .select(signing_keys::sealed_private_key)
        .load(conn)?;
    let clients: Vec<String> = identity_providers::table
        .select(identity_providers::sealed_client_secret)
        .load(conn)?;
    all.extend(clients);
    Ok(all)
}

/// One row of each table tells enough, and is found at once however many there are.
fn digests(conn: &mut Reading) -> diesel::QueryResult<Vec<String>> {
    macro_rules! one_of_each {
        ($($table:ident),*) => {{
            let mut all = Vec::new();
            $(all.extend($table::table.select($table::digest).limit(1).load::<String>(conn)?);)*
            all
        }};
    }
    Ok(one_of_each!(
        api_key_secrets,
        application_secrets,
        resource_server_secrets,
        operator_tokens,
        sessions
    ))
}

/// The id before the colon, also of a digest that is paused (`restored.rs`).
pub(super) fn key_id(stored: &str) -> Option<String> {
    let stored = stored
        .strip_prefix(super::restored::PAUSED)
        .unwrap_or(stored);
    stored.split_once(':').map(|(id, _)| id.to_owned())
}
