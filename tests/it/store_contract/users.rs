//! People and service accounts.

use countersign::store::{Error, Subject, Tx};
use countersign::types::id::UserId;
use countersign::types::state::{UserKind, UserState};

use super::{Acme, NOW, ends_what_is_remembered_of, is_constraint, open, person, read, write};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    a_user_is_found_by_external_id_and_changed,
    a_user_is_found_by_id_and_by_address,
    a_password_is_changed_from_the_one_that_is_there,
    an_address_belongs_to_one_person_and_service_accounts_have_none,
    a_user_is_suspended_from_the_expected_state_only,
    a_user_is_held_and_renamed,
    wrong_passwords_are_counted_in_a_row,
    people_are_listed_and_operators_among_them,
    a_service_account_belongs_to_what_it_acts_for,
);

async fn a_user_is_found_by_id_and_by_address(db: TestDatabase) {
    let store = open(&db);
    let mut user = person();
    (user.operator, user.external_id) = (true, Some("u-1".to_owned()));
    let (id, email) = (user.id, user.email.clone().expect("an address"));
    write(&store, move |tx| tx.insert_user(&user))
        .await
        .expect("inserted");
    let found = read(&store, move |c| c.find_user(id)).await.expect("found");
    assert!(
        found.operator
            && found.external_id.as_deref() == Some("u-1")
            && found.kind == UserKind::Person
            && found.created_at == NOW
    );
    let upper = email.to_uppercase();
    assert_eq!(
        read(&store, move |c| c.find_user_by_email(&email))
            .await
            .expect("found")
            .id,
        id
    );
    assert!(
        read(&store, move |c| c.find_user_by_email(&upper))
            .await
            .is_none(),
        "the caller gives the normal form"
    );
    assert!(
        read(&store, |c| c.find_user(UserId::generate(NOW)))
            .await
            .is_none()
    );
}

async fn a_password_is_changed_from_the_one_that_is_there(db: TestDatabase) {
    let store = open(&db);
    let (mut user, mut without) = (person(), person());
    user.password_hash = Some("old".to_owned());
    without.password_hash = None;
    let (id, bare) = (user.id, without.id);
    write(&store, move |tx| {
        tx.insert_user(&user)
            .and_then(|()| tx.insert_user(&without))
    })
    .await
    .expect("inserted");
    let change = |id, from: Option<&'static str>, to: &'static str| {
        let store = &store;
        async move { write(store, move |tx| tx.change_password(id, from, to)).await }
    };
    assert_eq!(change(id, Some("old"), "new").await, Ok(()));
    for from in [Some("old"), None] {
        assert_eq!(change(id, from, "third").await, Err(Error::NotFound));
    }
    assert_eq!(change(bare, Some("old"), "x").await, Err(Error::NotFound));
    assert_eq!(change(bare, None, "first").await, Ok(()));
    for (id, hash) in [(id, "new"), (bare, "first")] {
        let found = read(&store, move |c| c.find_user(id)).await.expect("found");
        assert_eq!(found.password_hash.as_deref(), Some(hash));
    }
}

async fn an_address_belongs_to_one_person_and_service_accounts_have_none(db: TestDatabase) {
    let store = open(&db);
    let (first, mut second) = (person(), person());
    second.email.clone_from(&first.email);
    let id = second.id;
    write(&store, move |tx| tx.insert_user(&first))
        .await
        .expect("the first");
    assert!(is_constraint(
        &write(&store, move |tx| tx.insert_user(&second)).await
    ));
    assert!(read(&store, move |c| c.find_user(id)).await.is_none());
    for _ in 0..2 {
        let mut robot = person();
        (robot.kind, robot.email, robot.password_hash) = (UserKind::ServiceAccount, None, None);
        write(&store, move |tx| tx.insert_user(&robot))
            .await
            .expect("many have no address");
    }
}

async fn wrong_passwords_are_counted_in_a_row(db: TestDatabase) {
    let store = open(&db);
    // nobody is there: nothing happens
    write(&store, |tx| tx.record_wrong_password("nobody@acme.example"))
        .await
        .expect("no error");
    let (first, second) = (person(), person());
    let (id, other) = (first.id, second.id);
    let email = first.email.clone().expect("an address");
    write(&store, move |tx| {
        tx.insert_user(&first)?;
        tx.insert_user(&second)
    })
    .await
    .expect("inserted");
    let count = async |id: UserId| read(&store, move |c| c.count_wrong_passwords(id)).await;
    for number in 1..=3 {
        let email = email.clone();
        write(&store, move |tx| {
            tx.record_wrong_password(&email)?;
            tx.record_wrong_password("nobody@acme.example")
        })
        .await
        .expect("counted");
        assert_eq!((count(id).await, count(other).await), (number, 0));
    }
    write(&store, move |tx| tx.forget_wrong_passwords(id))
        .await
        .expect("forgotten");
    assert_eq!(count(id).await, 0);
    let nobody = UserId::generate(NOW);
    assert_eq!(count(nobody).await, 0);
    assert_eq!(
        write(&store, move |tx| tx.forget_wrong_passwords(nobody)).await,
        Err(Error::NotFound)
    );
}

async fn a_user_is_suspended_from_the_expected_state_only(db: TestDatabase) {
    let store = open(&db);
    let user = person();
    let id = user.id;
    write(&store, move |tx| tx.insert_user(&user))
        .await
        .expect("inserted");
    let suspend =
        move |tx: &mut Tx| tx.change_user_state(id, UserState::Active, UserState::Suspended);
    ends_what_is_remembered_of(&store, Subject::User(id), suspend).await;
    assert_eq!(write(&store, suspend).await, Err(Error::NotFound));
    assert_eq!(
        read(&store, move |c| c.find_user(id))
            .await
            .expect("found")
            .state,
        UserState::Suspended
    );
}

async fn a_user_is_found_by_external_id_and_changed(db: TestDatabase) {
    let store = open(&db);
    let user = person();
    let (id, copy) = (user.id, user.clone());
    write(&store, move |tx| tx.insert_user(&copy))
        .await
        .expect("inserted");
    assert!(
        read(&store, |c| c.find_user_by_external_id("u-9"))
            .await
            .is_none()
    );
    ends_what_is_remembered_of(&store, Subject::User(id), move |tx| {
        let mut row = tx.find_user(id)?.ok_or(Error::NotFound)?;
        (row.email, row.name, row.external_id) = (
            Some(format!("next-{id}@acme.example")),
            "Next".to_owned(),
            Some("u-9".to_owned()),
        );
        tx.change_user(&row)
    })
    .await;
    let found = read(&store, |c| c.find_user_by_external_id("u-9"))
        .await
        .expect("found");
    assert_eq!(
        (found.id, found.name.as_str(), found.email),
        (id, "Next", Some(format!("next-{id}@acme.example")))
    );
    let mut other = person();
    other.external_id = Some("u-9".to_owned());
    assert!(
        is_constraint(&write(&store, move |tx| tx.insert_user(&other)).await),
        "one person has it"
    );
}

async fn a_user_is_held_and_renamed(db: TestDatabase) {
    let store = open(&db);
    let user = person();
    let id = user.id;
    write(&store, move |tx| tx.insert_user(&user))
        .await
        .expect("inserted");
    write(&store, move |tx| tx.hold_user(id))
        .await
        .expect("held");
    ends_what_is_remembered_of(&store, Subject::User(id), move |tx: &mut Tx| {
        tx.change_user_name(id, "Grace")
    })
    .await;
    assert_eq!(
        read(&store, move |c| c.find_user(id))
            .await
            .expect("found")
            .name,
        "Grace"
    );
    let nobody = UserId::generate(NOW);
    assert_eq!(
        write(&store, move |tx| tx.hold_user(nobody)).await,
        Err(Error::NotFound)
    );
    assert_eq!(
        write(&store, move |tx| tx.change_user_name(nobody, "Grace")).await,
        Err(Error::NotFound)
    );
}

async fn a_service_account_belongs_to_what_it_acts_for(db: TestDatabase) {
    let store = open(&db);
    let acme = Acme::insert(&store).await;
    let (organization, person) = (acme.organization, acme.person);
    assert_eq!(
        read(&store, move |c| c.find_holder_of_service_account(person)).await,
        None
    );
    let application = acme.insert_application(&store).await;
    assert_eq!(
        read(&store, move |c| c.find_holder_of_service_account(person)).await,
        Some(application.to_string())
    );
    write(&store, move |tx| {
        tx.delete_application(organization, application)
    })
    .await
    .expect("deleted");
    assert_eq!(
        read(&store, move |c| c.find_holder_of_service_account(person)).await,
        None,
        "it belongs to nothing any more"
    );
}

async fn people_are_listed_and_operators_among_them(db: TestDatabase) {
    let store = open(&db);
    let (user, mut operator, mut robot) = (person(), person(), person());
    operator.operator = true;
    (robot.kind, robot.email, robot.operator) = (UserKind::ServiceAccount, None, true);
    let (id, operator_id) = (user.id, operator.id);
    write(&store, move |tx| {
        tx.insert_user(&user)?;
        tx.insert_user(&operator)?;
        tx.insert_user(&robot)
    })
    .await
    .expect("inserted");
    let operators = || read(&store, |c| c.list_operators(9));
    let ids = |rows: Vec<countersign::store::users::User>| {
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(operators().await), [operator_id]);
    assert_eq!(read(&store, |c| c.list_people(9)).await.len(), 2);
    assert_eq!(read(&store, |c| c.list_people(1)).await.len(), 1);
    let make = move |tx: &mut Tx| tx.change_operator(id, true);
    ends_what_is_remembered_of(&store, Subject::User(id), make).await;
    assert_eq!(write(&store, make).await, Err(Error::NotFound));
    write(&store, move |tx| tx.change_operator(operator_id, false))
        .await
        .expect("taken away");
    assert_eq!(ids(operators().await), [id]);
}
