//! The schema: one portable set of migrations, embedded. `serve` refuses a schema it does not know.

use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::{BigInt, Text};
use diesel::{ExpressionMethods, QueryDsl, QueryResult, QueryableByName, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::api_keys::fold;
use super::conn::{Conn, Database};
use super::schema::api_keys;
use super::sqlite_files::{self, FilesError};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("cannot open the database: {0}")]
    Open(String),
    #[error("cannot read or change the schema: {0}")]
    Migration(String),
    #[error(
        "the database's schema is older than this program: run `countersign migrate` (missing: {0})"
    )]
    Pending(String),
    #[error(
        "the database's schema is newer than this program: it has {0}; run the version that made it"
    )]
    Unknown(String),
    #[error(transparent)]
    Lost(FilesError),
}

/// Brings the schema up to date and names what was applied.
pub fn migrate(database: &Database) -> Result<Vec<String>, SchemaError> {
    let mut conn = Conn::open(database).map_err(|error| SchemaError::Open(error.to_string()))?;
    refuse_unknown(&mut conn)?;
    refuse_lost_tables(&mut conn, database)?;
    unhurry(&mut conn).map_err(|error| SchemaError::Migration(error.to_string()))?;
    let applied = conn
        .run_pending_migrations(MIGRATIONS)
        .map_err(|error| SchemaError::Migration(error.to_string()))?;
    let applied = applied.iter().map(ToString::to_string).collect();
    fold_names(&mut conn).map_err(|error| SchemaError::Migration(error.to_string()))?;
    Ok(applied)
}

/// A migration takes as long as it takes.
fn unhurry(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Pg(_) => conn.batch("SET statement_timeout = 0"),
        Conn::Sqlite(_) => Ok(()),
    }
}

/// What `2026-11-21-100000_retired_api_keys` could not do: SQL's lower() leaves letters beyond ASCII as they are on SQLite,
/// and on PostgreSQL where the locale is C. Run at every migration, because a crash may come between the two.
fn fold_names(conn: &mut Conn) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct Named {
        #[diesel(sql_type = Text)]
        id: String,
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        name_folded: String,
    }
    let beyond_ascii =
        "SELECT id, name, name_folded FROM api_keys WHERE octet_length(name) > length(name)";
    let rows: Vec<Named> = diesel::sql_query(beyond_ascii).load(conn)?;
    for row in rows {
        let folded = fold(&row.name);
        if folded != row.name_folded {
            diesel::update(api_keys::table.filter(api_keys::id.eq(row.id)))
                .set(api_keys::name_folded.eq(folded))
                .execute(conn)?;
        }
    }
    Ok(())
}

/// Whether any migration has run: it is a database of this program.
pub(super) fn has_any(database: &Database) -> Result<bool, SchemaError> {
    let mut conn = Conn::open(database).map_err(|error| SchemaError::Open(error.to_string()))?;
    let applied = applied(&mut conn).map_err(|error| SchemaError::Migration(error.to_string()))?;
    Ok(!applied.is_empty())
}

/// Whether the schema is exactly the one this program knows. Only reads: a command that asks changes nothing.
pub fn check(database: &Database) -> Result<(), SchemaError> {
    check_on(&mut Conn::open(database).map_err(|error| SchemaError::Open(error.to_string()))?)
}

pub(super) fn check_on(conn: &mut Conn) -> Result<(), SchemaError> {
    let applied = applied(conn).map_err(|error| SchemaError::Migration(error.to_string()))?;
    let known = known()?;
    if let Some(stranger) = applied.iter().find(|version| {
        !known
            .iter()
            .any(|migration| migration.name().version().to_string() == **version)
    }) {
        return Err(SchemaError::Unknown(stranger.clone()));
    }
    match known
        .iter()
        .find(|migration| !applied.contains(&migration.name().version().to_string()))
    {
        Some(first) => Err(SchemaError::Pending(first.name().to_string())),
        None => Ok(()),
    }
}

/// The versions that the database says have run. Diesel's own question makes its table when there is none.
fn applied(conn: &mut Conn) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    #[derive(QueryableByName)]
    struct Applied {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let table = match conn {
        Conn::Sqlite(_) => {
            "SELECT count(*) AS count FROM sqlite_master WHERE type = 'table' AND name = '__diesel_schema_migrations'"
        }
        Conn::Pg(_) => {
            "SELECT count(*) AS count FROM pg_class WHERE oid = to_regclass('__diesel_schema_migrations')"
        }
    };
    if diesel::sql_query(table).get_result::<Count>(conn)?.count == 0 {
        return Ok(Vec::new());
    }
    let rows: Vec<Applied> =
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load(conn)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

type KnownMigration = Box<dyn Migration<<Conn as diesel::Connection>::Backend>>;

fn known() -> Result<Vec<KnownMigration>, SchemaError> {
    let mut known: Vec<KnownMigration> = MIGRATIONS
        .migrations()
        .map_err(|error| SchemaError::Migration(error.to_string()))?;
    known.sort_by_key(|migration| migration.name().version().to_string());
    Ok(known)
}

/// A file without tables where a server has run: another one is in its place.
fn refuse_lost_tables(conn: &mut Conn, database: &Database) -> Result<(), SchemaError> {
    let Database::Sqlite(path) = database else {
        return Ok(());
    };
    let applied = applied(conn).map_err(|error| SchemaError::Migration(error.to_string()))?;
    if applied.is_empty() && sqlite_files::has_served(path) {
        return Err(SchemaError::Lost(FilesError::Lost(path.clone())));
    }
    Ok(())
}

fn refuse_unknown(conn: &mut Conn) -> Result<(), SchemaError> {
    match check_on(conn) {
        Err(SchemaError::Pending(_)) => Ok(()),
        answer => answer,
    }
}
