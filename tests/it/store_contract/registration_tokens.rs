//! Initial access tokens.

use countersign::store::Error;
use countersign::store::registration_tokens::RegistrationToken;
use countersign::types::environment::Environment;
use countersign::types::id::RegistrationTokenId;
use countersign::types::state::RegistrationTokenState;
use countersign::types::time::Timestamp;

use super::{Acme, EARLIER, LATER, NOW, is_constraint, open, read, unique_digest, write, write_at};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_token_is_found_by_its_digest,
    the_newest_live_ones_are_listed,
    a_token_is_revoked_once_and_by_its_organization,
    a_use_is_recorded,
    those_of_one_maker_are_listed,
);

pub fn token(acme: &Acme, at: Timestamp) -> RegistrationToken {
    RegistrationToken {
        id: RegistrationTokenId::generate(at),
        organization_id: acme.organization,
        environment: Environment::Sandbox,
        name: "Pipeline".to_owned(),
        digest: unique_digest(),
        state: RegistrationTokenState::Active,
        max_clients: 3,
        created_by: acme.person,
        created_at: at,
        expires_at: Some(LATER),
        last_used_at: None,
    }
}

async fn a_token_is_found_by_its_digest(db: TestDatabase) {
    let store = open(&db);
    let written = token(&Acme::insert(&store).await, NOW);
    let (copy, twin, digest) = (
        written.clone(),
        RegistrationToken {
            id: RegistrationTokenId::generate(NOW),
            ..written.clone()
        },
        written.digest.clone(),
    );
    write(&store, move |tx| tx.insert_registration_token(&copy))
        .await
        .expect("inserted");
    let found = read(&store, move |c| {
        c.find_registration_token_by_digest(&[unique_digest(), digest])
    })
    .await
    .expect("found");
    assert_eq!(format!("{found:?}"), format!("{written:?}"));
    let id = written.id;
    assert_eq!(
        read(&store, move |c| c.find_registration_token(id))
            .await
            .expect("found")
            .digest,
        written.digest
    );
    assert!(
        read(&store, |c| c
            .find_registration_token(RegistrationTokenId::generate(NOW)))
        .await
        .is_none()
    );
    assert!(
        read(&store, |c| c
            .find_registration_token_by_digest(&[unique_digest()]))
        .await
        .is_none()
    );
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_registration_token(&twin)).await
    ));
}

async fn the_newest_live_ones_are_listed(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    for token in [
        token(&acme, NOW),
        token(&acme, EARLIER),
        token(&acme, LATER),
        token(&other, NOW),
    ] {
        write(&store, move |tx| tx.insert_registration_token(&token))
            .await
            .expect("inserted");
    }
    let revoked = token(&acme, NOW);
    let organization = acme.organization;
    write(&store, move |tx| {
        tx.insert_registration_token(&revoked)
            .and_then(|()| tx.revoke_registration_token(organization, revoked.id))
    })
    .await
    .expect("revoked");
    let listed = |most| {
        read(&store, move |c| {
            c.list_registration_tokens(organization, most)
        })
    };
    let times = |tokens: Vec<RegistrationToken>| {
        tokens
            .into_iter()
            .map(|token| token.created_at)
            .collect::<Vec<_>>()
    };
    assert_eq!(times(listed(9).await), [LATER, NOW, EARLIER]);
    assert_eq!(times(listed(1).await), [LATER]);
}

async fn a_token_is_revoked_once_and_by_its_organization(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let token = token(&acme, NOW);
    let (id, digest, organization) = (token.id, token.digest.clone(), acme.organization);
    write(&store, move |tx| tx.insert_registration_token(&token))
        .await
        .expect("inserted");
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_registration_token(other.organization, id))
        .await,
        Err(Error::NotFound)
    );
    write(&store, move |tx| {
        tx.revoke_registration_token(organization, id)
    })
    .await
    .expect("revoked");
    assert_eq!(
        write(&store, move |tx| tx
            .revoke_registration_token(organization, id))
        .await,
        Err(Error::NotFound)
    );
    let found = read(&store, move |c| {
        c.find_registration_token_by_digest(&[digest])
    })
    .await
    .expect("still there");
    assert_eq!(found.state, RegistrationTokenState::Revoked);
}

async fn a_use_is_recorded(db: TestDatabase) {
    let store = open(&db);
    let token = token(&Acme::insert(&store).await, NOW);
    let (id, digest) = (token.id, token.digest.clone());
    write(&store, move |tx| tx.insert_registration_token(&token))
        .await
        .expect("inserted");
    write_at(&store, LATER, move |tx| {
        tx.record_registration_token_use(id)
    })
    .await
    .expect("recorded");
    assert_eq!(
        read(&store, move |c| c
            .find_registration_token_by_digest(&[digest]))
        .await
        .expect("found")
        .last_used_at,
        Some(LATER)
    );
}

async fn those_of_one_maker_are_listed(db: TestDatabase) {
    let store = open(&db);
    let (acme, other) = (Acme::insert(&store).await, Acme::insert(&store).await);
    let (mine, theirs) = (
        token(&acme, NOW),
        RegistrationToken {
            created_by: other.person,
            ..token(&acme, NOW)
        },
    );
    let revoked = RegistrationToken {
        state: RegistrationTokenState::Revoked,
        ..token(&acme, NOW)
    };
    let own = mine.id;
    for row in [mine, theirs, revoked] {
        write(&store, move |tx| tx.insert_registration_token(&row))
            .await
            .expect("inserted");
    }
    for (organization, ids) in [
        (acme.organization, vec![own]),
        (other.organization, Vec::new()),
    ] {
        let listed = read(&store, move |c| {
            c.list_registration_tokens_by(organization, acme.person)
        })
        .await;
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), ids);
    }
}
