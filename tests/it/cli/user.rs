//! `countersign user create` and `password`.

use reqwest::StatusCode;

use super::Place;
use crate::databases::{TestDatabase, both_databases};
use crate::server::hidden;

both_databases!(
    a_person_is_created_and_signs_in,
    a_made_password_is_printed_and_works,
    an_account_is_made_beside_the_running_server_and_listed,
    what_cannot_be_an_account_is_refused,
    a_database_without_its_schema_is_refused,
    a_password_is_changed_beside_a_running_server,
    a_person_is_suspended_beside_a_running_server_and_an_operator_is_not,
);

/// Whether the password opens the console.
pub async fn signs_in(issuer: &str, email: &str, password: &str) -> bool {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .cookie_store(true)
        .build()
        .expect("a client");
    let page = client
        .get(format!("{issuer}/login"))
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    let csrf = hidden(&page, "csrf").expect("a token");
    let fields = [
        ("csrf", csrf.as_str()),
        ("email", email),
        ("password", password),
        ("return_to", "/dev-centre"),
    ];
    let response = client
        .post(format!("{issuer}/login"))
        .form(&fields)
        .send()
        .await
        .expect("an answer");
    response.status() == StatusCode::SEE_OTHER
}

async fn a_person_is_created_and_signs_in(db: TestDatabase) {
    let place = Place::new(&db);
    let arguments = [
        "user",
        "create",
        "--email",
        "Ada@Acme.example",
        "--name",
        "Ada",
        "--organization",
        "Acme",
        "--password-stdin",
    ];
    let created = place.run_with_input(&arguments, "correct horse battery staple\n");
    assert!(created.succeeded, "{}", created.said);
    assert!(
        created.output.contains("as owner of Acme (org_"),
        "{}",
        created.output
    );
    assert!(!created.output.contains("correct horse") && !created.said.contains("correct horse"));
    let second = [
        "user",
        "create",
        "--email",
        "ben@acme.example",
        "--name",
        "Ben",
        "--organization",
        "Acme",
        "--role",
        "admin",
    ];
    assert!(
        place.run(&second).output.contains("as admin of Acme (org_"),
        "the organization there is"
    );
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    assert!(signs_in(&issuer, "ada@acme.example", "correct horse battery staple").await);
    assert!(!signs_in(&issuer, "ada@acme.example", "correct horse battery stapler").await);
}

async fn a_made_password_is_printed_and_works(db: TestDatabase) {
    let place = Place::new(&db);
    let created = place.run(&[
        "user",
        "create",
        "--email",
        "ada@acme.example",
        "--name",
        "Ada",
    ]);
    let password = created
        .output
        .lines()
        .find_map(|line| line.strip_prefix("Password: "))
        .expect("a password")
        .to_owned();
    let mut serving = place.start(&["serve"]);
    assert!(signs_in(&serving.issuer(), "ada@acme.example", &password).await);
}

async fn a_password_is_changed_beside_a_running_server(db: TestDatabase) {
    let place = Place::new(&db);
    let create = [
        "user",
        "create",
        "--email",
        "ada@acme.example",
        "--name",
        "Ada",
    ];
    assert!(place.run(&create).succeeded);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let change = ["user", "password", "--email", "Ada@Acme.example"];
    let changed = place.run(&change);
    assert!(changed.succeeded, "{}", changed.said);
    let made = changed
        .output
        .lines()
        .find_map(|line| line.strip_prefix("Password: "))
        .expect("a password")
        .to_owned();
    assert!(signs_in(&issuer, "ada@acme.example", &made).await);
    let from_stdin = [change.as_slice(), &["--password-stdin"]].concat();
    place
        .run_with_input(&from_stdin, "Password1234")
        .assert_refused("password is easy to guess");
    let changed = place.run_with_input(&from_stdin, "correct horse battery staple");
    assert!(changed.succeeded && !changed.output.contains("correct horse"));
    assert!(signs_in(&issuer, "ada@acme.example", "correct horse battery staple").await);
    assert!(!signs_in(&issuer, "ada@acme.example", &made).await);
    place
        .run(&["user", "password", "--email", "ben@acme.example"])
        .assert_refused("nobody signs in with this address");
}

async fn an_account_is_made_beside_the_running_server_and_listed(db: TestDatabase) {
    let place = Place::new(&db);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    for (email, organization) in [("ada@acme.example", "Acme"), ("ben@acme.example", "Acme")] {
        let arguments = [
            "user",
            "create",
            "--email",
            email,
            "--name",
            "Somebody",
            "--operator",
            "--organization",
            organization,
        ];
        let created = place.run(&arguments);
        assert!(created.succeeded, "{}", created.said);
        let password = created
            .output
            .lines()
            .find_map(|line| line.strip_prefix("Password: "))
            .expect("a password");
        assert!(signs_in(&issuer, email, password).await, "done is done");
    }
    let listed = place.run(&["user", "list"]).output;
    let rows: Vec<_> = listed
        .lines()
        .filter(|line| line.contains("@acme.example"))
        .collect();
    assert!(
        rows.len() == 2
            && rows
                .iter()
                .all(|row| row.contains("active") && row.contains("yes")),
        "{listed}"
    );
}

async fn a_person_is_suspended_beside_a_running_server_and_an_operator_is_not(db: TestDatabase) {
    let place = Place::new(&db);
    let create = |email: &str, more: &[&str]| {
        let base = [
            "user",
            "create",
            "--email",
            email,
            "--name",
            "Ada",
            "--password-stdin",
        ];
        let arguments = [&base[..], more].concat();
        let created = place.run_with_input(&arguments, "correct horse battery staple");
        assert!(created.succeeded, "{}", created.said);
    };
    create("ada@acme.example", &[]);
    create("op@saas.example", &["--operator"]);
    let mut serving = place.start(&["serve"]);
    let issuer = serving.issuer();
    let password = "correct horse battery staple";
    for (command, opens) in [("suspend", false), ("suspend", false), ("resume", true)] {
        let done = place.run(&["user", command, "--email", "Ada@Acme.example"]);
        assert!(done.succeeded, "{}", done.said);
        let came_in = signs_in(&issuer, "ada@acme.example", password).await;
        assert_eq!(came_in, opens, "{command}");
    }
    for email in ["op@saas.example", "nobody@acme.example"] {
        place
            .run(&["user", "suspend", "--email", email])
            .assert_refused("is nobody's, or an operator's");
    }
}

async fn what_cannot_be_an_account_is_refused(db: TestDatabase) {
    let place = Place::new(&db);
    let create = |email: &str, name: &str, password: &str| {
        place.run_with_input(
            &[
                "user",
                "create",
                "--email",
                email,
                "--name",
                name,
                "--password-stdin",
            ],
            password,
        )
    };
    create("ada", "Ada", "correct horse battery").assert_refused("--email");
    create("ada@acme.example", "Ada", "short")
        .assert_refused("password must be at least 12 characters");
    create("ada@acme.example", "Ada", "").assert_refused("password");
    // NIST SP 800-63B §3.1.1.2
    for guessable in [
        "correcthorsebatterystaple",
        "ada@acme.example",
        "Password1234",
    ] {
        create("ada@acme.example", "Ada", guessable).assert_refused("password is easy to guess");
    }
    create("ada@acme.example", "", "correct horse battery")
        .assert_refused("name must not be empty");
    create("ada@acme.example", "A\u{202e}da", "correct horse battery")
        .assert_refused("name must not hold");
    assert!(create("ada@acme.example", "Ada", "correct horse battery").succeeded);
    create("ADA@acme.example", "Ada", "correct horse battery")
        .assert_refused("email is taken by another account");
    let role = [
        "user",
        "create",
        "--email",
        "ben@acme.example",
        "--name",
        "Ben",
        "--organization",
        "Acme",
        "--role",
        "king",
    ];
    place.run(&role).assert_refused("--role: unknown");
}

async fn a_database_without_its_schema_is_refused(db: TestDatabase) {
    db.unmigrate();
    let place = Place::new(&db);
    place
        .run(&[
            "user",
            "create",
            "--email",
            "ada@acme.example",
            "--name",
            "Ada",
        ])
        .assert_refused("countersign migrate");
}
