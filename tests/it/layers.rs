//! The house rules that no compiler knows, read from the text of `src/`: who may import whom
//! (DESIGN §2), where diesel, actix and the clock may be named, how a file opens, and what only
//! tests may write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The floors of DESIGN §2, top down. A file imports its own folder or lower floors, no neighbour.
const FLOORS: &[(&str, &[&str])] = &[
    ("1", &["cli"]),
    ("2", &["server"]),
    (
        "3",
        &[
            "oauth", "gateway", "api", "console", "operator", "account", "jobs",
        ],
    ),
    ("4b", &["web"]),
    ("4a", &["app"]),
    ("5", &["domain"]),
    ("6", &["store", "outbound", "pdf"]),
    ("7", &["crypto", "config"]),
    ("8", &["types", "telemetry"]),
];

/// The rooms inside domain/ (DESIGN §2), top down: a file imports its own room or lower ones, no neighbour.
const ROOMS: &[&[&str]] = &[
    &["lifecycle"],
    &["news"],
    &["keys"],
    &["clients"],
    &["people"],
    &["domains"],
    &["decision"],
    &["plans", "operations"],
    &["desk"],
    &["rights"],
    &["settings", "words"],
];

/// The hot path: of domain/ it imports this room and nothing else.
const HOT_PATH: (&[&str], &str) = (&["gateway/", "oauth/introspect.rs"], "decision");

/// (importing folder, imported folder, reason)
const ALLOWED_IMPORTS: &[(&str, &str, &str)] = &[(
    "telemetry",
    "types",
    "a field carries a typed id, and types/ knows no telemetry",
)];

/// (file, call, reason)
const ALLOWED_CLOCKS: &[(&str, &str, &str)] = &[];

const CLOCKS: &[&str] = &["Utc::now", "Local::now", "SystemTime::now", "Instant::now"];

/// Nothing from here down knows the web framework.
const FIRST_FLOOR_WITHOUT_ACTIX: &str = "domain";

/// Where it stands in the text, and what it breaks.
type Offence = (usize, String);

#[test]
fn the_sources_keep_the_house_rules() {
    let source_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read_sources(&source_folder, "", &mut files);
    assert!(
        !files.is_empty(),
        "found no sources in {}",
        source_folder.display()
    );
    files.sort();
    let found: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| offences(path, text))
        .collect();
    let found = [found, circles(&files)].concat();
    let count = found.len();
    assert!(
        found.is_empty(),
        "{count} offences against the house rules:\n\n{}\n",
        found.join("\n")
    );
}

fn read_sources(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("src/ can be listed") {
        let entry = entry.expect("src/ can be listed");
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_sources(&entry.path(), &format!("{path}/"), files);
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("a source file is readable UTF-8");
            files.push((path, text));
        }
    }
}

/// What is wrong with one file, each with its place and its line; `path` is relative to `src/`.
fn offences(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let shipped = without_tests(path, &code);
    let mut found: Vec<Offence> = Vec::new();
    if !text.starts_with("//!") {
        found.push((0, "a file opens with `//!` and what it owns".to_owned()));
    }
    found.extend(wrong_imports(path, &code));
    found.extend(wrong_rooms(path, &code));
    found.extend(wrong_crates(path, &code));
    found.extend(wrong_clocks(path, &code));
    found.extend(test_only_words(&shipped));
    found.sort_by_key(|(offset, _)| *offset);
    let report = |(offset, rule): Offence| {
        let line = code[..offset].matches('\n').count();
        let text = text.lines().nth(line).unwrap_or_default().trim();
        format!("src/{path}:{}: {rule}\n    {text}", line + 1)
    };
    found.into_iter().map(report).collect()
}

fn wrong_imports(path: &str, code: &str) -> Vec<Offence> {
    let from = folder_of(path);
    if matches!(path, "main.rs" | "lib.rs") {
        return Vec::new();
    }
    let Some((own_rank, own_floor)) = floor_of(from) else {
        return vec![(
            0,
            format!("`{from}` has no floor: see FLOORS in tests/it/layers.rs"),
        )];
    };
    let judge = |(offset, to): (usize, &str)| {
        let allowed = ALLOWED_IMPORTS
            .iter()
            .any(|(a, b, _)| (*a, *b) == (from, to));
        let rule = match floor_of(to) {
            None => format!("`crate::{to}` is on no floor; main.rs and lib.rs give nothing away"),
            Some((rank, floor)) if to != from && rank <= own_rank && !allowed => {
                format!("{from} (floor {own_floor}) must not import {to} (floor {floor})")
            }
            Some(_) => return None,
        };
        Some((offset, rule))
    };
    imports(path, code).into_iter().filter_map(judge).collect()
}

fn wrong_rooms(path: &str, code: &str) -> Vec<Offence> {
    let own = room_of(path);
    let is_hot = HOT_PATH.0.iter().any(|hot| path.starts_with(hot));
    let judge = |(offset, names): (usize, Vec<&str>)| {
        let to = room(names.first()?);
        let rule = if is_hot {
            (to != HOT_PATH.1).then(|| format!("the hot path imports domain/{} only", HOT_PATH.1))
        } else {
            let own = own.filter(|own| *own != to)?;
            (rank_of_room(to)? <= rank_of_room(own)?)
                .then(|| format!("domain/{own} must not import domain/{to}"))
        };
        Some((offset, rule?))
    };
    let is_known = |room: &str| rank_of_room(room).is_some();
    let mut found: Vec<Offence> = domain_paths(code).into_iter().filter_map(judge).collect();
    found.dedup_by(|one, other| one.1 == other.1);
    if let Some(own) = own.filter(|own| !is_known(own)) {
        found.push((
            0,
            format!("`domain/{own}` is no room: see ROOMS in tests/it/layers.rs"),
        ));
    }
    found
}

/// `domain/keys/api_keys.rs` -> `keys`, `domain/desk.rs` -> `desk`; none for `domain/mod.rs`.
fn room_of(path: &str) -> Option<&str> {
    let room = path
        .strip_prefix("domain/")?
        .split('/')
        .next()?
        .trim_end_matches(".rs");
    (room != "mod").then_some(room)
}

/// What `crate::domain` itself hands on (`Refusal`, `ensure`) is of words.rs.
fn room(name: &str) -> &str {
    if rank_of_room(name).is_some() {
        name
    } else {
        "words"
    }
}

fn rank_of_room(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

/// The names behind `crate::domain::`, one path for each leaf of a group.
fn domain_paths(code: &str) -> Vec<(usize, Vec<&str>)> {
    let starts = code
        .match_indices("crate::domain::")
        .map(|(at, whole)| at + whole.len());
    starts.flat_map(|start| leaves(code, start)).collect()
}

/// The leaves of the path, or of the group of paths, that begins at `start`.
fn leaves(code: &str, start: usize) -> Vec<(usize, Vec<&str>)> {
    let (mut found, mut at) = (Vec::new(), start);
    // what stands before each open brace, and what stands before the name that is read
    let (mut outer, mut before): (Vec<Vec<&str>>, Vec<&str>) = (Vec::new(), Vec::new());
    while let Some(c) = code[at..].chars().next() {
        let word = code[at..]
            .find(|c: char| !is_word(c))
            .map_or(code.len(), |end| at + end);
        if word > at {
            let mut path = before.clone();
            path.push(&code[at..word]);
            if code[word..].starts_with("::") {
                (before, at) = (path, word + 2);
                continue;
            }
            found.push((at, path));
            at = word;
        } else {
            match c {
                '{' => outer.push(before.clone()),
                ',' if !outer.is_empty() => before = outer.last().cloned().unwrap_or_default(),
                '}' => drop(outer.pop()),
                _ if c.is_whitespace() && !outer.is_empty() => {}
                _ => break,
            }
            at += c.len_utf8();
        }
        if outer.is_empty() {
            break;
        }
    }
    found
}

/// Files of domain/ that import each other in a circle, each with the imports that make it.
fn circles(files: &[(String, String)]) -> Vec<String> {
    let of_domain = files.iter().filter(|(path, _)| room_of(path).is_some());
    let texts: BTreeMap<&str, String> = of_domain
        .map(|(path, text)| (path.as_str(), without_tests(path, &code_only(text))))
        .collect();
    let imports: BTreeMap<&str, Vec<&str>> = texts
        .iter()
        .map(|(path, code)| (*path, imported_files(path, code, &texts)))
        .collect();
    let mut found = Vec::new();
    for from in imports.keys() {
        // the shortest way back, told once: by the first of its files
        if let Some(way) = way_back(from, &imports)
            && way.iter().all(|file| from <= file)
        {
            let arrows: Vec<String> = way
                .iter()
                .zip(way.iter().cycle().skip(1))
                .map(|(a, b)| format!("src/{a} imports src/{b}"))
                .collect();
            found.push(format!("a circle: {}", arrows.join(", ")));
        }
    }
    found
}

/// The files of domain/ that a file names.
fn imported_files<'t>(path: &str, code: &str, texts: &BTreeMap<&'t str, String>) -> Vec<&'t str> {
    let room = path.rsplit_once('/').map_or("", |(room, _)| room);
    let from_crate = domain_paths(code)
        .into_iter()
        .map(|(_, names)| format!("domain/{}", names.join("/")));
    let siblings = code
        .match_indices("super::")
        .filter(|(at, _)| !code[..*at].ends_with("::"));
    let siblings = siblings.flat_map(|(at, word)| leaves(code, at + word.len()));
    let siblings = siblings.map(|(_, names)| format!("{room}/{}", names.join("/")));
    let mut found: Vec<&str> = from_crate
        .chain(siblings)
        .filter_map(|named| {
            let holds = |file: &&&str| {
                let file = file.trim_end_matches(".rs");
                named == file || named.starts_with(&format!("{file}/"))
            };
            texts
                .keys()
                .filter(holds)
                .max_by_key(|file| file.len())
                .copied()
        })
        .filter(|file| *file != path)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The shortest circle through `from`: its files in order, from the first.
fn way_back<'p>(from: &'p str, imports: &BTreeMap<&'p str, Vec<&'p str>>) -> Option<Vec<&'p str>> {
    let mut ways: Vec<Vec<&str>> = vec![vec![from]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for to in imports.get(way.last()?).into_iter().flatten() {
                if *to == from {
                    return Some(way);
                }
                if seen.insert(*to) {
                    longer.push([way.as_slice(), &[*to]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

fn wrong_crates(path: &str, code: &str) -> Vec<Offence> {
    let folder = folder_of(path);
    let below_the_web = rank_of(folder) >= rank_of(FIRST_FLOOR_WITHOUT_ACTIX);
    let judge = |(offset, word): (usize, &str)| match word {
        "diesel" | "diesel_migrations" if folder != "store" => {
            Some((offset, format!("`{word}` outside store/")))
        }
        _ if word.starts_with("actix_") && below_the_web => {
            Some((offset, format!("`{word}` below floor 4")))
        }
        _ => None,
    };
    words(code).into_iter().filter_map(judge).collect()
}

fn wrong_clocks(path: &str, code: &str) -> Vec<Offence> {
    let allowed = |call: &str| {
        path == "types/time.rs"
            || ALLOWED_CLOCKS
                .iter()
                .any(|(a, b, _)| (*a, *b) == (path, call))
    };
    CLOCKS
        .iter()
        .filter(|call| !allowed(call))
        .flat_map(|call| code.match_indices(call))
        .map(|(offset, call)| {
            (
                offset,
                format!("`{call}` outside types/time.rs: the time is given"),
            )
        })
        .collect()
}

fn test_only_words(shipped: &str) -> Vec<Offence> {
    let rules = [
        ("#[allow(", "use #[expect(lint, reason = \"…\")]"),
        ("#![allow(", "use #![expect(lint, reason = \"…\")]"),
        (".unwrap()", "no unwrap outside tests"),
    ];
    let places = |(words, rule): (&'static str, &'static str)| {
        shipped
            .match_indices(words)
            .map(move |(offset, _)| (offset, rule.to_owned()))
    };
    rules.into_iter().flat_map(places).collect()
}

/// `api/keys.rs` -> `api`, `app.rs` -> `app`.
fn folder_of(path: &str) -> &str {
    path.split('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".rs")
}

fn rank_of(folder: &str) -> Option<usize> {
    floor_of(folder).map(|(rank, _)| rank)
}

fn floor_of(folder: &str) -> Option<(usize, &'static str)> {
    let rank = FLOORS
        .iter()
        .position(|(_, folders)| folders.contains(&folder))?;
    Some((rank, FLOORS[rank].0))
}

/// The folders that a file names below the root of the crate: `crate::store::x`,
/// `use crate::{store::x, types}`, and `super::super::store` where so many steps reach the root.
fn imports<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let depth = path.trim_end_matches("/mod.rs").split('/').count();
    let mut found = Vec::new();
    let mut supers = 0;
    for (offset, word) in words(code) {
        let after = offset + word.len();
        let follows_super = code[..offset].ends_with("super::");
        supers = match word {
            "super" if follows_super => supers + 1,
            "super" => 1,
            _ => 0,
        };
        if (word == "crate" || supers == depth) && code[after..].starts_with("::") {
            let heads = path_heads(code, after + 2).into_iter();
            // from a module inside the file, as many steps lead to a place that is no folder
            let is_folder = |head: &str| word == "crate" || rank_of(head).is_some();
            found.extend(heads.filter(|(_, head)| *head != "self" && is_folder(head)));
        }
    }
    found
}

/// What stands first in the path, or in each path of the group, that begins at `start`.
/// An exported macro, `crate::ensure!`, belongs to no folder.
fn path_heads(code: &str, start: usize) -> Vec<(usize, &str)> {
    let mut heads = Vec::new();
    let (mut depth, mut expected) = (0, true);
    for (offset, c) in code[start..]
        .char_indices()
        .map(|(offset, c)| (start + offset, c))
    {
        match c {
            '{' => depth += 1,
            '}' => (depth, expected) = (depth - 1, false),
            ',' if depth == 1 => expected = true,
            _ if expected && !c.is_whitespace() => {
                let word = &code[offset..];
                let length = word
                    .find(|c: char| !is_word(c))
                    .unwrap_or(word.len())
                    .max(c.len_utf8());
                if !word[length..].starts_with('!') {
                    heads.push((offset, &word[..length]));
                }
                expected = false;
            }
            _ => {}
        }
        if depth == 0 && !expected {
            break;
        }
    }
    heads
}

fn words(code: &str) -> Vec<(usize, &str)> {
    let offset_in_code = |word: &str| word.as_ptr() as usize - code.as_ptr() as usize;
    code.split(|c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(|word| (offset_in_code(word), word))
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text with comments and literals turned to blanks, line by line in place.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_prose(&chars, at);
        code.extend(
            chars[at..end]
                .iter()
                .map(|c| if *c == '\n' { '\n' } else { ' ' }),
        );
        if end == at {
            code.push(chars[at]);
        }
        at = end.max(at + 1);
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` itself when code begins there.
fn end_of_prose(chars: &[char], at: usize) -> usize {
    let peek = |offset: usize| chars.get(at + offset).copied().unwrap_or('\n');
    let find = |from: usize, what: &str| {
        let what: Vec<char> = what.chars().collect();
        let rest = chars.get(from..).unwrap_or_default();
        rest.windows(what.len())
            .position(|window| window == what)
            .map_or(chars.len(), |found| from + found + what.len())
    };
    match (peek(0), peek(1)) {
        ('/', '/') => find(at, "\n"),
        ('/', '*') => {
            let mut end = find(at + 2, "*/");
            let mut inner = find(at + 2, "/*");
            while inner < end && end < chars.len() {
                (end, inner) = (find(end, "*/"), find(inner, "/*"));
            }
            end
        }
        ('"', _) => {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            (end + 1).min(chars.len())
        }
        ('r', '"' | '#') => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            let closing = format!("\"{}", "#".repeat(hashes));
            if peek(1 + hashes) == '"' {
                find(at + 2 + hashes, &closing)
            } else {
                at
            }
        }
        ('\'', '\\') => find(at + 3, "'"),
        ('\'', _) if peek(2) == '\'' => at + 3,
        _ => at,
    }
}

/// The same code with every `#[cfg(test)]` item turned to blanks; all of a `tests.rs` is one.
fn without_tests(path: &str, code: &str) -> String {
    let mut shipped = if path.ends_with("/tests.rs") {
        String::new()
    } else {
        code.to_owned()
    };
    while let Some(start) = shipped.find("#[cfg(test)]") {
        let mut depth = 0;
        let closes = |(_, c): &(usize, char)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0 && matches!(c, '}' | ';')
        };
        let length = shipped[start..]
            .char_indices()
            .find(closes)
            .map_or(shipped.len() - start, |(last, _)| last + 1);
        let blank =
            shipped[start..start + length].replace(|c: char| c != '\n' && c.is_ascii(), " ");
        shipped.replace_range(start..start + length, &blank);
    }
    shipped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `line: rule` of each offence in a file that opens as it should.
    fn judge(path: &str, body: &str) -> Vec<String> {
        let prefix = format!("src/{path}:");
        let found = offences(path, &format!("//! What it owns.\n{body}"));
        let first_line = |offence: &String| offence.lines().next().map(str::to_owned);
        let headings = found.iter().filter_map(first_line);
        headings
            .map(|heading| heading.replace(&prefix, ""))
            .collect()
    }

    fn assert_clean(path: &str, body: &str) {
        assert_eq!(judge(path, body), Vec::<String>::new(), "{path}: {body}");
    }

    fn assert_offence(path: &str, body: &str, expected: &str) {
        assert_eq!(judge(path, body), [expected], "{path}: {body}");
    }

    #[test]
    fn an_offence_names_file_line_rule_and_text() {
        let found = offences(
            "domain/keys/plans.rs",
            "//! Plans.\n\n    use crate::api::plans;\n",
        );
        let expected = "src/domain/keys/plans.rs:3: domain (floor 5) must not import api (floor 3)\n    \
                        use crate::api::plans;";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn imports_point_down() {
        assert_clean(
            "cli/serve.rs",
            "use crate::server::run;\nuse crate::types::time::Clock;",
        );
        assert_clean(
            "store/keys.rs",
            "use crate::store::Tx;\nuse crate::crypto::digest;",
        );
        assert_clean("web/client.rs", "use crate::app::App;");
        assert_clean("telemetry/fields.rs", "use crate::types::ids::KeyId;");
        assert_clean("main.rs", "use crate::cli;");
    }

    #[test]
    fn imports_never_point_up_or_sideways() {
        let refused = [
            (
                "api/keys.rs",
                "console",
                "api (floor 3) must not import console (floor 3)",
            ),
            (
                "app.rs",
                "web",
                "app (floor 4a) must not import web (floor 4b)",
            ),
            (
                "store/keys.rs",
                "outbound",
                "store (floor 6) must not import outbound (floor 6)",
            ),
            (
                "crypto/mod.rs",
                "config",
                "crypto (floor 7) must not import config (floor 7)",
            ),
            (
                "types/ids.rs",
                "telemetry",
                "types (floor 8) must not import telemetry (floor 8)",
            ),
            (
                "server/mod.rs",
                "cli",
                "server (floor 2) must not import cli (floor 1)",
            ),
        ];
        for (path, folder, rule) in refused {
            assert_offence(
                path,
                &format!("use crate::{folder}::x;"),
                &format!("2: {rule}"),
            );
        }
    }

    #[test]
    fn rooms_of_the_domain_point_down() {
        assert_clean(
            "domain/keys/changes.rs",
            "use crate::domain::people::members;\nuse crate::domain::keys::api_keys;",
        );
        assert_clean(
            "domain/people/x.rs",
            "use crate::domain::{Refusal, ensure, desk::Desk, rights::{asker::Asker, rights}};",
        );
        assert_offence(
            "domain/people/x.rs",
            "use crate::domain::{Refusal, keys::{api_keys, changes::{self}}};",
            "2: domain/people must not import domain/keys",
        );
        assert_offence(
            "domain/plans/x.rs",
            "use crate::domain::operations::idempotency;",
            "2: domain/plans must not import domain/operations",
        );
        assert_offence(
            "domain/helpers/x.rs",
            "",
            "1: `domain/helpers` is no room: see ROOMS in tests/it/layers.rs",
        );
        assert_clean(
            "gateway/verify.rs",
            "use crate::domain::decision::check::{Code, check};",
        );
        assert_offence(
            "gateway/verify.rs",
            "use crate::domain::plans::plans;",
            "2: the hot path imports domain/decision only",
        );
    }

    #[test]
    fn a_circle_is_named_by_its_imports() {
        let file = |path: &str, code: &str| (path.to_owned(), format!("//! What.\n{code}"));
        let files = [
            file(
                "domain/keys/a.rs",
                "use crate::domain::keys::{b::{self, X}};",
            ),
            file("domain/keys/b.rs", "use super::c::Y;"),
            file(
                "domain/keys/c.rs",
                "use crate::domain::keys::a;\nuse crate::domain::desk::Desk;",
            ),
            file("domain/desk.rs", ""),
        ];
        let circle = "a circle: src/domain/keys/a.rs imports src/domain/keys/b.rs, \
                      src/domain/keys/b.rs imports src/domain/keys/c.rs, src/domain/keys/c.rs imports src/domain/keys/a.rs";
        assert_eq!(circles(&files), [circle]);
        assert_eq!(circles(&files[1..]), Vec::<String>::new());
    }

    #[test]
    fn every_way_to_write_an_import_is_read() {
        let rule = "domain (floor 5) must not import web (floor 4b)";
        let line = |line: usize| format!("{line}: {rule}");
        let path = "domain/keys/keys.rs";
        assert_offence(path, "use crate::{store::{self, Tx}, web};", &line(2));
        assert_offence(
            path,
            "use crate::{\n    store::Tx,\n    web::{Page, Form},\n};",
            &line(4),
        );
        assert_offence(path, "fn f() { let page = crate::web::page(); }", &line(2));
        assert_offence(path, "use super::super::super::web;", &line(2));
        assert_offence("domain/mod.rs", "use super::web;", &line(2));
        assert_clean(
            path,
            "use crate::{store::{Tx, web}, types::ids,};\nuse a::web;\nuse super::web;",
        );
    }

    #[test]
    fn only_folders_are_imported() {
        let rule = |name| {
            format!("2: `crate::{name}` is on no floor; main.rs and lib.rs give nothing away")
        };
        assert_offence("api/keys.rs", "use crate::VERSION;", &rule("VERSION"));
        assert_offence("api/keys.rs", "use crate::*;", &rule("*"));
        assert_clean("api/keys.rs", "fn f() { crate::ensure!(true) }");
        let unknown = "1: `helpers` has no floor: see FLOORS in tests/it/layers.rs";
        assert_offence("helpers/mod.rs", "", unknown);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        assert_clean(
            "domain/keys/a.rs",
            "// crate::api::x\n/* /* crate::api */ Utc::now() */\n/// diesel",
        );
        assert_clean("domain/keys/a.rs", "const A: &str = \"\\\"crate::api::x\";");
        assert_clean(
            "domain/keys/a.rs",
            "const A: &str = r#\"\"crate::api\" .unwrap()\"#;",
        );
        let after = "fn f<'a>(x: &'a str) -> char { '\"' }\nuse diesel::x; // \"";
        assert_offence("domain/keys/a.rs", after, "3: `diesel` outside store/");
        assert_offence(
            "domain/keys/a.rs",
            "const A: &[char] = &['\\'', '\"'];use diesel::x;",
            "2: `diesel` outside store/",
        );
    }

    #[test]
    fn diesel_and_actix_stay_where_they_belong() {
        assert_clean(
            "store/mod.rs",
            "use diesel::prelude::QueryDsl;\nuse diesel_migrations::embed_migrations;",
        );
        assert_offence(
            "cli/migrate.rs",
            "use diesel_migrations::X;",
            "2: `diesel_migrations` outside store/",
        );
        assert_clean("app.rs", "use actix_web::web::Data;");
        assert_offence(
            "domain/keys/check.rs",
            "fn f(x: actix_web::Y) {}",
            "2: `actix_web` below floor 4",
        );
        assert_offence(
            "telemetry/mod.rs",
            "use actix_rt::time;",
            "2: `actix_rt` below floor 4",
        );
    }

    #[test]
    fn the_time_is_given() {
        assert_clean("types/time.rs", "fn now() { Utc::now(); Instant::now() }");
        for call in CLOCKS {
            let rule = format!("2: `{call}` outside types/time.rs: the time is given");
            assert_offence(
                "jobs/sweep.rs",
                &format!("fn f() {{ std::time::{call}(); }}"),
                &rule,
            );
        }
    }

    #[test]
    fn every_file_opens_with_what_it_owns() {
        let found = offences("lib.rs", "mod api;\n");
        assert_eq!(
            found,
            ["src/lib.rs:1: a file opens with `//!` and what it owns\n    mod api;"]
        );
    }

    #[test]
    fn only_tests_unwrap() {
        let tests = "#[cfg(test)]\nmod tests {\n    fn f() { g().unwrap(); }\n}\n";
        assert_clean("api/keys.rs", tests);
        assert_clean("api/tests.rs", "fn f() { g().unwrap(); }");
        assert_clean("api/keys.rs", "fn f() { g().unwrap_or(1); }");
        let after = format!("{tests}fn f() {{ g().unwrap(); }}");
        assert_offence("api/keys.rs", &after, "6: no unwrap outside tests");
        let rule = "2: use #[expect(lint, reason = \"…\")]";
        assert_offence("api/keys.rs", "#[allow(dead_code)]\nfn f() {}", rule);
    }
}
