//! The key outside the database, and the keys that sign tokens.

use std::os::unix::fs::MetadataExt;

use super::Finding;
use crate::app::existing_secret_keys;
use crate::config::Config;
use crate::crypto::seal::Sealer;
use crate::crypto::secret_key::{SecretKeyError, SecretKeys};
use crate::domain::operations::signing_keys::{self, Schedule, Turn, turns};
use crate::store::signing_keys::StoredSigningKey;
use crate::store::{Database, Health};
use crate::types::time::Timestamp;

const FILE: &str = "secret key";
const KEYS: &str = "signing keys";
/// How long a running server may take to notice and to write.
const PATIENCE_SECONDS: i64 = 10 * 60;

pub(super) fn check(
    config: &Config,
    database: Option<&Database>,
    health: Option<&Health>,
    now: Timestamp,
) -> Vec<Finding> {
    let stored: &[StoredSigningKey] = health.map_or(&[], |health| &health.signing_keys);
    let secrets = match existing_secret_keys(config) {
        Ok(secrets) => secrets,
        Err(error) => return vec![unusable(&error, stored)],
    };
    let mut findings = vec![file(config, database, &secrets)];
    if health.is_none() {
        findings.push(Finding::warning(
            KEYS,
            "not looked at: the database does not answer",
            "Look at the database first.",
        ));
    } else {
        findings.extend(keys(config, stored, &Sealer::new(&secrets), now));
    }
    findings
}

fn unusable(error: &SecretKeyError, stored: &[StoredSigningKey]) -> Finding {
    let is_missing = matches!(error, SecretKeyError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
    match is_missing {
        true if stored.is_empty() => Finding::warning(
            FILE,
            error.to_string(),
            "The server makes it when it starts. Keep a copy of it apart from the database.",
        ),
        true => Finding::problem(
            FILE,
            error.to_string(),
            "Bring it back from your copy: without it no key, secret or session of this database works.",
        ),
        false => Finding::problem(
            FILE,
            error.to_string(),
            "Correct the file; the server does not start with it.",
        ),
    }
}

fn file(config: &Config, database: Option<&Database>, secrets: &SecretKeys) -> Finding {
    let count = secrets.iter().count();
    let rotating = if count > 1 {
        ", two keys: the second is on its way out"
    } else {
        ""
    };
    if !config.secret.key.is_empty() {
        return Finding::ok(FILE, format!("from [secret] key{rotating}"));
    }
    let path = &config.secret.key_file;
    // the server's user: who has the database's file, or else who asks
    let server = match database {
        Some(Database::Sqlite(file)) => std::fs::metadata(file).ok().map(|data| data.uid()),
        _ => Some(rustix::process::geteuid().as_raw()).filter(|user| *user != 0),
    };
    match (std::fs::metadata(path).ok().map(|data| data.uid()), server) {
        (Some(owner), Some(server)) if owner != server => Finding::warning(
            FILE,
            format!("{path} belongs to user {owner}, and the server's user seems to be {server}"),
            "Give both to the server's user.",
        ),
        _ => Finding::ok(
            FILE,
            format!("{path}, readable by its owner only{rotating}"),
        ),
    }
}

fn keys(
    config: &Config,
    stored: &[StoredSigningKey],
    sealer: &Sealer,
    now: Timestamp,
) -> Vec<Finding> {
    let Some((signing, _)) = turns(stored, now).find(|(_, turn)| *turn == Turn::Signs) else {
        return vec![Finding::ok(
            KEYS,
            "none yet: the server makes the first when it starts",
        )];
    };
    if let Err(error) = signing_keys::open(stored, sealer) {
        return vec![Finding::problem(
            KEYS,
            error.to_string(),
            "Bring back the secret key that belongs to this database; the server does not start with this one.",
        )];
    }
    let next = turns(stored, now)
        .filter(|(_, turn)| *turn == Turn::Next)
        .last()
        .map(|(key, _)| key);
    let coming = next.map_or_else(
        || "none is prepared".to_owned(),
        |key| {
            format!(
                "{} ({}) follows at {}",
                key.kid,
                key.algorithm,
                key.signs_from.rfc3339()
            )
        },
    );
    let message = format!(
        "{} ({}) signs since {}; {coming}",
        signing.kid,
        signing.algorithm,
        signing.signs_from.rfc3339()
    );
    let mut findings = vec![age(config, signing, next, message, now)];
    if stored.iter().any(|key| {
        key.published_at.is_none() && key.created_at.plus_seconds(PATIENCE_SECONDS) < now
    }) {
        findings.push(Finding::warning(
            KEYS,
            "one was made beside the server and is not published yet",
            "Start the server: it publishes it.",
        ));
    }
    let newest = next.unwrap_or(signing);
    if newest.algorithm.as_str() != config.oauth.signing_algorithm {
        let message = format!(
            "[oauth] signing_algorithm is {}, the newest key is {}",
            config.oauth.signing_algorithm, newest.algorithm
        );
        findings.push(Finding::warning(KEYS, message, "It takes effect with the next key: wait for it, or run `countersign signing-keys rotate`."));
    }
    findings
}

fn age(
    config: &Config,
    signing: &StoredSigningKey,
    next: Option<&StoredSigningKey>,
    message: String,
    now: Timestamp,
) -> Finding {
    let schedule = Schedule::of(&config.oauth);
    let ends = signing.signs_from.plus_seconds(schedule.seconds);
    let late = now.plus_seconds(-PATIENCE_SECONDS);
    let advice =
        "The running server does this by itself: see that it runs, and look for errors in its log.";
    if schedule.seconds == 0 || next.is_some() {
        return Finding::ok(KEYS, message);
    }
    if ends < late {
        return Finding::warning(
            KEYS,
            format!("{message}; its time was over at {}", ends.rfc3339()),
            advice,
        );
    }
    if ends.plus_seconds(-schedule.publish_seconds) < late {
        return Finding::warning(
            KEYS,
            format!("{message}, although one should be by now"),
            advice,
        );
    }
    Finding::ok(KEYS, message)
}
