//! `countersign migrate`: brings the schema up to date.

use super::{ConfigArguments, Failure, make_data_folder, output, refuse_lost};
use crate::store::{self, Database};

pub fn run(arguments: &ConfigArguments) -> Result<(), Failure> {
    let config = arguments.load()?;
    let database: Database = config.database.url.parse()?;
    refuse_lost(&config, &database)?;
    make_data_folder(&database)?;
    let applied = store::migrate(&database)?;
    if applied.is_empty() {
        return output::print("The schema is up to date.\n");
    }
    let lines: String = applied
        .iter()
        .map(|version| format!("Applied {version}\n"))
        .collect();
    output::print(lines)
}
