//! Passwords: argon2id at OWASP's minimum (19 MiB, 2 passes, 1 lane), on threads of their own behind a fair queue.
//!
//! Invariant: however many attempts one address sends, an attempt from another address, or from a known device, waits behind
//! at most one of them per thread; the queue never holds more than its bounds; when it is full, an address with few attempts
//! waiting takes the place of one with many.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::password_hash::{self, CustomizedPasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use crate::types::text::random_base62;
use crate::types::time::Stopwatch;

/// Attempts that may wait, in all and for one address (an IPv6 /64 counts as one).
const MOST_WAITING: usize = 64;
const MOST_WAITING_PER_ADDRESS: usize = 8;
const THREADS: usize = 1;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sign-ins at once")]
pub struct Busy {
    /// When what waits now will be done, as long as each of the last attempts took: at least one second.
    pub retry_after_seconds: i64,
}

/// A PHC string `$argon2id$v=19$m=19456,t=2,p=1$…`. Slow: call it outside transactions.
pub fn hash(password: &str) -> String {
    let salt: [u8; 16] = rand::random();
    Hasher
        .hash_password_with_params(password.as_bytes(), &salt, Params::DEFAULT)
        .expect("argon2 refuses only passwords over 4 GB")
        .to_string()
}

fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|parsed| Hasher.verify_password(password.as_bytes(), &parsed).is_ok())
}

/// glibc gives memory back to the system at once if it was asked for more than 32 MiB in one piece. A smaller piece, which
/// argon2 would ask for, stays with the process for ever after the second password.
const RETURNED_AT_ONCE_BYTES: usize = 33 << 20;

/// Argon2 on memory that is given back. Pages that nothing touches cost nothing.
struct Hasher;

impl CustomizedPasswordHasher<PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map_or(Ok(Algorithm::Argon2id), Algorithm::try_from)?;
        let version = version.map_or(Ok(Version::V0x13), Version::try_from)?;
        let blocks = params.block_count();
        let mut memory = Vec::with_capacity(blocks.max(RETURNED_AT_ONCE_BYTES / Block::SIZE));
        memory.resize(blocks, Block::new());
        let mut output = [0; Output::MAX_LENGTH];
        let output = output
            .get_mut(..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN))
            .ok_or(password_hash::Error::OutputSize)?;
        let argon2 = Argon2::new(algorithm, version, params);
        argon2.hash_password_into_with_memory(password, salt, output, &mut memory)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: argon2.params().try_into()?,
            salt: Some(Salt::new(salt)?),
            hash: Some(Output::new(output)?),
        })
    }
}

/// Whose turn an attempt waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Turn {
    Network(IpAddr),
    /// A browser in which the person has signed in before: it does not wait for its neighbours.
    Device(String),
}

impl From<IpAddr> for Turn {
    fn from(address: IpAddr) -> Self {
        Self::Network(network(address))
    }
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Waiting {
    /// With waiting jobs, next in turn first; each stands here once.
    turns: VecDeque<Turn>,
    jobs: HashMap<Turn, VecDeque<Job>>,
    count: usize,
    /// How long one attempt took lately; 0: none was made yet.
    attempt_millis: u64,
    closed: bool,
}

impl Waiting {
    fn busy(&self) -> Busy {
        let waiting = u64::try_from(self.count).unwrap_or(u64::MAX);
        let millis = waiting.saturating_mul(self.attempt_millis) / THREADS as u64;
        Busy {
            retry_after_seconds: i64::try_from(millis.div_ceil(1000))
                .unwrap_or(i64::MAX)
                .max(1),
        }
    }

    /// A slow attempt counts at once, quick ones by and by.
    fn took(&mut self, millis: u64) {
        self.attempt_millis = millis.max((self.attempt_millis * 7 + millis) / 8);
    }

    /// Sends the newest attempt of the address with the most waiting away, if that one has more than the newcomer would:
    /// a few busy addresses must not shut everybody else out.
    fn make_room(&mut self, own: usize) -> bool {
        let Some((_, busiest)) = self.jobs.iter_mut().max_by_key(|(_, jobs)| jobs.len()) else {
            return false;
        };
        if busiest.len() <= own + 1 {
            return false;
        }
        // its asker sees a closed channel
        busiest.pop_back();
        self.count -= 1;
        true
    }
}

struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// The queue and its threads, which end with it.
pub struct PasswordQueue {
    shared: Arc<Shared>,
    /// What an unknown account is verified against, so that it costs the same.
    decoy: String,
}

impl PasswordQueue {
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        });
        for _ in 0..THREADS {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work(&shared))?;
        }
        Ok(Self {
            shared,
            decoy: decoy(),
        })
    }

    /// Whether `password` is the one behind `stored`; `None` (an unknown account) takes as long and is never true.
    pub async fn verify(
        &self,
        turn: impl Into<Turn>,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, Busy> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let (answer, answered) = oneshot::channel();
        self.enqueue(
            turn.into(),
            Box::new(move || {
                let _ = answer.send(verify(&password, &stored) && known);
            }),
        )?;
        answered.await.map_err(|_| self.lock().busy())
    }

    /// What [`hash`] says of a new password, behind the same queue.
    pub async fn hash(&self, turn: impl Into<Turn>, password: String) -> Result<String, Busy> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(
            turn.into(),
            Box::new(move || {
                let _ = answer.send(hash(&password));
            }),
        )?;
        answered.await.map_err(|_| self.lock().busy())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, turn: Turn, job: Job) -> Result<(), Busy> {
        let mut waiting = self.lock();
        let own = waiting.jobs.get(&turn).map_or(0, VecDeque::len);
        if own >= MOST_WAITING_PER_ADDRESS
            || (waiting.count >= MOST_WAITING && !waiting.make_room(own))
        {
            return Err(waiting.busy());
        }
        if own == 0 {
            waiting.turns.push_back(turn.clone());
        }
        waiting.jobs.entry(turn).or_default().push_back(job);
        waiting.count += 1;
        self.shared.arrived.notify_one();
        Ok(())
    }
}

impl Drop for PasswordQueue {
    fn drop(&mut self) {
        self.lock().closed = true;
        self.shared.arrived.notify_all();
    }
}

fn work(shared: &Shared) {
    while let Some(job) = next(shared) {
        let stopwatch = Stopwatch::start();
        // a panic inside one attempt must not end the thread: the asker sees a closed channel
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
        let millis = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut waiting = shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.took(millis);
    }
}

/// Takes one job of whose turn it is, and puts them at the end of the line if they have more.
fn next(shared: &Shared) -> Option<Job> {
    let mut waiting = shared
        .waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    loop {
        if waiting.closed {
            return None;
        }
        if let Some(turn) = waiting.turns.pop_front() {
            let jobs = waiting.jobs.get_mut(&turn)?;
            let job = jobs.pop_front();
            if jobs.is_empty() {
                waiting.jobs.remove(&turn);
            } else {
                waiting.turns.push_back(turn);
            }
            waiting.count -= 1;
            return job;
        }
        waiting = shared
            .arrived
            .wait(waiting)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

/// One address, or the /64 that one IPv6 customer holds.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// A hash with the default parameters of a password nobody has; made without hashing, so that a start is not slowed.
fn decoy() -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    let (salt, output): ([u8; 16], [u8; 32]) = (rand::random(), rand::random());
    format!(
        "$argon2id$v=19$m=19456,t=2,p=1${}${}",
        STANDARD_NO_PAD.encode(salt),
        STANDARD_NO_PAD.encode(output)
    )
}

/// A password for people, 119 random bits.
pub fn generate() -> String {
    random_base62(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_at_the_minimum_of_owasp_or_above() {
        let stored = hash("correct horse");
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(
            verify("correct horse", &stored)
                && !verify("correct horsf", &stored)
                && !verify("x", "not a hash")
        );
        assert!(PasswordHash::new(&decoy()).is_ok());
    }

    #[test]
    fn one_address_cannot_push_another_to_the_end_of_the_line() {
        let shared = Shared {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        };
        let queue = PasswordQueue {
            shared: Arc::new(shared),
            decoy: String::new(),
        };
        let order = Arc::new(Mutex::new(Vec::new()));
        let job = |name: &'static str| {
            let order = Arc::clone(&order);
            Box::new(move || order.lock().expect("unpoisoned").push(name)) as Job
        };
        let (flood, calm) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..MOST_WAITING_PER_ADDRESS {
            queue.enqueue(flood.into(), job("flood")).expect("fits");
        }
        assert!(queue.enqueue(flood.into(), job("flood")).is_err());
        queue.enqueue(calm.into(), job("calm")).expect("fits");
        for _ in 0..3 {
            next(&queue.shared).expect("a job")();
        }
        assert_eq!(
            *order.lock().expect("unpoisoned"),
            ["flood", "calm", "flood"]
        );
    }

    #[test]
    fn a_few_busy_addresses_do_not_shut_a_newcomer_out() {
        let queue = PasswordQueue {
            shared: Arc::new(Shared {
                waiting: Mutex::default(),
                arrived: Condvar::new(),
            }),
            decoy: String::new(),
        };
        for busy in 0..8 {
            for _ in 0..MOST_WAITING_PER_ADDRESS {
                queue
                    .enqueue(IpAddr::from([192, 0, 2, busy]).into(), Box::new(|| ()))
                    .expect("fits");
            }
        }
        queue
            .enqueue(IpAddr::from([198, 51, 100, 1]).into(), Box::new(|| ()))
            .expect("a newcomer takes the place of a busy address");
        assert_eq!(
            queue.shared.waiting.lock().expect("unpoisoned").count,
            MOST_WAITING
        );
    }

    #[test]
    fn whoever_is_sent_away_is_told_how_long_the_queue_takes() {
        let mut waiting = Waiting {
            count: MOST_WAITING,
            ..Waiting::default()
        };
        assert_eq!(waiting.busy().retry_after_seconds, 1, "nothing is known");
        waiting.took(30);
        assert_eq!(waiting.busy().retry_after_seconds, 2);
        waiting.took(500);
        assert_eq!(waiting.busy().retry_after_seconds, 32);
        for _ in 0..100 {
            waiting.took(30);
        }
        assert_eq!(waiting.busy().retry_after_seconds, 2, "64 times 30 ms");
        waiting.count = 0;
        assert_eq!(waiting.busy().retry_after_seconds, 1);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let one: IpAddr = "2001:db8::1".parse().expect("an address");
        let other: IpAddr = "2001:db8::ffff".parse().expect("an address");
        assert_eq!(network(one), network(other));
        assert_eq!(
            network("::ffff:192.0.2.1".parse().expect("an address")),
            IpAddr::from([192, 0, 2, 1])
        );
    }
}
