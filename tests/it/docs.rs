//! The documentation is true: the configuration page names every key, its variable and its default.

use countersign::config::{Config, variable};

const PAGE: &str = include_str!("../../docs/configuration.md");

#[test]
fn the_configuration_page_names_every_key_its_variable_and_its_default() {
    let defaults = toml::Table::try_from(Config::default()).expect("the defaults are TOML");
    let fields = defaults.iter().filter_map(|(section, fields)| fields.as_table().map(|fields| (section, fields)));
    for (section, fields) in fields {
        for (field, default) in fields {
            let start = format!("| `{section}.{field}` | `{}` | `{default}` |", variable(section, field));
            assert!(PAGE.contains(&start), "docs/configuration.md lacks a row that starts with {start}");
        }
    }
    let rows = PAGE.lines().filter(|line| line.contains("` | `COUNTERSIGN_")).count();
    let known: usize = defaults.values().filter_map(|fields| fields.as_table().map(toml::Table::len)).sum();
    assert_eq!(rows, known, "docs/configuration.md has a row for a key that does not exist");
}
