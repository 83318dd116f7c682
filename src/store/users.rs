//! People and service accounts.

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable,
    SelectableHelper,
};

use super::schema::{applications, organizations, users, workspaces};
use super::statements::{ReadDsl, WriteDsl};
use super::{Error, Snapshot, Subject, Tx};
use crate::types::id::{ApplicationId, OrganizationId, UserId, WorkspaceId};
use crate::types::state::{ApplicationState, UserKind, UserState};
use crate::types::time::Timestamp;

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct User {
    pub id: UserId,
    pub kind: UserKind,
    /// `Mailbox::account_key`: unique among people, none for a service account.
    pub email: Option<String>,
    pub email_verified_at: Option<Timestamp>,
    pub name: String,
    /// argon2id in PHC form.
    pub password_hash: Option<String>,
    pub state: UserState,
    /// Runs this installation; holds no role in any organization by that.
    pub operator: bool,
    pub external_id: Option<String>,
    pub created_at: Timestamp,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User({})", self.id)
    }
}

impl Snapshot<'_> {
    pub fn find_user(&mut self, id: UserId) -> Result<Option<User>, Error> {
        self.run(|conn| {
            users::table
                .find(id)
                .select(User::as_select())
                .first(conn)
                .optional()
        })
    }

    pub fn find_user_by_external_id(&mut self, external_id: &str) -> Result<Option<User>, Error> {
        self.run(|conn| {
            users::table
                .filter(users::external_id.eq(external_id))
                .select(User::as_select())
                .first(conn)
                .optional()
        })
    }

    /// The people who operate the installation, the newest first, at most `most`.
    pub fn list_operators(&mut self, most: i64) -> Result<Vec<User>, Error> {
        let operators = users::table
            .filter(users::operator.eq(true))
            .filter(users::kind.eq(UserKind::Person))
            .order((users::created_at.desc(), users::id.desc()))
            .limit(most);
        self.run(|conn| operators.select(User::as_select()).load(conn))
    }

    /// The people of the installation, the newest first, at most `most`.
    pub fn list_people(&mut self, most: i64) -> Result<Vec<User>, Error> {
        let people = users::table
            .filter(users::kind.eq(UserKind::Person))
            .order((users::created_at.desc(), users::id.desc()))
            .limit(most);
        self.run(|conn| people.select(User::as_select()).load(conn))
    }

    /// `account_key`: the normal form of the address.
    pub fn find_user_by_email(&mut self, account_key: &str) -> Result<Option<User>, Error> {
        self.run(|conn| {
            users::table
                .filter(users::email.eq(account_key))
                .select(User::as_select())
                .first(conn)
                .optional()
        })
    }
}

impl Snapshot<'_> {
    /// The id of the live application, the workspace or the organization that the service account acts for.
    pub fn find_holder_of_service_account(&mut self, id: UserId) -> Result<Option<String>, Error> {
        let own = applications::table
            .filter(applications::service_account_id.eq(id))
            .filter(applications::state.eq(ApplicationState::Active));
        let application: Option<ApplicationId> =
            self.run(|conn| own.select(applications::id).first(conn).optional())?;
        let own = workspaces::table.filter(workspaces::service_account_id.eq(id));
        let workspace: Option<WorkspaceId> =
            self.run(|conn| own.select(workspaces::id).first(conn).optional())?;
        let own = organizations::table.filter(organizations::service_account_id.eq(id));
        let organization: Option<OrganizationId> =
            self.run(|conn| own.select(organizations::id).first(conn).optional())?;
        let found = application
            .map(|id| id.to_string())
            .or(workspace.map(|id| id.to_string()))
            .or(organization.map(|id| id.to_string()));
        Ok(found)
    }
}

impl Snapshot<'_> {
    /// In a row, since the last right one; 0 for nobody.
    pub fn count_wrong_passwords(&mut self, id: UserId) -> Result<i64, Error> {
        let own = users::table.find(id).select(users::wrong_passwords);
        let found: Option<i64> = self.run(|conn| own.first(conn).optional())?;
        Ok(found.unwrap_or_default())
    }
}

impl Tx<'_> {
    /// Of whoever has this address. When nobody has, another row is written as it is: that takes as long, so that the time
    /// of an answer does not tell which accounts there are.
    pub fn record_wrong_password(&mut self, account_key: &str) -> Result<(), Error> {
        let counted = self.run_quiet(|conn| {
            diesel::update(users::table.filter(users::email.eq(account_key)))
                .set(users::wrong_passwords.eq(users::wrong_passwords + 1))
                .execute(conn)
        })?;
        if counted > 0 {
            return Ok(());
        }
        let any = users::table.order(users::id).select(users::id);
        let any: Option<UserId> = self.run(|conn| any.first(conn).optional())?;
        any.map_or(Ok(()), |any| self.hold_user(any))
    }

    /// Compare-and-swap: `NotFound` when the password is not, or not any more, the one behind `from`.
    pub fn change_password(
        &mut self,
        id: UserId,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), Error> {
        let (row, set) = (users::table.find(id), users::password_hash.eq(Some(to)));
        match from {
            Some(from) => {
                let from_row = row.filter(users::password_hash.eq(from));
                self.run_one_quiet(|conn| diesel::update(from_row).set(set).execute(conn))
            }
            None => {
                let from_row = row.filter(users::password_hash.is_null());
                self.run_one_quiet(|conn| diesel::update(from_row).set(set).execute(conn))
            }
        }
    }

    /// Behind a right password, or a new one.
    pub fn forget_wrong_passwords(&mut self, id: UserId) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(users::table.find(id))
                .set(users::wrong_passwords.eq(0))
                .execute(conn)
        })
    }

    pub fn insert_user(&mut self, user: &User) -> Result<(), Error> {
        self.run_one_quiet(|conn| diesel::insert_into(users::table).values(user).execute(conn))
    }

    /// The user, and the organizations they are in.
    fn subjects_of(&mut self, id: UserId) -> Result<Vec<Subject>, Error> {
        let now = self.now;
        let organizations = self.list_organizations_of(id, now)?.into_iter();
        let subjects = organizations.map(|organization| Subject::Organization(organization.id));
        Ok(std::iter::once(Subject::User(id)).chain(subjects).collect())
    }

    /// Replaces the address, the name and the external id.
    pub fn change_user(&mut self, user: &User) -> Result<(), Error> {
        let subjects = self.subjects_of(user.id)?;
        let set = (
            users::email.eq(&user.email),
            users::email_verified_at.eq(user.email_verified_at),
            users::name.eq(&user.name),
            users::external_id.eq(&user.external_id),
        );
        self.run_one_news(subjects, |conn| {
            diesel::update(users::table.find(user.id))
                .set(set)
                .execute(conn)
        })
    }

    /// Makes the person an operator, or takes it away. Compare-and-swap: `NotFound` when it is so already.
    pub fn change_operator(&mut self, id: UserId, to: bool) -> Result<(), Error> {
        let other = users::table.find(id).filter(users::operator.ne(to));
        self.run_one_news([Subject::User(id)], |conn| {
            diesel::update(other)
                .set(users::operator.eq(to))
                .execute(conn)
        })
    }

    /// Locks the user's row until the end of the transaction.
    pub fn hold_user(&mut self, id: UserId) -> Result<(), Error> {
        self.run_one_quiet(|conn| {
            diesel::update(users::table.find(id))
                .set(users::kind.eq(users::kind))
                .execute(conn)
        })
    }

    /// News for what is remembered of credentials that act as the user.
    pub fn change_user_name(&mut self, id: UserId, name: &str) -> Result<(), Error> {
        self.run_one_news([Subject::User(id)], |conn| {
            diesel::update(users::table.find(id))
                .set(users::name.eq(name))
                .execute(conn)
        })
    }

    /// Also news for the organizations the user is in: until a domain is verified, its active members' addresses are its own.
    pub fn change_user_state(
        &mut self,
        id: UserId,
        from: UserState,
        to: UserState,
    ) -> Result<(), Error> {
        let subjects = self.subjects_of(id)?;
        self.run_one_news(subjects, |conn| {
            diesel::update(users::table.find(id).filter(users::state.eq(from)))
                .set(users::state.eq(to))
                .execute(conn)
        })
    }
}
