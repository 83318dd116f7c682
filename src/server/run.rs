//! Starts and stops the server. `serve`, `quickstart` and the tests come through here alike.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::rt::time::timeout;
use actix_web::{App as WebApp, HttpServer, web};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::framing::Connection;
use super::middleware::around;
use super::routes::{check_aliases, configure};
use crate::app::{App, BuildError};
use crate::config::Config;
use crate::jobs;
use crate::types::time::Clock;

/// Whoever reads the announcement may take so long.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(5);

/// Why serving ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot say on standard output that it serves: {0}")]
    Announce(std::io::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A listening server.
pub struct Running {
    pub address: SocketAddr,
    pub app: web::Data<App>,
    pub handle: ServerHandle,
    server: actix_web::dev::Server,
}

/// Listens, opens everything, and serves on worker threads. With port 0 the issuer is made from the port that was free.
pub async fn start(
    mut config: Config,
    clock: Clock,
    stamp_program: PathBuf,
) -> Result<Running, BuildError> {
    check_aliases(&config.server.aliases)?;
    outlive_file_limits()?;
    let listener = TcpListener::bind(&config.server.listen)
        .map_err(|error| BuildError::Listen(config.server.listen.clone(), error))?;
    let address = listener.local_addr()?;
    config.server.listen = address.to_string();
    let (workers, shutdown_seconds) = (workers(&config), config.server.shutdown_seconds);
    let app = web::Data::new(App::build(config, clock, stamp_program).await?);
    let shared = app.clone();
    let routes =
        move |config: &mut web::ServiceConfig| configure(config, &shared.config.server.aliases);
    let shared = app.clone();
    let server = HttpServer::new(move || {
        WebApp::new()
            .app_data(shared.clone())
            .wrap(from_fn(around))
            .configure(routes.clone())
    })
    .on_connect(Connection::begin)
    .workers(workers)
    .shutdown_timeout(shutdown_seconds)
    .client_request_timeout(Duration::from_secs(10))
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(Running {
        address,
        app,
        handle: server.handle(),
        server,
    })
}

impl Running {
    /// Serves until [`ServerHandle::stop`].
    pub async fn serve(self) -> std::io::Result<()> {
        let app = || self.app.clone();
        let jobs = [
            actix_web::rt::spawn(jobs::usage::run(app())),
            actix_web::rt::spawn(jobs::limits::run(app())),
            actix_web::rt::spawn(jobs::signing_keys::run(app())),
            actix_web::rt::spawn(jobs::sweep::run(app())),
            actix_web::rt::spawn(jobs::domains::run(app())),
        ];
        let served = self.server.await;
        jobs.iter().for_each(actix_web::rt::task::JoinHandle::abort);
        jobs::usage::flush(&self.app).await;
        jobs::limits::flush(&self.app).await;
        served
    }

    /// Serves until Ctrl-C or SIGTERM, then lets running requests finish. `announce` says that it is ready, when a signal
    /// already stops it as it should. A server that could not say so ends: whoever started it waits for it.
    pub async fn serve_until_signal(
        self,
        announce: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let (handle, signals) = (self.handle.clone(), StopSignals::listen()?);
        actix_web::rt::spawn(async move {
            signals.arrive().await;
            tracing::info!("Stopping: running requests may finish");
            handle.stop(true).await;
        });
        let (handle, (failed, mut failure)) = (self.handle.clone(), oneshot::channel());
        actix_web::rt::spawn(async move {
            if let Err(error) = announced(announce).await {
                // the receiver is there until the server has stopped
                let _ = failed.send(error);
                handle.stop(false).await;
            }
        });
        let served = self.serve().await;
        match failure.try_recv() {
            Ok(error) => Err(ServeError::Announce(error)),
            Err(_) => Ok(served?),
        }
    }
}

/// On a thread of its own, which is left behind when nobody reads what it writes.
async fn announced(
    announce: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> std::io::Result<()> {
    let (done, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("announcement".to_owned())
        // nobody waits for it any more when the server was told to stop meanwhile
        .spawn(move || drop(done.send(announce())))?;
    match timeout(ANNOUNCED_WITHIN, told).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => Err(std::io::Error::other("it panicked")),
        Err(_) => Err(std::io::Error::other("nobody reads it")),
    }
}

/// A file that reaches `RLIMIT_FSIZE` fails a write, of the log or of the database, as a full disk does. By default the signal
/// that comes with it would end the process.
fn outlive_file_limits() -> std::io::Result<()> {
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    signal(exceeded).map(drop)
}

struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn arrive(mut self) {
        std::future::poll_fn(|context| {
            let stopped = self.interrupt.poll_recv(context).is_ready()
                || self.terminate.poll_recv(context).is_ready();
            if stopped {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

fn workers(config: &Config) -> usize {
    match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}
