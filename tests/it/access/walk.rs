//! A random walk through memberships, roles, keys and tokens. After every step each credential is asked for everything, from
//! memory as in production, and so is everybody who asks: persons, service accounts, an operator token, and the tokens of
//! applications. The answers are compared with a naive evaluation straight from the rows, in words instead of sets.

use countersign::app::Lookup;
use countersign::config::{Config, PermissionEntry};
use countersign::domain::Refusal;
use countersign::domain::desk::Desk;
use countersign::domain::people::accounts;
use countersign::domain::people::endings;
use countersign::domain::rights::asker::Asker;
use countersign::domain::rights::rights::{self, Rights};
use countersign::store::members::Member;
use countersign::store::{Conn, Database, Error, Snapshot, Tx, Verdict};
use countersign::types::id::{ApplicationId, UserId, WorkspaceId};
use countersign::types::state::{Licence, MemberState, OrganizationRole, PermissionLevel};
use countersign::types::time::Timestamp;
use diesel::sql_types::{Bool, Nullable, Text};
use diesel::{QueryableByName, RunQueryDsl};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::api::operator_tokens;
use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, not_rehearsed};
use crate::tenants::{self, Key, admin};

both_databases!(every_answer_from_memory_is_that_of_the_rows);

const STEPS: usize = 300;
/// Before every end of a membership: its row is found, whether or not it has ended.
const EVER: Timestamp = Timestamp::from_millis(0);
const ROLES: [&str; 5] = ["admin", "manager", "member", "viewer", "retired"];

async fn every_answer_from_memory_is_that_of_the_rows(db: TestDatabase) {
    let server = Server::start(db).await;
    let mut walk = Walk::start(&server).await;
    let mut answers = [0_usize; 2];
    for step in 0..STEPS {
        let taken = walk.step().await;
        let rows = Rows::load(&server.database.database);
        walk.compare_askers(&rows, &format!("step {step}, {taken}"))
            .await;
        for credential in &walk.credentials {
            walk.compare(
                &rows,
                credential,
                &format!("step {step}, {taken}"),
                &mut answers,
            )
            .await;
        }
    }
    assert!(
        answers.iter().all(|count| *count > STEPS),
        "a walk that is always refused, or never: {answers:?}"
    );
}

struct Walk<'s> {
    server: &'s Server,
    random: StdRng,
    users: Vec<UserId>,
    workspaces: Vec<WorkspaceId>,
    /// The secret; by its digest the rows tell which it is.
    credentials: Vec<Credential>,
    /// The vendor's own application, by which people manage.
    management: ApplicationId,
    /// The account of an operator token, and what the token was granted.
    operator: (UserId, &'static [&'static str]),
}

/// What the operator token of the walk may do.
const GRANTED: &[&str] = &["organization:read", "members:manage", "operator:approvals"];

struct Credential {
    secret: String,
    /// Of the key or of the authorization.
    id: String,
    /// A token's; none is a key.
    scopes: Option<&'static str>,
    first_party: bool,
    owner: UserId,
    /// Its owner has left: whatever the rows say, it never works again.
    is_dead: bool,
    /// For single workspaces, these of which its owner has left: it never reaches them again.
    lost: Vec<WorkspaceId>,
}

impl<'s> Walk<'s> {
    async fn start(server: &'s Server) -> Self {
        let mut users = vec![admin(server).await];
        for name in ["mia", "cole", "sam"] {
            users.push(
                tenants::member(
                    server,
                    &format!("{name}@acme.example"),
                    OrganizationRole::Member,
                )
                .await,
            );
        }
        users.push(service_account(server).await);
        let workspaces = vec![
            server.planted.workspace,
            tenants::workspace(server, "Archive").await,
        ];
        Self {
            server,
            random: StdRng::seed_from_u64(7),
            users,
            workspaces,
            credentials: Vec::new(),
            management: tenants::management_application(server).await,
            operator: (
                operator_tokens::make(server, GRANTED, None).await.0.user_id,
                GRANTED,
            ),
        }
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.random_range(0..choices.len())].clone()
    }

    /// Takes one step, which may turn out to be impossible, and says which.
    async fn step(&mut self) -> &'static str {
        let organization = self.server.planted.organization;
        let (users, workspaces) = (self.users.clone(), self.workspaces.clone());
        let (user, workspace) = (self.pick(&users), self.pick(&workspaces));
        let roles = [
            OrganizationRole::Owner,
            OrganizationRole::Admin,
            OrganizationRole::Member,
            OrganizationRole::Member,
        ];
        let (organization_role, role, other_role) =
            (self.pick(&roles), self.pick(&ROLES), self.pick(&ROLES));
        let licence = self.pick(&[Licence::Full, Licence::Full, Licence::ReadOnly]);
        self.server.clock.step_seconds(1);
        match self.random.random_range(0..11) {
            0 => {
                // a clock that steps back must not revive anything, nor kill what is made afterwards
                self.server
                    .clock
                    .step_seconds(self.random.random_range(-5..5));
                if self
                    .attempt(move |tx| Ok(endings::end(tx, organization, user, None, "a test")?))
                    .await
                {
                    self.credentials
                        .iter_mut()
                        .filter(|own| own.owner == user)
                        .for_each(|own| own.is_dead = true);
                }
                "a member leaves"
            }
            1 => {
                self.attempt(move |tx| {
                    Ok(accounts::add_member(
                        tx,
                        organization,
                        user,
                        organization_role,
                    )?)
                })
                .await;
                "a member joins"
            }
            10 => {
                let to = self.pick(&[
                    MemberState::Active,
                    MemberState::Active,
                    MemberState::Suspended,
                ]);
                self.attempt(move |tx| {
                    let Some(member) = tx.find_member(organization, user, EVER)? else {
                        return Ok(());
                    };
                    Ok(tx.change_member_state(organization, user, member.state, to)?)
                })
                .await;
                "a member rests or comes back"
            }
            2 | 3 => {
                self.attempt(move |tx| {
                    let Some(member) = tx.find_member(organization, user, EVER)? else {
                        return Ok(());
                    };
                    tx.change_member_role(organization, user, member.role, organization_role)?;
                    Ok(tx.change_member_licence(organization, user, member.licence, licence)?)
                })
                .await;
                "a member changes"
            }
            4 => {
                self.attempt(move |tx| {
                    Ok(accounts::add_workspace_member(
                        tx,
                        organization,
                        workspace,
                        user,
                        role,
                    )?)
                })
                .await;
                "a workspace is joined"
            }
            5 => {
                let settings = std::sync::Arc::clone(&self.server.app.settings);
                let is_admin = self
                    .server
                    .app
                    .store
                    .read(move |snapshot| snapshot.find_member(organization, user, EVER))
                    .await;
                let is_admin = is_admin.is_ok_and(|member: Option<_>| {
                    member.is_some_and(|member: Member| member.role.is_admin())
                });
                let leave = move |tx: &mut Tx<'_>| {
                    let mut desk = Desk {
                        tx,
                        settings: &settings,
                        organization,
                        asker: &Asker::person(user),
                    };
                    endings::leave_workspace(&mut desk, workspace, user)
                };
                if self.attempt(leave).await && !is_admin {
                    self.credentials
                        .iter_mut()
                        .filter(|own| own.owner == user)
                        .for_each(|own| own.lost.push(workspace));
                }
                "a workspace is left"
            }
            6 => {
                self.attempt(move |tx| {
                    Ok(tx.change_workspace_role(organization, workspace, user, other_role, role)?)
                })
                .await;
                "a role in a workspace changes"
            }
            7 if self.workspaces.len() < 4 => {
                let name = ["Third", "Fourth"][self.workspaces.len() - 2];
                self.workspaces
                    .push(tenants::workspace(self.server, name).await);
                "a workspace is made"
            }
            8 => {
                self.revoke_oldest().await;
                "a key or authorization is revoked"
            }
            _ => {
                self.make_credential(user).await;
                "a credential is made"
            }
        }
    }

    /// A change that need not be possible: what is not there is not found, what is there stays.
    async fn attempt(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<(), Refusal> + Send + 'static,
    ) -> bool {
        let done = self
            .server
            .app
            .store
            .write(
                self.server.clock.now(),
                not_rehearsed(move |tx| change(tx).map(Verdict::Done)),
            )
            .await;
        assert!(
            matches!(
                done,
                Ok(()) | Err(Refusal::NotFound | Refusal::Store(Error::Constraint(_)))
            ),
            "{done:?}"
        );
        done.is_ok()
    }

    async fn make_credential(&mut self, owner: UserId) {
        let (server, workspaces) = (self.server, self.workspaces.clone());
        let chosen: Vec<WorkspaceId> = workspaces
            .into_iter()
            .filter(|_| self.random.random_bool(0.6))
            .collect();
        let reach = if self.random.random_bool(0.4) {
            None
        } else {
            Some(chosen)
        };
        let level = self.pick(&[
            PermissionLevel::Full,
            PermissionLevel::Full,
            PermissionLevel::ReadOnly,
        ]);
        let operations = self.random.random_bool(0.5);
        let ground = Key {
            workspaces: reach,
            level,
            operations,
            ..Key::of(server, owner).production()
        };
        let credential = if self.random.random_bool(0.6) {
            let made = tenants::key(server, ground).await;
            Credential {
                secret: made.secret,
                id: made.id.to_string(),
                scopes: None,
                first_party: false,
                owner,
                is_dead: false,
                lost: Vec::new(),
            }
        } else {
            let scopes = self.pick(&[
                "read",
                "write send",
                "read webhooks",
                "read write send webhooks nothing",
                "management:read",
                "read management:read management:write",
            ]);
            let first_party = scopes.contains("management");
            let application = if first_party {
                self.management
            } else {
                server.planted.application
            };
            let allowed = tenants::token(server, application, ground, scopes).await;
            let id = allowed.authorization.id.to_string();
            Credential {
                secret: allowed.token,
                id,
                scopes: Some(scopes),
                first_party,
                owner,
                is_dead: false,
                lost: Vec::new(),
            }
        };
        self.credentials.push(credential);
        if self.credentials.len() > 10 {
            self.credentials.remove(0);
        }
    }

    async fn revoke_oldest(&self) {
        let (organization, by) = (self.server.planted.organization, self.users[0]);
        let Some(oldest) = self.credentials.first() else {
            return;
        };
        let id = oldest.id.clone();
        let is_key = oldest.scopes.is_none();
        self.attempt(move |tx| {
            if is_key {
                return Ok(tx.revoke_api_key(organization, id.parse().expect("a key's"), by)?);
            }
            let authorization = tx
                .find_authorization(id.parse().expect("an authorization's"))?
                .expect("made");
            Ok(tx.revoke_authorization(&authorization, "a test")?)
        })
        .await;
    }

    async fn compare(
        &self,
        rows: &Rows,
        credential: &Credential,
        step: &str,
        answers: &mut [usize; 2],
    ) {
        let app = &self.server.app;
        let lookup = app
            .access(&credential.secret, None, self.server.clock.now())
            .await
            .expect("the store answers");
        let nowhere = WorkspaceId::generate(self.server.clock.now());
        let places = self
            .workspaces
            .iter()
            .copied()
            .chain([nowhere])
            .map(Some)
            .chain([None]);
        for (place, permission) in places.flat_map(|place| {
            app.config
                .permission
                .iter()
                .map(move |permission| (place, permission))
        }) {
            let asked = app
                .settings
                .catalogue
                .permission(&permission.name)
                .expect("configured");
            let held = matches!(&lookup, Lookup::Found(access) if access.suspended.is_none() && access.allows(asked, place));
            let is_over = credential.is_dead
                || (rows.is_narrow(credential)
                    && place.is_some_and(|place| credential.lost.contains(&place)));
            assert!(
                !(held && is_over),
                "{step}: {} of {} in {place:?} came back",
                permission.name,
                credential.id
            );
            let naive = rows.allows(
                &app.config,
                credential,
                permission,
                place.map(|id| id.to_string()).as_deref(),
            );
            assert_eq!(
                held, naive,
                "{step}: {} of {} in {place:?}",
                permission.name, credential.id
            );
            answers[usize::from(held)] += 1;
        }
        if let Lookup::Found(access) = &lookup
            && access.suspended.is_none()
        {
            let ground = rows.ground(credential);
            let is_whole =
                ground.reach == "organization" && rows.member(ground).is_some_and(is_admin);
            let rights = self.rights(&access.asker()).await.expect("it acts");
            self.compare_rights(
                &rights,
                &format!("{step}: the holder of {}", credential.id),
                |permission, place| {
                    (place.is_some() || is_whole)
                        && rows.allows(&app.config, credential, permission, place)
                },
            );
        }
        let found = matches!(lookup, Lookup::Found(_));
        assert_eq!(found, rows.is_live(credential), "{step}: {}", credential.id);
    }
}

impl Walk<'_> {
    /// As the rule evaluates it; none for whoever does not act there.
    async fn rights(&self, asker: &Asker) -> Option<Rights> {
        let (settings, asker, organization, now) = (
            std::sync::Arc::clone(&self.server.app.settings),
            asker.clone(),
            self.server.planted.organization,
            self.server.clock.now(),
        );
        let of = move |snapshot: &mut Snapshot| {
            rights::of(snapshot, &settings.catalogue, &asker, organization, now)
        };
        match self.server.app.store.read(of).await {
            Ok(rights) => Some(rights),
            Err(Refusal::NotFound) => None,
            Err(other) => unreachable!("{other}"),
        }
    }

    /// Of every permission, in the organization itself (no place) and in every workspace.
    fn compare_rights(
        &self,
        rights: &Rights,
        who: &str,
        naive: impl Fn(&PermissionEntry, Option<&str>) -> bool,
    ) {
        let app = &self.server.app;
        for entry in &app.config.permission {
            let asked = app
                .settings
                .catalogue
                .permission(&entry.name)
                .expect("configured");
            let held = rights.organization.contains(asked);
            assert_eq!(
                held,
                naive(entry, None),
                "{who}: {} in the organization",
                entry.name
            );
            for place in &self.workspaces {
                let held = rights.in_workspace(*place).contains(asked);
                assert_eq!(
                    held,
                    naive(entry, Some(place.as_str())),
                    "{who}: {} in {place}",
                    entry.name
                );
            }
        }
    }

    /// Persons and service accounts with nothing between them and their rights, and an operator token.
    async fn compare_askers(&self, rows: &Rows, step: &str) {
        let config = &self.server.app.config;
        for user in &self.users {
            let member = rows
                .members
                .iter()
                .find(|member| member.user_id == user.as_str());
            let member = member.filter(|member| member.state == "active");
            let rights = self.rights(&Asker::person(*user)).await;
            assert_eq!(rights.is_some(), member.is_some(), "{step}: {user}");
            let (Some(rights), Some(member)) = (rights, member) else {
                continue;
            };
            self.compare_rights(&rights, &format!("{step}: {user}"), |permission, place| {
                rows.person_allows(config, member, permission, place)
            });
        }
        let (user, granted) = self.operator;
        let set = granted.iter().copied();
        let asker = Asker::operator_token(user, self.server.app.settings.catalogue.of_names(set));
        let rights = self
            .rights(&asker)
            .await
            .expect("an operator reaches every organization");
        self.compare_rights(
            &rights,
            &format!("{step}: the operator token"),
            |permission, _| granted.contains(&permission.name.as_str()),
        );
    }
}

async fn service_account(server: &Server) -> UserId {
    let organization = server.planted.organization;
    let make =
        move |tx: &mut Tx<'_>| Ok(accounts::create_service_account(tx, organization, "Robot")?.id);
    server.write(make).await
}

#[derive(QueryableByName)]
struct Ground {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    reach: String,
    #[diesel(sql_type = Text)]
    level: String,
    #[diesel(sql_type = Bool)]
    operations: bool,
    #[diesel(sql_type = Text)]
    state: String,
}

#[derive(QueryableByName)]
struct Pair {
    #[diesel(sql_type = Text)]
    left: String,
    #[diesel(sql_type = Text)]
    right: String,
    #[diesel(sql_type = Nullable<Text>)]
    role: Option<String>,
}

#[derive(QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Text)]
    licence: String,
    #[diesel(sql_type = Text)]
    state: String,
}

/// The tables, of the one organization there is.
struct Rows {
    grounds: Vec<Ground>,
    /// Credential and workspace.
    reaches: Vec<Pair>,
    members: Vec<MemberRow>,
    /// User and workspace.
    roles: Vec<Pair>,
    workspaces: Vec<String>,
}

impl Rows {
    fn load(database: &Database) -> Self {
        let mut conn = Conn::open(database).expect("a connection");
        let grounds = "SELECT id, owner_id AS owner, reach, permission_level AS level, organization_operations AS operations, state \
                       FROM api_keys UNION ALL SELECT id, user_id, reach, 'full', FALSE, state FROM authorizations";
        let reaches = "SELECT api_key_id AS \"left\", workspace_id AS \"right\", NULL AS role FROM api_key_workspaces \
                       UNION ALL SELECT authorization_id, workspace_id, NULL FROM authorization_workspaces";
        let workspaces: Vec<Pair> = diesel::sql_query(
            "SELECT id AS \"left\", name AS \"right\", NULL AS role FROM workspaces",
        )
        .load(&mut conn)
        .expect("rows");
        Self {
            grounds: diesel::sql_query(grounds).load(&mut conn).expect("rows"),
            reaches: diesel::sql_query(reaches).load(&mut conn).expect("rows"),
            members: diesel::sql_query("SELECT user_id, role, licence, state FROM members").load(&mut conn).expect("rows"),
            roles: diesel::sql_query("SELECT user_id AS \"left\", workspace_id AS \"right\", role FROM workspace_members")
                .load(&mut conn)
                .expect("rows"),
            workspaces: workspaces.into_iter().map(|row| row.left).collect(),
        }
    }

    fn allows(
        &self,
        config: &Config,
        credential: &Credential,
        permission: &PermissionEntry,
        place: Option<&str>,
    ) -> bool {
        let ground = self.ground(credential);
        let Some(member) = self.member(ground) else {
            return false;
        };
        let whole = ground.reach == "organization" && is_admin(member);
        let managed = permission.management && !credential.first_party;
        if member.state != "active" || managed || permission.operator {
            return false;
        }
        let operates = whole && (ground.operations || credential.first_party);
        if ground.state != "active" || (permission.organization && !operates) {
            return false;
        }
        let writes = serde_json::to_value(permission.access).expect("a word") == "write";
        if writes && (member.licence == "read_only" || ground.level == "read_only") {
            return false;
        }
        let granted = |scopes: &str| {
            let scopes = config
                .scope
                .iter()
                .filter(|scope| scopes.split(' ').any(|name| name == scope.name));
            scopes
                .into_iter()
                .any(|scope| scope.permissions.contains(&permission.name))
        };
        if !credential.scopes.is_none_or(granted) {
            return false;
        }
        let reached = self.reached(ground, member);
        let holds = |workspace: &&str| {
            let role = if is_admin(member) {
                Some("admin")
            } else {
                self.role(&member.user_id, workspace)
            };
            let role = config
                .role
                .iter()
                .find(|entry| Some(entry.name.as_str()) == role);
            role.is_some_and(|entry| {
                entry.permissions == ["*"] || entry.permissions.contains(&permission.name)
            })
        };
        match place {
            Some(place) => reached.contains(&place) && holds(&place),
            None => whole || (!reached.is_empty() && reached.iter().all(holds)),
        }
    }

    /// What the membership alone gives: in the organization itself (no place), or in a workspace.
    fn person_allows(
        &self,
        config: &Config,
        member: &MemberRow,
        permission: &PermissionEntry,
        place: Option<&str>,
    ) -> bool {
        let writes = serde_json::to_value(permission.access).expect("a word") == "write";
        if permission.operator || (writes && member.licence == "read_only") {
            return false;
        }
        let role = match place {
            _ if is_admin(member) => Some("admin"),
            // no role in a workspace reaches beyond it
            Some(place) if !permission.organization => self.role(&member.user_id, place),
            _ => None,
        };
        let role = config
            .role
            .iter()
            .find(|entry| Some(entry.name.as_str()) == role);
        role.is_some_and(|entry| {
            entry.permissions == ["*"] || entry.permissions.contains(&permission.name)
        })
    }

    fn is_live(&self, credential: &Credential) -> bool {
        let ground = self.ground(credential);
        let Some(member) = self.member(ground) else {
            return false;
        };
        let whole = ground.reach == "organization" && is_admin(member);
        ground.state == "active" && (whole || !self.reached(ground, member).is_empty())
    }

    fn ground(&self, credential: &Credential) -> &Ground {
        self.grounds
            .iter()
            .find(|ground| ground.id == credential.id)
            .expect("nothing is ever deleted")
    }

    fn is_narrow(&self, credential: &Credential) -> bool {
        self.ground(credential).reach == "workspaces"
    }

    fn member(&self, ground: &Ground) -> Option<&MemberRow> {
        self.members
            .iter()
            .find(|member| member.user_id == ground.owner)
    }

    fn role(&self, user: &str, workspace: &str) -> Option<&str> {
        self.roles
            .iter()
            .find(|row| row.left == user && row.right == workspace)?
            .role
            .as_deref()
    }

    fn reached(&self, ground: &Ground, member: &MemberRow) -> Vec<&str> {
        let given = |id: &&str| {
            ground.reach == "organization"
                || self
                    .reaches
                    .iter()
                    .any(|row| row.left == ground.id && row.right == *id)
        };
        let held = |id: &&str| is_admin(member) || self.role(&member.user_id, id).is_some();
        self.workspaces
            .iter()
            .map(String::as_str)
            .filter(given)
            .filter(held)
            .collect()
    }
}

fn is_admin(member: &MemberRow) -> bool {
    ["owner", "admin"].contains(&member.role.as_str())
}
