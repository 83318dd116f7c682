//! `types/text.rs`: names that people give.
//!
//! - What was accepted is accepted again, unchanged; it is trimmed and not longer than allowed.
//! - It shows something, and nothing in it controls a terminal, turns the reading direction or hides.

use countersign::types::email::is_invisible;
use countersign::types::text::parse_text;

const MOST: usize = 100;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(name) = parse_text(&text, MOST) else {
        return;
    };
    assert_eq!(parse_text(&name, MOST).as_ref(), Ok(&name));
    assert_eq!(name.trim(), name);
    assert!((1..=MOST).contains(&name.chars().count()));
    let is_selector = |c: char| matches!(c, '\u{FE00}'..='\u{FE0F}');
    assert!(
        name.chars().any(|c| !c.is_whitespace() && !is_selector(c)),
        "{name:?} shows nothing"
    );
    assert!(
        !name
            .chars()
            .any(|c| c.is_control() || (is_invisible(c) && !is_selector(c))),
        "{name:?} hides something"
    );
    assert!(
        !name.contains(['\u{2028}', '\u{2029}']),
        "{name:?} has two lines"
    );
}
