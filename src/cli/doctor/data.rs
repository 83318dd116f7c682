//! The database and the clock.

use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::store::{Database, Health, HealthError, SchemaError};
use crate::types::time::Timestamp;

/// Tokens carry whole seconds: more makes them invalid elsewhere.
const MOST_SKEW_SECONDS: i64 = 5;
const GIB: u64 = 1024 * 1024 * 1024;

pub(super) fn check(
    config: &Config,
    database: Option<&Database>,
    health: &Result<Health, HealthError>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = match health {
        Ok(health) => vec![answers(health), clock(health, now)],
        Err(error) => vec![
            gone(error),
            Finding::warning(
                "clock",
                "not compared: the database does not answer",
                "Look at the database first.",
            ),
        ],
    };
    if let Some(Database::Sqlite(path)) = database {
        findings.extend(space(path));
    }
    if config.database.connections == 0 {
        findings.push(Finding::warning(
            "database",
            "[database] connections is 0, which is taken as 1",
            "Set it to 4.",
        ));
    }
    findings
}

fn gone(error: &HealthError) -> Finding {
    let advice = match error {
        HealthError::Missing(_) | HealthError::Schema(SchemaError::Pending(_)) => {
            "Run `countersign migrate`."
        }
        HealthError::Schema(SchemaError::Unknown(_)) => {
            "Run the version of this program that made it."
        }
        HealthError::Schema(_) | HealthError::Query(_) => {
            "See that it runs, and that [database] url names it and a user who may use it."
        }
    };
    Finding::problem("database", error.to_string(), advice)
}

fn answers(health: &Health) -> Finding {
    let version = &health.version;
    if let Some(reason) = &health.refuses_writes {
        let advice = "Give the server's user the right to write, or name the primary server instead of a replica.";
        return Finding::problem(
            "database",
            format!("{version} takes no writes: {reason}"),
            advice,
        );
    }
    match health.journal_mode.as_deref() {
        Some(mode) if mode != "wal" => {
            let advice = "Move it to a local disk whose file system supports shared memory.";
            Finding::warning(
                "database",
                format!("{version} is in {mode} mode: readers and the writer wait for each other"),
                advice,
            )
        }
        _ => Finding::ok(
            "database",
            format!("{version}, schema up to date, takes writes"),
        ),
    }
}

fn clock(health: &Health, now: Timestamp) -> Finding {
    let advice = "Synchronize the clocks (NTP), of this machine and of the database's.";
    if let Some(theirs) = health.clock {
        let skew = (theirs.millis() - now.millis()).abs() / 1000;
        if skew > MOST_SKEW_SECONDS {
            return Finding::problem(
                "clock",
                format!(
                    "the database's clock says {}, this one {}",
                    theirs.rfc3339(),
                    now.rfc3339()
                ),
                advice,
            );
        }
    }
    match health.newest {
        Some(newest) if newest > now.plus_seconds(MOST_SKEW_SECONDS) => {
            let message = format!(
                "the newest row was made at {}, but it is {}: this clock is behind, or was ahead",
                newest.rfc3339(),
                now.rfc3339()
            );
            Finding::problem("clock", message, advice)
        }
        _ => Finding::ok("clock", now.rfc3339()),
    }
}

fn space(path: &str) -> Option<Finding> {
    let folder = Path::new(path)
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let message = format!("{} MiB are free beside the database", free / 1024 / 1024);
    Some(match free {
        _ if free < GIB / 16 => Finding::problem(
            "disk",
            message,
            "Make room: a full disk refuses every write.",
        ),
        _ if free < GIB => Finding::warning(
            "disk",
            message,
            "Make room: a full disk refuses every write.",
        ),
        _ => Finding::ok("disk", message),
    })
}
