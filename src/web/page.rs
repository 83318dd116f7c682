//! What all HTML pages share: the shell around a page, the values that more than one kind of page shows, and the two
//! pages without a home, error and notice. Strings arrive ready to read: dates formatted, links validated; templates
//! only escape them.

use askama::Template;

use crate::config::{Catalogue, Risk, ScopeEntry};

/// Around every page.
#[derive(Debug, Clone, Default)]
pub struct Shell {
    /// Of the browser tab. Keep users' names out of it: nothing isolates their direction there.
    pub title: String,
    /// The vendor's name for this Dev Centre.
    pub product_name: String,
    pub signed_in: Option<SignedIn>,
    /// Opens the navigation of the signed-in user's organization at this entry; none shows no navigation.
    pub active_section: Option<Section>,
}

#[derive(Debug, Clone, Default)]
pub struct SignedIn {
    pub email: String,
    /// For the sign-out form: `POST /logout`.
    pub csrf: String,
    pub organization: Option<OrganizationLink>,
    /// Whether the user may open that organization's applications.
    pub sees_applications: bool,
    /// All of the user's organizations, to switch.
    pub organizations: Vec<OrganizationLink>,
    /// Whether the operator's pages open to the user, here and now.
    pub operator: bool,
}

#[derive(Debug, Clone)]
pub struct OrganizationLink {
    pub id: String,
    pub name: String,
}

/// An entry of the Dev Centre's navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    ApiKeys,
    Applications,
    SingleSignOn,
    ManagementTokens,
    Plan,
}

/// A link that this server made: never a user's text in `href`.
#[derive(Debug, Clone)]
pub struct Link {
    pub href: String,
    pub label: String,
}

/// One option of a select or of a list of checkboxes.
#[derive(Debug, Clone)]
pub struct Choice {
    pub id: String,
    pub name: String,
    pub selected: bool,
}

/// A scope in words.
#[derive(Debug, Clone)]
pub struct ScopeRow {
    pub name: String,
    pub title: String,
    pub description: String,
    pub risk: Risk,
}

impl ScopeRow {
    pub fn of(catalogue: &Catalogue, scope: &ScopeEntry) -> Self {
        let (name, title, description) = (
            scope.name.clone(),
            scope.title.clone(),
            scope.description.clone(),
        );
        Self {
            name,
            title,
            description,
            risk: catalogue.risk(scope),
        }
    }

    /// Those of the configured scopes, in their order, that are `wanted`.
    pub fn list(catalogue: &Catalogue, wanted: impl Fn(&ScopeEntry) -> bool) -> Vec<Self> {
        catalogue
            .scopes()
            .filter(|scope| wanted(scope))
            .map(|scope| Self::of(catalogue, scope))
            .collect()
    }
}

/// One thing wrong with a form. `field` is the input's name, empty for what concerns the form as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

/// What is wrong with a form, in the order of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    pub fn push(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first message about the field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|error| error.field == field)
            .map(|error| error.message.as_str())
    }
}

/// Something went wrong, and what can be done about it.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub shell: Shell,
    pub status: u16,
    pub heading: String,
    pub message: String,
    pub way_out: Option<Link>,
    pub request_id: String,
}

/// Something was done, or is to be known.
#[derive(Template)]
#[template(path = "notice.html")]
pub struct NoticePage {
    pub shell: Shell,
    pub heading: String,
    pub message: String,
    pub way_out: Option<Link>,
}

/// Names as an attacker picks them, and samples of what pages share.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub const SCRIPT: &str = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>";
    pub const RIGHT_TO_LEFT: &str = "\u{202e}moc.elpmaxe\u{2066} שלום";

    pub fn long() -> String {
        "Wüstenrotstraße-Integration"
            .repeat(8)
            .chars()
            .take(200)
            .collect()
    }

    pub fn organization() -> OrganizationLink {
        OrganizationLink {
            id: "org_1Acme".into(),
            name: "Acme Contracts".into(),
        }
    }

    pub fn hostile_organization() -> OrganizationLink {
        OrganizationLink {
            id: "org_2Evil".into(),
            name: RIGHT_TO_LEFT.into(),
        }
    }

    pub fn signed_out(title: &str) -> Shell {
        Shell {
            title: title.into(),
            product_name: "Countersign".into(),
            ..Shell::default()
        }
    }

    pub fn signed_in(title: &str, active_section: Option<Section>) -> Shell {
        let signed_in = SignedIn {
            email: "ada@acme.example".into(),
            csrf: "csrf-token".into(),
            organization: Some(organization()),
            sees_applications: true,
            organizations: vec![organization(), hostile_organization()],
            operator: false,
        };
        Shell {
            signed_in: Some(signed_in),
            active_section,
            ..signed_out(title)
        }
    }

    /// An operator, who belongs to no organization.
    pub fn operator(title: &str) -> Shell {
        let signed_in = SignedIn {
            email: "olga@vendor.example".into(),
            csrf: "csrf-token".into(),
            operator: true,
            ..SignedIn::default()
        };
        Shell {
            signed_in: Some(signed_in),
            ..signed_out(title)
        }
    }

    pub fn scope(name: &str, title: &str, description: &str, risk: Risk) -> ScopeRow {
        ScopeRow {
            name: name.into(),
            title: title.into(),
            description: description.into(),
            risk,
        }
    }

    pub fn scopes() -> Vec<ScopeRow> {
        vec![
            scope(
                "documents:read",
                "See documents",
                "Open documents, their fields, recipients and status.",
                Risk::Low,
            ),
            scope(
                "documents:write",
                "Create and change documents",
                "Make drafts and edit them.",
                Risk::Medium,
            ),
            scope(
                "documents:send",
                "Send documents",
                "Send documents to recipients in your name.",
                Risk::High,
            ),
        ]
    }

    pub fn choice(id: &str, name: &str, selected: bool) -> Choice {
        Choice {
            id: id.into(),
            name: name.into(),
            selected,
        }
    }

    impl ErrorPage {
        pub fn sample() -> Self {
            Self {
                shell: signed_in("Page not found", None),
                status: 404,
                heading: "Page not found".into(),
                message: "The page may have moved, or it belongs to an organization that you are not a member of.".into(),
                way_out: Some(Link { href: "/".into(), label: "Go to the Dev Centre".into() }),
                request_id: "req_4Tq9hBz3mYw".into(),
            }
        }

        pub fn sample_hostile() -> Self {
            let shell = signed_out("Request refused");
            Self {
                shell,
                status: 400,
                heading: long(),
                message: SCRIPT.into(),
                way_out: None,
                ..Self::sample()
            }
        }
    }

    impl NoticePage {
        pub fn sample() -> Self {
            Self {
                shell: signed_out("Signed out"),
                heading: "You are signed out".into(),
                message: "Applications that you connected keep their access.".into(),
                way_out: Some(Link {
                    href: "/login".into(),
                    label: "Sign in again".into(),
                }),
            }
        }
    }
}

/// What every rendered page promises. `PAGES_DIR=… cargo test pages` also writes the samples there, to look at.
#[cfg(test)]
pub(crate) mod promises {
    use super::*;

    const VOID: [&str; 7] = ["br", "hr", "img", "input", "link", "meta", "!doctype"];

    struct Tag<'a> {
        name: &'a str,
        attributes: Vec<(&'a str, &'a str)>,
        /// Names of the elements around it, outermost first.
        around: Vec<&'a str>,
    }

    impl<'a> Tag<'a> {
        fn get(&self, name: &str) -> Option<&'a str> {
            self.attributes
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| *value)
        }
    }

    pub fn assert_kept(name: &str, page: &impl Template) {
        let html = page.render().expect("a page renders");
        if let Some(directory) = std::env::var_os("PAGES_DIR") {
            let path = std::path::Path::new(&directory).join(format!("{name}.html"));
            std::fs::write(path, &html).expect("PAGES_DIR is writable");
        }
        let tags = parse(name, &html);
        the_document_is_whole(name, &html, &tags);
        nothing_breaks_the_content_security_policy(name, &tags);
        every_post_carries_its_csrf_token(name, &html);
        every_input_has_a_label(name, &tags);
        every_reference_leads_somewhere(name, &tags);
    }

    fn the_document_is_whole(name: &str, html: &str, tags: &[Tag<'_>]) {
        let count = |wanted: &str| tags.iter().filter(|tag| tag.name == wanted).count();
        assert!(
            html.trim_start().starts_with("<!doctype html>"),
            "{name}: doctype"
        );
        assert_eq!(count("h1"), 1, "{name}: one h1");
        assert_eq!(count("main"), 1, "{name}: one main");
        assert!(
            tags.iter()
                .any(|tag| tag.name == "html" && tag.get("lang") == Some("en")),
            "{name}: html lang"
        );
        let title = html
            .split("<title>")
            .nth(1)
            .and_then(|rest| rest.split("</title>").next());
        assert!(
            title.is_some_and(|title| title.trim().len() > 14),
            "{name}: title"
        );
    }

    fn nothing_breaks_the_content_security_policy(name: &str, tags: &[Tag<'_>]) {
        for tag in tags {
            assert!(
                !["script", "style", "iframe", "object", "base"].contains(&tag.name),
                "{name}: <{}>",
                tag.name
            );
            for (attribute, value) in &tag.attributes {
                assert!(
                    *attribute != "style" && !attribute.starts_with("on"),
                    "{name}: {attribute}= in <{}>",
                    tag.name
                );
                if ["href", "src", "action"].contains(attribute) {
                    let is_local = value.starts_with('#')
                        || value.starts_with('/') && !value.starts_with("//");
                    assert!(is_local, "{name}: {attribute}={value}");
                }
            }
        }
    }

    fn every_post_carries_its_csrf_token(name: &str, html: &str) {
        for form in html.split("<form").skip(1) {
            let (form, _) = form.split_once("</form>").expect("a form ends");
            let carries = form.contains(r#"<input type="hidden" name="csrf" value="csrf-token">"#);
            assert_eq!(
                form.contains(r#"method="post""#),
                carries,
                "{name}: csrf in <form{form}"
            );
        }
    }

    fn every_input_has_a_label(name: &str, tags: &[Tag<'_>]) {
        let labels: Vec<_> = tags
            .iter()
            .filter(|tag| tag.name == "label")
            .filter_map(|tag| tag.get("for"))
            .collect();
        for input in tags
            .iter()
            .filter(|tag| ["input", "select", "textarea"].contains(&tag.name))
        {
            if input.get("type") != Some("hidden") {
                let id = input.get("id").unwrap_or_default();
                assert!(
                    labels.contains(&id),
                    "{name}: no label for {:?}",
                    input.attributes
                );
                assert!(
                    !input.around.contains(&"label"),
                    "{name}: {id} inside a label"
                );
            }
        }
        for fieldset in tags.iter().filter(|tag| tag.name == "legend") {
            assert_eq!(
                fieldset.around.last(),
                Some(&"fieldset"),
                "{name}: a legend outside its fieldset"
            );
        }
    }

    fn every_reference_leads_somewhere(name: &str, tags: &[Tag<'_>]) {
        let ids: Vec<_> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        for id in &ids {
            assert_eq!(
                ids.iter().filter(|other| *other == id).count(),
                1,
                "{name}: id {id} stands twice"
            );
        }
        for tag in tags {
            let fragment = tag.get("href").and_then(|href| href.strip_prefix('#'));
            let references = ["for", "aria-describedby", "aria-labelledby"]
                .iter()
                .filter_map(|name| tag.get(name));
            for id in references.flat_map(str::split_whitespace).chain(fragment) {
                assert!(ids.contains(&id), "{name}: nothing has the id {id}");
            }
        }
    }

    /// Reads the tags; on the way asserts that they nest, that attributes are quoted and stand once, that text is
    /// escaped, and that text with a direction of its own is isolated.
    fn parse<'a>(name: &str, html: &'a str) -> Vec<Tag<'a>> {
        let (mut tags, mut open): (Vec<Tag<'a>>, Vec<&'a str>) = (Vec::new(), Vec::new());
        for piece in html.split('<').skip(1) {
            let (inside, text) = piece
                .split_once('>')
                .unwrap_or_else(|| unreachable!("{name}: unescaped <{piece}"));
            assert!(!text.contains('>'), "{name}: unescaped > in {text}");
            if let Some(closed) = inside.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "{name}: </{closed}>");
            } else {
                let (tag, attributes) = inside
                    .split_once(char::is_whitespace)
                    .unwrap_or((inside, ""));
                let attributes = if tag == "!doctype" {
                    Vec::new()
                } else {
                    parse_attributes(name, attributes)
                };
                tags.push(Tag {
                    name: tag,
                    attributes,
                    around: open.clone(),
                });
                if !VOID.contains(&tag) {
                    open.push(tag);
                }
            }
            if text.contains('\u{202e}') {
                let isolates = ["bdi", "option", "textarea"];
                assert!(
                    open.last().is_some_and(|tag| isolates.contains(tag)),
                    "{name}: not isolated in {open:?}: {text}"
                );
            }
        }
        assert!(open.is_empty(), "{name}: still open {open:?}");
        tags
    }

    fn parse_attributes<'a>(name: &str, mut rest: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut attributes: Vec<(&str, &str)> = Vec::new();
        while !rest.trim_start().is_empty() {
            rest = rest.trim_start();
            let end = rest
                .find(|c: char| c == '=' || c.is_whitespace())
                .unwrap_or(rest.len());
            let (attribute, after) = rest.split_at(end);
            let value = match after.strip_prefix("=\"") {
                Some(quoted) => {
                    let (value, after) = quoted.split_once('"').expect("a quoted value ends");
                    rest = after;
                    value
                }
                None => {
                    assert!(!after.starts_with('='), "{name}: {attribute} is not quoted");
                    rest = after;
                    ""
                }
            };
            assert!(
                !attributes.iter().any(|(own, _)| *own == attribute),
                "{name}: {attribute} stands twice"
            );
            attributes.push((attribute, value));
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::promises::assert_kept;
    use super::*;

    #[test]
    fn pages_without_a_home_keep_the_promises() {
        assert_kept("error", &ErrorPage::sample());
        assert_kept("error-hostile", &ErrorPage::sample_hostile());
        assert_kept("notice", &NoticePage::sample());
    }

    #[test]
    fn a_field_shows_its_first_error() {
        let mut errors = FieldErrors::default();
        errors.push("name", "Enter a name");
        errors.push("name", "Too short");
        assert_eq!(errors.of("name"), Some("Enter a name"));
        assert_eq!(errors.of("scope"), None);
    }
}
