//! No function of the store without a line in its contract.

use std::fs::read_to_string;

use crate::store_contract::schema::files_in;

#[test]
fn every_public_function_of_the_store_is_named_in_its_contract() {
    let contract: String = files_in("tests/it/store_contract")
        .iter()
        .map(|path| read_to_string(path).expect("a test file"))
        .collect();
    let promised: Vec<String> = files_in("src/store")
        .iter()
        .flat_map(|path| public_functions(&read_to_string(path).expect("a source")))
        .collect();
    assert!(
        promised.len() > 60,
        "the source is read as it is written: {promised:?}"
    );
    let forgotten: Vec<_> = promised
        .iter()
        .filter(|name| !contract.contains(&format!(".{name}(")))
        .collect();
    assert!(
        forgotten.is_empty(),
        "without a test in tests/it/store_contract/: {forgotten:?}"
    );
}

/// The `pub fn` in `impl Snapshot` and `impl Tx`, which rustfmt indents by four and closes at the margin.
fn public_functions(source: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in source.lines() {
        match line {
            _ if line.starts_with("impl Snapshot") || line.starts_with("impl Tx") => inside = true,
            "}" => inside = false,
            _ if inside => names.extend(
                line.strip_prefix("    pub fn ")
                    .and_then(|rest| rest.split(['(', '<']).next())
                    .map(str::to_owned),
            ),
            _ => {}
        }
    }
    names
}
