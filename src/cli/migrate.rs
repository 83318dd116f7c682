//! `countersign migrate`: brings the schema up to date.

use super::{ConfigArguments, Failure, make_data_folder, refuse_lost};
use crate::store::{self, Database};

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
pub fn run(arguments: &ConfigArguments) -> Result<(), Failure> {
    let config = arguments.load()?;
    let database: Database = config.database.url.parse()?;
    refuse_lost(&config, &database)?;
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
