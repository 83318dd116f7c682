//! The binary: stamps PDFs when started as `stamp-worker`, and runs the command line otherwise.

use std::process::ExitCode;

fn main() -> ExitCode {
    // before any thread starts: its memory limit counts them
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == "stamp-worker")
    {
        return countersign::pdf::worker_main();
    }
    countersign::cli::run()
}
