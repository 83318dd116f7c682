//! `countersign serve`: waits for its database, refuses a schema it does not know, serves until it is told to stop.

use super::{ConfigArguments, Failure, start_log};
use crate::server::run::start_when_ready;
use crate::types::time::Clock;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.load()?;
    start_log(&config)?;
    let program = std::env::current_exe()?;
    actix_web::rt::System::new().block_on(async {
        let Some(running) = start_when_ready(config, Clock::System, program).await? else {
            return Ok(());
        };
        let (address, app) = (running.address, running.app.clone());
        let announce = move || {
            tracing::info!(%address, issuer = app.issuer.as_str(), "Serving");
            Ok(())
        };
        Ok(running.serve_until_signal(announce).await?)
    })
}
