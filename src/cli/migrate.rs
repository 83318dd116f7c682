//! `countersign migrate`: brings the schema up to date.

use super::{ConfigArguments, Failure, make_data_folder};
use crate::store::{self, Database};

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
pub fn run(arguments: &ConfigArguments) -> Result<(), Failure> {
    let database: Database = arguments.load()?.database.url.parse()?;
    make_data_folder(&database)?;
    let applied = store::migrate(&database)?;
    if applied.is_empty() {
        println!("The schema is up to date.");
    }
    for version in applied {
        println!("Applied {version}");
    }
    Ok(())
}
