//! `countersign clock`: after a leap that was a correction, an operator says that the clock is right. Works beside a running
//! server, which sees it within seconds.

use super::output::print;
use super::{ConfigArguments, Failure};
use crate::domain::operations::clock;
use crate::store::{self, Store, Verdict};
use crate::types::time::Clock;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Say that this machine's clock is right: what has ended by it is removed from now on
    Accept(ConfigArguments),
}

pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Accept(arguments) = command;
    let store = Store::open_as_guest(&arguments.load()?.database.url.parse()?)?;
    let now = Clock::System.now();
    let accept = |tx: &mut store::Tx| {
        clock::accept(tx, &Clock::System).map(Verdict::<_, store::Error>::Done)
    };
    actix_web::rt::System::new().block_on(store.write(now, accept))?;
    print(format_args!(
        "Trusted: it is {}. A running server knows within seconds.\n",
        now.rfc3339()
    ))
}
