//! E-mail domains and mailboxes, read so that every other reader agrees: RFC 5321 §4.1.2, RFC 5322 §3.4, RFC 5890,
//! UTS #46. What two mailers might read differently is refused, even where the grammar allows it.
//! Who owns a domain is not known here.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use serde::{Serialize, Serializer};

use DomainError as D;
use MailboxError as M;

/// RFC 1035 §2.3.4, less the length octets.
const MAX_DOMAIN_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;
/// RFC 5321 §4.5.3.1.1.
const MAX_LOCAL_BYTES: usize = 64;
/// RFC 5321 §4.5.3.1.3: a path has 256 octets, two of them the angle brackets.
const MAX_ADDRESS_BYTES: usize = 254;
/// RFC 5322 §2.1.1: a line. An address with its display name has to fit into one.
const MAX_TEXT_BYTES: usize = 998;
/// The letters, besides ASCII alphanumerics, that a local part may hold. Of RFC 5322's atext these are left out: `%` and
/// `!` (routing), `/` and `|` (files, pipes, X.400), `=` and `?` (encoded-words, mailto), and what a shell or a template
/// might expand.
const LOCAL_PUNCTUATION: &[char] = &['.', '_', '+', '-', '\'', '&'];
const FREE_MAIL_TEXT: &str = include_str!("free_mail.txt");
static FREE_MAIL: LazyLock<HashSet<&str>> = LazyLock::new(|| free_mail_lines().collect());

/// A registered domain name: ASCII (A-labels), lower case, at least two labels, without a trailing dot.
///
/// Two spellings of one domain (`BÜCHER.example`, `xn--bcher-kva.example.`) are equal. A spelling that only some
/// software maps to the same domain (full-width letters, `。`, soft hyphens, `ß`) does not parse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

/// Why a text is no domain. Each has a stable `code()`; its `Display` is public text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    #[error("the domain is empty")]
    Empty,
    #[error("the domain or one of its labels is too long")]
    TooLong,
    #[error("the domain is not a valid internationalized or ASCII domain name")]
    Invalid,
    #[error("the domain is not written in its normal form")]
    NotCanonical,
    #[error(
        "the domain holds a letter that older software replaces by another: write it in its xn-- form"
    )]
    Ambiguous,
    #[error("the domain has a single label")]
    SingleLabel,
    #[error("an IP address is not a domain")]
    IpAddress,
}

/// One mailbox, `local@domain`, without a display name.
///
/// `Display` gives the normalized addr-spec: the local part as written, the domain as [`Domain`] writes it.
/// Every text that parses has exactly one `@`, and the domain stands right of it whoever reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    local: String,
    domain: Domain,
}

/// Why a text is not one plain mailbox. Each has a stable `code()`; its `Display` is public text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    #[error("not an e-mail address")]
    NotAnAddress,
    #[error("the address is too long")]
    TooLong,
    #[error("the address holds a control character")]
    ControlCharacter,
    #[error("the address holds an invisible character")]
    InvisibleCharacter,
    #[error("the address holds white space where none belongs")]
    WhiteSpace,
    #[error("the address holds a comment: parentheses are not accepted")]
    Comment,
    #[error("the address holds an encoded-word")]
    EncodedWord,
    #[error("an IP address in brackets is not accepted as a domain")]
    AddressLiteral,
    #[error("the address holds a source route")]
    SourceRoute,
    #[error("the address is a group or starts with a scheme: colons are not accepted")]
    Group,
    #[error("one address is expected: commas and semicolons are not accepted")]
    SeveralAddresses,
    #[error("the display name holds a character that is not accepted")]
    DisplayName,
    #[error("the address has more than one @")]
    SeveralAtSigns,
    #[error("a quoted local part is not accepted")]
    QuotedLocalPart,
    #[error("the local part is not ASCII")]
    LocalPartNotAscii,
    #[error("the local part routes to another host with % or !")]
    Routed,
    #[error("the local part is not a plain name")]
    LocalPart,
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl Domain {
    /// Reads a domain as people write it: any case, A-labels or U-labels, perhaps one trailing dot.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let written = text.strip_suffix('.').unwrap_or(text);
        ensure(!written.is_empty(), D::Empty)?;
        ensure(written.len() <= 4 * MAX_DOMAIN_BYTES, D::TooLong)?; // before any work: UTF-8 has up to 4 bytes a letter
        ensure(!written.chars().any(is_deviation), D::Ambiguous)?;
        let ascii = idna::domain_to_ascii_cow(written.as_bytes(), idna::AsciiDenyList::STD3)
            .map_err(|_| D::Invalid)?;
        ensure(ascii.len() <= MAX_DOMAIN_BYTES, D::TooLong)?;
        ensure(
            ascii.split('.').all(|l| l.len() <= MAX_LABEL_BYTES),
            D::TooLong,
        )?;
        ensure(ascii.split('.').all(is_host_label), D::Invalid)?;
        ensure(is_canonical(written, &ascii), D::NotCanonical)?;
        let top_level = ascii
            .rsplit_once('.')
            .map(|(_, label)| label)
            .ok_or(D::SingleLabel)?;
        // RFC 1123 §2.1: the top level is alphabetic, and so no part of 192.0.2.1 or 0x7f.1
        ensure(
            top_level.starts_with(|c: char| c.is_ascii_alphabetic()),
            D::IpAddress,
        )?;
        Ok(Self(ascii.into_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether anyone can open a mailbox here, or under a parent of it, so that no organization owns it.
    pub fn is_free_mail(&self) -> bool {
        let labels = self.0.match_indices('.').map(|(dot, _)| &self.0[dot + 1..]);
        std::iter::once(self.as_str())
            .chain(labels)
            .any(is_listed_as_free_mail)
    }

    /// Whether this is `parent`, or with `include_subdomains` lies below it. Compares whole labels.
    pub fn is_within(&self, parent: &Self, include_subdomains: bool) -> bool {
        match self.0.strip_suffix(&parent.0) {
            Some("") => true,
            Some(below) => include_subdomains && below.ends_with('.'),
            None => false,
        }
    }
}

impl Mailbox {
    /// Reads `addr-spec` or `display-name <addr-spec>`, the second with a plain or quoted display name.
    ///
    /// Ladder: what may stand nowhere in the text, then the brackets, then the local part and the domain.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        ensure(text.len() <= MAX_TEXT_BYTES, M::TooLong)?;
        ensure(!text.contains(char::is_control), M::ControlCharacter)?; // RFC 5322 §2.2: CR LF ends a header
        ensure(!text.contains(is_invisible), M::InvisibleCharacter)?;
        ensure(
            !text.contains(|c: char| c.is_whitespace() && c != ' '),
            M::WhiteSpace,
        )?;
        ensure(!text.contains(['(', ')']), M::Comment)?; // RFC 5322 §3.2.2
        ensure(!text.contains("=?"), M::EncodedWord)?; // RFC 2047 §2
        ensure(!text.contains(['[', ']']), M::AddressLiteral)?; // RFC 5321 §4.1.3
        ensure(!has_source_route(text), M::SourceRoute)?; // RFC 5321 appendix C
        ensure(!text.contains(':'), M::Group)?; // RFC 5322 §3.4
        ensure(!text.contains([',', ';']), M::SeveralAddresses)?;
        let address = without_display_name(text.trim_matches(' '))?;
        ensure(!address.contains('"'), M::QuotedLocalPart)?; // RFC 5321 §4.1.2: a quoted string may hold any @
        ensure(!address.contains(' '), M::WhiteSpace)?; // RFC 5322 §4.4: obsolete
        let (local, domain) = address.split_once('@').ok_or(M::NotAnAddress)?;
        ensure(!domain.contains('@'), M::SeveralAtSigns)?;
        check_local_part(local)?;
        let domain = Domain::parse(domain)?;
        ensure(
            local.len() + 1 + domain.as_str().len() <= MAX_ADDRESS_BYTES,
            M::TooLong,
        )?;
        Ok(Self {
            local: local.to_owned(),
            domain,
        })
    }

    pub fn local(&self) -> &str {
        &self.local
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The form in which accounts are compared: all lower case. RFC 5321 §2.4 lets a host tell `Ada` from `ada`;
    /// no host that people use does, and two accounts must not differ by it.
    pub fn account_key(&self) -> String {
        format!("{}@{}", self.local.to_ascii_lowercase(), self.domain)
    }
}

/// Format characters and fillers that show nothing (Unicode's Default_Ignorable_Code_Point, interlinear annotation).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// UTS #46 §6: valid today; IDNA 2003 reads `ss`, `σ`, `ss` and nothing, which is another domain.
fn is_deviation(c: char) -> bool {
    matches!(c, 'ß' | 'ς' | 'ẞ' | '\u{200c}' | '\u{200d}')
}

/// RFC 1123 §2.1: letters, digits and inner hyphens. The `xn--` form comes out of IDNA and is checked there.
fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether each label was written, but for its case, as its A-label or its U-label: software that skips the mappings
/// of UTS #46 then reads the same domain as software that applies them.
fn is_canonical(written: &str, ascii: &str) -> bool {
    let written = lower_case(written);
    let (unicode, decoded) = idna::domain_to_unicode(ascii);
    let forms = ascii.split('.').zip(unicode.split('.'));
    decoded.is_ok()
        && written.split('.').count() == ascii.split('.').count()
        && written
            .split('.')
            .zip(forms)
            .all(|(label, (a, u))| label == a || label == u)
}

/// Lower case, except where a letter outside ASCII would become one inside, as the Kelvin sign does.
fn lower_case(text: &str) -> String {
    let keeps_its_side = |c: char| c.is_ascii() || c.to_lowercase().all(|lower| !lower.is_ascii());
    let mut lower = String::with_capacity(text.len());
    for c in text.chars() {
        if keeps_its_side(c) {
            lower.extend(c.to_lowercase());
        } else {
            lower.push(c);
        }
    }
    lower
}

fn free_mail_lines() -> impl Iterator<Item = &'static str> {
    FREE_MAIL_TEXT
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn is_listed_as_free_mail(domain: &str) -> bool {
    let is_country_form_of_one = |(name, suffix)| {
        is_country_form(suffix) && FREE_MAIL.contains(format!("{name}.*").as_str())
    };
    FREE_MAIL.contains(domain) || domain.split_once('.').is_some_and(is_country_form_of_one)
}

/// `com`, `fr`, `co.uk`, `com.br`.
fn is_country_form(suffix: &str) -> bool {
    match suffix.split_once('.') {
        None => suffix == "com" || suffix.len() == 2,
        Some((second, country)) => matches!(second, "co" | "com") && country.len() == 2,
    }
}

/// `@host:user@domain`, alone or in brackets.
fn has_source_route(text: &str) -> bool {
    let path = text.rsplit_once('<').map_or(text, |(_, path)| path);
    path.trim_start_matches(' ').starts_with('@')
}

fn without_display_name(text: &str) -> Result<&str, MailboxError> {
    let Some((display_name, path)) = text.split_once('<') else {
        return Ok(text);
    };
    ensure(!path.contains('<'), M::SeveralAddresses)?;
    let address = path.strip_suffix('>').ok_or(M::NotAnAddress)?;
    ensure(
        is_plain_display_name(display_name.trim_end_matches(' ')),
        M::DisplayName,
    )?;
    Ok(address)
}

/// Holds nothing that a reader who ignores the quotes, or folds look-alikes, could take for part of an address.
fn is_plain_display_name(name: &str) -> bool {
    let unquoted = name
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(name);
    !unquoted.contains(['"', '\\', '@', '>', '%', '!', '='])
        && !unquoted.contains(is_like_a_special)
}

/// Characters that NFKC or a best-fit code page turns into one of RFC 5322's specials, with their neighbours:
/// vertical and small forms, full-width ASCII, the Greek question mark, angle brackets and quotation marks.
fn is_like_a_special(c: char) -> bool {
    matches!(c,
        '\u{fe10}'..='\u{fe1f}' | '\u{fe50}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff65}' | '\u{37e}'
        | '\u{2039}' | '\u{203a}' | '\u{2329}' | '\u{232a}' | '\u{3008}' | '\u{3009}')
}

fn check_local_part(local: &str) -> Result<(), MailboxError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || LOCAL_PUNCTUATION.contains(&c);
    ensure(local.len() <= MAX_LOCAL_BYTES, M::TooLong)?;
    ensure(local.is_ascii(), M::LocalPartNotAscii)?;
    ensure(!local.contains(['%', '!']), M::Routed)?; // RFC 5321 §3.6.1 and RFC 1123 §5.2.16: read by the first host that knows it
    ensure(local.chars().all(is_allowed), M::LocalPart)?;
    ensure(!local.starts_with('-'), M::LocalPart)?; // sendmail -oQ…
    ensure(local.split('.').all(|atom| !atom.is_empty()), M::LocalPart) // RFC 5322 §3.2.3: dot-atom
}

fn ensure<E>(holds: bool, error: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(error) }
}

impl DomainError {
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "domain_empty",
            Self::TooLong => "domain_too_long",
            Self::Invalid => "domain_invalid",
            Self::NotCanonical => "domain_not_canonical",
            Self::Ambiguous => "domain_ambiguous",
            Self::SingleLabel => "domain_single_label",
            Self::IpAddress => "domain_ip_address",
        }
    }
}

impl MailboxError {
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAnAddress => "not_an_address",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
            Self::InvisibleCharacter => "invisible_character",
            Self::WhiteSpace => "white_space",
            Self::Comment => "comment",
            Self::EncodedWord => "encoded_word",
            Self::AddressLiteral => "address_literal",
            Self::SourceRoute => "source_route",
            Self::Group => "group",
            Self::SeveralAddresses => "several_addresses",
            Self::DisplayName => "display_name",
            Self::SeveralAtSigns => "several_at_signs",
            Self::QuotedLocalPart => "quoted_local_part",
            Self::LocalPartNotAscii => "local_part_not_ascii",
            Self::Routed => "routed",
            Self::LocalPart => "local_part",
            Self::Domain(_) => "domain_invalid",
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for Mailbox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Domain, DomainError as D, Mailbox, free_mail_lines};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect(text)
    }

    fn code(text: &str) -> &'static str {
        Mailbox::parse(text).map_or_else(|error| error.code(), |_| "accepted")
    }

    #[test]
    fn spellings_of_one_domain_are_equal() {
        for text in [
            "acme.example",
            "ACME.Example",
            "acme.example.",
            "AcMe.eXaMpLe.",
        ] {
            assert_eq!(domain(text).as_str(), "acme.example", "{text}");
        }
        // RFC 5890 §2.3.2.1: U-label and A-label
        for text in [
            "bücher.example",
            "BÜCHER.example.",
            "xn--bcher-kva.example",
            "XN--BCHER-KVA.EXAMPLE",
        ] {
            assert_eq!(domain(text).as_str(), "xn--bcher-kva.example", "{text}");
        }
        assert_eq!(
            domain("xn--strae-oqa.example").as_str(),
            "xn--strae-oqa.example"
        );
        assert_eq!(domain("bücher.xn--p1ai").as_str(), "xn--bcher-kva.xn--p1ai"); // labels may mix
    }

    #[test]
    fn what_is_read_as_a_domain_by_some_only_is_refused() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(domain(&longest).as_str().len(), 253);
        assert_eq!(Domain::parse(&format!("{longest}a")), Err(D::TooLong));
        assert_eq!(Domain::parse(&format!("{label}a.example")), Err(D::TooLong));
        assert_eq!(
            Domain::parse(&format!("{}.example", "ü".repeat(60))),
            Err(D::TooLong)
        ); // 63 counts the A-label
        for (text, error) in [
            ("", D::Empty),
            (".", D::Empty),
            ("acme.example..", D::Invalid),
            ("..", D::Invalid),
            (".acme.example", D::Invalid),
            ("acme..example", D::Invalid),
            ("acme_corp.example", D::Invalid),
            ("-acme.example", D::Invalid),
            ("acme-.example", D::Invalid),
            ("acme.example ", D::Invalid),
            ("acme.example/evil.example", D::Invalid),
            ("acme.example#evil.example", D::Invalid),
            ("acme%2eexample", D::Invalid),
            ("acme.example\r\n", D::Invalid),
            ("acme.example\0.evil.example", D::Invalid),
            ("acme.example:25", D::Invalid),
            ("*.acme.example", D::Invalid),
            ("[192.0.2.1]", D::Invalid),
            ("xn--", D::Invalid),
            ("xn--acme-.example", D::Invalid), // RFC 5891 §4.2.1: punycode of plain ASCII
            ("xn--a.example", D::Invalid),
            ("mail\u{2024}acme.example", D::Invalid), // one dot leader
            ("192.0.2.1", D::IpAddress),
            ("0300.2.1", D::IpAddress),
            ("2.0x7f", D::IpAddress),
            ("localhost", D::SingleLabel),
            ("acme", D::SingleLabel), // completed by a search list
            ("ａcme.example", D::NotCanonical),
            ("acme。example", D::NotCanonical),
            ("acme.example。", D::Invalid),
            ("acme．example", D::NotCanonical),
            ("acme｡example", D::NotCanonical),
            ("ac\u{ad}me.example", D::NotCanonical),
            ("ac\u{200b}me.example", D::NotCanonical),
            ("ac\u{2060}me.example", D::NotCanonical),
            ("ac\u{fe0f}me.example", D::NotCanonical),
            ("acm\u{ff45}.example", D::NotCanonical),
            ("a\u{212a}me.example", D::NotCanonical), // Kelvin sign
            ("ⓐcme.example", D::NotCanonical),
            ("𝐚cme.example", D::NotCanonical),
            ("acme.exam\u{24c5}le", D::NotCanonical),
            ("ﬁrm.example", D::NotCanonical),
            ("bu\u{308}cher.example", D::NotCanonical), // not composed
            ("ac\u{200d}me.example", D::Ambiguous),
            ("ac\u{200c}me.example", D::Ambiguous),
            ("straße.example", D::Ambiguous), // UTS #46 §6
            ("STRAẞE.example", D::Ambiguous),
        ] {
            assert_eq!(Domain::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn punycode_cannot_smuggle_what_its_letters_cannot() {
        for label in [
            "ａcme",
            "ac\u{ad}me",
            "ac\u{200d}me",
            "BÜCHER",
            "acme。example",
            "ﬁrm",
            "ac\u{202e}me",
            "a@b",
            "ü.evil",
        ] {
            let text = format!(
                "xn--{}.example",
                idna::punycode::encode_str(label).expect(label)
            );
            assert!(Domain::parse(&text).is_err(), "{label:?} as {text}");
        }
    }

    #[test]
    fn a_look_alike_is_another_domain() {
        assert_ne!(domain("аcme.example"), domain("acme.example")); // Cyrillic а
    }

    #[test]
    fn subdomains_are_a_switch_and_compare_labels() {
        let acme = domain("acme.example");
        assert!(acme.is_within(&acme, false));
        assert!(acme.is_within(&acme, true));
        assert!(domain("mail.acme.example").is_within(&acme, true));
        assert!(!domain("mail.acme.example").is_within(&acme, false));
        assert!(!domain("evil-acme.example").is_within(&acme, true));
        assert!(!domain("evilacme.example").is_within(&acme, true));
        assert!(!domain("acme.example.evil.example").is_within(&acme, true));
        assert!(!acme.is_within(&domain("mail.acme.example"), true));
    }

    #[test]
    fn free_mail_has_country_forms_and_subdomains() {
        for text in [
            "gmail.com",
            "GMAIL.com.",
            "googlemail.com",
            "outlook.fr",
            "hotmail.co.uk",
            "yahoo.co.jp",
            "yahoo.com.br",
            "live.nl",
            "icloud.com",
            "proton.me",
            "gmx.de",
            "gmx.net",
            "web.de",
            "mail.ru",
            "qq.com",
            "163.com",
            "orange.fr",
            "laposte.net",
            "mailinator.com",
            "eu.mailinator.com",
            "team.yahoo.fr",
        ] {
            assert!(domain(text).is_free_mail(), "{text}");
        }
        for text in [
            "acme.example",
            "yahoo.acme.example",
            "notgmail.com",
            "gmail.com.example",
            "yahoo-inc.com",
            "outlook.acme",
        ] {
            assert!(!domain(text).is_free_mail(), "{text}");
        }
    }

    #[test]
    fn every_line_of_the_free_mail_list_is_a_domain_once() {
        let lines: Vec<&str> = free_mail_lines().collect();
        let distinct: std::collections::HashSet<_> = lines.iter().collect();
        assert!(lines.len() >= 150 && distinct.len() == lines.len());
        for line in lines {
            let example = line.replace('*', "com");
            assert_eq!(domain(&example).as_str(), example, "{line}");
            assert!(domain(&example).is_free_mail(), "{line}");
        }
    }

    #[test]
    fn a_plain_mailbox_is_read() {
        for (text, address) in [
            ("ada@acme.example", "ada@acme.example"),
            (" ada@acme.example ", "ada@acme.example"),
            (
                "Ada.Lovelace+dev@ACME.Example.",
                "Ada.Lovelace+dev@acme.example",
            ),
            ("o'brien_r&d-1@acme.example", "o'brien_r&d-1@acme.example"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("<ada@acme.example>", "ada@acme.example"),
            ("Ada Lovelace <ada@acme.example>", "ada@acme.example"),
            ("Ada K. Lovelace<ada@acme.example>", "ada@acme.example"),
            ("\"Ada K. Lovelace\" <ada@acme.example>", "ada@acme.example"),
            ("Åsa Öberg <asa@acme.example>", "asa@acme.example"),
            ("\"\" <ada@acme.example>", "ada@acme.example"),
        ] {
            assert_eq!(
                Mailbox::parse(text).map(|mailbox| mailbox.to_string()),
                Ok(address.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn account_keys_ignore_case_and_spelling() {
        let key = |text| Mailbox::parse(text).expect(text).account_key();
        assert_eq!(key("Ada@BÜCHER.example."), key("ada@xn--bcher-kva.example"));
        assert_ne!(key("ada@acme.example"), key("ada+1@acme.example"));
        assert_eq!(
            Mailbox::parse("Ada@Acme.example")
                .expect("an address")
                .local(),
            "Ada"
        );
    }

    /// Row 51 of the field study: every way to write `own` where another reader finds `evil`.
    #[test]
    fn tricks_are_refused_by_name() {
        for (text, expected) in [
            ("", "not_an_address"),
            ("ada", "not_an_address"),
            ("acme.example", "not_an_address"),
            ("@", "source_route"),
            ("@acme.example", "source_route"),
            ("ada@", "domain_invalid"),
            ("<>", "not_an_address"), // RFC 5321 §4.5.5: the null path
            ("<ada@acme.example", "not_an_address"),
            ("ada@acme.example>", "domain_invalid"),
            ("<ada@acme.example> evil@evil.example", "not_an_address"),
            ("<ada@acme.example>>", "domain_invalid"),
            ("<<ada@acme.example>>", "several_addresses"),
            // RFC 5322 §2.2: header injection
            (
                "ada@acme.example\r\nBcc: evil@evil.example",
                "control_character",
            ),
            ("ada@acme.example\nevil@evil.example", "control_character"),
            ("ada\r@acme.example", "control_character"),
            ("ada@acme.example\0", "control_character"),
            ("evil@evil.example\0@acme.example", "control_character"),
            ("ada\t@acme.example", "control_character"),
            ("ada\u{85}@acme.example", "control_character"),
            ("Ada\r\n <ada@acme.example>", "control_character"), // folding
            // invisible and reordering
            ("ada\u{200b}@acme.example", "invisible_character"),
            ("ada@acme\u{200d}.example", "invisible_character"),
            ("ada@ac\u{ad}me.example", "invisible_character"),
            ("\u{202e}ada@acme.example", "invisible_character"),
            ("\u{feff}ada@acme.example", "invisible_character"),
            ("ada\u{a0}@acme.example", "white_space"),
            ("ada@acme.example\u{2028}evil@evil.example", "white_space"),
            ("ada@acme.example\u{3000}", "white_space"),
            // RFC 5322 §4.4: obsolete white space
            ("ada @acme.example", "white_space"),
            ("ada@ acme.example", "white_space"),
            ("ada . b@acme.example", "white_space"),
            ("< ada@acme.example >", "white_space"),
            ("ada@acme.example evil@evil.example", "white_space"),
            // RFC 5322 §3.2.2: comments
            ("ada(x)@acme.example", "comment"),
            ("ada@(evil.example)acme.example", "comment"),
            ("ada@acme.example(@evil.example)", "comment"),
            ("evil@evil.example(@acme.example", "comment"),
            // RFC 2047
            (
                "=?utf-8?q?evil=40evil.example=3e?=@acme.example",
                "encoded_word",
            ),
            ("=?utf-8?b?ZXZpbA==?= <ada@acme.example>", "encoded_word"),
            // RFC 5321 §4.1.3: address literals
            ("ada@[192.0.2.1]", "address_literal"),
            ("ada@[IPv6:2001:db8::1]", "address_literal"),
            ("ada@192.0.2.1", "domain_invalid"),
            // RFC 5321 appendix C: source routes
            ("<@evil.example:ada@acme.example>", "source_route"),
            (
                "@evil.example,@other.example:ada@acme.example",
                "source_route",
            ),
            ("< @evil.example:ada@acme.example>", "source_route"),
            // RFC 5322 §3.4: groups and lists
            ("list:ada@acme.example;", "group"),
            (
                "list: Ada <ada@acme.example>, <evil@evil.example>;",
                "group",
            ),
            ("undisclosed-recipients:;", "group"),
            ("mailto:ada@acme.example", "group"),
            ("ada@acme.example,evil@evil.example", "several_addresses"),
            ("ada@acme.example;evil@evil.example", "several_addresses"),
            (
                "<ada@acme.example>,<evil@evil.example>",
                "several_addresses",
            ),
            (
                "<ada@acme.example> <evil@evil.example>",
                "several_addresses",
            ),
            ("<evil@evil.example><ada@acme.example>", "several_addresses"),
            ("\"Lovelace, Ada\" <ada@acme.example>", "several_addresses"),
            // display names that look like addresses
            ("\"evil@evil.example\" <ada@acme.example>", "display_name"),
            ("evil@evil.example <ada@acme.example>", "display_name"),
            ("evil=40evil.example <ada@acme.example>", "display_name"), // RFC 2045 §6.7
            ("\"evil\\\" <ada@acme.example>", "display_name"),
            ("\"evil\" \"x\" <ada@acme.example>", "display_name"),
            ("\" <ada@acme.example>", "display_name"),
            ("evil＠evil.example <ada@acme.example>", "display_name"),
            ("evil﹫evil.example＞ <ada@acme.example>", "display_name"),
            ("> <ada@acme.example>", "display_name"),
            // RFC 5321 §4.1.2: several @, quoted local parts
            ("evil@evil.example@acme.example", "several_at_signs"),
            ("ada@acme.example@evil.example", "several_at_signs"),
            ("ada@@acme.example", "several_at_signs"),
            ("\"evil@evil.example\"@acme.example", "quoted_local_part"),
            ("\"ada\"@acme.example", "quoted_local_part"),
            ("\"evil@evil.example>\"@acme.example", "quoted_local_part"),
            ("<\"ada\"@acme.example>", "quoted_local_part"),
            ("ada\\@evil.example@acme.example", "several_at_signs"),
            ("ada\\@acme.example", "local_part"),
            // routing
            ("evil%evil.example@acme.example", "routed"),
            ("evil%40evil.example@acme.example", "routed"),
            ("evil.example!evil@acme.example", "routed"),
            ("evil=40evil.example@acme.example", "local_part"),
            ("|/bin/sh@acme.example", "local_part"),
            ("/S=evil/P=x/@acme.example", "local_part"),
            ("-oQ.@acme.example", "local_part"),
            ("-f@acme.example", "local_part"),
            ("${x}@acme.example", "local_part"),
            ("a?bcc=x@acme.example", "local_part"),
            (".ada@acme.example", "local_part"),
            ("ada.@acme.example", "local_part"),
            ("a..da@acme.example", "local_part"),
            ("<@>", "source_route"),
            ("аda@acme.example", "local_part_not_ascii"), // Cyrillic а
            ("evil＠evil.example@acme.example", "local_part_not_ascii"),
            ("ada@acme.example＠evil.example", "domain_invalid"),
            ("ada@ａcme.example", "domain_invalid"),
            ("ada@acme。example", "domain_invalid"),
            ("ada＠acme.example", "not_an_address"),
            ("ada@localhost", "domain_invalid"),
            ("ada@acme.example..", "domain_invalid"),
        ] {
            assert_eq!(code(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let label = "a".repeat(60);
        assert_eq!(
            code(&format!("{}@acme.example", "a".repeat(64))),
            "accepted"
        );
        assert_eq!(
            code(&format!("{}@acme.example", "a".repeat(65))),
            "too_long"
        );
        assert_eq!(
            code(&format!("a@{}.example", "a".repeat(64))),
            "domain_invalid"
        );
        assert_eq!(
            code(&format!(
                "{}@{label}.{label}.{label}.example",
                "a".repeat(63)
            )),
            "accepted"
        ); // 254
        assert_eq!(
            code(&format!(
                "{}@{label}.{label}.{label}.example",
                "a".repeat(64)
            )),
            "too_long"
        );
        assert_eq!(
            code(&format!("{} <ada@acme.example>", "a".repeat(1_000))),
            "too_long"
        );
    }

    proptest! {
        #[test]
        fn parsing_a_parsed_domain_changes_nothing(text in any::<String>(), label in "[a-zäöüа-я0-9-]{1,20}") {
            for text in [text, format!("{label}.example"), format!("{}.EXAMPLE.", label.to_uppercase())] {
                if let Ok(domain) = Domain::parse(&text) {
                    let name = domain.as_str();
                    prop_assert!(name.is_ascii() && !name.ends_with('.') && name == name.to_ascii_lowercase());
                    prop_assert_eq!(Domain::parse(name), Ok(domain.clone()));
                    let (unicode, _) = idna::domain_to_unicode(name);
                    if !unicode.contains(super::is_deviation) {
                        prop_assert_eq!(Domain::parse(&unicode), Ok(domain));
                    }
                }
            }
        }

        #[test]
        fn parsing_a_parsed_mailbox_changes_nothing(local in "[a-zA-Z0-9._+'-]{1,20}", is_ascii in any::<bool>()) {
            let host = if is_ascii { "ACME.example." } else { "bücher.example" };
            if let Ok(mailbox) = Mailbox::parse(&format!("{local}@{host}")) {
                prop_assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox.clone()));
                prop_assert_eq!(mailbox.account_key(), mailbox.to_string().to_ascii_lowercase());
            }
        }
    }
}
