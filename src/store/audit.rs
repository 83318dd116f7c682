//! Audit events: they commit with the change they tell of.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper};

use super::schema::audit_events;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::event::Event;
use crate::types::id::{AuditEventId, OrganizationId, UserId};
use crate::types::time::Timestamp;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events, treat_none_as_default_value = false)]
pub struct AuditEvent {
    pub id: AuditEventId,
    pub organization_id: Option<OrganizationId>,
    pub actor_id: Option<UserId>,
    /// `api_key.created`, `authorization.revoked` …
    pub event: String,
    /// What it happened to: an id, never a secret.
    pub subject_id: String,
    pub detail: String,
    pub created_at: Timestamp,
    /// The key, the authorization or the operator token by which the actor acted; none in a browser.
    pub credential_id: Option<String>,
}

impl Snapshot<'_> {
    /// The newest first, at most `most`.
    pub fn list_audit_events(
        &mut self,
        organization: OrganizationId,
        most: i64,
    ) -> Result<Vec<AuditEvent>, Error> {
        self.run(|conn| {
            audit_events::table
                .filter(audit_events::organization_id.eq(organization))
                .order((audit_events::created_at.desc(), audit_events::id.desc()))
                .limit(most)
                .select(AuditEvent::as_select())
                .load(conn)
        })
    }
}

impl Tx<'_> {
    /// What this transaction records from now on is done by this credential, on behalf of whoever owns it (row 31).
    pub fn act_by(&mut self, credential: &str) {
        self.credential = Some(credential.to_owned());
    }

    /// Records what `actor` did to `subject`, now.
    pub fn record(
        &mut self,
        organization: Option<OrganizationId>,
        actor: Option<UserId>,
        event: Event,
        subject: &str,
        detail: &str,
    ) -> Result<(), Error> {
        let row = AuditEvent {
            id: AuditEventId::generate(self.now),
            organization_id: organization,
            actor_id: actor,
            event: event.as_str().to_owned(),
            subject_id: subject.to_owned(),
            detail: detail.to_owned(),
            created_at: self.now,
            credential_id: self.credential.clone(),
        };
        self.run_one_quiet(|conn| {
            diesel::insert_into(audit_events::table)
                .values(&row)
                .execute(conn)
        })
    }
}
