//! `countersign config check`, and what every command refuses to start with.

use super::Place;

#[test]
fn the_configuration_is_printed_whole_and_without_a_secret() {
    let key = format!("k1 {}", "ab".repeat(32));
    let place = Place::empty()
        .with(
            "COUNTERSIGN_DATABASE_URL",
            "postgres://ada:hunter2@db.example/countersign?password=hunter3",
        )
        .with("COUNTERSIGN_SECRET_KEY", &key)
        .with("COUNTERSIGN_IDENTITY_ISSUER", "https://id.example")
        .with("COUNTERSIGN_IDENTITY_CLIENT_ID", "countersign")
        .with("COUNTERSIGN_IDENTITY_CLIENT_SECRET", "hunter4");
    let checked = place.run(&["config", "check"]);
    assert!(checked.succeeded, "{}", checked.said);
    for part in [
        "[server]",
        "[[permission]]",
        "postgres://ada:",
        "db.example/countersign",
        "The configuration is valid.",
    ] {
        assert!(checked.output.contains(part), "{part}: {}", checked.output);
    }
    for secret in ["hunter2", "hunter3", "hunter4", &"ab".repeat(32)] {
        assert!(
            !checked.output.contains(secret) && !checked.said.contains(secret),
            "{secret}: {}",
            checked.output
        );
    }
}

#[test]
fn what_was_printed_is_a_configuration() {
    let place = Place::empty();
    let printed = place.run(&["config", "check"]).output;
    place.write("countersign.toml", &printed);
    let again = place.run(&["config", "check"]);
    assert!(again.succeeded, "{}", again.said);
    assert_eq!(again.output, printed);
}

#[test]
fn the_profile_is_chosen_by_the_file_the_variable_or_the_flag_and_is_said() {
    let place = Place::empty();
    place.write(
        "countersign.toml",
        "profile = \"penvio\"\n[keys]\nprefix = \"acme\"\n",
    );
    let said = |place: &Place, arguments: &[&str], profile: &str| {
        let checked = place.run(&[&["config", "check"], arguments].concat());
        assert!(
            checked
                .output
                .contains(&format!("The profile is {profile},")),
            "{}{}",
            checked.output,
            checked.said
        );
        assert!(
            checked.output.contains("prefix = \"acme\""),
            "the file overrides it: {}",
            checked.output
        );
        assert!(
            place
                .run(&[&["doctor"], arguments].concat())
                .output
                .contains(&format!("profile: {profile} "))
        );
    };
    said(&place, &[], "penvio");
    said(&place, &["--profile", "yousign"], "yousign");
    let place = place.with("COUNTERSIGN_PROFILE", "documenso");
    said(&place, &[], "documenso");
    said(&place, &["--profile", "default"], "default");
    let wrong = Place::empty().with("COUNTERSIGN_PROFILE", "penvoi");
    for arguments in [&["config", "check"][..], &["serve"], &["quickstart"]] {
        wrong.run(arguments).assert_refused("there is no profile \"penvoi\"; there are default, pandadoc, penvio, documenso, yousign");
    }
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_known_one_is_named() {
    let place = Place::empty();
    place.write("countersign.toml", "[server]\nlisen = \"127.0.0.1:1\"\n");
    place.write("other.toml", "[sesions]\n");
    for arguments in [
        &["config", "check"][..],
        &["serve"],
        &["migrate"],
        &["user", "create", "--email", "a@b.example", "--name", "A"],
    ] {
        place.run(arguments).assert_refused(
            "countersign.toml: unknown key `server.lisen`; did you mean `server.listen`?",
        );
    }
    place
        .run(&["serve", "--config", "other.toml"])
        .assert_refused("other.toml: unknown key `sesions`; did you mean `sessions`?");
    place
        .run(&["serve", "--config", "missing.toml"])
        .assert_refused("cannot read missing.toml");
    let mistyped = Place::empty().with("COUNTERSIGN_SERVER_LISTN", "127.0.0.1:1");
    for arguments in [&["config", "check"][..], &["quickstart"]] {
        mistyped
            .run(arguments)
            .assert_refused("did you mean `COUNTERSIGN_SERVER_LISTEN`?");
    }
}

#[test]
fn an_issuer_that_is_neither_https_nor_loopback_is_refused() {
    for issuer in [
        "http://id.example",
        "http://0.0.0.0:8080",
        "ftp://id.example",
        "https://id.example/path",
        "id.example",
    ] {
        let place = Place::empty().with("COUNTERSIGN_SERVER_ISSUER", issuer);
        for arguments in [&["config", "check"][..], &["serve"]] {
            place.run(arguments).assert_refused("[server] issuer");
        }
    }
}

#[test]
fn an_alias_is_a_new_path_of_an_endpoint_that_is_there() {
    for (aliases, part) in [
        (
            "/oauth/token=/oauth2/tokens",
            "[server] aliases: there is no endpoint at /oauth2/tokens",
        ),
        (
            "/oauth2/token=/oauth2/revoke",
            "[server] aliases: /oauth2/token has an endpoint already",
        ),
        (
            "/a=/oauth2/token,/a=/oauth2/revoke",
            "[server] aliases: /a has an endpoint already",
        ),
        ("/oauth/token", "an alias is written /new/path=/path"),
        (
            "/oauth/{x}=/oauth2/token",
            "an alias is two paths of letters, digits and - _ . /",
        ),
    ] {
        let refused = Place::empty()
            .with("COUNTERSIGN_SERVER_ALIASES", aliases)
            .run(&["config", "check"]);
        assert!(
            !refused.succeeded && refused.said.contains(part),
            "{aliases}: {}",
            refused.said
        );
    }
    let checked = Place::empty()
        .with("COUNTERSIGN_SERVER_ALIASES", "/oauth/token=/oauth2/token")
        .run(&["config", "check"]);
    assert!(
        checked.succeeded && checked.output.contains("/oauth/token=/oauth2/token"),
        "{}{}",
        checked.said,
        checked.output
    );
}
