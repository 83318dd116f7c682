//! What can be added, and what is no domain of anybody's.

use countersign::domain::Refusal;
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{acme, add, start, start_with, try_add};
use crate::databases::{TestDatabase, both_databases};

both_databases!(
    names_are_kept_in_one_spelling,
    names_that_nobody_can_prove_are_refused_with_a_reason,
    no_text_breaks_anything,
);

async fn names_are_kept_in_one_spelling(db: TestDatabase) {
    let (server, _names) = start(db).await;
    let party = acme(&server).await;
    for (text, name, unicode) in [
        ("Brand.Example", "brand.example", None),
        ("\tbrand.co.uk.\n", "brand.co.uk", None),
        (
            "bücher.example",
            "xn--bcher-kva.example",
            Some("bücher.example"),
        ),
        (
            "пример.example",
            "xn--e1afmkfd.example",
            Some("пример.example"),
        ),
        (
            "עברית.example",
            "xn--5dbqzzl.example",
            Some("עברית.example"),
        ),
        // UTS #39: written so that nobody can be mistaken about it, and shown so, too
        ("xn--cme-7cd.example", "xn--cme-7cd.example", None),
        ("brand.github.io", "brand.github.io", None),
    ] {
        let shown = add(&server, party, text).await;
        assert_eq!(
            (shown.name.as_str(), shown.unicode_name.as_deref()),
            (name, unicode),
            "{text:?}"
        );
        let again = try_add(&server, party, &name.to_uppercase(), None).await;
        assert!(
            matches!(again, Err(Refusal::Invalid(errors)) if errors[0].1.contains("already")),
            "{text:?}"
        );
    }
}

async fn names_that_nobody_can_prove_are_refused_with_a_reason(db: TestDatabase) {
    let (server, names) = start(db).await;
    let party = acme(&server).await;
    let label = "a".repeat(60);
    let long = format!("{label}.{label}.{label}.{}.example", "a".repeat(55));
    for (text, reason) in [
        ("", "is empty"),
        ("   ", "is empty"),
        (".", "is empty"),
        ("brand", "single label"),
        ("localhost", "single label"),
        ("brand..example", "not a valid"),
        (".brand.example", "not a valid"),
        ("-brand.example", "not a valid"),
        ("_countersign.brand.example", "not a valid"),
        ("*.brand.example", "not a valid"),
        ("https://brand.example", "not a valid"),
        ("brand.example/", "not a valid"),
        ("brand.example:53", "not a valid"),
        ("ada@brand.example", "not a valid"),
        ("brand.example\0", "not a valid"),
        ("brand.example\r\nevil.example", "not a valid"),
        ("brand .example", "not a valid"),
        ("xn--.example", "not a valid"),
        ("xn--a.example", "not a valid"),
        ("192.0.2.1", "IP address"),
        ("0x7f.1", "IP address"),
        ("[::1]", "not a valid"),
        ("\u{202e}elpmaxe.dnarb", "not a valid"),
        ("brand\u{200f}.example", "not a valid"),
        ("bra\u{200b}nd.example", "normal form"),
        ("ｂrand.example", "normal form"),
        ("brand。example", "normal form"),
        ("straße.example", "xn-- form"),
        // look-alikes: Cyrillic а, Cyrillic all through, Greek among Latin
        ("аcme.example", "looks like another name"),
        ("асе.example", "looks like another name"),
        ("αlpha.example", "looks like another name"),
        ("mail.аcme.example", "looks like another name"),
        ("gmail.com", "mailbox"),
        ("team.gmail.com", "mailbox"),
        ("yahoo.co.uk", "mailbox"),
        ("co.uk", "public suffix"),
        ("github.io", "public suffix"),
        ("公司.cn", "public suffix"),
        (&long, "too long for a record"),
        (&"a".repeat(10_000), "too long"),
        (&"а.".repeat(10_000), "too long"),
        (&format!("{}.example", "a".repeat(64)), "too long"),
    ] {
        let refused = try_add(&server, party, text, None).await;
        let Err(Refusal::Invalid(errors)) = refused else {
            unreachable!("{text:?} was accepted: {refused:?}")
        };
        let [(field, message)] = &errors[..] else {
            unreachable!("one error: {errors:?}")
        };
        assert!(
            *field == "name" && message.contains(reason),
            "{text:?}: {message}"
        );
        assert!(
            message.starts_with(|first: char| first.is_ascii_uppercase())
                && message.ends_with('.')
                && message.len() < 200,
            "{message}"
        );
    }
    assert_eq!(server.database.count_events("domain.added"), 0);
    assert!(names.take_asked().is_empty());
}

/// Domains, and what becomes of them in the hands of a fuzzer.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => prop::sample::select(vec!["brand", ".", "example", "xn--", "bücher", "-", "_", "а", "א", "ß", "\u{202e}", "\u{200d}", "\0", " ", "。", "co.uk", "@", "\u{301}"])
            .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z0-9.-]{1,80}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

async fn no_text_breaks_anything(db: TestDatabase) {
    let (server, _names) =
        start_with(db, |config| config.domains.max_per_organization = 1000).await;
    let party = acme(&server).await;
    let mut runner = TestRunner::default();
    for _ in 0..300 {
        let text = text().new_tree(&mut runner).expect("a text").current();
        match try_add(&server, party, &text, None).await {
            Ok(shown) => {
                let record = shown.record.expect("a record");
                assert!(
                    shown.name.is_ascii()
                        && record.name.len() <= 253
                        && record.name.ends_with(&shown.name),
                    "{text:?}"
                );
                let name = hickory_proto::rr::Name::from_ascii(format!("{}.", record.name));
                assert!(name.is_ok_and(|name| name.num_labels() >= 3), "{text:?}");
            }
            Err(Refusal::Invalid(errors)) => assert_eq!(errors.len(), 1, "{text:?}"),
            Err(other) => unreachable!("{text:?}: {other}"),
        }
    }
}
