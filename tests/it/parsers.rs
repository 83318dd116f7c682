//! The promises of every parser that meets the network (`tests/fuzz/properties`), on the committed seeds and on inputs that
//! proptest makes: raw bytes, text, and seeds with a few bytes changed, cut out, doubled or put in.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use properties::{TARGETS, Target};

#[path = "../fuzz/properties/mod.rs"]
mod properties;

/// What parsers of the web stumble over.
const WORDS: [&[u8]; 24] = [
    b"%",
    b"%00",
    b"%5F",
    b"%c3%a4",
    b"\xFF",
    b"\0",
    b"\r\n",
    b"\n",
    b";",
    b",",
    b"=",
    b"&",
    b"+",
    b"..",
    b"//",
    b"\\",
    b"@",
    b":",
    b"[",
    b"]",
    b"\"",
    b"{}",
    "\u{202E}".as_bytes(),
    "ß".as_bytes(),
];

#[test]
fn every_parser_keeps_its_promises_on_the_seeds() {
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(
            seeds.len() >= 3,
            "tests/fuzz/seeds/{} has too few seeds",
            target.name
        );
        for (name, seed) in seeds {
            keeps(target, &seed, &name);
        }
    }
}

#[test]
fn every_property_is_a_fuzz_target() {
    let folder = folder("properties");
    let mut files: Vec<String> = fs::read_dir(&folder)
        .expect("listed")
        .map(|entry| {
            entry
                .expect("listed")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    files.retain(|name| name != "mod.rs");
    files.sort();
    assert_eq!(
        files,
        TARGETS
            .iter()
            .map(|target| format!("{}.rs", target.name))
            .collect::<Vec<_>>()
    );
    let manifest = fs::read_to_string(folder.with_file_name("Cargo.toml")).expect("the manifest");
    for Target { name, .. } in TARGETS {
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name} is no target"
        );
        let target =
            fs::read_to_string(folder.with_file_name("targets").join(format!("{name}.rs")))
                .expect(name);
        assert!(target.contains(&format!("target!({name}, ")), "{target}");
    }
}

macro_rules! generated {
    ($($test:ident $name:literal;)*) => {$(
        #[test]
        fn $test() {
            keeps_on_generated_inputs($name);
        }
    )*};
}

generated! {
    forwarded_addresses_keep_their_promises "address";
    basic_headers_keep_their_promises "basic";
    cookies_keep_their_promises "cookies";
    credentials_keep_their_promises "credential";
    mailboxes_keep_their_promises "email";
    forms_keep_their_promises "form";
    formats_keep_their_promises "format";
    ids_keep_their_promises "id";
    challenges_keep_their_promises "pkce";
    redirect_uris_keep_their_promises "redirect_uri";
    return_paths_keep_their_promises "return_to";
    scopes_keep_their_promises "scope";
    stamps_keep_their_promises "stamp";
    names_keep_their_promises "text";
    signed_tokens_keep_their_promises "token";
    questions_keep_their_promises "verify";
}

fn keeps_on_generated_inputs(name: &str) {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target");
    let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, seed)| seed).collect();
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let text = "\\PC{0,100}".prop_map(String::into_bytes);
    let edits = proptest::collection::vec((any::<Index>(), any::<Index>(), edit()), 0..5);
    let mutated =
        (select(seeds), edits).prop_map(|(seed, edits)| edits.into_iter().fold(seed, apply));
    let inputs = prop_oneof![1 => bytes, 1 => text, 4 => mutated];
    TestRunner::new(Config {
        failure_persistence: None,
        cases: 1000,
        ..Config::default()
    })
    .run(&inputs, |input| {
        (target.check)(&input);
        Ok(())
    })
    .unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[derive(Debug, Clone)]
enum Edit {
    Put(Vec<u8>),
    Change(u8),
    CutOut,
    Double,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        select(&WORDS[..]).prop_map(|word| Edit::Put(word.to_vec())),
        any::<u8>().prop_map(Edit::Change),
        Just(Edit::CutOut),
        Just(Edit::Double),
    ]
}

fn apply(mut seed: Vec<u8>, (from, to, edit): (Index, Index, Edit)) -> Vec<u8> {
    let (from, to) = (from.index(seed.len() + 1), to.index(seed.len() + 1));
    let (from, to) = (from.min(to), from.max(to));
    match edit {
        Edit::Put(word) => drop(seed.splice(from..from, word)),
        Edit::Change(byte) => seed
            .iter_mut()
            .skip(from)
            .take(1)
            .for_each(|own| *own = byte),
        Edit::CutOut => drop(seed.drain(from..to)),
        Edit::Double => {
            let part = seed[from..to].to_vec();
            drop(seed.splice(from..from, part));
        }
    }
    seed
}

fn keeps(target: &Target, input: &[u8], name: &str) {
    let kept = std::panic::catch_unwind(|| (target.check)(input));
    assert!(
        kept.is_ok(),
        "{} breaks a promise on the seed {name}",
        target.name
    );
}

fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = folder("seeds").join(target.name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<_> = files
        .map(|entry| entry.expect("listed").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("read")))
        .collect();
    seeds.sort();
    seeds
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz")
        .join(name)
}
