//! The database and the clock.

use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::store::{Database, ExclusiveError, FilesError, Health, HealthError, SchemaError};
use crate::types::clock_watch::{ClockWatch, Doubt};
use crate::types::time::{Clock, Timestamp};

/// Tokens carry whole seconds: more makes them invalid elsewhere.
const MOST_SKEW_SECONDS: i64 = 5;
/// A stop of more than a year is less likely than a wrong clock.
const LONG_SECONDS: i64 = 365 * 24 * 60 * 60;
const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
/// More than a server leaves behind that nobody reads beside.
const LONG_LOG_BYTES: u64 = 64 * MIB;
const OLD_BACKUP_SECONDS: i64 = 7 * 24 * 60 * 60;

pub(super) fn check(
    config: &Config,
    database: Option<&Database>,
    health: &Result<Health, HealthError>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = match health {
        Ok(health) => {
            let mut findings = vec![answers(health), clock(health, now)];
            if let Some(Database::Sqlite(_)) = database {
                findings.extend([integrity(health), log(health), backup(health, now)]);
            }
            findings.extend(paused(health));
            findings
        }
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
        HealthError::Files(ExclusiveError::Files(FilesError::Missing(_)))
        | HealthError::Schema(SchemaError::Pending(_)) => "Run `countersign migrate`.",
        HealthError::Files(_) => "Change nothing before you know which file is the right one.",
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
        let advice = if reason.contains("locked") {
            "Find the program that holds it in a transaction (`fuser` names who has the file open), and end it."
        } else {
            "Give the server's user the right to write, or name the primary server instead of a replica."
        };
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
    let record = health.clock_record.as_ref();
    let newest = health
        .newest
        .filter(|newest| record.is_none_or(|record| record.is_evidence(*newest)));
    if let Some(newest) = newest.filter(|newest| *newest > now.plus_seconds(MOST_SKEW_SECONDS)) {
        let message = format!(
            "the newest row was made at {}, but it is {}: this clock is behind, or was ahead, and while it is more than an hour nothing is removed by time",
            newest.rfc3339(),
            now.rfc3339()
        );
        return Finding::problem("clock", message, LEAP);
    }
    // this very machine's clock; the server's own finding where that is another machine
    let watch = ClockWatch::start(Clock::System, record.cloned(), newest);
    match (watch.observe(), record.and_then(|record| record.doubted_at)) {
        (Some(doubt @ (Doubt::Leapt(_) | Doubt::Behind(_))), _) => {
            Finding::problem("clock", doubt.to_string(), LEAP)
        }
        (_, Some(doubted)) => Finding::problem(
            "clock",
            format!(
                "the server's clock has leapt: it said {} and is {} here",
                doubted.rfc3339(),
                now.rfc3339()
            ),
            LEAP,
        ),
        _ => since_it_was_served(health, now),
    }
}

const LEAP: &str = "Correct the clock (NTP): the server then goes on by itself. If it is right now, run `countersign clock accept`.";

fn since_it_was_served(health: &Health, now: Timestamp) -> Finding {
    let trusted = health.clock_record.as_ref().map(|record| record.trusted_at);
    match health.newest.max(trusted) {
        Some(last) if last.plus_seconds(LONG_SECONDS) < now => {
            let message = format!(
                "it is {}, more than a year after the last use of this database at {}",
                now.rfc3339(),
                last.rfc3339()
            );
            let advice = "See that the date is right before the server starts: after an hour of running what has ended is removed.";
            Finding::warning("clock", message, advice)
        }
        _ => Finding::ok("clock", now.rfc3339()),
    }
}

fn integrity(health: &Health) -> Finding {
    match &health.damage {
        None => Finding::ok("integrity", "quick_check finds no damage"),
        Some(damage) => Finding::problem(
            "integrity",
            format!("the file is damaged: {damage}"),
            "Stop the server, keep the files, and restore the newest backup with `countersign restore`.",
        ),
    }
}

fn log(health: &Health) -> Finding {
    let message = format!(
        "the write-ahead log has {} MiB",
        health.wal_bytes.div_ceil(MIB)
    );
    if health.wal_bytes > LONG_LOG_BYTES {
        return Finding::warning(
            "write-ahead log",
            message,
            "A program reads the database for long: a backup, or an open sqlite3. When it has ended, the running server gives the room back.",
        );
    }
    Finding::ok("write-ahead log", message)
}

/// Says when, of what `countersign backup` made: other copies leave no trace.
fn backup(health: &Health, now: Timestamp) -> Finding {
    match health.backed_up_at {
        None => Finding::ok(
            "backup",
            "`countersign backup` has made none yet; other copies are not known here",
        ),
        Some(at) if at.plus_seconds(OLD_BACKUP_SECONDS) < now => Finding::warning(
            "backup",
            format!("`countersign backup` last made one at {}", at.rfc3339()),
            "Run it every day, and keep the copies on another machine.",
        ),
        Some(at) => Finding::ok(
            "backup",
            format!("`countersign backup` last made one at {}", at.rfc3339()),
        ),
    }
}

fn paused(health: &Health) -> Option<Finding> {
    let paused = || {
        Finding::warning(
            "restore",
            format!(
                "{} keys and secrets are paused since the database was restored",
                health.paused
            ),
            "`countersign restored list` names them, `countersign restored resume` lifts it.",
        )
    };
    (health.paused > 0).then(paused)
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
