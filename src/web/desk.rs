//! Questions and changes by the person at the browser, about one organization.

use std::sync::Arc;

use super::visitor::Visitor;
use crate::app::App;
use crate::domain::Refusal;
use crate::domain::desk::{Desk, View};
use crate::store::{Snapshot, Tx, Verdict};
use crate::types::id::OrganizationId;

/// Asks one question, in one snapshot.
pub async fn ask<T, F>(
    app: &App,
    visitor: &Visitor,
    organization: OrganizationId,
    question: F,
) -> Result<T, Refusal>
where
    F: FnOnce(&mut View<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    T: Send + 'static,
{
    let asker = visitor.asker().map_err(|_| Refusal::NotFound)?;
    let (settings, now) = (Arc::clone(&app.settings), visitor.now());
    let read = move |snapshot: &mut Snapshot| {
        question(&mut View {
            snapshot,
            settings: &settings,
            organization,
            asker: &asker,
            now,
        })
    };
    app.store.read(read).await
}

/// Changes something, behind the organization's lock. The closure may run twice: it borrows what it captured.
pub async fn change<T, F>(
    app: &App,
    visitor: &Visitor,
    organization: OrganizationId,
    mut change: F,
) -> Result<T, Refusal>
where
    F: FnMut(&mut Desk<'_, '_>) -> Result<T, Refusal> + Send + 'static,
    T: Send + 'static,
{
    let asker = visitor.asker().map_err(|_| Refusal::NotFound)?;
    let settings = Arc::clone(&app.settings);
    let write = move |tx: &mut Tx| {
        let mut desk = Desk {
            tx,
            settings: &settings,
            organization,
            asker: &asker,
        };
        change(&mut desk).map(Verdict::Done)
    };
    app.store
        .write_organization(organization, visitor.now(), write)
        .await
}
