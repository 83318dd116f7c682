//! What the name of a domain tells without asking anybody: whether it is a public suffix, above which names it lies, and
//! how it looks to a reader (UTS #39).

use psl::Psl;
use unicode_security::RestrictionLevelDetection;
use unicode_security::confusable_detection::skeleton;
use unicode_security::restriction_level::RestrictionLevel;

use super::email::Domain;

impl Domain {
    /// Whether anybody can register names directly below it (`co.uk`, `github.io`), or names below any name below it
    /// (`kawasaki.jp`, of the rule `*.kawasaki.jp`), so that no organization owns it.
    pub fn is_public_suffix(&self) -> bool {
        let is_suffix = |name: &str| {
            psl::List
                .suffix(name.as_bytes())
                .is_some_and(|suffix| suffix.as_bytes() == name.as_bytes())
        };
        // a label that no rule names: a suffix only by a wildcard
        is_suffix(self.as_str()) || is_suffix(&format!("any-label-at-all.{self}"))
    }

    /// Itself, then the domains that it lies in, the nearest first, without top levels.
    pub fn lineage(&self) -> impl Iterator<Item = &str> {
        let parents = self
            .as_str()
            .match_indices('.')
            .map(|(dot, _)| &self.as_str()[dot + 1..])
            .filter(|name| name.contains('.'));
        std::iter::once(self.as_str()).chain(parents)
    }

    /// The name in its own letters; none when these are ASCII alone, or could be read as another name: then the `xn--` form
    /// is all that is shown, as browsers do.
    pub fn unicode(&self) -> Option<String> {
        let (unicode, decoded) = idna::domain_to_unicode(self.as_str());
        (decoded.is_ok() && !unicode.is_ascii() && !is_look_alike(&unicode)).then_some(unicode)
    }

    /// Whether its own letters could be read as another name.
    pub fn is_look_alike(&self) -> bool {
        is_look_alike(&idna::domain_to_unicode(self.as_str()).0)
    }
}

/// UTS #39 §5.2: a label that mixes scripts in a way no language does; §4: or that is drawn like one in ASCII.
fn is_look_alike(unicode: &str) -> bool {
    unicode
        .split('.')
        .filter(|label| !label.is_ascii())
        .any(|label| {
            label.detect_restriction_level() > RestrictionLevel::HighlyRestrictive
                || skeleton(label).all(|c| c.is_ascii())
        })
}

#[cfg(test)]
mod tests {
    use super::super::email::Domain;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect(text)
    }

    #[test]
    fn nobody_owns_a_public_suffix() {
        for text in [
            "co.uk",
            "com.au",
            "github.io",
            "kawasaki.jp",
            "foo.kawasaki.jp",
            "xn--55qx5d.cn",
            "公司.cn",
            "s3.amazonaws.com",
            "compute.amazonaws.com",
        ] {
            assert!(domain(text).is_public_suffix(), "{text}");
        }
        for text in [
            "acme.co.uk",
            "acme.example",
            "acme.github.io",
            "city.kawasaki.jp",
            "example.com",
            "公司.example",
        ] {
            assert!(!domain(text).is_public_suffix(), "{text}");
        }
    }

    #[test]
    fn a_name_lies_in_its_parents_and_in_no_top_level() {
        assert_eq!(
            domain("a.b.acme.example").lineage().collect::<Vec<_>>(),
            ["a.b.acme.example", "b.acme.example", "acme.example"]
        );
        assert_eq!(
            domain("acme.example").lineage().collect::<Vec<_>>(),
            ["acme.example"]
        );
    }

    #[test]
    fn letters_are_shown_unless_they_look_like_others() {
        for text in [
            "bücher.example",
            "中文.example",
            "日本語カタカナ.example",
            "пример.example",
            "ελλάδα.example",
            "עברית.example",
            "café-bar.example",
        ] {
            assert_eq!(domain(text).unicode().as_deref(), Some(text), "{text}");
            assert!(!domain(text).is_look_alike(), "{text}");
        }
        for text in [
            "аcme.example",
            "раураӏ.example",
            "асе.example",
            "acmе.example",
            "mail.аcme.example",
            "αcme.example",
        ] {
            assert_eq!(domain(text).unicode(), None, "{text}");
            assert!(domain(text).is_look_alike(), "{text}");
        }
        assert_eq!(domain("acme.example").unicode(), None);
        assert!(!domain("acme.example").is_look_alike());
    }
}
