//! The refresh rule (`src/domain/clients/refresh.rs`) as a machine: what clients do habitually keeps the connection, and a
//! thief is noticed, in whatever order things happen. The last test shows that the server does what the machine does.

use std::collections::BTreeMap;

use countersign::domain::clients::refresh::{Case, Judgement};
use countersign::store::tokens::RefreshToken;
use countersign::types::id::{AccessTokenId, AuthorizationId, RefreshTokenId};
use countersign::types::state::{
    AccessTokenFormat, AuthorizationState, ClientType, RefreshTokenState,
};
use countersign::types::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use reqwest::StatusCode;
use serde_json::Value;

use super::{
    Registered, code_of, is_active, redemption, register, send, text, token_as, token_as_public,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::{NOON, Server};
use crate::store_contract::unique_digest;

both_databases!(the_server_does_what_the_machine_does);

/// One family, in memory. Tokens are named by their index, in the order in which they were issued.
#[derive(Clone)]
struct Family {
    now: Timestamp,
    grace_seconds: i64,
    tokens: Vec<RefreshToken>,
    /// Whether the access token that came with it was replaced.
    dead: Vec<bool>,
    marked: bool,
    ended: bool,
    /// Of each generation, the token that made the next one.
    made: BTreeMap<i64, usize>,
}

impl Family {
    fn new(grace_seconds: i64) -> Self {
        let mut family = Self {
            now: NOON,
            grace_seconds,
            tokens: Vec::new(),
            dead: Vec::new(),
            marked: false,
            ended: false,
            made: BTreeMap::new(),
        };
        family.issue(0);
        family
    }

    fn issue(&mut self, generation: i64) -> usize {
        self.tokens.push(RefreshToken {
            id: RefreshTokenId::generate(self.now),
            authorization_id: AuthorizationId::generate(self.now),
            digest: unique_digest(),
            state: RefreshTokenState::Active,
            created_at: self.now,
            expires_at: self.now,
            consumed_at: None,
            generation,
            access_token_id: Some(AccessTokenId::generate(self.now)),
            access_token_expires_at: Some(self.now),
            received_at: None,
        });
        self.dead.push(false);
        self.tokens.len() - 1
    }

    fn live(&self) -> Option<usize> {
        let active = |token: &RefreshToken| token.state == RefreshTokenState::Active;
        self.tokens.iter().position(active)
    }

    fn case(&self, index: usize) -> Case {
        let token = self.tokens[index].clone();
        let left_at = (token.state == RefreshTokenState::Replaced)
            .then(|| self.made.get(&token.generation))
            .flatten()
            .and_then(|made| self.tokens[*made].consumed_at);
        Case {
            stopped_at: left_at.or(token.consumed_at),
            token,
            live: self.live().map(|live| self.tokens[live].clone()),
        }
    }

    fn judge(&self, index: usize) -> Judgement {
        self.case(index).judge(self.now, self.grace_seconds)
    }

    /// What is issued for the token; none when it is refused.
    fn present(&mut self, index: usize) -> Option<usize> {
        if self.ended {
            return None;
        }
        let generation = self.tokens[index].generation;
        let issued = match self.judge(index) {
            Judgement::Live => {
                self.consume(index);
                self.issue(generation + 1)
            }
            Judgement::Lost => {
                self.replace();
                self.issue(generation + 1)
            }
            Judgement::Twin => {
                self.replace();
                self.consume(index);
                self.issue(generation + 1)
            }
            Judgement::Returned => {
                self.marked = true;
                return None;
            }
            Judgement::Stolen => {
                self.ended = true;
                return None;
            }
        };
        // 9700-34: the tree never forks
        assert_eq!(*self.made.entry(generation).or_insert(index), index);
        self.check();
        Some(issued)
    }

    fn consume(&mut self, index: usize) {
        self.tokens[index].state = RefreshTokenState::Consumed;
        self.tokens[index].consumed_at = Some(self.now);
    }

    fn replace(&mut self) {
        let live = self.live().expect("a live token");
        self.tokens[live].state = RefreshTokenState::Replaced;
        self.tokens[live].consumed_at = Some(self.now);
        self.dead[live] = true;
    }

    fn check(&self) {
        let active = |token: &&RefreshToken| token.state == RefreshTokenState::Active;
        assert_eq!(self.tokens.iter().filter(active).count(), 1);
        for generation in 0..=self.tokens.len() as i64 {
            let of = |index: &usize| self.tokens[*index].generation == generation;
            let good = (0..self.tokens.len())
                .filter(of)
                .filter(|index| !self.dead[*index]);
            assert!(good.count() <= 1, "two access tokens of {generation}");
        }
    }

    /// The access token that came with it is shown: whether it is good.
    fn see(&mut self, index: usize) -> bool {
        let good = !self.ended && !self.dead[index];
        if good {
            self.tokens[index].received_at.get_or_insert(self.now);
        }
        good
    }

    fn revoke(&mut self, index: usize) {
        self.ended = self.ended || self.case(index).ends_by_revocation(self.now);
    }

    fn authorize_again(&mut self) {
        self.ended = self.ended || self.marked;
    }

    fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    /// Whether a holder of this token would wait longer than the grace before it shows it.
    fn is_stale(&self, index: usize) -> bool {
        let stopped_at = self.case(index).stopped_at;
        stopped_at.is_some_and(|at| at.plus_seconds(self.grace_seconds) <= self.now)
    }

    fn accepts(&self, index: usize) -> bool {
        self.clone().present(index).is_some()
    }
}

/// Who does what, how long after the one before.
#[derive(Debug, Clone, Copy)]
struct Step {
    who: usize,
    what: u8,
    seconds: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let waits = select(vec![
        0, 0, 0, 1, 30, 59, 60, 599, 600, 901, 86_400, 1_728_000,
    ]);
    let step = (any::<usize>(), any::<u8>(), waits).prop_map(|(who, what, seconds)| Step {
        who,
        what,
        seconds,
    });
    vec(step, 1..60)
}

fn graces() -> impl Strategy<Value = i64> {
    select(vec![0, 60, 600])
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(600) })]

    /// 9700-36: one client, whose answers are lost, or which is killed before it has stored one, is never refused.
    #[test]
    fn one_client_is_never_refused(steps in steps(), grace in graces()) {
        let mut family = Family::new(grace);
        let mut held = 0;
        for step in steps {
            family.wait(step.seconds);
            match step.what % 3 {
                0 => prop_assert!(family.see(held)),
                arrived => {
                    let issued = family.present(held);
                    prop_assert!(issued.is_some());
                    held = issued.filter(|_| arrived == 1).unwrap_or(held);
                }
            }
        }
        prop_assert!(!family.marked && !family.ended);
    }

    /// A client that sends each request several times, and takes whichever answer comes first, is never refused: some of
    /// its access tokens are dead when they arrive.
    #[test]
    fn hedged_requests_are_never_refused(steps in steps(), grace in graces()) {
        let mut family = Family::new(grace);
        let mut held = 0;
        for step in steps {
            family.wait(step.seconds);
            if step.what % 3 == 0 && family.see(held) {
                continue;
            }
            let sent = 1 + step.who % 3;
            let answers: Vec<_> = (0..sent).filter_map(|_| family.present(held)).collect();
            prop_assert_eq!(answers.len(), sent);
            held = answers[usize::from(step.what) % sent];
        }
        prop_assert!(!family.marked && !family.ended);
    }

    /// Tabs or workers that share one store, each with what it has read from it: whoever is refused finds what works in
    /// the store, as long as nobody shows a token that stopped being good longer ago than the grace.
    #[test]
    fn a_pool_that_shares_a_store_stays_connected(
        steps in steps(),
        grace in select(vec![60, 600]),
        workers in 2..6_usize,
    ) {
        let mut family = Family::new(grace);
        let (mut store, mut held) = (0, vec![0; workers]);
        for step in steps {
            family.wait(step.seconds);
            let mine = &mut held[step.who % workers];
            if family.is_stale(*mine) {
                *mine = store;
            }
            if step.what % 3 == 0 && family.see(*mine) {
                continue;
            }
            match family.present(*mine) {
                // killed before it stored the answer: what is stored is still the last
                Some(_) if step.what % 7 == 0 && *mine == store => {}
                Some(issued) => (*mine, store) = (issued, issued),
                None => {
                    prop_assert!(family.marked);
                    *mine = store;
                }
            }
            prop_assert!(!family.ended);
            prop_assert!(family.accepts(store), "what is stored connects");
        }
    }

    /// 9700-35: a thief has copied a token. Whoever of the two is refused, the family is marked or ended; when both got
    /// tokens, one of them is refused the next time, and the victim's new connection leaves the thief nothing.
    #[test]
    fn a_thief_is_noticed(
        before in steps(),
        after in steps(),
        grace in graces(),
        copied in any::<usize>(),
    ) {
        let mut family = Family::new(grace);
        let (mut client, mut had) = (0, vec![0]);
        for step in before {
            family.wait(step.seconds);
            match step.what % 3 {
                0 => drop(family.see(client)),
                1 => {
                    client = family.present(client).expect("one client is never refused");
                    had.push(client);
                }
                _ => drop(family.present(client)),
            }
        }
        let mut stolen = vec![had[copied % had.len()]];
        let (mut client_got, mut thief_got) = (false, false);
        let settle = [1, 0, 1, 0].map(|who| Step { who, what: 1, seconds: 0 });
        let random = after.len();
        for (index, step) in after.into_iter().chain(settle).enumerate() {
            family.wait(step.seconds);
            let settling = index >= random;
            if step.who % 2 == 0 {
                let own = match settling {
                    true => stolen[stolen.len() - 1],
                    false => stolen[usize::from(step.what) % stolen.len()],
                };
                if !settling && step.what % 4 == 0 {
                    family.see(own);
                    continue;
                }
                match family.present(own) {
                    Some(issued) => {
                        stolen.push(issued);
                        thief_got = true;
                    }
                    None => prop_assert!(family.marked || family.ended),
                }
            } else if step.what % 3 == 0 {
                family.see(client);
            } else if let Some(issued) = family.present(client) {
                if step.what % 3 == 1 {
                    client = issued;
                    client_got = true;
                }
            } else {
                // the person has to connect the application again
                prop_assert!(family.marked || family.ended);
                family.authorize_again();
            }
            if family.ended {
                break;
            }
        }
        prop_assert!(!(client_got && thief_got) || family.marked || family.ended);
        family.authorize_again();
        if client_got && thief_got {
            prop_assert!(stolen.iter().all(|own| !family.accepts(*own)));
        }
    }
}

/// What is done to the server and to the machine.
#[derive(Debug, Clone, Copy)]
enum Act {
    Present(usize),
    See(usize),
    Revoke(usize),
    AuthorizeAgain,
}

fn acts() -> impl Strategy<Value = Vec<(i64, Act)>> {
    let act = (0..16_u8, any::<usize>()).prop_map(|(kind, which)| match kind {
        0 => Act::AuthorizeAgain,
        1 => Act::Revoke(which),
        2..6 => Act::See(which),
        _ => Act::Present(which),
    });
    vec((select(vec![0, 0, 0, 30, 61, 601]), act), 4..14)
}

/// A family on the server, with the client that holds it.
struct Holder<'s> {
    server: &'s Server,
    client: &'s Registered,
    public: bool,
}

impl Holder<'_> {
    async fn ask(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        match self.public {
            true => token_as_public(self.server, self.client, form).await,
            false => token_as(self.server, self.client, form).await,
        }
    }

    async fn connect(&self) -> Value {
        let code = code_of(self.server, self.client, "read").await;
        self.ask(&redemption(&code)).await.1
    }

    async fn revoke(&self, token: &str) {
        let request = self.server.post("/oauth2/revoke");
        let request = match self.public {
            true => request.form(&[("token", token), ("client_id", self.client.id.as_str())]),
            false => request
                .basic_auth(self.client.id, Some(&self.client.secret))
                .form(&[("token", token)]),
        };
        assert_eq!(send(request).await.0, StatusCode::OK);
    }

    /// Whether the family of this token is marked, and whether it has ended.
    async fn state(&self, tokens: &Value) -> (bool, bool) {
        let digests = self.server.app.digester.candidates(
            countersign::crypto::digest::Purpose::RefreshToken,
            text(tokens, "refresh_token"),
        );
        let find = move |c: &mut countersign::store::Snapshot| {
            let token = c.find_refresh_token_by_digest(&digests)?;
            let token = token.ok_or(countersign::store::Error::NotFound)?;
            c.find_authorization(token.authorization_id)
        };
        let found = self.server.app.store.read(find).await.expect("a read");
        let found = found.expect("an authorization");
        let ended = found.state == AuthorizationState::Revoked;
        (found.marked_at.is_some(), ended)
    }
}

async fn the_server_does_what_the_machine_does(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.oauth.access_token_seconds = 100_000).await;
    let clients = [ClientType::Public, ClientType::Confidential].map(|client_type| {
        register(&server, move |new| {
            (new.access_token_format, new.client_type) = (AccessTokenFormat::Opaque, client_type)
        })
    });
    let clients = futures_util::future::join_all(clients).await;
    let mut runner = TestRunner::deterministic();
    for round in 0..16 {
        let public = round % 2 == 0;
        let holder = Holder {
            server: &server,
            client: &clients[usize::from(!public)],
            public,
        };
        let acts = acts().new_tree(&mut runner).expect("acts").current();
        let mut family = Family::new(if public { 60 } else { 600 });
        let mut tokens = vec![holder.connect().await];
        for (seconds, act) in &acts {
            server.clock.step_seconds(*seconds);
            family.wait(*seconds);
            match act {
                Act::Present(which) => {
                    let which = which % tokens.len();
                    let form = [
                        ("grant_type", "refresh_token"),
                        ("refresh_token", text(&tokens[which], "refresh_token")),
                    ];
                    let (status, answer) = holder.ask(&form).await;
                    let issued = family.present(which);
                    assert_eq!(
                        status == StatusCode::OK,
                        issued.is_some(),
                        "{acts:?} {act:?}"
                    );
                    tokens.extend(issued.map(|_| answer));
                }
                Act::See(which) => {
                    let which = which % tokens.len();
                    let active = is_active(&server, text(&tokens[which], "access_token")).await;
                    assert_eq!(active, family.see(which), "{acts:?} {act:?}");
                }
                Act::Revoke(which) => {
                    let which = which % tokens.len();
                    holder.revoke(text(&tokens[which], "refresh_token")).await;
                    family.revoke(which);
                }
                Act::AuthorizeAgain => {
                    holder.connect().await;
                    family.authorize_again();
                }
            }
            let state = holder.state(&tokens[0]).await;
            assert_eq!(state, (family.marked, family.ended), "{acts:?} {act:?}");
        }
    }
}
