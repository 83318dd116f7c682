//! Starts and stops the server. `serve`, `quickstart` and the tests come through here alike.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::{HttpServiceBuilder, KeepAlive};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::rt::time::timeout;
use actix_web::{App as WebApp, Error, web};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::connections::Connections;
use super::descriptors::{BY_WORKER, most_connections, raised_limit};
use super::framing::Connection;
use super::listen::Listener;
use super::middleware::around;
use super::routes::{check_aliases, configure};
use super::waiting::WaitingRoom;
use crate::app::{App, BuildError};
use crate::config::Config;
use crate::jobs;
use crate::store::{Database, OpenError};
use crate::types::time::Clock;

/// Between two tries to open a database that is away.
const RETRY: Duration = Duration::from_secs(1);
/// Tries between two lines in the log that say so.
const TRIES_A_LINE: u64 = 60;
/// For what a client still sends when it is answered, and is not read.
const LINGER: Duration = Duration::from_secs(1);
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
    server: Server,
    connections: Arc<Connections>,
    /// Those that it already listens to.
    signals: Option<StopSignals>,
}

/// Listens, opens everything, and serves on worker threads. With port 0 the issuer is made from the port that was free.
pub async fn start(
    config: Config,
    clock: Clock,
    stamp_program: PathBuf,
) -> Result<Running, BuildError> {
    let (config, listener) = listen(config)?;
    let app = App::build(config, clock, stamp_program).await?;
    serve_on(listener, app)
}

/// As [`start`], but waits for a PostgreSQL that is away, and answers meanwhile that it does. `None`: it was told to stop
/// before the database came.
pub async fn start_when_ready(
    config: Config,
    clock: Clock,
    stamp_program: PathBuf,
) -> Result<Option<Running>, BuildError> {
    let (config, listener) = listen(config)?;
    let mut signals = StopSignals::listen()?;
    let built = build_when_ready(&config, &listener, &clock, &stamp_program);
    let Some(app) = unless_stopped(built, &mut signals).await else {
        tracing::info!("Stopped before the database was there");
        return Ok(None);
    };
    let mut running = serve_on(listener, app?)?;
    running.signals = Some(signals);
    Ok(Some(running))
}

async fn build_when_ready(
    config: &Config,
    listener: &TcpListener,
    clock: &Clock,
    stamp_program: &Path,
) -> Result<App, BuildError> {
    let may_wait = matches!(config.database.url.parse(), Ok(Database::Postgres(_)));
    let mut room = None;
    for tries in 0_u64.. {
        let build = App::build(config.clone(), clock.clone(), stamp_program.to_owned());
        let away = match build.await {
            Err(error) if may_wait && error.is_away() => error,
            built => {
                if let Some(room) = room.take() {
                    WaitingRoom::close(room).await;
                }
                return built;
            }
        };
        if tries % TRIES_A_LINE == 0 {
            tracing::warn!("Waiting for the database: {away}");
        }
        if room.is_none() {
            room = Some(WaitingRoom::open(listener, &config.server.aliases)?);
        }
        actix_web::rt::time::sleep(RETRY).await;
    }
    Err(BuildError::Open(OpenError::Silent))
}

fn listen(mut config: Config) -> Result<(Config, TcpListener), BuildError> {
    check_aliases(&config.server.aliases)?;
    outlive_file_limits()?;
    raised_limit();
    let listener = TcpListener::bind(&config.server.listen)
        .map_err(|error| BuildError::Listen(config.server.listen.clone(), error))?;
    config.server.listen = listener.local_addr()?.to_string();
    Ok((config, listener))
}

fn serve_on(listener: TcpListener, app: App) -> Result<Running, BuildError> {
    let (address, app) = (listener.local_addr()?, web::Data::new(app));
    let workers = workers(&app.config);
    let most = most_connections(&app.config, workers);
    let connections = Arc::new(Connections::new(&app.config, most, app.clone()));
    let builder = Server::build()
        .workers(workers)
        // a new one comes before an old one has gone
        .max_concurrent_connections(most.div_ceil(workers) + BY_WORKER / 2)
        .shutdown_timeout(app.config.server.shutdown_seconds)
        .disable_signals();
    let shutdown = builder.graceful_shutdown_signal();
    let (shared, places) = (app.clone(), Arc::clone(&connections));
    let server = builder
        .listen("countersign", listener, move || {
            let (shared, shutdown) = (shared.clone(), shutdown.clone());
            let aliases = shared.clone();
            let app = WebApp::new()
                .app_data(shared)
                .wrap(from_fn(around))
                .configure(move |config| configure(config, &aliases.config.server.aliases));
            let app = app
                .into_factory()
                .map_err(|error: Error| error.error_response());
            // deadlines are those of `connections`: here they would hold for the first head of a connection alone
            let http = HttpServiceBuilder::default()
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                .client_disconnect_timeout(LINGER)
                .local_addr(address)
                .graceful_shutdown_signal(move || {
                    let shutdown = shutdown.clone();
                    async move { shutdown.notified().await }
                })
                .on_connect_ext(Connection::begin)
                .h1(map_config(app, |()| AppConfig::default()));
            Listener {
                http,
                connections: Arc::clone(&places),
            }
        })?
        .run();
    Ok(Running {
        address,
        app,
        handle: server.handle(),
        server,
        connections,
        signals: None,
    })
}

impl Running {
    /// Serves until [`ServerHandle::stop`].
    pub async fn serve(self) -> std::io::Result<()> {
        let app = || self.app.clone();
        let jobs = [
            actix_web::rt::spawn(jobs::clock::run(app())),
            actix_web::rt::spawn(jobs::usage::run(app())),
            actix_web::rt::spawn(jobs::limits::run(app())),
            actix_web::rt::spawn(jobs::signing_keys::run(app())),
            actix_web::rt::spawn(jobs::sweep::run(app())),
            actix_web::rt::spawn(jobs::domains::run(app())),
        ];
        let watch = actix_web::rt::spawn(self.connections.watch());
        let served = self.server.await;
        watch.abort();
        jobs.iter().for_each(actix_web::rt::task::JoinHandle::abort);
        jobs::usage::flush(&self.app).await;
        jobs::limits::flush(&self.app).await;
        // whoever still holds the app: what is on the disk now is whole
        self.app.store.close();
        tracing::info!("Stopped");
        served
    }

    /// Serves until Ctrl-C or SIGTERM, then lets running requests finish. `announce` says that it is ready, when a signal
    /// already stops it as it should. A server that could not say so ends: whoever started it waits for it.
    pub async fn serve_until_signal(
        mut self,
        announce: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let (handle, signals) = (self.handle.clone(), self.signals.take());
        let mut signals = signals.map_or_else(StopSignals::listen, Ok)?;
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

    async fn arrive(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let stopped = self.interrupt.poll_recv(context).is_ready()
            || self.terminate.poll_recv(context).is_ready();
        if stopped {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// `None`: a signal came first.
async fn unless_stopped<T>(work: impl Future<Output = T>, signals: &mut StopSignals) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => signals.poll(context).map(|()| None),
    })
    .await
}

fn workers(config: &Config) -> usize {
    match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}
