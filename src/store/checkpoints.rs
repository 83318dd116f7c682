//! When the write-ahead log of SQLite is folded into the file and given back: by the serving process's writer only, as soon
//! as the log has grown by 4 MiB, whenever nobody writes, and at the end. Nobody waits for it: a reader that is in the way
//! lets the log grow, and it is given back after that reader has gone.
//!
//! Invariant: a round of the log, from one folding that reached its end to the next, begins with a new mark (`sqlite_files.rs`):
//! named in the lock file, then committed, then folded in. A round that does not reach its end keeps its mark, as the log
//! still holds everything since that mark.

use std::fs::File;
use std::path::PathBuf;

use diesel::sql_types::Integer;
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

use super::conn::Conn;
use super::sqlite_files;

/// The log grows by this much before it is folded in under load.
const ROUND_BYTES: u64 = 4 << 20;

pub(super) struct Checkpoints {
    log: PathBuf,
    lock: File,
    /// What the file carries.
    mark: i32,
    /// What it is to carry next, once the log is folded in.
    next: Option<i32>,
    /// `next` is committed.
    is_marked: bool,
    /// Something was written since the log was folded in to its end.
    is_dirty: bool,
    due_at_bytes: u64,
    /// An earlier process may have left a log with a mark of its own.
    has_looked: bool,
}

impl Checkpoints {
    /// `lock`: the lock file, whose lock this process holds.
    pub fn new(path: &str, lock: File) -> Self {
        Self {
            log: sqlite_files::beside(path, "-wal"),
            lock,
            mark: sqlite_files::mark(path).unwrap_or(0),
            next: None,
            is_marked: false,
            is_dirty: true,
            due_at_bytes: ROUND_BYTES,
            has_looked: false,
        }
    }

    /// Behind every commit, and whenever somebody else has committed.
    pub fn note_write(&mut self) {
        self.is_dirty = true;
    }

    pub fn is_due(&self) -> bool {
        self.log_bytes() >= self.due_at_bytes
    }

    fn log_bytes(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |log| log.len())
    }

    /// When nobody writes.
    pub fn when_idle(&mut self, conn: &mut Conn) {
        if self.is_dirty || self.log_bytes() > 0 {
            self.run(conn);
        }
    }

    /// Folds in what no reader is in the way of, and waits for none.
    pub fn run(&mut self, conn: &mut Conn) {
        let folded = without_waiting(conn, |conn| self.fold(conn));
        if let Err(error) = folded {
            tracing::debug!("The write-ahead log is not folded in yet: {error}");
        }
    }

    /// At the end, when this process's readers have gone: waits a little for those of others.
    pub fn finish(&mut self, conn: &mut Conn) {
        let folded = self.fold(conn);
        if folded.is_err() || self.log_bytes() > 0 {
            tracing::warn!(
                "The write-ahead log could not be emptied, as another program reads the database: a copy of the file needs the log"
            );
        }
    }

    fn fold(&mut self, conn: &mut Conn) -> QueryResult<()> {
        if self.is_dirty {
            self.begin_round(conn)?;
        }
        let outcome: Outcome =
            diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(conn)?;
        let is_complete = outcome.busy == 0 || outcome.log == outcome.checkpointed;
        if !is_complete {
            self.due_at_bytes = self.log_bytes() + ROUND_BYTES;
            return Ok(());
        }
        self.due_at_bytes = ROUND_BYTES;
        self.is_dirty = false;
        if let Some(next) = self.next.take() {
            self.mark = next;
            self.is_marked = false;
            self.name(next)?;
        }
        Ok(())
    }

    fn begin_round(&mut self, conn: &mut Conn) -> QueryResult<()> {
        if !self.has_looked {
            self.take_over(conn)?;
        }
        let next = *self.next.get_or_insert_with(|| {
            let number: u32 = rand::random();
            number.cast_signed()
        });
        if !self.is_marked {
            self.name(next)?;
            conn.batch(&format!("PRAGMA user_version = {next}"))?;
            self.is_marked = true;
        }
        Ok(())
    }

    /// Goes on with the round that a process began which was killed.
    fn take_over(&mut self, conn: &mut Conn) -> QueryResult<()> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Integer)]
            user_version: i32,
        }
        let committed: Row = diesel::sql_query("PRAGMA user_version").get_result(conn)?;
        if committed.user_version != self.mark {
            self.name(committed.user_version)?;
            (self.next, self.is_marked) = (Some(committed.user_version), true);
        }
        self.has_looked = true;
        Ok(())
    }

    fn name(&self, next: i32) -> QueryResult<()> {
        sqlite_files::write_marks(&self.lock, [self.mark, next])
            .map_err(|error| diesel::result::Error::QueryBuilderError(error.into()))
    }
}

/// With a busy time-out of zero, and then with the connection's own again.
fn without_waiting(
    conn: &mut Conn,
    step: impl FnOnce(&mut Conn) -> QueryResult<()>,
) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        timeout: i32,
    }
    let own: Row = diesel::sql_query("PRAGMA busy_timeout").get_result(conn)?;
    conn.batch("PRAGMA busy_timeout = 0")?;
    let done = step(conn);
    conn.batch(&format!("PRAGMA busy_timeout = {}", own.timeout))?;
    done
}

/// <https://sqlite.org/pragma.html#pragma_wal_checkpoint>
#[derive(QueryableByName)]
struct Outcome {
    /// A reader or a writer was in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// Pages in the log.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// Those of them that are in the file.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}
