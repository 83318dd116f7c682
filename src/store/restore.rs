//! A backup on its way into the place of an SQLite database: copied beside it, checked, brought up to date, changed there, and
//! put into its place last. The process that does so holds the database's lock.
//!
//! Invariant: until [`Incoming::take_place`] nothing that was there is touched, and then it is kept under another name.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use diesel::{Connection, SqliteConnection};

use super::backup::{self, BackupError, sync_folder};
use super::conn::Database;
use super::exclusive::{self, ExclusiveError};
use super::migrations::{self, SchemaError};
use super::sqlite_files::{self, beside};
use crate::types::time::Timestamp;

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Running(#[from] ExclusiveError),
    #[error(
        "{0} is there already: say --force to put the backup in its place; the old files are kept beside it"
    )]
    Exists(String),
    #[error("{0} is the database itself")]
    Itself(PathBuf),
    #[error("{0} is no whole Countersign database: {1}")]
    NotWhole(PathBuf, String),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    #[error("cannot write {0}: {1}")]
    Write(PathBuf, std::io::Error),
    #[error("{0} is a link to a file that is gone: say where the database is to be")]
    DanglingLink(String),
    #[error(
        "what was changed in the copy could not be written into one file: is the disk full? Nothing was put in place"
    )]
    NotFolded,
}

/// The copy, beside the database that it is to replace. What is left of it goes with the value.
#[derive(Debug)]
pub struct Incoming {
    path: String,
    copy: PathBuf,
    lock: File,
    /// The ids of the secret keys under which its secrets are.
    pub secret_key_ids: BTreeSet<String>,
}

/// What was done to the files.
#[derive(Debug)]
pub struct Replaced {
    /// The old files, under the names that they have now.
    pub kept: Vec<PathBuf>,
}

impl Incoming {
    /// Copies and checks `backup`, which is not changed. `path`: of the database; `replaces`: also one that is there.
    pub fn receive(backup: &Path, path: &str, replaces: bool) -> Result<Self, RestoreError> {
        // its lock would not be the one that a server holds
        if Path::new(path).is_symlink() && !Path::new(path).exists() {
            return Err(RestoreError::DanglingLink(path.to_owned()));
        }
        let lock = exclusive::lock_file(&beside(path, ".lock"))?;
        let there = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
        if there && !replaces {
            return Err(RestoreError::Exists(path.to_owned()));
        }
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        if there && real(backup) == real(Path::new(path)) {
            return Err(RestoreError::Itself(backup.to_owned()));
        }
        refuse_log(backup)?;
        let incoming = Self {
            path: path.to_owned(),
            copy: beside(path, ".restoring"),
            lock,
            secret_key_ids: BTreeSet::new(),
        };
        incoming.remove();
        incoming.copy_from(backup)?;
        incoming.check(backup)
    }

    /// The copy, to be opened as any database.
    pub fn database(&self) -> Database {
        Database::Sqlite(self.copy.display().to_string())
    }

    fn copy_from(&self, backup: &Path) -> Result<(), RestoreError> {
        let unreadable = |error| RestoreError::Read(backup.to_owned(), error);
        let unwritable = |error| RestoreError::Write(self.copy.clone(), error);
        let mut from = File::open(backup).map_err(unreadable)?;
        if from.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(ErrorKind::IsADirectory.into()));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut to = options.open(&self.copy).map_err(unwritable)?;
        self.give_to_the_server(&to).map_err(unwritable)?;
        std::io::copy(&mut from, &mut to).map_err(unwritable)?;
        to.sync_all().map_err(unwritable)
    }

    /// Whoever restores may be root; the server is who has the old file, or the folder.
    fn give_to_the_server(&self, copy: &File) -> std::io::Result<()> {
        let old = std::fs::metadata(&self.path);
        let folder = self.copy.parent().unwrap_or(Path::new("."));
        let server = old.or_else(|_| std::fs::metadata(folder))?;
        for file in [copy, &self.lock] {
            if file.metadata()?.uid() != server.uid() {
                fchown(file, Some(server.uid()), Some(server.gid()))?;
            }
        }
        Ok(())
    }

    fn check(mut self, backup: &Path) -> Result<Self, RestoreError> {
        let not_whole = |reason: String| RestoreError::NotWhole(backup.to_owned(), reason);
        let copy = self.copy.display().to_string();
        let mut conn =
            SqliteConnection::establish(&copy).map_err(|error| not_whole(error.to_string()))?;
        match backup::integrity(&mut conn) {
            Ok(()) => {}
            Err(BackupError::Damaged(damage)) => return Err(not_whole(damage)),
            Err(BackupError::Query(error)) => return Err(not_whole(error.to_string())),
            Err(error) => return Err(not_whole(error.to_string())),
        }
        drop(conn);
        if !migrations::has_any(&self.database())? {
            return Err(not_whole("it has none of its tables".to_owned()));
        }
        migrations::migrate(&self.database())?;
        let mut conn =
            SqliteConnection::establish(&copy).map_err(|error| not_whole(error.to_string()))?;
        self.secret_key_ids =
            backup::secret_key_ids(&mut conn).map_err(|error| not_whole(error.to_string()))?;
        Ok(self)
    }

    /// Keeps what is there under the name `<file>.before-restore-<now>`, and puts the copy into its place. The copy is closed
    /// and has no write-ahead log any more. On an error everything is where it was.
    pub fn take_place(self, now: Timestamp) -> Result<Replaced, RestoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| RestoreError::Write(path, error)
        };
        if sqlite_files::wal_bytes(&self.copy.display().to_string()) > 0 {
            return Err(RestoreError::NotFolded);
        }
        File::open(&self.copy)
            .and_then(|file| file.sync_all())
            .map_err(failed(&self.copy))?;
        let place = beside(&self.path, "");
        let moves = self.moves(now);
        for (index, (old, name)) in moves.iter().enumerate() {
            if let Err(error) = std::fs::rename(old, name) {
                move_back(&moves[..index]);
                return Err(RestoreError::Write(old.clone(), error));
            }
        }
        if let Err(error) = std::fs::rename(&self.copy, &place) {
            move_back(&moves);
            return Err(RestoreError::Write(place, error));
        }
        sync_folder(&place).map_err(failed(&place))?;
        if let Some(mark) = sqlite_files::mark(&self.path) {
            sqlite_files::write_marks(&self.lock, [mark, mark]).map_err(failed(&place))?;
        }
        let kept = moves.into_iter().map(|(_, name)| name).collect();
        Ok(Replaced { kept })
    }

    /// What is there, and the names under which it is kept. The file first: a log without a file is refused at the next start,
    /// a file without its log would only be older than it was.
    fn moves(&self, now: Timestamp) -> Vec<(PathBuf, PathBuf)> {
        let stamp = now.rfc3339().replace([':', '-', '.'], "");
        let kept = |suffix: &str| beside(&self.path, &format!(".before-restore-{stamp}{suffix}"));
        ["", "-wal", "-shm", "-journal"]
            .into_iter()
            .map(|suffix| (beside(&self.path, suffix), kept(suffix)))
            .filter(|(old, _)| old.exists())
            .collect()
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
            let mut name = self.copy.clone().into_os_string();
            name.push(suffix);
            let _ = std::fs::remove_file(name);
        }
    }
}

/// In the opposite order, as far as it can be done: what is not moved back is still there under the other name.
fn move_back(moved: &[(PathBuf, PathBuf)]) {
    for (old, name) in moved.iter().rev() {
        if let Err(error) = std::fs::rename(name, old) {
            tracing::error!(
                "{} could not be named {} again: {error}",
                name.display(),
                old.display()
            );
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A file with a log beside it is no backup: alone it may lack what was written last.
fn refuse_log(backup: &Path) -> Result<(), RestoreError> {
    let bytes = sqlite_files::wal_bytes(&backup.display().to_string());
    if bytes == 0 {
        return Ok(());
    }
    let reason = "a write-ahead log (-wal) lies beside it, which it is not whole without; use `countersign backup`, or stop the \
                  server before you copy its file";
    Err(RestoreError::NotWhole(backup.to_owned(), reason.to_owned()))
}
