//! A database that was restored: what was issued before has ended, and the secrets that stand until somebody revokes them are
//! paused until an operator lifts that.
//!
//! Invariant: a secret is paused by its stored digest, which begins with a mark that no key id has and no digest of a presented
//! secret ever equals. So it is good at no door, whichever door asks and whatever else becomes of what it belongs to.
//!
//! Only for a process that holds the database's lock, or announces its writes: memories are not told of each subject.

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, TextExpressionMethods};

use super::schema::{
    api_key_secrets, api_keys, application_secrets, applications, management_tokens,
    operator_tokens, registration_tokens, registrations, resource_server_secrets, resource_servers,
    upkeep,
};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::crypto::digest::PAUSED_MARK;
use crate::types::state::{
    ApiKeyState, ApplicationState, RegistrationTokenState, SecretState, StandingSecret,
};
use crate::types::time::Timestamp;

pub(super) const PAUSED: &str = PAUSED_MARK;
/// The reason of a key that is paused because of it.
pub const RESTORED: &str = "restored";

/// One that is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PausedSecret {
    pub kind: StandingSecret,
    /// Of the secret; of the key, when it is a key's; of the application, when it is its registration access token.
    pub id: String,
    /// The application, the resource server or the organization that it belongs to; empty when it is the vendor's own.
    pub owner: String,
    pub name: String,
    /// How it starts, where that is known.
    pub hint: String,
}

/// Where the digests of one kind are, which rows still count, and by which ids an operator may name one.
struct Place {
    table: &'static str,
    digest: &'static str,
    counts: &'static str,
    ids: &'static [&'static str],
}

const PLACES: &[Place] = &[
    Place {
        table: "api_key_secrets",
        digest: "digest",
        counts: "state <> 'revoked'",
        ids: &["api_key_id"],
    },
    Place {
        table: "application_secrets",
        digest: "digest",
        counts: "state <> 'revoked'",
        ids: &["id", "application_id"],
    },
    Place {
        table: "registrations",
        digest: "management_digest",
        counts: "management_digest IS NOT NULL",
        ids: &["application_id"],
    },
    Place {
        table: "resource_server_secrets",
        digest: "digest",
        counts: "state <> 'revoked'",
        ids: &["id", "resource_server_id"],
    },
    Place {
        table: "operator_tokens",
        digest: "digest",
        counts: "revoked_at IS NULL",
        ids: &["id"],
    },
    Place {
        table: "management_tokens",
        digest: "digest",
        counts: "revoked_at IS NULL",
        ids: &["id"],
    },
    Place {
        table: "registration_tokens",
        digest: "digest",
        counts: "state <> 'revoked'",
        ids: &["id"],
    },
];

type Row = (String, String, String, String);

impl Snapshot<'_> {
    /// When the database was last made from a backup.
    pub fn find_restore(&mut self) -> Result<Option<Timestamp>, Error> {
        self.find_upkeep("restore")
    }

    /// The instant whose copy this database is.
    pub fn find_snapshot(&mut self) -> Result<Option<Timestamp>, Error> {
        self.find_upkeep("snapshot")
    }

    fn find_upkeep(&mut self, name: &str) -> Result<Option<Timestamp>, Error> {
        let own = upkeep::table.find(name);
        self.run(|conn| own.select(upkeep::at).first(conn).optional())
    }

    /// Everything that is paused and was not revoked since, by kind, the oldest first.
    pub fn list_paused_secrets(&mut self) -> Result<Vec<PausedSecret>, Error> {
        let paused = format!("{PAUSED}%");
        let keys: Vec<Row> = self.run(|conn| {
            api_key_secrets::table
                .inner_join(api_keys::table)
                .filter(api_key_secrets::digest.like(&paused))
                .filter(api_keys::state.ne(ApiKeyState::Revoked))
                .select((
                    api_keys::id,
                    api_keys::organization_id,
                    api_keys::name,
                    api_keys::public_id,
                ))
                .distinct()
                .order(api_keys::id)
                .load(conn)
        })?;
        let secrets: Vec<Row> = self.run(|conn| {
            application_secrets::table
                .inner_join(applications::table)
                .filter(application_secrets::digest.like(&paused))
                .filter(application_secrets::state.eq(SecretState::Active))
                .filter(applications::state.eq(ApplicationState::Active))
                .select((
                    application_secrets::id,
                    applications::id,
                    applications::name,
                    application_secrets::hint,
                ))
                .order(application_secrets::id)
                .load(conn)
        })?;
        let registered: Vec<(String, String)> = self.run(|conn| {
            registrations::table
                .inner_join(
                    applications::table.on(applications::id.eq(registrations::application_id)),
                )
                .filter(registrations::management_digest.like(&paused))
                .filter(applications::state.eq(ApplicationState::Active))
                .select((applications::id, applications::name))
                .order(applications::id)
                .load(conn)
        })?;
        let servers: Vec<Row> = self.run(|conn| {
            resource_server_secrets::table
                .inner_join(
                    resource_servers::table
                        .on(resource_servers::id.eq(resource_server_secrets::resource_server_id)),
                )
                .filter(resource_server_secrets::digest.like(&paused))
                .filter(resource_server_secrets::state.eq(SecretState::Active))
                .select((
                    resource_server_secrets::id,
                    resource_servers::id,
                    resource_servers::name,
                    resource_server_secrets::hint,
                ))
                .order(resource_server_secrets::id)
                .load(conn)
        })?;
        let own: Vec<(String, String, String)> = self.run(|conn| {
            operator_tokens::table
                .filter(operator_tokens::digest.like(&paused))
                .filter(operator_tokens::revoked_at.is_null())
                .select((
                    operator_tokens::id,
                    operator_tokens::name,
                    operator_tokens::hint,
                ))
                .order(operator_tokens::id)
                .load(conn)
        })?;
        let management: Vec<Row> = self.run(|conn| {
            management_tokens::table
                .filter(management_tokens::digest.like(&paused))
                .filter(management_tokens::revoked_at.is_null())
                .select((
                    management_tokens::id,
                    management_tokens::organization_id,
                    management_tokens::name,
                    management_tokens::hint,
                ))
                .order(management_tokens::id)
                .load(conn)
        })?;
        let registration: Vec<(String, String, String)> = self.run(|conn| {
            registration_tokens::table
                .filter(registration_tokens::digest.like(&paused))
                .filter(registration_tokens::state.eq(RegistrationTokenState::Active))
                .select((
                    registration_tokens::id,
                    registration_tokens::organization_id,
                    registration_tokens::name,
                ))
                .order(registration_tokens::id)
                .load(conn)
        })?;
        let rows = [
            (StandingSecret::ApiKey, keys),
            (StandingSecret::ApplicationSecret, secrets),
            (
                StandingSecret::RegistrationAccessToken,
                registered
                    .into_iter()
                    .map(|(id, name)| (id.clone(), id, name, String::new()))
                    .collect(),
            ),
            (StandingSecret::ResourceServerSecret, servers),
            (
                StandingSecret::OperatorToken,
                own.into_iter()
                    .map(|(id, name, hint)| (id, String::new(), name, hint))
                    .collect(),
            ),
            (StandingSecret::ManagementToken, management),
            (
                StandingSecret::RegistrationToken,
                registration
                    .into_iter()
                    .map(|(id, owner, name)| (id, owner, name, String::new()))
                    .collect(),
            ),
        ];
        let of_kind = |(kind, rows): (StandingSecret, Vec<Row>)| {
            rows.into_iter()
                .map(move |(id, owner, name, hint)| PausedSecret {
                    kind,
                    id,
                    owner,
                    name,
                    hint,
                })
        };
        Ok(rows.into_iter().flat_map(of_kind).collect())
    }
}

impl Tx<'_> {
    /// The database was made from a backup, now.
    pub fn note_restore(&mut self) -> Result<(), Error> {
        let row = (upkeep::name.eq("restore"), upkeep::at.eq(self.now));
        self.run_quiet(|conn| {
            diesel::delete(upkeep::table.find("restore")).execute(conn)?;
            diesel::insert_into(upkeep::table).values(row).execute(conn)
        })
        .map(drop)
    }

    /// Ends what was issued for a while: sessions, codes, tokens, consents, invitations, links, offers and approved requests
    /// for keys. An application goes on acting as itself, by tokens that it gets from now on.
    pub fn end_what_was_issued(&mut self) -> Result<(), Error> {
        let now = self.now.millis();
        for change in [
            "DELETE FROM authorization_requests".to_owned(),
            "DELETE FROM sessions".to_owned(),
            "DELETE FROM refresh_tokens".to_owned(),
            "DELETE FROM access_tokens".to_owned(),
            format!(
                "UPDATE authorizations SET state = 'revoked', revoked_at = {now}, revoked_because = '{RESTORED}',
                     row_expires_at = {now} WHERE kind <> 'client_credentials' AND state <> 'revoked'"
            ),
            format!(
                "UPDATE consents SET state = 'revoked', revoked_at = {now}, updated_at = {now} WHERE state <> 'revoked'"
            ),
            format!(
                "UPDATE invitations SET state = 'revoked', decided_at = {now} WHERE state = 'pending'"
            ),
            "UPDATE hand_overs SET state = 'revoked' WHERE state = 'open'".to_owned(),
            // an approved key has no secret yet: who asked for it would make one now
            format!(
                "UPDATE api_keys SET state = 'revoked', revoked_at = {now}
                     WHERE id IN (SELECT api_key_id FROM api_key_requests WHERE state = 'approved')"
            ),
            "UPDATE api_key_requests SET state = 'withdrawn' WHERE state = 'approved'".to_owned(),
            format!(
                "UPDATE api_key_transfers SET state = 'withdrawn', decided_at = {now} WHERE state = 'open'"
            ),
        ] {
            self.run_quiet(|conn| diesel::sql_query(change).execute(conn))?;
        }
        Ok(())
    }

    /// Pauses every secret that stands until somebody revokes it.
    pub fn pause_standing_secrets(&mut self) -> Result<(), Error> {
        for Place {
            table,
            digest,
            counts,
            ..
        } in PLACES
        {
            let change = format!(
                "UPDATE {table} SET {digest} = '{PAUSED}' || {digest} WHERE {counts} AND {digest} NOT LIKE '{PAUSED}%'"
            );
            self.run_quiet(|conn| diesel::sql_query(change).execute(conn))?;
        }
        let shown = format!(
            "UPDATE api_keys SET state = 'paused', state_reason = '{RESTORED}' WHERE state = 'active'"
        );
        self.run_quiet(|conn| diesel::sql_query(shown).execute(conn))
            .map(drop)
    }

    /// Lifts the pause of one, or of every one: how many rows. `id`: of a key, a secret or a token; of an application or a
    /// resource server, for all that is its own.
    pub fn resume_standing_secrets(&mut self, id: Option<&str>) -> Result<usize, Error> {
        let is_id = |id: &&str| {
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !id.iter().all(is_id) {
            return Ok(0);
        }
        let mut resumed = 0;
        for place in PLACES {
            let named = id.map_or_else(String::new, |id| {
                let any: Vec<String> = place
                    .ids
                    .iter()
                    .map(|column| format!("{column} = '{id}'"))
                    .collect();
                format!(" AND ({})", any.join(" OR "))
            });
            let Place { table, digest, .. } = place;
            let from = PAUSED.len() + 1;
            let change = format!(
                "UPDATE {table} SET {digest} = substr({digest}, {from}) WHERE {digest} LIKE '{PAUSED}%'{named}"
            );
            resumed += self.run_quiet(|conn| diesel::sql_query(change).execute(conn))?;
        }
        let named = id.map_or_else(String::new, |id| format!(" AND id = '{id}'"));
        let shown = format!(
            "UPDATE api_keys SET state = 'active', state_reason = NULL WHERE state = 'paused' AND state_reason = '{RESTORED}'{named}"
        );
        resumed += self.run_quiet(|conn| diesel::sql_query(shown).execute(conn))?;
        Ok(resumed)
    }
}
