//! Which passwords a person may choose (NIST SP 800-63B §3.1.1.2): long enough, and none of those that are tried first. And how
//! many wrong ones an account takes.
//!
//! Invariants: every door that sets a password asks [`check_password`]; every door that takes one asks [`judge`]; a new password
//! ends all sessions ([`change`]) and forgets the wrong ones that were tried before.

use std::collections::HashSet;

use crate::domain::{Refusal, ensure};
use crate::store::users::User;
use crate::store::{Error, Tx};
use crate::types::event::Event;
use crate::types::id::UserId;

/// The shortest accepted password, in characters (NIST SP 800-63B §3.1.1.2: at least 8; 15 without a second factor).
pub const LEAST_PASSWORD: usize = 12;
/// The longest, in bytes: argon2 would take more, a request body would not.
pub const MOST_PASSWORD: usize = 1024;

/// Wrong passwords in a row, from whatever addresses, after which the password alone signs in from known devices only
/// (NIST SP 800-63B §3.2.2: no more than 100).
pub const MOST_WRONG_PASSWORDS: i64 = 100;

/// One a line; lines that begin with `#` are comments.
const COMMON: &str = include_str!("common_passwords.txt");
/// Fewer different characters than this are no password.
const LEAST_DIFFERENT: usize = 5;
/// So many runs along the alphabet or the keyboard are no password, however long they are.
const MOST_RUNS: usize = 3;
/// Of the person's own words, shorter ones are in too many good passwords.
const LEAST_OWN_WORD: usize = 4;
const PRODUCT: &str = "countersign";
/// Along them fingers run.
const KEYBOARD: [&str; 9] = [
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];

/// Whether a password that was compared outside signs in the person with this address, and counts it. What is refused takes
/// as long whether there is such a person or not.
pub fn judge(
    tx: &mut Tx,
    account_key: &str,
    is_right: bool,
    is_known_device: bool,
) -> Result<bool, Error> {
    let Some(user) = tx.find_user_by_email(account_key)? else {
        tx.record_wrong_password(account_key)?;
        return Ok(false);
    };
    let before = tx.count_wrong_passwords(user.id)?;
    if !is_right {
        tx.record_wrong_password(account_key)?;
        if before + 1 == MOST_WRONG_PASSWORDS {
            tx.record(None, None, Event::UserPasswordLocked, user.id.as_str(), "")?;
        }
        return Ok(false);
    }
    if before >= MOST_WRONG_PASSWORDS && !is_known_device {
        tx.hold_user(user.id)?;
        return Ok(false);
    }
    if before > 0 {
        tx.forget_wrong_passwords(user.id)?;
    }
    Ok(true)
}

/// Whether the password may be chosen by somebody of whom `own` is known: the address and the name.
pub fn check_password(password: &str, own: &[&str]) -> Result<(), Refusal> {
    let refused = |message: String| Refusal::Invalid(vec![("password", message)]);
    ensure(
        password.chars().count() >= LEAST_PASSWORD,
        refused(format!("must be at least {LEAST_PASSWORD} characters")),
    )?;
    ensure(
        password.len() <= MOST_PASSWORD,
        refused(format!("must be at most {MOST_PASSWORD} bytes")),
    )?;
    ensure(
        !is_guessable(password, own),
        refused("is easy to guess: it is known from leaks, or made of a common word, your name or address, or a simple pattern. Take a few words that belong together to you alone".to_owned()),
    )
}

fn is_guessable(password: &str, own: &[&str]) -> bool {
    let folded = password.to_lowercase();
    let characters: Vec<char> = folded.chars().collect();
    let different: HashSet<char> = characters.iter().copied().collect();
    different.len() < LEAST_DIFFERENT
        || repeated(&characters).len() < LEAST_PASSWORD.min(characters.len())
        || count_runs(&characters) <= MOST_RUNS
        || is_listed(&folded, own)
        || is_dressed_word(&folded, own)
}

/// Sets a password that [`check_password`] let through, by its hash. Every session of the person ends: whoever came in by the
/// old one is out. `by`: none for whoever runs the server. `Blocked` when the password was changed meanwhile.
pub fn change(tx: &mut Tx, user: &User, hash: &str, by: Option<UserId>) -> Result<(), Refusal> {
    let meanwhile = "The password was changed meanwhile. Sign in with the new one.";
    match tx.change_password(user.id, user.password_hash.as_deref(), hash) {
        Err(Error::NotFound) => return Err(Refusal::Blocked(meanwhile.to_owned())),
        changed => changed?,
    }
    tx.forget_wrong_passwords(user.id)?;
    tx.delete_sessions_of(user.id)?;
    Ok(tx.record(None, by, Event::UserPasswordChanged, user.id.as_str(), "")?)
}

/// The shortest part that makes up the whole by being repeated.
fn repeated(text: &[char]) -> &[char] {
    (1..=text.len() / 2)
        .filter(|length| text.len().is_multiple_of(*length))
        .filter_map(|length| text.get(..length))
        .find(|part| text.chunks(part.len()).all(|chunk| chunk == *part))
        .unwrap_or(text)
}

/// `aaaa`, `abcd`, `4321` and `qwer` are one run each.
fn count_runs(text: &[char]) -> usize {
    let breaks = text.windows(2).filter(|pair| match pair {
        [one, next] => !runs_on(*one, *next),
        _ => true,
    });
    1 + breaks.count()
}

fn runs_on(one: char, next: char) -> bool {
    let place = |row: &str, wanted: char| row.chars().position(|key| key == wanted);
    let beside = |row: &str| match (place(row, one), place(row, next)) {
        (Some(one), Some(next)) => one.abs_diff(next) <= 1,
        _ => false,
    };
    u32::from(one).abs_diff(u32::from(next)) <= 1 || KEYBOARD.iter().any(|row| beside(row))
}

/// A common word, once or again and again, with digits and signs in and around it that would be no password by themselves;
/// also where signs stand for letters.
fn is_dressed_word(folded: &str, own: &[&str]) -> bool {
    let end = folded.trim_end_matches(|c: char| !c.is_alphabetic());
    let middle = end.trim_start_matches(|c: char| !c.is_alphabetic());
    [folded.to_owned(), undisguised(end), undisguised(middle)]
        .iter()
        .any(|text| {
            let core = letters(text);
            let dressing = folded.chars().count().saturating_sub(core.chars().count());
            let characters: Vec<char> = core.chars().collect();
            let part: String = repeated(&characters).iter().collect();
            dressing < LEAST_PASSWORD && (is_listed(&core, own) || is_listed(&part, own))
        })
}

/// Spaces stay inside: several words are no common word.
fn letters(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| c.is_alphabetic() || *c == ' ')
        .collect();
    kept.trim().to_owned()
}

fn undisguised(text: &str) -> String {
    let letter = |sign| match sign {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.chars().map(letter).collect()
}

fn is_listed(text: &str, own: &[&str]) -> bool {
    let common = || COMMON.lines().filter(|line| !line.starts_with('#'));
    text == PRODUCT
        || common().any(|word| word == text)
        || own
            .iter()
            .any(|known| own_words(known).any(|word| word == text))
}

/// The whole, the part before the `@`, and each word.
fn own_words(known: &str) -> impl Iterator<Item = String> {
    let known = known.to_lowercase();
    let local = known.split('@').next().unwrap_or_default();
    let words = known.split(|c: char| !c.is_alphabetic());
    let all: Vec<String> = [known.as_str(), local]
        .into_iter()
        .chain(words)
        .flat_map(|word| [word.to_owned(), letters(word).replace(' ', "")])
        .collect();
    all.into_iter()
        .filter(|word| word.chars().count() >= LEAST_OWN_WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["ada.lovelace@acme.example", "Ada Lovelace"];

    #[test]
    fn what_is_tried_first_is_refused() {
        // NIST SP 800-63B §3.1.1.2: previous breaches, dictionary words, repetitive or sequential characters, context
        for password in [
            "passwordpassword",
            "Password1234",
            "P@ssw0rd1234",
            "1Passw0rd!2026",
            "Pa$$word2026!!",
            "welcome12345!",
            "monkey123monkey",
            "Charlotte2019!",
            "administrator",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "CorrectHorseBatteryStaple",
            "123456789012",
            "1234567890987654321",
            "qwertyuiop123",
            "abcdefghijkl",
            "aaaaaaaaaaaa",
            "abababababab",
            "aaaabbbbcccc",
            "112233445566",
            "xk29!pxk29!p",
            "Countersign2026",
            "ada.lovelace@acme.example",
            "AdaLovelace1815",
            "ada.lovelace!",
            "Lovelace20261210",
            "acme!acme!2026",
        ] {
            assert!(check_password(password, &OWN).is_err(), "{password}");
        }
    }

    #[test]
    fn what_is_good_is_let_through() {
        for password in [
            "correct horse battery staple",
            "correct horse battery",
            "4rT$wq9Zp!2x",
            "monkeys eat my porridge",
            "dragon-83920173928401",
            "die Katze von nebenan",
            "пароль моей бабушки",
            "xk29!pQz7rT4xk29!pQz7rT4",
        ] {
            assert!(check_password(password, &OWN).is_ok(), "{password}");
        }
        for _ in 0..1000 {
            let made = crate::crypto::password::generate();
            assert!(check_password(&made, &OWN).is_ok(), "{made}");
        }
    }

    #[test]
    fn the_list_is_what_the_rule_expects() {
        let words = COMMON.lines().filter(|line| !line.starts_with('#'));
        for word in words.clone() {
            assert!(
                word.is_ascii() && !word.contains(' ') && word.to_lowercase() == word,
                "{word}"
            );
        }
        assert!(words.count() > 5000 && COMMON.len() < 64 * 1024);
    }
}
