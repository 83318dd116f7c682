//! `types/email.rs`: domains and mailboxes.
//!
//! - Written and read again they are the same; what is written is plain ASCII with one `@` and no line end.
//! - A reader that splits at the first `@`, and one that splits at the last, find the same domain; so does the `url` crate.
//! - An account's key is a mailbox with the same key: nobody becomes another account by being read twice.

use countersign::types::email::{Domain, Mailbox};

pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(domain) = Domain::parse(text) {
        is_plain(&domain);
        assert!(idna::domain_to_unicode(domain.as_str()).1.is_ok());
    }
    let Ok(mailbox) = Mailbox::parse(text) else {
        return;
    };
    is_plain(mailbox.domain());
    let written = mailbox.to_string();
    assert!(
        written.bytes().all(|byte| byte.is_ascii_graphic()) && written.len() <= 254,
        "{written}"
    );
    assert_eq!(Mailbox::parse(&written).as_ref(), Ok(&mailbox));
    assert_eq!(
        Mailbox::parse(&format!("<{written}>")).as_ref(),
        Ok(&mailbox)
    );
    let (first, last) = (written.split_once('@'), written.rsplit_once('@'));
    assert_eq!(first, last);
    assert_eq!(first, Some((mailbox.local(), mailbox.domain().as_str())));
    assert_eq!(text.matches('@').count(), 1, "{text}");
    let key = mailbox.account_key();
    let again = Mailbox::parse(&key).expect("a key is a mailbox");
    assert_eq!((again.account_key(), again.to_string()), (key.clone(), key));
}

fn is_plain(domain: &Domain) {
    let name = domain.as_str();
    assert_eq!(Domain::parse(name).as_ref(), Ok(domain));
    assert!(
        name.len() <= 253
            && name.contains('.')
            && name.split('.').all(|label| (1..=63).contains(&label.len()))
    );
    assert!(
        name.bytes().all(|byte| byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || b"-.".contains(&byte)),
        "{name}"
    );
    assert_eq!(
        url::Host::parse(name),
        Ok(url::Host::Domain(name.to_owned()))
    );
    assert!(domain.is_within(domain, false));
}
