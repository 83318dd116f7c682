//! The token endpoint mints nothing for who has lost the rights: a resource server that checks a JWT alone would never learn.

use countersign::types::environment::Environment;
use countersign::types::id::UserId;
use countersign::types::state::{OrganizationState, ProductionAccess, UserState};
use reqwest::StatusCode;

use super::{assert_invalid_grant, assert_oauth_error, refresh, register, text, token_as};
use crate::databases::{TestDatabase, both_databases};
use crate::server::Server;

both_databases!(
    a_suspended_persons_code_and_refresh_token_give_nothing_and_are_not_burnt,
    a_withdrawn_organizations_application_gets_no_production_token,
    a_suspended_service_account_gets_no_token,
);

async fn admin(server: &Server) -> UserId {
    let email = countersign::domain::lifecycle::quickstart::ADMIN;
    let found = server
        .app
        .store
        .read(move |snapshot| snapshot.find_user_by_email(email))
        .await;
    found
        .map_err(|error: countersign::store::Error| error)
        .expect("an answer")
        .expect("the admin")
        .id
}

async fn a_suspended_persons_code_and_refresh_token_give_nothing_and_are_not_burnt(
    db: TestDatabase,
) {
    let server = Server::start(db).await;
    let tokens = server.code_flow("read").await;
    let code = server.code("read").await;
    let person = admin(&server).await;
    server
        .write(move |tx| {
            Ok(tx.change_user_state(person, UserState::Active, UserState::Suspended)?)
        })
        .await;
    assert_invalid_grant(&refresh(&server, text(&tokens, "refresh_token")).await);
    assert_invalid_grant(&server.redeem(&code).await);
    server
        .write(move |tx| {
            Ok(tx.change_user_state(person, UserState::Suspended, UserState::Active)?)
        })
        .await;
    assert_eq!(
        refresh(&server, text(&tokens, "refresh_token")).await.0,
        StatusCode::OK
    );
    assert_eq!(server.redeem(&code).await.0, StatusCode::OK);
}

async fn a_withdrawn_organizations_application_gets_no_production_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let client = register(&server, |new| new.environment = Environment::Production).await;
    let form = [("grant_type", "client_credentials")];
    assert_eq!(token_as(&server, &client, &form).await.0, StatusCode::OK);
    let organization = server.planted.organization;
    server
        .write(move |tx| {
            Ok(tx.change_production_access(
                organization,
                ProductionAccess::Approved,
                ProductionAccess::Withdrawn,
            )?)
        })
        .await;
    assert_oauth_error(
        &token_as(&server, &client, &form).await,
        StatusCode::BAD_REQUEST,
        "unauthorized_client",
    );
    // the Sandbox stays open
    assert_eq!(server.token(&form).await.0, StatusCode::OK);
    server
        .write(move |tx| {
            Ok(tx.change_organization_state(
                organization,
                OrganizationState::Active,
                OrganizationState::Suspended,
            )?)
        })
        .await;
    assert_eq!(server.token(&form).await.0, StatusCode::UNAUTHORIZED);
}

async fn a_suspended_service_account_gets_no_token(db: TestDatabase) {
    let server = Server::start(db).await;
    let form = [("grant_type", "client_credentials")];
    assert_eq!(server.token(&form).await.0, StatusCode::OK);
    let client = server
        .app
        .client(server.planted.application)
        .await
        .expect("an answer")
        .expect("the client");
    let account = client
        .application
        .service_account_id
        .expect("a confidential one");
    server
        .write(move |tx| {
            Ok(tx.change_user_state(account, UserState::Active, UserState::Suspended)?)
        })
        .await;
    assert_oauth_error(
        &server.token(&form).await,
        StatusCode::BAD_REQUEST,
        "unauthorized_client",
    );
}
