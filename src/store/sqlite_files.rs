//! The files of an SQLite database: `FILE`, its write-ahead log `FILE-wal`, and `FILE.lock`, which the serving process holds.
//!
//! SQLite itself does not look whether a write-ahead log belongs to the file beside it. So the file carries a mark
//! (`PRAGMA user_version`), which changes with every round of the log (`checkpoints.rs`), and the lock file names the marks
//! that the file may carry.
//!
//! Invariant: while there is a write-ahead log, the file without it carries one of the marks in the lock file. So a file that
//! was put in its place, another one or an older copy of itself, is seen before SQLite mixes the two.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where `PRAGMA user_version` is in the header of a database file (<https://sqlite.org/fileformat2.html#user_version_number>).
const MARK_AT: u64 = 60;
/// The header of a write-ahead log; one that is not longer holds nothing.
const WAL_HEADER_BYTES: u64 = 32;

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error(
        "there is no file {0}, or it is empty: run `countersign migrate`, which makes the database"
    )]
    Missing(String),
    #[error(
        "{0} is gone or holds nothing, although a server has run on it, as {0}.lock says: bring it back, or run `countersign restore BACKUP`. \
         Nothing was made in its place. To begin anew, remove {0}.lock first"
    )]
    Lost(String),
    #[error(
        "{0} is empty, and the secret key of a database is there already: bring the database back, or run `countersign restore \
         BACKUP`. Nothing was made in its place. To begin anew, remove the empty file first"
    )]
    EmptyBesideKey(String),
    #[error(
        "{0} is not the file that {0}-wal belongs to: it was replaced by another one or by an older copy. Bring back the file that \
         was there, or run `countersign restore BACKUP --force`; or move {0}-wal away if {0} is a whole copy"
    )]
    Replaced(String),
    #[error(
        "{0} is not the file that a server ran on last: what was revoked since it was made would be live again. If it is a backup, run \
         `countersign restore --in-place`. If it is the right file, remove {0}.lock first"
    )]
    Exchanged(String),
    #[error("cannot write {0}.lock: {1}")]
    Lock(String, std::io::Error),
}

/// `<file>.lock` and the like, beside the file itself, by whichever name it was given.
pub(super) fn beside(path: &str, suffix: &str) -> PathBuf {
    let mut name = std::fs::canonicalize(path)
        .unwrap_or_else(|_| path.into())
        .into_os_string();
    name.push(suffix);
    name.into()
}

pub(super) fn wal_bytes(path: &str) -> u64 {
    let log = std::fs::metadata(beside(path, "-wal"));
    log.map_or(0, |log| log.len())
}

/// What the file carries without its write-ahead log; none when it has no header.
pub(super) fn mark(path: &str) -> Option<i32> {
    let mut bytes = [0; 4];
    let file = File::open(path).ok()?;
    file.read_exact_at(&mut bytes, MARK_AT).ok()?;
    Some(i32::from_be_bytes(bytes))
}

/// The marks that the file may carry, as the lock file names them: two numbers of eight hexadecimal digits, alike unless the
/// log is being folded in. None when no server has written them.
pub(super) fn marks(lock: &Path) -> Option<[i32; 2]> {
    let mut text = String::new();
    File::open(lock).ok()?.read_to_string(&mut text).ok()?;
    let (one, other) = text.trim_end().split_once(' ')?;
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    Some([number(one)?.cast_signed(), number(other)?.cast_signed()])
}

/// On the disk when this returns: what the file is given next must not outlive a power cut that this does not.
pub(super) fn write_marks(lock: &File, marks: [i32; 2]) -> std::io::Result<()> {
    let [one, other] = marks.map(i32::cast_unsigned);
    lock.write_all_at(format!("{one:08x} {other:08x}\n").as_bytes(), 0)?;
    lock.sync_data()
}

/// Refuses a file that is gone or empty. Looks only.
pub(super) fn refuse_missing(path: &str) -> Result<(), FilesError> {
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 => Ok(()),
        _ if has_served(path) => Err(FilesError::Lost(path.to_owned())),
        _ => Err(FilesError::Missing(path.to_owned())),
    }
}

/// Whether a server has run on the file, or on one that was there before.
pub(super) fn has_served(path: &str) -> bool {
    marks(&beside(path, ".lock")).is_some()
}

/// Refuses a file that is not the one that a server ran on last: beside a write-ahead log that is not its own, or whole and
/// brought back by hand. Looks only; for whoever holds the lock, as a running server changes both.
pub(super) fn refuse_replaced(path: &str) -> Result<(), FilesError> {
    let Some(marks) = marks(&beside(path, ".lock")) else {
        return Ok(());
    };
    if mark(path).is_some_and(|mark| marks.contains(&mark)) {
        return Ok(());
    }
    Err(if wal_bytes(path) > WAL_HEADER_BYTES {
        FilesError::Replaced(path.to_owned())
    } else {
        FilesError::Exchanged(path.to_owned())
    })
}

/// Takes a whole file that was brought back by hand for the one that a server ran on. `lock`: held.
pub(super) fn adopt(path: &str, lock: &File) -> Result<(), FilesError> {
    match refuse_replaced(path) {
        Err(FilesError::Exchanged(path)) => {
            let written = mark(&path).map(|mark| write_marks(lock, [mark, mark]));
            written.map_or_else(
                || Err(FilesError::Lost(path.clone())),
                |written| written.map_err(|error| FilesError::Lock(path.clone(), error)),
            )
        }
        other => other,
    }
}

/// What `migrate` and `quickstart` ask before they make a database: whether one was here. `has_key`: the secret key's file is
/// there, which a server makes after the database.
pub fn refuse_lost(path: &str, has_key: bool) -> Result<(), FilesError> {
    match std::fs::metadata(path) {
        Ok(file) if file.len() > 0 => Ok(()),
        _ if has_served(path) => Err(FilesError::Lost(path.to_owned())),
        Ok(_) if has_key => Err(FilesError::EmptyBesideKey(path.to_owned())),
        _ => Ok(()),
    }
}
