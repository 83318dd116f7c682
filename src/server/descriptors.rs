//! How many connections the limit of file descriptors leaves room for. Databases, files and the processes that stamp need some.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Unless the configuration says more: each connection costs memory, too.
const MOST_BY_DEFAULT: usize = 4096;
/// At least so many, whatever the limit.
const LEAST: usize = 8;
/// Listener, log, timers, sockets to providers and name servers.
const OTHERS: usize = 48;
/// A file, its log and the log's index, of each database thread.
const BY_DATABASE_THREAD: usize = 4;
/// Pipes and handle of a process that stamps.
const BY_STAMP: usize = 8;
/// What a worker has of its own, and connections that came while others are closed.
pub const BY_WORKER: usize = 16;

/// Connections that may be open at once: what the configuration says, or what the limit of descriptors leaves, which is
/// raised as far as this process may (`RLIMIT_NOFILE`). More than it leaves is told in the log, and cut down.
pub fn most_connections(config: &Config, workers: usize) -> usize {
    let limit = raised_limit();
    let room = room(config, workers, limit);
    let asked = config.server.max_connections;
    let most = match asked {
        0 => room.min(MOST_BY_DEFAULT),
        asked => asked.min(room),
    };
    if asked > room {
        tracing::warn!(
            "[server] max_connections is {asked}, but {limit} file descriptors leave room for {room}: raise the limit (LimitNOFILE= in systemd, ulimit -n)"
        );
    }
    tracing::info!("At most {most} connections at once ({limit} file descriptors)");
    most
}

/// What is left beside everything else, and at least half of the limit.
fn room(config: &Config, workers: usize, limit: usize) -> usize {
    let others = OTHERS
        + BY_DATABASE_THREAD * (config.database.connections.saturating_mul(2) + 2)
        + BY_STAMP.saturating_mul(config.watermark.concurrency)
        + BY_WORKER.saturating_mul(workers);
    limit.saturating_sub(others).max(limit / 2).max(LEAST)
}

/// The limit of descriptors, raised as far as this process may.
pub fn raised_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // it may only fail where there is nothing to raise
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    current
        .and_then(|current| usize::try_from(current).ok())
        .unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_files_and_stamps_keep_their_descriptors() {
        let config = Config::default();
        let left = 1024 - room(&config, 4, 1024);
        assert!((100..250).contains(&left), "{left}");
        assert_eq!(room(&config, 4, 128), 64);
        assert_eq!(room(&config, 4, 0), LEAST);
    }
}
