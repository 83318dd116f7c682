//! The sweep: a day of traffic leaves the tables as large as an hour of it did, and takes nothing that still decides.

use countersign::jobs;
use countersign::store::api_keys::ApiKeyFilter;
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, RunQueryDsl};
use reqwest::StatusCode;

use super::{
    assert_invalid_grant, code_of, is_active, redemption, refresh, register, text, token_as,
};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    a_day_of_traffic_leaves_the_tables_flat,
    the_sweep_takes_nothing_that_still_decides,
    a_revoked_key_stays_for_four_hundred_days_and_leaves_its_name,
    the_sweep_can_be_switched_off,
);

const HOUR: i64 = 60 * 60;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// The rows of every table that traffic fills.
fn rows(server: &Server) -> i64 {
    let mut conn = countersign::store::Conn::open(&server.database.database).expect("a connection");
    let tables = [
        "sessions",
        "authorization_requests",
        "authorizations",
        "authorization_workspaces",
        "refresh_tokens",
        "access_tokens",
        "revoked_tokens",
        "consents",
    ];
    let count = tables
        .map(|table| format!("(SELECT count(*) FROM {table})"))
        .join(" + ");
    diesel::sql_query(format!("SELECT {count} AS rows"))
        .get_result::<Count>(&mut conn)
        .expect("a count")
        .rows
}

async fn a_day_of_traffic_leaves_the_tables_flat(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (
            config.sweep.every_seconds,
            config.sweep.batch_rows,
            config.sweep.keep_seconds,
        ) = (1_000_000, 7, HOUR);
        (
            config.oauth.refresh_token_seconds,
            config.oauth.refresh_replay_seconds,
        ) = (2 * HOUR, 2 * HOUR);
        config.sessions.absolute_seconds = 2 * HOUR;
    })
    .await;
    let opaque = register(&server, |new| {
        new.access_token_format = countersign::types::state::AccessTokenFormat::Opaque
    })
    .await;
    let mut sizes = Vec::new();
    for _ in 0..24 {
        // a person who connects and stays for some refreshes, one who revokes, a request nobody answers, a robot
        let stays = token_as(
            &server,
            &opaque,
            &redemption(&code_of(&server, &opaque, "read").await),
        )
        .await
        .1;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", text(&stays, "refresh_token")),
        ];
        let second = token_as(&server, &opaque, &form).await.1;
        assert!(is_active(&server, text(&second, "access_token")).await);
        let leaves = server.code_flow("read").await;
        assert_eq!(
            super::revoke(&server, text(&leaves, "access_token")).await,
            StatusCode::OK
        );
        assert_eq!(
            super::revoke(&server, text(&leaves, "refresh_token")).await,
            StatusCode::OK
        );
        super::consent(
            &server.signed_in_browser().await,
            &server.authorize_path("read"),
        )
        .await;
        assert_eq!(
            token_as(&server, &opaque, &[("grant_type", "client_credentials")])
                .await
                .0,
            StatusCode::OK
        );
        server.clock.step_seconds(HOUR);
        jobs::sweep::round(&server.app).await.expect("a round");
        let left = server.app.store.read({
            let before = server.clock.now().plus_seconds(-HOUR);
            move |c| c.count_expired(before)
        });
        assert_eq!(left.await.expect("a read"), 0);
        sizes.push(rows(&server));
    }
    // the last hours are as large as the fifth, when the first rows had gone
    assert!(sizes[5..].iter().all(|size| *size <= sizes[4]), "{sizes:?}");
    assert_eq!(server.app.metrics.sweep_backlog.get(), 0);
    assert!(server.app.metrics.swept_rows.get() > 100);
}

async fn the_sweep_takes_nothing_that_still_decides(db: TestDatabase) {
    let server = Server::start_with(db, |config| {
        (config.sweep.every_seconds, config.sweep.keep_seconds) = (1_000_000, 0)
    })
    .await;
    let (kept, revoked, replayed) = (
        server.code_flow("read").await,
        server.code_flow("read").await,
        server.code_flow("read").await,
    );
    assert_eq!(
        super::revoke(&server, text(&revoked, "access_token")).await,
        StatusCode::OK
    );
    let second = refresh(&server, text(&replayed, "refresh_token")).await.1;
    assert!(is_active(&server, text(&second, "access_token")).await);
    server.clock.step_seconds(600);
    jobs::sweep::round(&server.app).await.expect("a round");
    assert!(is_active(&server, text(&kept, "access_token")).await);
    assert!(
        !is_active(&server, text(&revoked, "access_token")).await,
        "the revocation is remembered until the expiry"
    );
    // 9700-35: the consumed token is remembered, too
    assert_invalid_grant(&refresh(&server, text(&replayed, "refresh_token")).await);
    assert!(!is_active(&server, text(&second, "access_token")).await);
    assert_eq!(
        refresh(&server, text(&kept, "refresh_token")).await.0,
        StatusCode::OK
    );
    // an application acts as itself for ever
    server.clock.step_seconds(400 * 24 * HOUR);
    jobs::sweep::round(&server.app).await.expect("a round");
    assert_eq!(
        server
            .token(&[("grant_type", "client_credentials")])
            .await
            .0,
        StatusCode::OK
    );
}

async fn a_revoked_key_stays_for_four_hundred_days_and_leaves_its_name(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.sweep.every_seconds = 1_000_000).await;
    let organization = server.planted.organization;
    let all = || ApiKeyFilter::default();
    let keys = server
        .app
        .store
        .read(move |c| c.list_api_keys_page(organization, &all(), None, 9));
    let keys: Result<_, countersign::store::Error> = keys.await;
    let key = keys.expect("a read").pop().expect("a planted key");
    let (id, by) = (key.id, key.owner_id);
    server
        .write(move |tx| Ok(tx.revoke_api_key(organization, id, by)?))
        .await;
    let found = async || {
        let both = server.app.store.read(move |c| {
            let live = c.find_api_key(organization, id)?;
            let retired = c.find_retired_api_key(organization, id)?;
            Ok::<_, countersign::store::Error>((live, retired))
        });
        both.await.expect("a read")
    };
    server.clock.step_seconds(400 * 24 * HOUR);
    jobs::sweep::round(&server.app).await.expect("a round");
    let (live, retired) = found().await;
    assert!(live.is_some() && retired.is_none());
    server.clock.step_seconds(1);
    jobs::sweep::round(&server.app).await.expect("a round");
    let (live, retired) = found().await;
    assert!(live.is_none());
    assert_eq!(retired.expect("a small row").name, key.title());
}

async fn the_sweep_can_be_switched_off(db: TestDatabase) {
    let server = Server::start_with(db, |config| config.sweep.enabled = false).await;
    // the job ends by itself
    jobs::sweep::run(server.app.clone()).await;
}
