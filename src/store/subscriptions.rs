//! Which plan an organization has bought. No row: the default plan.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::subscriptions;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::OrganizationId;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, diesel::AsChangeset)]
#[diesel(table_name = subscriptions, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Subscription {
    pub organization_id: OrganizationId,
    /// The billing system's own name for it.
    pub external_id: Option<String>,
    /// The name of a `[[plan]]`; one that is not configured any more allows nothing.
    pub plan: String,
    /// None: the plan's.
    pub full_seats: Option<i64>,
    pub read_only_seats: Option<i64>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Subscription {
    /// With the plan's own seats.
    pub fn new(organization_id: OrganizationId, plan: &str, now: Timestamp) -> Self {
        let plan = plan.to_owned();
        Self {
            organization_id,
            external_id: None,
            plan,
            full_seats: None,
            read_only_seats: None,
            created_at: now,
            updated_at: now,
        }
    }
}

impl Snapshot<'_> {
    pub fn find_subscription(
        &mut self,
        organization: OrganizationId,
    ) -> Result<Option<Subscription>, Error> {
        self.run(|conn| {
            subscriptions::table
                .find(organization)
                .select(Subscription::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn find_subscription_by_external_id(
        &mut self,
        external_id: &str,
    ) -> Result<Option<Subscription>, Error> {
        let named = subscriptions::table.filter(subscriptions::external_id.eq(external_id));
        self.run(|conn| {
            named
                .select(Subscription::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Tx<'_> {
    /// Inserts it, or replaces the one that is there.
    pub fn put_subscription(&mut self, subscription: &Subscription) -> Result<(), Error> {
        let row = subscriptions::table.find(subscription.organization_id);
        if self.run_news(
            [Subject::Organization(subscription.organization_id)],
            |conn| diesel::update(row).set(subscription).execute(conn),
        )? == 1
        {
            return Ok(());
        }
        self.run_one_news(
            [Subject::Organization(subscription.organization_id)],
            |conn| {
                diesel::insert_into(subscriptions::table)
                    .values(subscription)
                    .execute(conn)
            },
        )
    }
}
