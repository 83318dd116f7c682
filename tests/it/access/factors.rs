//! A random walk through everything else that decides: plans, trials, the Dev Centre's switch, approvals, suspensions, custom
//! roles, licences, memberships that end, paused keys, and time itself. After every step each key is asked through the
//! same door as in production, from memory, and the code is compared with a naive evaluation straight from the rows.

use countersign::app::Lookup;
use countersign::config::{Config, PlanEntry};
use countersign::domain::decision::check::{Decision, Question, check};
use countersign::domain::decision::explain::explain;
use countersign::domain::decision::resource_servers::Server as ResourceServer;
use countersign::store::subscriptions::Subscription;
use countersign::store::{Conn, Database, Error, Tx, Verdict};
use countersign::types::environment::Environment;
use countersign::types::id::{RoleId, UserId, WorkspaceId};
use countersign::types::state::{
    ApiKeyState, Licence, MemberState, OrganizationRole, OrganizationState, PermissionLevel,
    ProductionAccess, UserState,
};
use countersign::types::time::Timestamp;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel::{QueryableByName, RunQueryDsl};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::databases::{TestDatabase, both_databases};
use crate::server::{Server, not_rehearsed};
use crate::tenants::{self, Key};

both_databases!(no_sequence_of_changes_leaves_a_right_that_the_rows_deny);

const STEPS: usize = 400;
/// Before every end of a membership: its row is found, whether or not it has ended.
const EVER: Timestamp = Timestamp::from_millis(0);
const ASKED: [&str; 3] = ["documents:read", "documents:send", "templates:write"];
/// The permission names that the organization's own role moves through.
const CUSTOM: [&str; 4] = [
    "documents:read documents:send",
    "documents:read",
    "templates:write gone:for_ever",
    "",
];

fn plan(name: &str, change: impl FnOnce(&mut PlanEntry)) -> PlanEntry {
    let mut entry = Config::load(None, std::iter::empty())
        .expect("the defaults")
        .plan
        .remove(0);
    name.clone_into(&mut entry.name);
    entry.trial_seconds = 0;
    entry.environments = Environment::ALL.to_vec();
    change(&mut entry);
    entry
}

async fn no_sequence_of_changes_leaves_a_right_that_the_rows_deny(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        config.plan.extend([
            plan("all", |_| {}),
            plan("reading", |entry| {
                entry.permissions = vec!["documents:read".to_owned()]
            }),
            plan("unapproved", |entry| entry.production_approval = false),
            plan("trial", |entry| entry.trial_seconds = 60),
        ]);
        config.limits.sandbox = countersign::config::Rate::NONE;
        config.limits.production = countersign::config::Rate::NONE;
    })
    .await;
    let mut walk = Walk::start(&server).await;
    let mut refused_by = std::collections::BTreeSet::<&str>::new();
    let mut codes = std::collections::BTreeMap::<&str, usize>::new();
    for step in 0..STEPS {
        let taken = walk.step().await;
        let rows = Rows::load(&server.database.database, server.clock.now());
        for (_, secret) in walk.keys.clone() {
            refused_by.extend(walk.explained(&secret).await);
        }
        for (id, secret) in &walk.keys {
            for name in ASKED {
                let (held, naive) = (
                    walk.ask(secret, name).await,
                    rows.code(&server.app.config, id, name),
                );
                assert_eq!(held, naive, "step {step}, {taken}: {name} of {id}");
                *codes.entry(held).or_default() += 1;
            }
        }
    }
    // a walk that never meets one of them proves nothing about it
    for code in [
        "valid",
        "not_found",
        "forbidden",
        "plan_required",
        "suspended",
        "expired",
    ] {
        assert!(
            codes.get(code).is_some_and(|count| *count > 20),
            "{code}: {codes:?}"
        );
    }
    let every_one = [
        "credential",
        "environment",
        "licence",
        "permission_level",
        "plan",
        "role",
        "sandbox_policy",
        "suspension",
        "workspace",
    ];
    assert_eq!(
        refused_by.into_iter().collect::<Vec<_>>(),
        every_one,
        "kinds, scopes, simulations and limits have tests of their own"
    );
}

struct Walk<'s> {
    server: &'s Server,
    random: StdRng,
    user: UserId,
    role: RoleId,
    keys: Vec<(String, String)>,
}

impl<'s> Walk<'s> {
    async fn start(server: &'s Server) -> Self {
        let user = tenants::member(server, "mia@acme.example", OrganizationRole::Member).await;
        let (organization, now) = (server.planted.organization, server.clock.now());
        let role = RoleId::generate(now);
        let custom = custom_role(server, role, CUSTOM[0]);
        let workspace = server.planted.workspace;
        let write = move |tx: &mut Tx<'_>| {
            tx.insert_role(&custom)?;
            Ok(countersign::domain::people::accounts::add_workspace_member(
                tx,
                organization,
                workspace,
                user,
                role.as_str(),
            )?)
        };
        server.write(write).await;
        Self {
            server,
            random: StdRng::seed_from_u64(11),
            user,
            role,
            keys: Vec::new(),
        }
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.random_range(0..choices.len())].clone()
    }

    async fn ask(&self, secret: &str, permission: &str) -> &'static str {
        let (app, now) = (&self.server.app, self.server.clock.now());
        let Lookup::Found(access) = app
            .access(secret, None, now)
            .await
            .expect("the store answers")
        else {
            return "not_found";
        };
        let question = Question {
            permission: app.settings.catalogue.permission(permission),
            recipients: Some(vec!["ada@acme.example".to_owned()]),
            ..Question::default()
        };
        check(
            &access,
            &question,
            &*everything(app).await,
            &app.rules(),
            &app.limiter,
            now,
        )
        .code()
        .as_str()
    }

    /// Some questions about the credential: the explanation names the factor by which the decision falls, and takes nothing.
    async fn explained(&mut self, secret: &str) -> Vec<&'static str> {
        let (app, now) = (&self.server.app, self.server.clock.now());
        let Lookup::Found(access) = app
            .peek(secret, None, now)
            .await
            .expect("the store answers")
        else {
            return Vec::new();
        };
        let planted = everything(app).await;
        let mut refused_by = Vec::new();
        for _ in 0..6 {
            let question = self.question();
            let mut server = (*planted).clone();
            server.environment = self.pick(&[
                None,
                None,
                None,
                None,
                Some(Environment::Sandbox),
                Some(Environment::Production),
            ]);
            if self.pick(&[false, false, false, true]) {
                server.enforces.clear();
            }
            let (told, steps) =
                explain(&access, &question, &server, &app.rules(), &app.limiter, now);
            let (again, same) =
                explain(&access, &question, &server, &app.rules(), &app.limiter, now);
            let decision = check(&access, &question, &server, &app.rules(), &app.limiter, now);
            let facts = |decision: &Decision| {
                (
                    decision.cause,
                    decision.refused_recipients.clone(),
                    decision.permissions,
                )
            };
            assert_eq!(facts(&told), facts(&decision));
            assert_eq!(
                (again.cause, &same),
                (told.cause, &steps),
                "nothing was taken"
            );
            let first = steps
                .iter()
                .find(|step| !step.allows)
                .map(|step| step.factor);
            assert_eq!(first, decision.cause.map(|cause| cause.factor), "{steps:?}");
            assert!(
                steps.len() == 13 && steps.iter().all(|step| step.detail.ends_with('.')),
                "{steps:?}"
            );
            refused_by.extend(first.map(|factor| factor.as_str()));
        }
        refused_by
    }

    fn question(&mut self) -> Question {
        let permission = self.pick(&[
            "documents:read",
            "documents:send",
            "templates:write",
            "api_keys:manage",
            "workspaces:manage",
        ]);
        let (catalogue, own) = (
            &self.server.app.settings.catalogue,
            Some(self.server.planted.workspace),
        );
        let unknown = Some(WorkspaceId::generate(self.server.clock.now()));
        Question {
            permission: self
                .pick(&[true, true, true, false])
                .then(|| catalogue.permission(permission))
                .flatten(),
            workspace: self.pick(&[None, own, own, unknown]),
            environment: self.pick(&[
                None,
                None,
                None,
                Some(Environment::Sandbox),
                Some(Environment::Production),
            ]),
            document_name: None,
            recipients: self.pick(&[
                None,
                Some(vec!["ada@acme.example".to_owned()]),
                Some(vec!["eve@evil.example".to_owned()]),
            ]),
        }
    }

    /// Takes one step, which may turn out to be impossible, and says which.
    async fn step(&mut self) -> &'static str {
        let (organization, user, workspace) = (
            self.server.planted.organization,
            self.user,
            self.server.planted.workspace,
        );
        let seconds = self.pick(&[0, 1, 1, 7, 30]);
        self.server.clock.step_seconds(seconds);
        let now = self.server.clock.now();
        let soon = now.plus_seconds(self.pick(&[5, 20, 40]));
        match self.random.random_range(0..16) {
            0 | 1 => {
                let plan = self.pick(&[
                    "all",
                    "all",
                    "all",
                    "reading",
                    "unapproved",
                    "trial",
                    "free",
                    "business",
                    "gone",
                ]);
                let row = Subscription {
                    organization_id: organization,
                    external_id: None,
                    plan: plan.to_owned(),
                    full_seats: None,
                    read_only_seats: None,
                    created_at: now,
                    updated_at: now,
                };
                self.attempt(move |tx| tx.put_subscription(&row)).await;
                plan
            }
            2 => {
                let on = self.pick(&[Some(now), None]);
                self.attempt(move |tx| tx.change_dev_centre(organization, on))
                    .await;
                "the switch"
            }
            3 => {
                let states = [
                    ProductionAccess::Approved,
                    ProductionAccess::Approved,
                    ProductionAccess::Withdrawn,
                    ProductionAccess::Requested,
                ];
                let to = self.pick(&states);
                self.attempt(move |tx| {
                    let from = tx
                        .find_organization(organization)?
                        .expect("planted")
                        .production_access;
                    tx.change_production_access(organization, from, to)
                })
                .await;
                "production access"
            }
            4 => {
                self.attempt(move |tx| tx.start_trial(organization, soon))
                    .await;
                "a trial starts, once"
            }
            5 => {
                let to = self.pick(&[OrganizationState::Active, OrganizationState::Suspended]);
                self.attempt(move |tx| {
                    let from = tx.find_organization(organization)?.expect("planted").state;
                    tx.change_organization_state(organization, from, to)
                })
                .await;
                "the organization's state"
            }
            6 => {
                let to = self.pick(&[UserState::Active, UserState::Active, UserState::Suspended]);
                self.attempt(move |tx| {
                    let from = tx.find_user(user)?.expect("made").state;
                    tx.change_user_state(user, from, to)
                })
                .await;
                "the user's state"
            }
            7 => {
                let to = self.pick(&[
                    MemberState::Active,
                    MemberState::Active,
                    MemberState::Suspended,
                ]);
                self.attempt(move |tx| {
                    let from = tx
                        .find_member(organization, user, EVER)?
                        .expect("a member")
                        .state;
                    tx.change_member_state(organization, user, from, to)
                })
                .await;
                "the member's state"
            }
            8 => {
                let end = self.pick(&[None, None, Some(soon)]);
                self.attempt(move |tx| tx.change_member_end(organization, user, end))
                    .await;
                "the membership's end"
            }
            9 => {
                let to = self.pick(&[Licence::Full, Licence::Full, Licence::ReadOnly]);
                self.attempt(move |tx| {
                    let from = tx
                        .find_member(organization, user, EVER)?
                        .expect("a member")
                        .licence;
                    tx.change_member_licence(organization, user, from, to)
                })
                .await;
                "the licence"
            }
            10 | 11 => {
                let custom = custom_role(self.server, self.role, self.pick(&CUSTOM));
                self.attempt(move |tx| tx.change_role(&custom)).await;
                "the organization's own role"
            }
            12 => {
                let (own, role) = (
                    self.role.to_string(),
                    self.pick(&["viewer", "manager", "own"]),
                );
                self.attempt(move |tx| {
                    let held = tx.list_workspace_roles(organization, user)?;
                    let from = &held.first().expect("a role").1;
                    tx.change_workspace_role(
                        organization,
                        workspace,
                        user,
                        from,
                        if role == "own" { &own } else { role },
                    )
                })
                .await;
                "the role in the workspace"
            }
            13 => {
                if let Some((id, _)) = self.keys.first() {
                    let id = id.parse().expect("a key's");
                    let to = self.pick(&[
                        ApiKeyState::Active,
                        ApiKeyState::Active,
                        ApiKeyState::Paused,
                        ApiKeyState::Deactivated,
                    ]);
                    self.attempt(move |tx| {
                        let from = tx.find_api_key(organization, id)?.expect("made").state;
                        tx.change_api_key_state(organization, id, from, to, None)
                    })
                    .await;
                }
                "a key's state"
            }
            _ => {
                self.make_key(soon).await;
                "a key is made"
            }
        }
    }

    async fn make_key(&mut self, soon: Timestamp) {
        let level = self.pick(&[
            PermissionLevel::Full,
            PermissionLevel::Full,
            PermissionLevel::ReadOnly,
        ]);
        let expires_at = self.pick(&[None, None, Some(soon)]);
        let environment = self.pick(&Environment::ALL);
        let ground = Key {
            level,
            expires_at,
            environment,
            ..Key::of(self.server, self.user)
        };
        let made = tenants::key(self.server, ground).await;
        self.keys.push((made.id.to_string(), made.secret));
        if self.keys.len() > 8 {
            self.keys.remove(0);
        }
    }

    /// A change that need not be possible.
    async fn attempt(
        &self,
        change: impl FnOnce(&mut Tx<'_>) -> Result<(), Error> + Send + 'static,
    ) {
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
            matches!(done, Ok(()) | Err(Error::NotFound | Error::Constraint(_))),
            "{done:?}"
        );
    }
}

fn custom_role(server: &Server, id: RoleId, permissions: &str) -> countersign::store::roles::Role {
    countersign::store::roles::Role {
        id,
        organization_id: server.planted.organization,
        name: "Sender".to_owned(),
        description: String::new(),
        permissions: permissions.to_owned(),
        created_at: Timestamp::from_millis(0),
    }
}

/// The planted resource server: of both environments, and it enforces everything.
async fn everything(app: &countersign::app::App) -> std::sync::Arc<ResourceServer> {
    let find = |snapshot: &mut countersign::store::Snapshot<'_>| {
        let found = snapshot.find_resource_server_by_name("Documents API")?;
        Ok::<_, Error>(found.expect("planted").id)
    };
    let id = app.store.read(find).await.expect("the store answers");
    app.resource_server(id)
        .await
        .expect("the store answers")
        .expect("planted")
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Text)]
    environment: String,
    #[diesel(sql_type = Text)]
    permission_level: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    expires_at: Option<i64>,
}

#[derive(QueryableByName)]
struct Facts {
    #[diesel(sql_type = Text)]
    organization_state: String,
    #[diesel(sql_type = Text)]
    production_access: String,
    #[diesel(sql_type = Bool)]
    switched_on: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    trial_ends_at: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    plan: Option<String>,
    #[diesel(sql_type = Text)]
    user_state: String,
    #[diesel(sql_type = Text)]
    member_state: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    member_ends_at: Option<i64>,
    #[diesel(sql_type = Text)]
    licence: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Nullable<Text>)]
    custom: Option<String>,
}

struct Rows {
    keys: Vec<KeyRow>,
    facts: Facts,
    now: i64,
}

impl Rows {
    fn load(database: &Database, now: Timestamp) -> Self {
        let mut conn = Conn::open(database).expect("a connection");
        let facts = "SELECT o.state AS organization_state, o.production_access, o.dev_centre_enabled_at IS NOT NULL AS switched_on, o.trial_ends_at, \
                     s.plan, u.state AS user_state, m.state AS member_state, m.ends_at AS member_ends_at, m.licence, w.role, r.permissions AS custom \
                     FROM members m JOIN organizations o ON o.id = m.organization_id JOIN users u ON u.id = m.user_id \
                     JOIN workspace_members w ON w.user_id = m.user_id LEFT JOIN subscriptions s ON s.organization_id = o.id \
                     LEFT JOIN roles r ON r.id = w.role WHERE u.email = 'mia@acme.example'";
        Self {
            keys: diesel::sql_query(
                "SELECT id, state, environment, permission_level, expires_at FROM api_keys",
            )
            .load(&mut conn)
            .expect("rows"),
            facts: diesel::sql_query(facts)
                .get_result(&mut conn)
                .expect("one row"),
            now: now.millis(),
        }
    }

    /// In words, in the order of the guides: is it there, has it expired, is somebody suspended, is the environment open, is it allowed.
    fn code(&self, config: &Config, id: &str, permission: &str) -> &'static str {
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id)
            .expect("never deleted");
        let facts = &self.facts;
        let past = |end: Option<i64>| end.is_some_and(|end| end <= self.now);
        if key.state == "deactivated" || past(facts.member_ends_at) {
            return "not_found";
        }
        if past(key.expires_at) {
            return "expired";
        }
        let suspended = [
            &facts.organization_state,
            &facts.user_state,
            &facts.member_state,
        ]
        .into_iter()
        .any(|state| state == "suspended");
        if suspended || key.state == "paused" {
            return "suspended";
        }
        let name = facts.plan.as_deref().unwrap_or("enterprise");
        let Some(plan) = config.plan.iter().find(|plan| plan.name == name) else {
            return "plan_required";
        };
        if name == "business" && !facts.switched_on {
            return "suspended";
        }
        let has = plan
            .environments
            .iter()
            .any(|environment| environment.as_str() == key.environment);
        let approved = facts.production_access == "approved"
            || (name == "unapproved" && facts.production_access != "withdrawn");
        let tried = plan.trial_seconds > 0 && past(facts.trial_ends_at);
        if !has
            || (key.environment == "production" && !approved)
            || (key.environment == "sandbox" && tried)
        {
            return "plan_required";
        }
        let entry = config
            .permission
            .iter()
            .find(|entry| entry.name == permission)
            .expect("configured");
        let writes = serde_json::to_value(entry.access).expect("a word") == "write";
        let read_only = facts.licence == "read_only" || key.permission_level == "read_only";
        let role = match &facts.custom {
            Some(names) => names.split(' ').any(|name| name == permission),
            None => {
                let role = config
                    .role
                    .iter()
                    .find(|role| role.name == facts.role)
                    .expect("configured");
                role.permissions == ["*"] || role.permissions.iter().any(|name| name == permission)
            }
        };
        let sold =
            plan.permissions == ["*"] || plan.permissions.iter().any(|name| name == permission);
        if role && sold && !(writes && read_only) {
            "valid"
        } else {
            "forbidden"
        }
    }
}
