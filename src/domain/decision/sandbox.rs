//! The sandbox policy: what must be done to a document that a Sandbox credential touches, and to whom it may be sent.
//! Pure. In Production there is none of it: the obligations are `Obligations::default()`.

use serde::{Serialize, Serializer};

pub use crate::config::Sandbox as Policy;
use crate::types::email::{Domain, Mailbox, MailboxError, is_invisible};
use crate::types::state::ObligationKind;

/// Characters of a refused recipient that are repeated to the caller.
const MAX_ECHO_CHARACTERS: usize = 128;

/// To whom an organization may send in Sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// Its verified domains. None of them: nobody.
    Domains(Vec<OwnDomain>),
    /// Until a domain is verified: the verified addresses of its active members.
    Addresses(Vec<Mailbox>),
}

/// A verified domain of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnDomain {
    pub name: Domain,
    /// Whether its sub-domains are own, too. None: as the policy says.
    pub include_subdomains: Option<bool>,
}

impl OwnDomain {
    fn includes_subdomains(&self, policy: &Policy) -> bool {
        self.include_subdomains.unwrap_or(policy.include_subdomains)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRecipient {
    /// As the caller wrote it, safe to show: control and invisible characters escaped, cut to a length.
    pub address: String,
    pub reason: RefusalReason,
}

/// Why a recipient is refused: serialized as its `code()`; `Display` is public text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    #[error("in Sandbox, documents go only to the organization's own verified domains")]
    NotOwnDomain,
    #[error("a free-mail domain is never an organization's own")]
    FreeMailDomain,
    #[error(
        "no domain is verified yet: until then, documents go only to the verified addresses of active members"
    )]
    NoDomainVerified,
    #[error("{0}")]
    Unreadable(MailboxError),
}

/// What whoever carries out a decision must do. Serialized without what does not apply; `{}` in Production.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Obligations {
    /// The name to store instead of the requested one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_name: Option<String>,
    /// Instead of `document_name` where the request told no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_name_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Watermark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients: Option<RecipientRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watermark {
    pub text: String,
}

/// Everyone to whom a document may go; an empty list is nobody.
///
/// `include_subdomains` is true only when it holds for every domain. Where they differ it is false, and `subdomains_of` lists
/// those of which sub-domains are own: whoever does not know that field enforces too much, never too little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RecipientRule {
    Domains {
        domains: Vec<Domain>,
        include_subdomains: bool,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        subdomains_of: Vec<Domain>,
    },
    Addresses {
        addresses: Vec<Mailbox>,
    },
}

/// The name under which a Sandbox document is kept.
///
/// Always starts with the prefix, exactly once however the caller wrote it; never longer than
/// `max_name_characters` (unless the prefix alone is); one line, without bidirectional overrides that would show
/// the prefix elsewhere. Naming a document by its own name changes nothing.
pub fn document_name(policy: &Policy, name: &str) -> String {
    let name: String = name.chars().filter_map(printable).collect();
    let prefix_letters: Vec<char> = policy.name_prefix.chars().flat_map(fold).collect();
    let mut rest = trim_start(&name);
    while let Some(after) = after_prefix(rest, &prefix_letters) {
        rest = trim_start(after);
    }
    let room = policy
        .max_name_characters
        .saturating_sub(policy.name_prefix.chars().count());
    let end = rest
        .char_indices()
        .nth(room)
        .map_or(rest.len(), |(end, _)| end);
    format!("{}{}", policy.name_prefix, trim_end(&rest[..end]))
}

/// The recipients that refuse the request, in its order; empty when all are allowed.
///
/// One bad recipient refuses the whole request, so a caller proceeds only on an empty answer. An empty request is
/// not refused here (`recipients_required` is the caller's). Whoever reads an allowed recipient finds an own address.
pub fn refused_recipients(
    policy: &Policy,
    own: &Own,
    recipients: &[String],
) -> Vec<RefusedRecipient> {
    let refuse = |text: &String| {
        let reason = check_recipient(policy, own, text).err()?;
        Some(RefusedRecipient {
            address: shown(text),
            reason,
        })
    };
    recipients.iter().filter_map(refuse).collect()
}

/// Everything Sandbox demands. `document_name` is the name in the request, if it told one.
pub fn obligations(policy: &Policy, own: &Own, document_name: Option<&str>) -> Obligations {
    Obligations {
        document_name: document_name.map(|name| self::document_name(policy, name)),
        document_name_prefix: document_name.is_none().then(|| policy.name_prefix.clone()),
        watermark: Some(Watermark {
            text: policy.watermark_text.clone(),
        }),
        recipients: Some(recipient_rule(policy, own)),
    }
}

impl Obligations {
    pub fn is_empty(&self) -> bool {
        self.kinds().next().is_none()
    }

    /// The kinds an enforcer has to support for this decision, each once.
    pub fn kinds(&self) -> impl Iterator<Item = ObligationKind> + use<> {
        let names = self.document_name.is_some() || self.document_name_prefix.is_some();
        [
            names.then_some(ObligationKind::DocumentName),
            self.watermark
                .is_some()
                .then_some(ObligationKind::Watermark),
            self.recipients
                .is_some()
                .then_some(ObligationKind::Recipients),
        ]
        .into_iter()
        .flatten()
    }
}

impl RefusalReason {
    pub fn code(self) -> &'static str {
        match self {
            Self::NotOwnDomain => "not_own_domain",
            Self::FreeMailDomain => "free_mail_domain",
            Self::NoDomainVerified => "no_domain_verified",
            Self::Unreadable(error) => error.code(),
        }
    }
}

impl Serialize for RefusalReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// One line of text: line breaks and control characters become spaces, bidirectional embeddings, overrides and
/// isolates disappear (UAX #9 §2). Marks that only hint at a direction stay: Arabic and Hebrew names need them.
fn printable(c: char) -> Option<char> {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => Some(' '),
        c => Some(c),
    }
}

/// What follows the prefix, if the name starts with it in any spelling.
fn after_prefix<'n>(name: &'n str, prefix_letters: &[char]) -> Option<&'n str> {
    prefix_letters.first()?; // an empty prefix is before every name, and cannot be taken away
    let mut expected = prefix_letters.iter();
    for (at, c) in name.char_indices() {
        if fold(c).any(|letter| expected.next() != Some(&letter)) {
            return None;
        }
        if expected.as_slice().is_empty() {
            return Some(&name[at + c.len_utf8()..]);
        }
    }
    None
}

/// The letters a reader sees in a character: none for what is blank or only decorates, else lower-case half-width ones.
fn fold(c: char) -> impl Iterator<Item = char> {
    let half_width = match u32::from(c) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        _ => c,
    };
    half_width
        .to_lowercase()
        .filter(|c| !is_blank(*c) && !is_combining(*c))
}

fn trim_start(name: &str) -> &str {
    name.trim_start_matches(|c| is_blank(c) || is_combining(c)) // a mark would be drawn over the prefix
}

/// Spares what ends an emoji (variation selectors, tags) and the direction marks.
fn trim_end(name: &str) -> &str {
    name.trim_end_matches(|c: char| {
        c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
    })
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_invisible(c)
}

/// The combining blocks for any script: diacritical marks, their extensions, half marks, marks for symbols.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn check_recipient(policy: &Policy, own: &Own, text: &str) -> Result<(), RefusalReason> {
    let mailbox = Mailbox::parse(text).map_err(RefusalReason::Unreadable)?;
    match own {
        Own::Domains(domains) => check_domain(policy, domains, mailbox.domain()),
        Own::Addresses(addresses) => check_member(addresses, &mailbox),
    }
}

fn check_domain(
    policy: &Policy,
    domains: &[OwnDomain],
    domain: &Domain,
) -> Result<(), RefusalReason> {
    if domain.is_free_mail() {
        return Err(RefusalReason::FreeMailDomain); // even when listed as own
    }
    if domains
        .iter()
        .any(|own| domain.is_within(&own.name, own.includes_subdomains(policy)))
    {
        return Ok(());
    }
    Err(RefusalReason::NotOwnDomain)
}

fn check_member(addresses: &[Mailbox], mailbox: &Mailbox) -> Result<(), RefusalReason> {
    let key = mailbox.account_key();
    if addresses.iter().any(|member| member.account_key() == key) {
        return Ok(());
    }
    Err(RefusalReason::NoDomainVerified)
}

fn recipient_rule(policy: &Policy, own: &Own) -> RecipientRule {
    match own {
        Own::Domains(domains) => domain_rule(policy, domains),
        Own::Addresses(addresses) => RecipientRule::Addresses {
            addresses: addresses.clone(),
        },
    }
}

fn domain_rule(policy: &Policy, own: &[OwnDomain]) -> RecipientRule {
    let own: Vec<&OwnDomain> = own
        .iter()
        .filter(|domain| !domain.name.is_free_mail())
        .collect();
    let names = |domains: &[&OwnDomain]| domains.iter().map(|domain| domain.name.clone()).collect();
    let wide: Vec<&OwnDomain> = own
        .iter()
        .copied()
        .filter(|domain| domain.includes_subdomains(policy))
        .collect();
    let include_subdomains = if own.is_empty() {
        policy.include_subdomains
    } else {
        wide.len() == own.len()
    };
    RecipientRule::Domains {
        domains: names(&own),
        include_subdomains,
        subdomains_of: if include_subdomains {
            Vec::new()
        } else {
            names(&wide)
        },
    }
}

fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(MAX_ECHO_CHARACTERS) {
        match c {
            c if c != ' ' && is_blank(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    if text.chars().nth(MAX_ECHO_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{
        ObligationKind, Obligations, Own, OwnDomain, Policy, RefusalReason, document_name,
        obligations, refused_recipients,
    };
    use crate::types::email::{Domain, Mailbox};
    use proptest::prelude::{
        Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_assume, prop_oneof, proptest,
    };
    use serde_json::{json, to_value};

    fn own_domains(names: &[&str]) -> Own {
        Own::Domains(names.iter().map(|name| own_domain(name, None)).collect())
    }

    fn own_domain(name: &str, include_subdomains: Option<bool>) -> OwnDomain {
        OwnDomain {
            name: Domain::parse(name).expect(name),
            include_subdomains,
        }
    }

    fn own_addresses(addresses: &[&str]) -> Own {
        Own::Addresses(
            addresses
                .iter()
                .map(|address| Mailbox::parse(address).expect(address))
                .collect(),
        )
    }

    fn with_subdomains() -> Policy {
        Policy {
            include_subdomains: true,
            ..Policy::default()
        }
    }

    fn is_allowed(policy: &Policy, own: &Own, recipient: &str) -> bool {
        refused_recipients(policy, own, &[recipient.to_owned()]).is_empty()
    }

    // --- the document name (row 50) ---

    #[test]
    fn a_name_gets_the_prefix_once() {
        let policy = Policy::default();
        for name in [
            "Offer",
            "  Offer ",
            "[DEV] Offer",
            " [DEV] Offer",
            "[DEV]Offer",
            "[dev] Offer",
            "[Dev]  Offer",
            "[ dev ] Offer",
            "[DEV] [DEV] Offer",
            "[DEV][dev]  [DEV] Offer",
            "［ＤＥＶ］ Offer",
            "［DEV］\u{3000}Offer",
            "\u{200b}[DEV] Offer",
            "\u{feff}[D\u{200d}EV] Offer",
            "[\u{ad}DEV]\u{200b} Offer",
            "[D\u{301}EV] Offer",
            "\u{202e}[DEV] Offer",
            "\u{2066}\u{200f}[DEV]\u{2069} Offer",
            "\u{a0}[DEV]\u{a0}Offer",
            "\r\n[DEV]\tOffer\0",
            "\u{336}Offer",
            "\u{202d}Of\u{202e}fer\u{202c}",
        ] {
            assert_eq!(document_name(&policy, name), "[DEV] Offer", "{name:?}");
        }
    }

    #[test]
    fn what_only_resembles_the_prefix_stays() {
        let policy = Policy::default();
        for name in [
            "DEV Offer",
            "[DEVELOPMENT] Offer",
            "[DE",
            "Offer [DEV]",
            "(DEV) Offer",
            "مرحبا \u{200f}(1)",
            "🏴\u{e0067}\u{e007f}",
            "❤\u{fe0f}",
        ] {
            assert_eq!(document_name(&policy, name), format!("[DEV] {name}"));
        }
        assert_eq!(document_name(&policy, "a\r\nb"), "[DEV] a  b");
    }

    #[test]
    fn a_name_is_cut_and_its_prefix_is_not() {
        let policy = Policy {
            max_name_characters: 10,
            ..Policy::default()
        };
        assert_eq!(document_name(&policy, "Überlänge"), "[DEV] Über");
        assert_eq!(document_name(&policy, "abc defg"), "[DEV] abc"); // no space left at the cut
        assert_eq!(
            document_name(&policy, "👩\u{200d}👩\u{200d}👧"),
            "[DEV] 👩\u{200d}👩"
        ); // nor a joiner
        for nothing in ["", " ", "[DEV]", "[dev] [DEV] ", "\u{200b}\u{301}"] {
            assert_eq!(document_name(&policy, nothing), "[DEV] ");
        }
        assert_eq!(
            document_name(
                &Policy {
                    max_name_characters: 3,
                    ..policy
                },
                "Offer"
            ),
            "[DEV] "
        );
        assert_eq!(
            document_name(
                &Policy {
                    name_prefix: String::new(),
                    ..Policy::default()
                },
                " [DEV] Offer"
            ),
            "[DEV] Offer"
        );
        assert_eq!(
            document_name(&Policy::default(), &"x".repeat(1_000))
                .chars()
                .count(),
            200
        );
    }

    // --- recipients (row 51) ---

    #[test]
    fn only_own_domains_receive() {
        let own = own_domains(&["acme.example", "bücher.example"]);
        let policy = Policy::default();
        for recipient in [
            "ada@acme.example",
            "Ada <ADA@ACME.EXAMPLE>",
            "\"Ada L.\" <ada+x@acme.example.>",
            "ada@BÜCHER.example",
            "ada@xn--bcher-kva.example",
        ] {
            assert!(is_allowed(&policy, &own, recipient), "{recipient}");
        }
        for recipient in [
            "ada@evil.example",
            "ada@mail.acme.example",
            "ada@evilacme.example",
            "ada@acme.example.evil.example",
            "ada@аcme.example", // Cyrillic
            "\"ada@acme.example\" <evil@evil.example>",
            "ada@acme.example <evil@evil.example>",
            "ada@acme.example, evil@evil.example",
            "evil%evil.example@acme.example",
            "ada@acme.example\r\nBcc: evil@evil.example",
            "",
        ] {
            assert!(!is_allowed(&policy, &own, recipient), "{recipient}");
        }
        assert!(is_allowed(
            &with_subdomains(),
            &own,
            "ada@mail.acme.example"
        ));
        assert!(!is_allowed(
            &with_subdomains(),
            &own,
            "ada@evilacme.example"
        ));
    }

    #[test]
    fn one_bad_recipient_refuses_and_the_answer_lists_which() {
        let recipients = [
            "ada@acme.example",
            "evil@evil.example",
            "x@gmail.com",
            "bob@acme.example",
            "a\r\n\u{202e}@acme.example",
        ];
        let refused = refused_recipients(
            &Policy::default(),
            &own_domains(&["acme.example"]),
            &recipients.map(str::to_owned),
        );
        assert_eq!(
            to_value(refused).expect("JSON"),
            json!([
                {"address": "evil@evil.example", "reason": "not_own_domain"},
                {"address": "x@gmail.com", "reason": "free_mail_domain"},
                {"address": "a\\r\\n\\u{202e}@acme.example", "reason": "control_character"},
            ])
        );
    }

    #[test]
    fn free_mail_is_never_own() {
        for policy in [Policy::default(), with_subdomains()] {
            let own = own_domains(&["gmail.com", "acme.example", "yahoo.co.uk", "co.uk"]);
            for recipient in [
                "ada@gmail.com",
                "ada@googlemail.com",
                "ada@x.gmail.com",
                "ada@yahoo.co.uk",
                "ada@hotmail.co.uk",
            ] {
                assert!(!is_allowed(&policy, &own, recipient), "{recipient}");
            }
            let rule = to_value(obligations(&policy, &own, None).recipients).expect("JSON");
            assert_eq!(rule["domains"], json!(["acme.example", "co.uk"])); // nor told to whoever enforces
        }
    }

    #[test]
    fn own_nobody_is_nobody() {
        for own in [Own::Domains(Vec::new()), Own::Addresses(Vec::new())] {
            assert!(!is_allowed(&with_subdomains(), &own, "ada@acme.example"));
            assert!(
                obligations(&Policy::default(), &own, None)
                    .recipients
                    .is_some()
            );
        }
    }

    #[test]
    fn until_a_domain_is_verified_members_receive_and_the_refusal_says_so() {
        let own = own_addresses(&["Ada@acme.example", "bob@gmail.com"]);
        let policy = with_subdomains();
        for recipient in [
            "ada@ACME.example",
            "Ada <ada@acme.example>",
            "BOB@gmail.com",
        ] {
            assert!(is_allowed(&policy, &own, recipient), "{recipient}");
        }
        for recipient in [
            "eve@acme.example",
            "ada+eve@acme.example",
            "ada@mail.acme.example",
            "bo.b@gmail.com",
        ] {
            let refused = refused_recipients(&policy, &own, &[recipient.to_owned()]);
            assert_eq!(
                refused.iter().map(|r| r.reason).collect::<Vec<_>>(),
                [RefusalReason::NoDomainVerified]
            );
        }
        assert!(
            RefusalReason::NoDomainVerified
                .to_string()
                .contains("no domain is verified yet")
        );
        assert_eq!(
            to_value(obligations(&policy, &own, None).recipients).expect("JSON"),
            json!({"addresses": ["Ada@acme.example", "bob@gmail.com"]})
        );
    }

    #[test]
    fn an_echoed_address_is_short_and_shows_what_it_holds() {
        let refused = refused_recipients(
            &Policy::default(),
            &own_domains(&[]),
            &["\0".repeat(5_000), "é\u{1b}[31m".to_owned()],
        );
        let addresses: Vec<&str> = refused.iter().map(|r| r.address.as_str()).collect();
        assert_eq!(
            addresses,
            [
                format!("{}…", "\\u{0}".repeat(128)).as_str(),
                "é\\u{1b}[31m"
            ]
        );
    }

    // --- obligations ---

    #[test]
    fn obligations_are_the_documented_json() {
        let own = own_domains(&["acme.example"]);
        assert_eq!(
            to_value(obligations(&Policy::default(), &own, Some("Offer"))).expect("JSON"),
            json!({
                "document_name": "[DEV] Offer",
                "watermark": {"text": "SANDBOX - NOT FOR PRODUCTION USE"},
                "recipients": {"domains": ["acme.example"], "include_subdomains": false},
            })
        );
        assert_eq!(
            to_value(obligations(&Policy::default(), &own, None)).expect("JSON"),
            json!({
                "document_name_prefix": "[DEV] ",
                "watermark": {"text": "SANDBOX - NOT FOR PRODUCTION USE"},
                "recipients": {"domains": ["acme.example"], "include_subdomains": false},
            })
        );
    }

    #[test]
    fn each_domain_has_its_own_switch_and_who_enforces_is_told() {
        let own = Own::Domains(vec![
            own_domain("a.example", Some(true)),
            own_domain("b.example", Some(false)),
            own_domain("c.example", None),
        ]);
        let allowed =
            |policy: &Policy, name: &str| is_allowed(policy, &own, &format!("ada@{name}"));
        let told =
            |policy: &Policy| to_value(obligations(policy, &own, None).recipients).expect("JSON");
        let all = json!(["a.example", "b.example", "c.example"]);
        for (policy, inherited) in [(Policy::default(), false), (with_subdomains(), true)] {
            assert!(allowed(&policy, "mail.a.example") && !allowed(&policy, "mail.b.example"));
            assert_eq!(allowed(&policy, "mail.c.example"), inherited);
            assert!(!allowed(&policy, "example"), "never upward");
            let wide = if inherited {
                json!(["a.example", "c.example"])
            } else {
                json!(["a.example"])
            };
            assert_eq!(
                told(&policy),
                json!({"domains": all, "include_subdomains": false, "subdomains_of": wide})
            );
        }
        // where all are alike, as it has always been told
        let own = Own::Domains(vec![
            own_domain("a.example", Some(true)),
            own_domain("b.example", Some(true)),
        ]);
        let rule = to_value(obligations(&Policy::default(), &own, None).recipients).expect("JSON");
        assert_eq!(
            rule,
            json!({"domains": ["a.example", "b.example"], "include_subdomains": true})
        );
    }

    #[test]
    fn production_has_none() {
        assert_eq!(to_value(Obligations::default()).expect("JSON"), json!({}));
        assert!(Obligations::default().is_empty());
    }

    #[test]
    fn kinds_tell_what_an_enforcer_has_to_support() {
        use ObligationKind::{DocumentName, Recipients, Watermark};
        let own = own_domains(&["acme.example"]);
        for name in [None, Some("Offer")] {
            let obligations = obligations(&Policy::default(), &own, name);
            assert!(!obligations.is_empty());
            assert_eq!(
                obligations.kinds().collect::<Vec<_>>(),
                [DocumentName, Watermark, Recipients]
            );
        }
        assert_eq!(
            [DocumentName, Watermark, Recipients].map(|kind| kind.to_string()),
            ["document_name", "watermark", "recipients"]
        );
        assert_eq!("recipients".parse(), Ok(Recipients));
    }

    // --- a second reader, as lenient as mailers are, over whatever was allowed ---

    /// Every domain that some reader might deliver to, lower case and without its trailing dot.
    fn lenient_domains(text: &str) -> Vec<String> {
        let folded: String = text
            .chars()
            .map(narrow)
            .filter(|c| !super::is_invisible(*c))
            .collect();
        let texts = [
            text.to_owned(),
            without(text, '(', ')'),
            without(text, '"', '"'),
            folded.clone(),
            without(&folded, '(', ')'),
        ];
        let readings = texts.iter().flat_map(|text| {
            let decoded = text
                .replace("%40", "@")
                .replace("=40", "@")
                .replace('%', "@")
                .replace("\\", "");
            [text.clone(), decoded]
        });
        readings
            .flat_map(|text| {
                pieces(&text)
                    .iter()
                    .flat_map(|piece| domains_of(piece))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Lists, lines, words, and what stands inside or outside angle brackets.
    fn pieces(text: &str) -> Vec<String> {
        let separators: [&[char]; 4] = [
            &['\r', '\n', '\0'],
            &[',', ';', '\r', '\n', '\0'],
            &[' ', '\t', ',', ';', '\r', '\n'],
            &['<', '>'],
        ];
        separators
            .iter()
            .flat_map(|separators| text.split(*separators))
            .map(str::to_owned)
            .collect()
    }

    /// Right of the first, the last and every other `@`; left of a bang.
    fn domains_of(piece: &str) -> Vec<String> {
        let piece = piece.trim_matches(|c: char| c.is_whitespace() || "<>\"'()".contains(c));
        let at_signs = piece.match_indices('@').map(|(at, _)| &piece[at + 1..]);
        let routed = piece
            .split_once('!')
            .map(|(host, _)| host.rsplit('@').next().unwrap_or(host));
        let first_words = at_signs.clone().map(|rest| {
            rest.split(['@', ':', ',', '>', ' ', '(', '"'])
                .next()
                .unwrap_or(rest)
        });
        let tidy = |host: &str| {
            host.trim()
                .trim_matches(['<', '>', '"', ' '])
                .trim_end_matches('.')
                .to_lowercase()
        };
        at_signs
            .clone()
            .chain(first_words)
            .chain(routed)
            .map(tidy)
            .collect()
    }

    fn without(text: &str, open: char, close: char) -> String {
        let mut kept = String::new();
        let mut is_inside = false;
        for c in text.chars() {
            match c {
                c if !is_inside && c == open => is_inside = true,
                c if is_inside && c == close => is_inside = false,
                c if !is_inside => kept.push(c),
                _ => {}
            }
        }
        kept
    }

    fn narrow(c: char) -> char {
        match c {
            '。' | '｡' | '\u{2024}' => '.',
            '﹫' => '@',
            '\u{ff01}'..='\u{ff5e}' => super::fold(c).next().unwrap_or(c),
            c => c,
        }
    }

    fn fragment() -> impl Strategy<Value = String> {
        let risky = "@@@@<<>>,;:\"\"()\\[]%!|/=?. \t\r\n\0＠﹫＜＞，。．｡\u{200d}\u{ad}\u{202e}\u{feff}\u{a0}\u{212a}ａß-+'{}$";
        prop_oneof![
            4 => prop::sample::select(risky.chars().collect::<Vec<_>>()).prop_map(String::from),
            4 => prop::sample::select(vec!["acme.example", "evil.example", "@acme.example", "@evil.example", "<evil@evil.example>",
                "<ada@acme.example>", "ACME.EXAMPLE.", "mail.acme.example", "xn--bcher-kva.example", "bücher.example", "Bücher.Example",
                "evil", "Ada", "=?utf-8?q?", "?=", "%40", "=40", "[192.0.2.1]", "list:", ",evil@evil.example", "\r\nBcc: evil@evil.example"])
                .prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ]
    }

    /// Good recipients with up to three fragments put in anywhere, and fragments alone.
    fn recipient() -> impl Strategy<Value = String> {
        let good = prop::sample::select(vec![
            "ada@acme.example",
            "Ada L <ada@acme.example>",
            "\"Ada L\" <a.b+c@ACME.example.>",
            "ada@bücher.example",
        ]);
        let mutated = (
            good,
            prop::collection::vec((any::<prop::sample::Index>(), fragment()), 0..4),
        )
            .prop_map(|(good, inserts)| {
                let mut text: Vec<String> = good.chars().map(String::from).collect();
                for (at, fragment) in inserts {
                    text.insert(at.index(text.len() + 1), fragment);
                }
                text.concat()
            });
        prop_oneof![3 => mutated, 1 => prop::collection::vec(fragment(), 0..8).prop_map(|parts| parts.concat())]
    }

    fn is_own_domain(domain: &str, include_subdomains: bool) -> bool {
        ["acme.example", "xn--bcher-kva.example", "bücher.example"]
            .iter()
            .any(|own| domain == *own || include_subdomains && domain.ends_with(&format!(".{own}")))
    }

    #[test]
    fn the_lenient_reader_sees_the_tricks() {
        for text in [
            "evil@evil.example, ada@acme.example",
            "\"evil@evil.example\" <ada@acme.example>",
            "ada@acme.example\r\nBcc: evil@evil.example",
            "evil%evil.example@acme.example",
            "evil.example!evil@acme.example",
            "evil＠evil.example <ada@acme.example>",
            "<@evil.example:ada@acme.example>",
            "evil@evil.example(@acme.example)",
            "\"evil@evil.example\"@acme.example",
        ] {
            assert!(
                lenient_domains(text)
                    .iter()
                    .any(|domain| domain == "evil.example"),
                "{text:?}"
            );
        }
        assert!(
            lenient_domains("Ada <ada@ACME.example.>")
                .iter()
                .all(|domain| domain == "acme.example")
        );
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4_000))]

        #[test]
        fn whoever_reads_an_allowed_recipient_finds_an_own_domain(text in recipient(), include_subdomains in any::<bool>()) {
            let policy = Policy { include_subdomains, ..Policy::default() };
            if is_allowed(&policy, &own_domains(&["acme.example", "bücher.example"]), &text) {
                let read = lenient_domains(&text);
                prop_assert!(!read.is_empty());
                prop_assert!(read.iter().all(|domain| is_own_domain(domain, include_subdomains)), "{text:?}: {read:?}");
                prop_assert!(!text.contains(char::is_control));
            }
        }

        #[test]
        fn an_allowed_member_address_names_that_member(text in recipient()) {
            if is_allowed(&with_subdomains(), &own_addresses(&["ada@acme.example"]), &text) {
                prop_assert_eq!(Mailbox::parse(&text).map(|mailbox| mailbox.account_key()), Ok("ada@acme.example".to_owned()));
                prop_assert!(lenient_domains(&text).iter().all(|domain| domain == "acme.example"), "{text:?}");
            }
        }

        #[test]
        fn a_request_is_refused_exactly_for_its_bad_recipients(texts in prop::collection::vec(recipient(), 0..6)) {
            let (policy, own) = (Policy::default(), own_domains(&["acme.example"]));
            let alone = texts.iter().flat_map(|text| refused_recipients(&policy, &own, std::slice::from_ref(text)));
            let alone: Vec<_> = alone.collect();
            prop_assert!(alone.iter().all(|refused| !refused.address.contains(char::is_control)));
            prop_assert_eq!(refused_recipients(&policy, &own, &texts), alone);
        }
    }

    fn name() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "[DEV]",
            "[dev] ",
            "［ＤＥＶ］",
            "[",
            "DEV",
            "]",
            " ",
            "\u{200b}",
            "\u{202e}",
            "\u{2066}",
            "\u{301}",
            "\u{feff}",
            "\r\n",
            "\t",
            "\u{2028}",
            "İ",
            "ﬁ",
            "👩\u{200d}👧",
            "Offer",
            "\u{e007f}",
            "\u{fe0f}",
        ]);
        let part = prop_oneof![3 => parts.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
        prop_oneof![3 => prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat()), 1 => any::<String>()]
    }

    fn prefix() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("[DEV] ".to_owned()),
            Just("[Test Env]".to_owned()),
            name()
        ]
    }

    proptest! {
        #[test]
        fn a_document_name_is_prefixed_once_within_its_length_and_stable(name in name(), max_name_characters in 6_usize..40) {
            let policy = Policy { max_name_characters, ..Policy::default() };
            let named = document_name(&policy, &name);
            let rest = named.strip_prefix("[DEV] ").expect("the prefix");
            let seen: String = rest.chars().flat_map(super::fold).collect();
            prop_assert!(!seen.starts_with("[dev]"), "{named:?}");
            prop_assert!(named.chars().count() <= max_name_characters);
            let acts = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!named.contains(acts), "{named:?}");
            prop_assert_eq!(document_name(&policy, &named), named.clone());
            prop_assert_eq!(document_name(&policy, &format!(" [dev]{named}")), named);
        }

        #[test]
        fn any_prefix_is_stable(prefix in prefix(), name in name(), max_name_characters in 0_usize..40) {
            let policy = Policy { name_prefix: prefix.clone(), max_name_characters, ..Policy::default() };
            let named = document_name(&policy, &name);
            prop_assert!(named.starts_with(&prefix));
            prop_assert!(named.chars().count() <= max_name_characters.max(prefix.chars().count()));
            prop_assert_eq!(document_name(&policy, &named), named);
        }

        #[test]
        fn a_name_in_the_middle_is_kept(name in "[a-zA-Z0-9 äöü()_.-]{1,60}") {
            prop_assume!(!name.trim().is_empty());
            prop_assert_eq!(document_name(&Policy::default(), &name), format!("[DEV] {}", name.trim()));
        }
    }
}
