//! The memory that documents may take, from their first byte to their answer's last one.
//!
//! Invariant: what arrived of all documents is within `most_bytes`, and of one resource server within three quarters of it.
//! Room is held by bytes that are here, never by a promise to send them; and when there is none, the upload whose client
//! has been silent for the longest is cut.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::types::id::ResourceServerId;
use crate::types::time::Stopwatch;

/// Whoever sends nothing for this long gives way to others.
const SILENT: Duration = Duration::from_secs(1);
/// An upload that was cut is gone by then.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// There is no room, and nobody to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

#[derive(Debug)]
pub struct Uploads {
    most_bytes: usize,
    all: Mutex<All>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    uploads: BTreeMap<u64, State>,
}

#[derive(Debug)]
struct State {
    server: ResourceServerId,
    bytes: usize,
    /// Since something came; `None`: all of it is here.
    silent: Option<Stopwatch>,
    cut: Arc<Notify>,
}

impl All {
    fn bytes(&self) -> usize {
        self.uploads.values().map(|upload| upload.bytes).sum()
    }

    fn bytes_of(&self, server: ResourceServerId) -> usize {
        let own = |upload: &&State| upload.server == server;
        self.uploads
            .values()
            .filter(own)
            .map(|upload| upload.bytes)
            .sum()
    }

    /// Cuts the one that has been silent for the longest, of one server or of all.
    fn cut_silent(&mut self, of: Option<ResourceServerId>) -> Result<(), Full> {
        let uploads = self.uploads.values_mut().filter_map(|upload| {
            let silent = upload.silent?.elapsed();
            let counts = of.is_none_or(|server| server == upload.server) && silent >= SILENT;
            (counts && upload.bytes > 0).then_some((silent, upload))
        });
        let (_, upload) = uploads.max_by_key(|(silent, _)| *silent).ok_or(Full)?;
        upload.silent = None;
        upload.cut.notify_one();
        Ok(())
    }
}

impl Uploads {
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            all: Mutex::default(),
            freed: Notify::new(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A document on its way; its room is free again with the value.
    pub async fn begin(self: &Arc<Self>, server: ResourceServerId) -> Result<Upload, Full> {
        let upload = {
            let mut all = self.locked();
            all.next += 1;
            let (id, cut) = (all.next, Arc::new(Notify::new()));
            let state = State {
                server,
                bytes: 0,
                silent: Some(Stopwatch::start()),
                cut: Arc::clone(&cut),
            };
            all.uploads.insert(id, state);
            Upload {
                uploads: Arc::clone(self),
                id,
                server,
                cut,
            }
        };
        // before anything is read: who could not take a byte is told at once
        upload.take(1).await?;
        Ok(upload)
    }
}

#[derive(Debug)]
pub struct Upload {
    uploads: Arc<Uploads>,
    id: u64,
    server: ResourceServerId,
    cut: Arc<Notify>,
}

impl Upload {
    /// Room for more bytes, if need be that of a silent upload.
    pub async fn take(&self, bytes: usize) -> Result<(), Full> {
        timeout(GONE_WITHIN, async {
            loop {
                let mut freed = pin!(self.uploads.freed.notified());
                // counted from here on: an upload may go between the look and the wait
                freed.as_mut().enable();
                if self.try_take(bytes)? {
                    return Ok(());
                }
                freed.await;
            }
        })
        .await
        .unwrap_or(Err(Full))
    }

    /// False: another upload was cut, and its room will be free.
    fn try_take(&self, bytes: usize) -> Result<bool, Full> {
        let mut all = self.uploads.locked();
        let (most, own) = (self.uploads.most_bytes, all.bytes_of(self.server));
        let of = if own.saturating_add(bytes) > most - most / 4 {
            Some(self.server)
        } else if all.bytes().saturating_add(bytes) > most {
            None
        } else {
            if let Some(state) = all.uploads.get_mut(&self.id) {
                state.bytes += bytes;
                state.silent = Some(Stopwatch::start());
            }
            return Ok(true);
        };
        // whoever asks is not silent
        if let Some(state) = all.uploads.get_mut(&self.id) {
            state.silent = Some(Stopwatch::start());
        }
        all.cut_silent(of)?;
        Ok(false)
    }

    /// All of it is here: it is not cut any more.
    pub fn is_whole(&self) {
        if let Some(state) = self.uploads.locked().uploads.get_mut(&self.id) {
            state.silent = None;
        }
    }

    /// The document became another one, which is in memory instead.
    pub fn becomes(&self, bytes: usize) {
        if let Some(state) = self.uploads.locked().uploads.get_mut(&self.id) {
            state.bytes = bytes;
        }
        self.uploads.freed.notify_waiters();
    }

    /// Until its room is needed by others, because its client is silent.
    pub async fn is_cut(&self) {
        self.cut.notified().await;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.uploads.locked().uploads.remove(&self.id);
        self.uploads.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::Timestamp;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().expect("a runtime");
        runtime.block_on(future)
    }

    fn server() -> ResourceServerId {
        ResourceServerId::generate(Timestamp::from_seconds(1))
    }

    #[test]
    fn one_server_leaves_a_quarter_to_others() {
        block_on(async {
            let uploads = Arc::new(Uploads::new(100));
            let (greedy, other) = (server(), server());
            let first = uploads.begin(greedy).await.expect("room");
            assert_eq!(first.take(74).await, Ok(()));
            assert_eq!(first.take(1).await, Err(Full));
            assert!(uploads.begin(greedy).await.is_err());
            let second = uploads.begin(other).await.expect("room");
            assert_eq!(second.take(24).await, Ok(()));
            assert_eq!(second.take(1).await, Err(Full));
            drop(first);
            assert_eq!(second.take(1).await, Ok(()));
        });
    }

    #[test]
    fn a_silent_upload_gives_way_and_a_whole_one_does_not() {
        block_on(async {
            let uploads = Arc::new(Uploads::new(100));
            let whole = uploads.begin(server()).await.expect("room");
            whole.take(49).await.expect("room");
            whole.is_whole();
            let silent = uploads.begin(server()).await.expect("room");
            silent.take(49).await.expect("room");
            assert!(uploads.begin(server()).await.is_err());
            tokio::time::sleep(SILENT).await;
            let gone = async {
                silent.is_cut().await;
                drop(silent);
            };
            let asks = uploads.begin(server());
            let (asked, ()) = futures_util::future::join(asks, gone).await;
            assert!(asked.is_ok());
        });
    }
}
