//! Offers of a key to another owner.

use diesel::{
    BoolExpressionMethods, Connection, ExpressionMethods, Insertable, OptionalExtension, QueryDsl,
    Queryable, Selectable, SelectableHelper,
};

use super::conn::Conn;
use super::schema::api_key_transfers;
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Tx};
use crate::types::id::{ApiKeyId, ApiKeyTransferId, OrganizationId, UserId};
use crate::types::state::TransferState;
use crate::types::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_key_transfers, treat_none_as_default_value = false)]
pub struct ApiKeyTransfer {
    pub id: ApiKeyTransferId,
    pub organization_id: OrganizationId,
    pub api_key_id: ApiKeyId,
    /// Who owned the key then.
    pub from_id: UserId,
    pub to_id: UserId,
    pub offered_by: UserId,
    pub state: TransferState,
    pub created_at: Timestamp,
    pub decided_at: Option<Timestamp>,
}

impl Snapshot<'_> {
    pub fn find_api_key_transfer(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyTransferId,
    ) -> Result<Option<ApiKeyTransfer>, Error> {
        let own = api_key_transfers::table
            .find(id)
            .filter(api_key_transfers::organization_id.eq(organization));
        self.run(|conn| {
            own.select(ApiKeyTransfer::as_select())
                .first(conn)
                .optional()
        })
    }

    /// A key has at most one.
    pub fn find_open_api_key_transfer(
        &mut self,
        key: ApiKeyId,
    ) -> Result<Option<ApiKeyTransfer>, Error> {
        let open = api_key_transfers::table
            .filter(api_key_transfers::api_key_id.eq(key))
            .filter(api_key_transfers::state.eq(TransferState::Open));
        self.run(|conn| {
            open.select(ApiKeyTransfer::as_select())
                .first(conn)
                .optional()
        })
    }

    /// Open ones that this person has made.
    pub fn list_open_api_key_transfers_by(
        &mut self,
        organization: OrganizationId,
        offered_by: UserId,
    ) -> Result<Vec<ApiKeyTransfer>, Error> {
        let open = api_key_transfers::table
            .filter(api_key_transfers::organization_id.eq(organization))
            .filter(api_key_transfers::state.eq(TransferState::Open));
        let made = open.filter(api_key_transfers::offered_by.eq(offered_by));
        self.run(|conn| made.select(ApiKeyTransfer::as_select()).load(conn))
    }

    /// Open ones that somebody else has made to this person.
    pub fn list_open_api_key_transfers_to(
        &mut self,
        organization: OrganizationId,
        to: UserId,
    ) -> Result<Vec<ApiKeyTransfer>, Error> {
        let open = api_key_transfers::table
            .filter(api_key_transfers::organization_id.eq(organization))
            .filter(api_key_transfers::state.eq(TransferState::Open));
        let got = open.filter(
            api_key_transfers::to_id
                .eq(to)
                .and(api_key_transfers::offered_by.ne(to)),
        );
        self.run(|conn| got.select(ApiKeyTransfer::as_select()).load(conn))
    }

    /// The newest first, those behind `after`, at most `most`. `of`: only those that this person made, gives or gets.
    pub fn list_api_key_transfers_page(
        &mut self,
        organization: OrganizationId,
        of: Option<UserId>,
        after: Option<(Timestamp, ApiKeyTransferId)>,
        most: i64,
    ) -> Result<Vec<ApiKeyTransfer>, Error> {
        let mut found = api_key_transfers::table
            .filter(api_key_transfers::organization_id.eq(organization))
            .into_boxed::<<Conn as Connection>::Backend>();
        if let Some(user) = of {
            let gives = api_key_transfers::from_id
                .eq(user)
                .or(api_key_transfers::offered_by.eq(user));
            found = found.filter(gives.or(api_key_transfers::to_id.eq(user)));
        }
        if let Some((at, id)) = after {
            let earlier = api_key_transfers::created_at
                .eq(at)
                .and(api_key_transfers::id.lt(id));
            found = found.filter(api_key_transfers::created_at.lt(at).or(earlier));
        }
        let newest_first = found
            .order((
                api_key_transfers::created_at.desc(),
                api_key_transfers::id.desc(),
            ))
            .limit(most);
        self.run(|conn| newest_first.select(ApiKeyTransfer::as_select()).load(conn))
    }
}

impl Tx<'_> {
    /// A constraint refuses a second open one of a key.
    pub fn insert_api_key_transfer(&mut self, transfer: &ApiKeyTransfer) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::insert_into(api_key_transfers::table)
                .values(transfer)
                .execute(conn)
        })
    }

    /// Compare-and-swap: `NotFound` when it is not open any more.
    pub fn close_api_key_transfer(
        &mut self,
        organization: OrganizationId,
        id: ApiKeyTransferId,
        to: TransferState,
    ) -> Result<(), Error> {
        let now = self.now;
        let own = api_key_transfers::table
            .find(id)
            .filter(api_key_transfers::organization_id.eq(organization));
        let open = own.filter(api_key_transfers::state.eq(TransferState::Open));
        self.run_one_quiet(|conn| {
            diesel::update(open)
                .set((
                    api_key_transfers::state.eq(to),
                    api_key_transfers::decided_at.eq(Some(now)),
                ))
                .execute(conn)
        })
    }
}
