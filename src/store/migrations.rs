//! The schema: one portable set of migrations, embedded. `serve` refuses a schema it does not know.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::conn::{Conn, Database};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("cannot open the database: {0}")]
    Open(String),
    #[error("cannot read or change the schema: {0}")]
    Migration(String),
    #[error("the database's schema is older than this program: run `countersign migrate` (missing: {0})")]
    Pending(String),
    #[error("the database's schema is newer than this program: it has {0}; run the version that made it")]
    Unknown(String),
}

/// Brings the schema up to date and names what was applied.
pub fn migrate(database: &Database) -> Result<Vec<String>, SchemaError> {
    let mut conn = Conn::open(database).map_err(|error| SchemaError::Open(error.to_string()))?;
    refuse_unknown(&mut conn)?;
    let applied = conn.run_pending_migrations(MIGRATIONS).map_err(|error| SchemaError::Migration(error.to_string()))?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

/// Whether the schema is exactly the one this program knows.
pub fn check(database: &Database) -> Result<(), SchemaError> {
    let mut conn = Conn::open(database).map_err(|error| SchemaError::Open(error.to_string()))?;
    refuse_unknown(&mut conn)?;
    let pending = conn.pending_migrations(MIGRATIONS).map_err(|error| SchemaError::Migration(error.to_string()))?;
    match pending.first() {
        Some(first) => Err(SchemaError::Pending(first.name().to_string())),
        None => Ok(()),
    }
}

fn refuse_unknown(conn: &mut Conn) -> Result<(), SchemaError> {
    use diesel::migration::MigrationSource;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| SchemaError::Migration(error.to_string());
    let known: Vec<Box<dyn diesel::migration::Migration<<Conn as diesel::Connection>::Backend>>> = MIGRATIONS.migrations().map_err(failed)?;
    let applied = conn.applied_migrations().map_err(failed)?;
    match applied.iter().find(|version| !known.iter().any(|migration| migration.name().version() == **version)) {
        Some(stranger) => Err(SchemaError::Unknown(stranger.to_string())),
        None => Ok(()),
    }
}
