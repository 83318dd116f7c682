//! How many connections there are, how long each may keep us waiting, and which one is closed when a new one needs its place.
//!
//! Invariants: a connection is in one [`Phase`] at any time. A phase in which we wait for its client ends: by its deadline
//! here, or, for a body, by the deadlines of `web/body.rs`. At most `most` connections stay open, and of one address at most
//! half of them, but for proxies; whoever comes next takes the place of one that waits for its client, or is refused. One
//! that is told to close may have gone on meanwhile: then it stays, and another one is told in its stead.
//!
//! Time is counted from the start in milliseconds and read a few times a second, not once a request.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use actix_web::rt::time::sleep;
use ipnet::IpNet;

use crate::app::App;
use crate::config::Config;
use crate::telemetry::metrics::{ClosedLabels, Metrics};
use crate::types::time::Stopwatch;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(200);
/// An honest head is there within this time, in milliseconds; an honest client takes or sends something within it.
const SLOW: u64 = 2_000;

/// What a connection is doing. We wait for its client in all but [`Phase::Running`] and [`Phase::Fed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between two requests.
    Idle,
    /// A head is on its way; on a new connection also before its first byte.
    Head,
    /// A body is on its way, and some of it came.
    Fed,
    /// A body is on its way, and its client sends nothing.
    Starved,
    /// A request runs.
    Running,
    /// An answer is to be taken by its client.
    Writing,
}

const PHASES: [Phase; 6] = [
    Phase::Idle,
    Phase::Head,
    Phase::Fed,
    Phase::Starved,
    Phase::Running,
    Phase::Writing,
];
const PHASE_BITS: u32 = 3;

/// Why a connection was closed, or not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    SlowHead,
    Idle,
    NotRead,
    /// A new connection needed the place.
    MadeRoom,
    /// There was no place for it.
    Refused,
}

impl Reason {
    fn label(self) -> &'static str {
        match self {
            Self::SlowHead => "slow_head",
            Self::Idle => "idle",
            Self::NotRead => "not_read",
            Self::MadeRoom => "made_room",
            Self::Refused => "refused",
        }
    }
}

/// A phase and when it began or its client last did something: one number, so that both are read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wait(u64);

impl Wait {
    fn new(phase: Phase, since: u64) -> Self {
        Self(since << PHASE_BITS | phase as u64)
    }

    fn phase(self) -> Phase {
        let index = self.0 & ((1 << PHASE_BITS) - 1);
        let phase = usize::try_from(index)
            .ok()
            .and_then(|index| PHASES.get(index));
        phase.copied().unwrap_or(Phase::Running)
    }

    fn milliseconds(self, now: u64) -> u64 {
        now.saturating_sub(self.0 >> PHASE_BITS)
    }

    /// How dispensable a connection is when another one needs its place: the greatest goes. A head that is slow first, then
    /// the longest idle, then who neither takes nor sends, then the oldest head. `None`: it stays.
    fn dispensable(self, now: u64) -> Option<(u8, u64)> {
        let age = self.milliseconds(now);
        match self.phase() {
            Phase::Head if age >= SLOW => Some((3, age)),
            Phase::Idle => Some((2, age)),
            Phase::Starved | Phase::Writing if age >= SLOW => Some((1, age)),
            Phase::Head => Some((0, age)),
            Phase::Starved | Phase::Writing | Phase::Fed | Phase::Running => None,
        }
    }
}

/// How long each wait may last, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Patience {
    head: u64,
    keep_alive: u64,
    write: u64,
}

impl Patience {
    fn broken(self, wait: Wait, now: u64) -> Option<Reason> {
        let (most, reason) = match wait.phase() {
            Phase::Head => (self.head, Reason::SlowHead),
            Phase::Idle => (self.keep_alive, Reason::Idle),
            Phase::Writing => (self.write, Reason::NotRead),
            Phase::Fed | Phase::Starved | Phase::Running => return None,
        };
        (wait.milliseconds(now) >= most).then_some(reason)
    }
}

/// One connection, as it is seen from all threads. Its own thread alone closes it.
#[derive(Debug)]
pub struct Watched {
    id: u64,
    /// `None`: a proxy's, or unknown.
    address: Option<IpAddr>,
    wait: AtomicU64,
    is_told: AtomicBool,
    /// It is to close if it still waits like this.
    order: Mutex<Option<(Wait, Reason)>>,
    waker: Mutex<Option<Waker>>,
}

impl Watched {
    fn wait(&self) -> Wait {
        Wait(self.wait.load(Ordering::Relaxed))
    }

    pub fn enter(&self, phase: Phase, now: u64) {
        self.wait.store(Wait::new(phase, now).0, Ordering::Relaxed);
    }

    pub fn wake_by(&self, waker: &Waker) {
        *locked(&self.waker) = Some(waker.clone());
    }

    fn tell(&self, wait: Wait, reason: Reason) {
        *locked(&self.order) = Some((wait, reason));
        self.is_told.store(true, Ordering::Release);
        if let Some(waker) = locked(&self.waker).as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Why it was told to close, and whether it waits as it did then.
    fn order(&self) -> Option<(Reason, bool)> {
        if !self.is_told.load(Ordering::Acquire) {
            return None;
        }
        let (wait, reason) = (*locked(&self.order))?;
        Some((reason, self.wait() == wait))
    }
}

/// All connections of a process.
pub struct Connections {
    most: usize,
    most_of_one_address: usize,
    proxies: Vec<IpNet>,
    patience: Patience,
    started: Stopwatch,
    now: AtomicU64,
    open: Mutex<Open>,
    app: actix_web::web::Data<App>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, Arc<Watched>>,
}

impl Open {
    fn staying(&self) -> impl Iterator<Item = &Arc<Watched>> {
        let told = |one: &Watched| one.is_told.load(Ordering::Relaxed);
        self.all.values().filter(move |one| !told(one))
    }
}

impl Connections {
    /// At most `most` at once.
    pub fn new(config: &Config, most: usize, app: actix_web::web::Data<App>) -> Self {
        let server = &config.server;
        let milliseconds = |seconds: u64| seconds.saturating_mul(1000);
        Self {
            most,
            most_of_one_address: (most / 2).max(1),
            proxies: server.trusted_proxies.clone(),
            patience: Patience {
                head: milliseconds(server.head_seconds),
                keep_alive: milliseconds(server.keep_alive_seconds),
                write: milliseconds(server.write_seconds),
            },
            started: Stopwatch::start(),
            now: AtomicU64::new(0),
            open: Mutex::default(),
            app,
        }
    }

    /// Milliseconds since the start, a tick old at most.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn read_clock(&self) -> u64 {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.fetch_max(now, Ordering::Relaxed).max(now)
    }

    fn metrics(&self) -> &Metrics {
        &self.app.metrics
    }

    /// A place for a new connection; `None` when nobody's can be taken.
    pub fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Place> {
        let now = self.read_clock();
        let address = peer
            .map(|peer| peer.to_canonical())
            .filter(|peer| !self.proxies.iter().any(|proxies| proxies.contains(peer)))
            .map(one_host);
        let mut open = locked(&self.open);
        if !self.make_room(&open, address, 1, now) {
            drop(open);
            self.count(Reason::Refused);
            return None;
        }
        open.next += 1;
        let watched = Arc::new(Watched {
            id: open.next,
            address,
            wait: AtomicU64::new(Wait::new(Phase::Head, now).0),
            is_told: AtomicBool::new(false),
            order: Mutex::default(),
            waker: Mutex::default(),
        });
        open.all.insert(watched.id, Arc::clone(&watched));
        drop(open);
        self.metrics().connections.inc();
        Some(Place {
            watched,
            connections: Arc::clone(self),
        })
    }

    /// Whether so many more have a place, if need be because another connection is told to close.
    fn make_room(&self, open: &Open, address: Option<IpAddr>, more: usize, now: u64) -> bool {
        if open.all.len() + more <= self.most_of_one_address {
            return true;
        }
        let is_own = |one: &Watched| address.is_some() && one.address == address;
        let own = open.staying().filter(|one| is_own(one)).count();
        let only_own = own + more > self.most_of_one_address;
        if !only_own && open.staying().count() + more <= self.most {
            return true;
        }
        let candidates = open.staying().filter(|one| !only_own || is_own(one));
        let waiting = candidates.filter_map(|one| {
            let wait = one.wait();
            Some((wait.dispensable(now)?, wait, one))
        });
        let chosen = waiting.max_by_key(|(rank, ..)| *rank);
        if let Some((_, wait, one)) = &chosen {
            one.tell(*wait, Reason::MadeRoom);
        }
        chosen.is_some()
    }

    fn count(&self, reason: Reason) {
        let reason = reason.label();
        self.metrics()
            .connections_closed
            .get_or_create(&ClosedLabels { reason })
            .inc();
    }

    /// Tells connections to close whose clients let us wait for too long, for ever.
    pub async fn watch(self: Arc<Self>) {
        loop {
            sleep(TICK).await;
            let now = self.read_clock();
            let open = locked(&self.open);
            for one in open.staying() {
                let wait = one.wait();
                if let Some(reason) = self.patience.broken(wait, now) {
                    one.tell(wait, reason);
                }
            }
            // more than there are places: nobody waited for a client when they were to close
            for _ in self.most..open.staying().count() {
                self.make_room(&open, None, 0, now);
            }
        }
    }
}

/// The place of one connection; free again with the value.
pub struct Place {
    pub watched: Arc<Watched>,
    pub connections: Arc<Connections>,
}

impl Place {
    /// Why to close now, if it was told to and went on waiting for its client. Otherwise it stays.
    pub fn order(&self) -> Option<Reason> {
        let (reason, waits) = self.watched.order()?;
        if waits {
            self.connections.count(reason);
            return Some(reason);
        }
        let connections = &self.connections;
        let open = locked(&connections.open);
        self.watched.is_told.store(false, Ordering::Release);
        if reason == Reason::MadeRoom {
            connections.make_room(&open, self.watched.address, 0, connections.now());
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.connections.open).all.remove(&self.watched.id);
        self.connections.metrics().connections.dec();
    }
}

/// Whoever has an IPv6 address has all of its /64.
fn one_host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address => address,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_keeps_its_phase_and_its_beginning() {
        for phase in PHASES {
            let wait = Wait::new(phase, 1_234);
            assert_eq!((wait.phase(), wait.milliseconds(2_000)), (phase, 766));
        }
    }

    #[test]
    fn slow_heads_go_first_then_the_longest_idle_and_what_runs_stays() {
        let now = 100_000;
        let mut waits = [
            Wait::new(Phase::Idle, now - 10),
            Wait::new(Phase::Running, 0),
            Wait::new(Phase::Head, now - 20),
            Wait::new(Phase::Idle, now - 50_000),
            Wait::new(Phase::Fed, 0),
            Wait::new(Phase::Writing, now - 3_000),
            Wait::new(Phase::Head, now - 5_000),
            Wait::new(Phase::Writing, now - 100),
        ];
        waits.sort_by_key(|wait| std::cmp::Reverse(wait.dispensable(now)));
        let phases = waits.map(|wait| (wait.phase(), wait.milliseconds(now)));
        let order = [
            (Phase::Head, 5_000),
            (Phase::Idle, 50_000),
            (Phase::Idle, 10),
            (Phase::Writing, 3_000),
            (Phase::Head, 20),
        ];
        assert_eq!(phases[..5], order);
        assert!(
            waits[5..]
                .iter()
                .all(|wait| wait.dispensable(now).is_none())
        );
    }

    #[test]
    fn an_order_is_void_when_its_connection_went_on() {
        let watched = Watched {
            id: 1,
            address: None,
            wait: AtomicU64::new(Wait::new(Phase::Idle, 1).0),
            is_told: AtomicBool::new(false),
            order: Mutex::default(),
            waker: Mutex::default(),
        };
        assert_eq!(watched.order(), None);
        watched.tell(watched.wait(), Reason::Idle);
        watched.enter(Phase::Running, 2);
        assert_eq!(watched.order(), Some((Reason::Idle, false)));
        watched.tell(watched.wait(), Reason::MadeRoom);
        assert_eq!(watched.order(), Some((Reason::MadeRoom, true)));
    }

    #[test]
    fn one_host_is_an_address_or_a_network_of_64_bits() {
        let host = |text: &str| one_host(text.parse().expect("an address"));
        assert_ne!(host("192.0.2.6"), host("192.0.2.7"));
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
    }
}
