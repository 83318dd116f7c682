//! `src/store/schema.rs` is what the migrations make, on both databases.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign::store::{Conn, Database};
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{QueryableByName, RunQueryDsl};

use crate::databases::{TestDatabase, both_databases};

both_databases!(the_declared_tables_are_the_real_ones);

/// Per table: `name: Type` of every column in order, then the primary key.
type Tables = BTreeMap<String, Vec<String>>;

async fn the_declared_tables_are_the_real_ones(db: TestDatabase) {
    let (declared, real) = (
        declared(&std::fs::read_to_string("src/store/schema.rs").expect("schema.rs")),
        real(&db.database),
    );
    assert_eq!(
        declared.keys().collect::<Vec<_>>(),
        real.keys().collect::<Vec<_>>()
    );
    for (table, columns) in &declared {
        assert_eq!(columns, &real[table], "{table}");
    }
}

/// `diesel::table! { name (key, …) { column -> Type, … } }`
fn declared(source: &str) -> Tables {
    let blocks = source.split("diesel::table! {").skip(1);
    let table = |block: &str| {
        let (head, body) = block.split_once(") {").expect("a head");
        let (name, key) = head.trim().split_once(" (").expect("a key");
        let columns = body
            .split('}')
            .next()
            .expect("a body")
            .split(',')
            .filter_map(|line| line.trim().split_once(" -> "));
        let mut lines: Vec<String> = columns
            .map(|(name, sql_type)| format!("{name}: {sql_type}"))
            .collect();
        lines.push(format!("({key})"));
        (name.to_owned(), lines)
    };
    blocks.map(table).collect()
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    data_type: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
    /// 1 and up inside the primary key, 0 outside.
    #[diesel(sql_type = BigInt)]
    key: i64,
}

const SQLITE: &str = "SELECT t.name AS table_name, c.name AS column_name, c.type AS data_type, c.\"notnull\" = 0 AS nullable, c.pk AS key
    FROM sqlite_master t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY t.name, c.cid";

const POSTGRES: &str = "SELECT c.table_name::text, c.column_name::text, c.data_type::text, c.is_nullable = 'YES' AS nullable,
        coalesce((SELECT k.ordinal_position FROM information_schema.key_column_usage k
            JOIN information_schema.table_constraints p USING (constraint_schema, constraint_name)
            WHERE p.constraint_type = 'PRIMARY KEY' AND k.table_name = c.table_name AND k.column_name = c.column_name), 0)::bigint AS key
    FROM information_schema.columns c
    WHERE c.table_schema = 'public' AND c.table_name NOT LIKE '\\_\\_%' ORDER BY c.table_name, c.ordinal_position";

fn real(database: &Database) -> Tables {
    let sql = if matches!(database, Database::Sqlite(_)) {
        SQLITE
    } else {
        POSTGRES
    };
    let columns: Vec<Column> = diesel::sql_query(sql)
        .load(&mut Conn::open(database).expect("a connection"))
        .expect("the catalogue");
    let mut tables = Tables::new();
    let mut keys: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    for column in columns {
        let sql_type = match column.data_type.to_lowercase().as_str() {
            "text" => "Text",
            "bigint" => "BigInt",
            "boolean" => "Bool",
            other => panic!("{other} is not one of the types both databases share"),
        };
        let sql_type = if column.nullable {
            format!("Nullable<{sql_type}>")
        } else {
            sql_type.to_owned()
        };
        tables
            .entry(column.table_name.clone())
            .or_default()
            .push(format!("{}: {sql_type}", column.column_name));
        if column.key > 0 {
            keys.entry(column.table_name)
                .or_default()
                .insert(column.key, column.column_name);
        }
    }
    for (table, key) in keys {
        let key = key.into_values().collect::<Vec<_>>().join(", ");
        tables.entry(table).or_default().push(format!("({key})"));
    }
    tables
}

/// The files of a folder, by name.
pub fn files_in(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}
