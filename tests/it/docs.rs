//! The documentation is true: the configuration page names every key, its variable and its default; the OAuth page lists
//! every error and, for every statement of RFC 9700, the tests that try it.
#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use countersign::config::{Config, variable};
use countersign::oauth::error::Code;

const PAGE: &str = include_str!("../../docs/configuration.md");

#[test]
fn the_configuration_page_names_every_key_its_variable_and_its_default() {
    let defaults = toml::Table::try_from(Config::default()).expect("the defaults are TOML");
    let fields = defaults
        .iter()
        .filter_map(|(section, fields)| fields.as_table().map(|fields| (section, fields)));
    for (section, fields) in fields {
        for (field, default) in fields {
            let start = format!(
                "| `{section}.{field}` | `{}` | `{default}` |",
                variable(section, field)
            );
            assert!(
                PAGE.contains(&start),
                "docs/configuration.md lacks a row that starts with {start}"
            );
        }
    }
    let single: Vec<_> = defaults
        .iter()
        .filter(|(_, value)| value.is_str())
        .collect();
    for (key, default) in &single {
        let start = format!(
            "| `{key}` | `COUNTERSIGN_{}` | `{default}` |",
            key.to_uppercase()
        );
        assert!(
            PAGE.contains(&start),
            "docs/configuration.md lacks a row that starts with {start}"
        );
    }
    let rows = PAGE
        .lines()
        .filter(|line| line.contains("` | `COUNTERSIGN_"))
        .count();
    let known: usize = defaults
        .values()
        .filter_map(|fields| fields.as_table().map(toml::Table::len))
        .sum();
    assert_eq!(
        rows,
        known + single.len(),
        "docs/configuration.md has a row for a key that does not exist"
    );
}

/// What tests cite, as `cited` reads it from a line: file and name of each test.
fn citations<N: Ord>(cited: impl Fn(&str) -> Vec<N>) -> BTreeMap<N, BTreeSet<String>> {
    let mut found: BTreeMap<N, BTreeSet<String>> = BTreeMap::new();
    for path in rust_files("tests/it").into_iter().chain(rust_files("src")) {
        let source = std::fs::read_to_string(&path).expect("a source file");
        // in src/ only what stands in a test module counts
        let tests = if path.starts_with("src") {
            source
                .split_once("mod tests {")
                .map_or("", |(_, tests)| tests)
        } else {
            source.as_str()
        };
        let name = path
            .strip_prefix("tests/it")
            .unwrap_or(&path)
            .display()
            .to_string();
        let (mut function, mut above) = (String::new(), Vec::new());
        for line in tests.lines().map(str::trim_start) {
            let cited = cited(line);
            let is_function = ["fn ", "async fn ", "pub fn ", "pub async fn "]
                .iter()
                .any(|start| line.starts_with(start));
            if is_function {
                function = line
                    .split_once("fn ")
                    .map_or("", |(_, rest)| rest)
                    .split('(')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
            }
            let cited = if line.starts_with("///") {
                above.extend(cited);
                continue;
            } else if is_function {
                std::mem::take(&mut above)
            } else {
                cited
            };
            for number in cited {
                found
                    .entry(number)
                    .or_default()
                    .insert(format!("`{name}` {function}"));
            }
        }
    }
    found
}

fn leading_number(text: &str) -> Option<u32> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)
        .expect("a folder")
        .filter_map(Result::ok)
    {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path.display().to_string()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The page with what stands between `<!-- name -->` and the next `<!-- end -->` made anew.
fn with_section(page: &str, name: &str, make: impl FnOnce(&str) -> String) -> String {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&start).expect("the section");
    let (old, after) = rest.split_once("<!-- end -->").expect("its end");
    format!("{before}{start}{}<!-- end -->{after}", make(old))
}

/// Every statement has a promise, and every promise the tests that try it.
fn statements(old: &str) -> String {
    let cited = citations(|line| {
        line.split("9700-")
            .skip(1)
            .filter_map(leading_number)
            .collect()
    });
    let wanted = (1..=27).chain(29..=44).chain(47..=52);
    let promise = |number: u32| {
        let start = format!("| 9700-{number} | ");
        let row = old
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .unwrap_or_else(|| panic!("docs/oauth.md has no promise of {number}"));
        row.split(" |").next().unwrap_or_default().to_owned()
    };
    let rows = wanted.map(|number| {
        let tests = cited
            .get(&number)
            .unwrap_or_else(|| panic!("no test cites 9700-{number}"));
        let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
        format!(
            "| 9700-{number} | {} | {} |\n",
            promise(number),
            tests.join("; ")
        )
    });
    format!(
        "| statement | promise | tests |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// What a comment cites of the guides, before any colon: `// rows 2, 18, C2: …`.
fn rules(line: &str) -> Vec<String> {
    let Some(comment) = line.strip_prefix("//") else {
        return Vec::new();
    };
    let head = comment
        .trim_start_matches('/')
        .split(':')
        .next()
        .unwrap_or_default();
    let words: Vec<&str> = head
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .collect();
    let is_number = |word: &str| {
        !word.is_empty() && word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_lettered = |word: &str| word.strip_prefix(['A', 'C']).is_some_and(is_number);
    let first = words
        .iter()
        .position(|word| ["row", "rows"].contains(word) || is_lettered(word));
    let cited = first
        .map_or(&[][..], |at| &words[at..])
        .iter()
        .take_while(|word| {
            ["row", "rows", "and"].contains(word) || is_number(word) || is_lettered(word)
        });
    cited
        .filter(|word| word.ends_with(|last: char| last.is_ascii_digit()))
        .map(|word| (*word).to_owned())
        .collect()
}

/// Every rule of the guides, and the tests that try it.
fn tested(old: &str) -> String {
    let cited = citations(rules);
    let rows = old
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(rule, _)| *rule != "rule")
        .map(|(rule, rest)| {
            let tests = cited
                .get(rule)
                .unwrap_or_else(|| panic!("no test cites {rule} of docs/guides.md"));
            let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
            format!(
                "| {rule} | {} | {} |\n",
                rest.split(" |").next().unwrap_or_default(),
                tests.join("; ")
            )
        });
    format!(
        "| rule | what it comes to | tests |\n|---|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// Every `Code::X.because("…")` of the OAuth doors: the error and what it says.
fn errors(_: &str) -> String {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in rust_files("src/oauth") {
        let source = std::fs::read_to_string(&path).expect("a source file");
        let calls = source
            .match_indices(".because(")
            .map(|(at, start)| (&source[..at], source[at + start.len()..].trim_start()));
        for (before, after) in calls {
            let Some(after) = after.strip_prefix('"') else {
                continue;
            };
            let variant = before.rsplit("Code::").next().unwrap_or_default();
            let code = snake_case(variant.trim());
            let text = after
                .split('"')
                .next()
                .unwrap_or_default()
                .replace("\\\n", "");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if code.parse::<Code>().is_ok() {
                found.entry(code).or_default().insert(text);
            }
        }
    }
    let rows = found.into_iter().flat_map(|(code, texts)| {
        texts
            .into_iter()
            .map(move |text| format!("| `{code}` | {text} |\n"))
    });
    format!(
        "| error | description |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

fn snake_case(variant: &str) -> String {
    let mut words = String::new();
    for letter in variant.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// `COUNTERSIGN_TEST_BLESS=1` writes the page instead of complaining.
fn is_current(path: &str, make: impl FnOnce(&str) -> String) {
    let page = std::fs::read_to_string(path).expect("the page");
    let made = make(&page);
    let bless = std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some();
    if bless {
        std::fs::write(path, &made).expect("written");
    }
    assert!(
        page == made || bless,
        "{path} is old: run with COUNTERSIGN_TEST_BLESS=1"
    );
}

#[test]
fn the_oauth_page_lists_every_error_and_the_tests_of_every_statement() {
    is_current("docs/oauth.md", |page| {
        with_section(
            &with_section(page, "errors", errors),
            "statements",
            statements,
        )
    });
}

#[test]
fn the_guides_page_lists_every_rule_and_the_tests_that_try_it() {
    is_current("docs/guides.md", |page| {
        with_section(&with_section(page, "conflicts", tested), "demands", tested)
    });
    let page = std::fs::read_to_string("docs/guides.md").expect("the page");
    let numbered = (1..=51).chain([59]).map(|row| row.to_string());
    let lettered = (1..=12)
        .map(|row| format!("C{row}"))
        .chain([1, 2, 3, 4, 5, 6, 10, 11, 12].map(|row| format!("A{row}")));
    for rule in numbered.chain(lettered) {
        assert!(
            page.contains(&format!("\n| {rule} | ")),
            "docs/guides.md lacks {rule}"
        );
    }
}
