//! A copy of an SQLite database beside the process that serves, made by `VACUUM INTO`: one snapshot, behind which writes go
//! on. The write-ahead log grows meanwhile, and is given back afterwards.
//!
//! Invariant: a file of the wanted name is whole. The copy is made under another name, flushed, read again and checked, and
//! only then gets its own; whatever fails before leaves nothing of that name that was not there.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl, SqliteConnection};
use rustix::fs::OFlags;
use rustix::process::geteuid;

use super::conn::{Conn, Database};
use super::exclusive::{self, ExclusiveError};
use super::migrations::{self, SchemaError};
use super::secret_key_ids::key_id;
use crate::types::time::Timestamp;

/// What was made.
#[derive(Debug)]
pub struct Backup {
    pub size_bytes: u64,
    /// What it holds.
    pub organizations: i64,
    pub users: i64,
    pub api_keys: i64,
    pub applications: i64,
    /// The ids of the secret keys under which its secrets are.
    pub secret_key_ids: BTreeSet<String>,
    /// Why the database could not note that there is one, for `doctor`.
    pub unnoted: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Open(#[from] ExclusiveError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("{0} is there already: choose another name, or say --force to replace it")]
    Exists(PathBuf),
    #[error("{0} is the database itself, or one of its own files")]
    Itself(PathBuf),
    #[error("another backup to {0} runs")]
    Busy(PathBuf),
    #[error("cannot write {0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("the backup failed, and nothing of it is left: {0}")]
    Query(#[from] diesel::result::Error),
    #[error("the copy could not be opened: {0}")]
    Copy(#[from] diesel::ConnectionError),
    #[error("the copy is damaged, and so may be the database: {0}. Run `countersign doctor`")]
    Damaged(String),
}

/// Copies the database at `path` into `target`, a file that only its owner may read. `now` is written into the copy, and into
/// the database when the copy is done.
pub fn back_up(
    path: &str,
    target: &Path,
    replaces: bool,
    now: Timestamp,
) -> Result<Backup, BackupError> {
    let database = Database::Sqlite(path.to_owned());
    exclusive::look(&database)?;
    refuse_own_files(path, target)?;
    if !replaces && target.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let partial = Partial::create(target)?;
    let mut conn = Conn::open(&database)
        .map_err(|error| SchemaError::Open(error.to_string()))
        .map_err(BackupError::Schema)?;
    migrations::check_on(&mut conn)?;
    if let Conn::Sqlite(conn) = &mut conn {
        let name = partial.path.display().to_string();
        diesel::sql_query("VACUUM INTO ?")
            .bind::<Text, _>(name)
            .execute(conn)?;
    }
    let mut backup = partial.check(now)?;
    partial.finish(target)?;
    backup.unnoted = note(&mut conn, "backup", now)
        .err()
        .map(|error| error.to_string());
    Ok(backup)
}

/// A backup must not take the place of what it copies.
fn refuse_own_files(path: &str, target: &Path) -> Result<(), BackupError> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        let own = super::sqlite_files::beside(path, suffix);
        if own == target || real(&own).is_some_and(|own| real(target) == Some(own)) {
            return Err(BackupError::Itself(target.to_owned()));
        }
    }
    Ok(())
}

/// When something was last done to the database as a whole.
pub(super) fn note(conn: &mut Conn, name: &str, at: Timestamp) -> QueryResult<()> {
    conn.batch(&upsert(name, at))
}

fn upsert(name: &str, at: Timestamp) -> String {
    format!(
        "INSERT INTO upkeep (name, at) VALUES ('{name}', {at}) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
        at = at.millis()
    )
}

/// The file under its first name, `.TARGET.partial`. What is left of it goes with the value.
struct Partial {
    path: PathBuf,
    /// Locked: a second backup to the same target is refused.
    file: File,
    is_renamed: bool,
}

impl Partial {
    fn create(target: &Path) -> Result<Self, BackupError> {
        let name = target.file_name().ok_or_else(|| {
            let reason = std::io::Error::new(ErrorKind::InvalidInput, "it names no file");
            BackupError::File(target.to_owned(), reason)
        })?;
        let path = target.with_file_name(format!(".{}.partial", name.display()));
        let failed = |error| BackupError::File(path.clone(), error);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        // a link that somebody put there would name another file
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(&path).map_err(failed)?;
        if file.try_lock().is_err() || !has_name(&file, &path) {
            return Err(BackupError::Busy(target.to_owned()));
        }
        // one that was killed may have left it; into somebody else's, who may have it open, nothing is written
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || found.nlink() != 1 || found.uid() != geteuid().as_raw() {
            return Err(failed(ErrorKind::PermissionDenied.into()));
        }
        let private = std::fs::Permissions::from_mode(0o600);
        file.set_permissions(private).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        Ok(Self {
            path,
            file,
            is_renamed: false,
        })
    }

    /// Reads back what was written, and dates it.
    fn check(&self, now: Timestamp) -> Result<Backup, BackupError> {
        let mut conn = SqliteConnection::establish(&self.path.display().to_string())?;
        conn.batch_execute(&format!(
            "PRAGMA synchronous = FULL; {}",
            upsert("snapshot", now)
        ))?;
        integrity(&mut conn)?;
        let mut conn = Conn::Sqlite(conn);
        migrations::check_on(&mut conn)?;
        let Conn::Sqlite(conn) = &mut conn else {
            return Err(BackupError::Damaged("it is of another kind".to_owned()));
        };
        let mut count =
            |table: &str| number(conn, &format!("SELECT count(*) AS number FROM {table}"));
        let (organizations, users) = (count("organizations")?, count("users")?);
        let (api_keys, applications) = (count("api_keys")?, count("applications")?);
        Ok(Backup {
            size_bytes: self.file.metadata().map_or(0, |file| file.len()),
            organizations,
            users,
            api_keys,
            applications,
            secret_key_ids: secret_key_ids(conn)?,
            unnoted: None,
        })
    }

    fn finish(mut self, target: &Path) -> Result<(), BackupError> {
        let failed = |error| BackupError::File(target.to_owned(), error);
        self.file.sync_all().map_err(failed)?;
        if !has_name(&self.file, &self.path) {
            return Err(failed(ErrorKind::NotFound.into()));
        }
        std::fs::rename(&self.path, target).map_err(failed)?;
        self.is_renamed = true;
        sync_folder(target).map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // what has the name now is another one's
        if self.is_renamed {
            return;
        }
        let _ = std::fs::remove_file(&self.path);
        let mut journal = self.path.clone().into_os_string();
        journal.push("-journal");
        let _ = std::fs::remove_file(journal);
    }
}

/// Whether the path still names the file.
fn has_name(file: &File, path: &Path) -> bool {
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    let [file, path] = [file.metadata(), path.symlink_metadata()].map(|found| found.map(identity));
    matches!((file, path), (Ok(file), Ok(path)) if file == path)
}

/// A new name is on the disk when its folder is.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// <https://sqlite.org/pragma.html#pragma_integrity_check>
pub(super) fn integrity(conn: &mut SqliteConnection) -> Result<(), BackupError> {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        integrity_check: String,
    }
    let lines: Vec<Line> = diesel::sql_query("PRAGMA integrity_check(1)").load(conn)?;
    match lines.first().map(|line| line.integrity_check.as_str()) {
        Some("ok") => Ok(()),
        Some(damage) => Err(BackupError::Damaged(damage.to_owned())),
        None => Err(BackupError::Damaged("it could not be checked".to_owned())),
    }
}

fn number(conn: &mut SqliteConnection, sql: &str) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        number: i64,
    }
    diesel::sql_query(sql)
        .get_result::<Row>(conn)
        .map(|row| row.number)
}

/// Of everything that is sealed, and of the secrets that stand until somebody revokes them.
pub(super) fn secret_key_ids(conn: &mut SqliteConnection) -> QueryResult<BTreeSet<String>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        id: String,
    }
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT DISTINCT substr(stored, 1, instr(stored, ':')) AS id FROM (
             SELECT sealed_private_key AS stored FROM signing_keys
             UNION ALL SELECT sealed_client_secret FROM identity_providers
             UNION ALL SELECT digest FROM api_key_secrets WHERE state <> 'revoked'
             UNION ALL SELECT digest FROM application_secrets WHERE state <> 'revoked'
             UNION ALL SELECT digest FROM resource_server_secrets WHERE state <> 'revoked'
             UNION ALL SELECT digest FROM operator_tokens WHERE revoked_at IS NULL
             UNION ALL SELECT digest FROM management_tokens WHERE revoked_at IS NULL
             UNION ALL SELECT digest FROM registration_tokens WHERE state <> 'revoked') AS found",
    )
    .load(conn)?;
    Ok(rows.iter().filter_map(|row| key_id(&row.id)).collect())
}
