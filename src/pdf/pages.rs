//! Our own walk of the page tree (ISO 32000-1 §7.7.3). lopdf's skips a kid with an odd /Type, an inline kid, a deep tree
//! and repeated kids, all of which some reader shows; here each of them is a refusal.

use std::collections::HashSet;

use lopdf::{Dictionary, Document, Object, ObjectId};

use super::refusal::{Refusal, ambiguous, damaged, ensure};

const MAX_DEPTH: usize = 64;

/// A leaf of the tree with the attributes that hold for it, its own or inherited.
pub(super) struct Page<'a> {
    pub(super) id: ObjectId,
    pub(super) dictionary: &'a Dictionary,
    pub(super) inherited: Inherited<'a>,
}

/// ISO 32000-1 table 30: the four attributes that a page inherits.
#[derive(Clone, Copy, Default)]
pub(super) struct Inherited<'a> {
    pub(super) resources: Option<&'a Object>,
    pub(super) media_box: Option<&'a Object>,
    pub(super) crop_box: Option<&'a Object>,
    pub(super) rotate: Option<&'a Object>,
}

/// Every page in order. `Err` unless the tree is plain: each node named once, by reference, by a parent that it names
/// too, and every /Count true.
pub(super) fn list_pages(document: &Document, max_pages: u32) -> Result<Vec<Page<'_>>, Refusal> {
    let catalog = document
        .catalog()
        .map_err(|_| damaged("it has no catalog"))?;
    ensure(catalog.has_type(b"Catalog"), || {
        ambiguous("its catalog is not typed as one")
    })?;
    let root = catalog
        .get(b"Pages")
        .and_then(Object::as_reference)
        .map_err(|_| damaged("it has no page tree"))?;
    let mut walk = Walk {
        document,
        max_pages,
        seen: HashSet::new(),
        pages: Vec::new(),
    };
    walk.node(root, None, Inherited::default(), 0)?;
    ensure(!walk.pages.is_empty(), || Refusal::NoPages)?;
    Ok(walk.pages)
}

struct Walk<'a> {
    document: &'a Document,
    max_pages: u32,
    seen: HashSet<ObjectId>,
    pages: Vec<Page<'a>>,
}

impl<'a> Walk<'a> {
    fn node(
        &mut self,
        id: ObjectId,
        parent: Option<ObjectId>,
        above: Inherited<'a>,
        depth: usize,
    ) -> Result<(), Refusal> {
        ensure(depth <= MAX_DEPTH, || {
            ambiguous("its page tree is too deep")
        })?;
        ensure(self.seen.insert(id), || {
            ambiguous("a page appears twice in the page tree")
        })?;
        let node = self
            .document
            .get_dictionary(id)
            .map_err(|_| ambiguous("a page is missing"))?;
        let named_parent = node
            .get(b"Parent")
            .ok()
            .and_then(|parent| parent.as_reference().ok());
        ensure(
            named_parent == parent && (parent.is_some() || !node.has(b"Parent")),
            || ambiguous("a page does not name its parent"),
        )?;
        let inherited = self.inherit(node, above);
        match node.get(b"Type").and_then(Object::as_name) {
            Ok(b"Pages") => self.branch(id, node, inherited, depth),
            Ok(b"Page") if parent.is_some() => self.leaf(id, node, inherited),
            _ => Err(ambiguous(
                "a node of the page tree is neither a page nor a branch",
            )),
        }
    }

    fn branch(
        &mut self,
        id: ObjectId,
        node: &'a Dictionary,
        inherited: Inherited<'a>,
        depth: usize,
    ) -> Result<(), Refusal> {
        let kids = self
            .value(node, b"Kids")
            .and_then(|kids| kids.as_array().ok());
        let count = self
            .value(node, b"Count")
            .and_then(|count| count.as_i64().ok());
        let before = self.pages.len();
        for kid in kids.ok_or_else(|| ambiguous("a branch of the page tree has no kids"))? {
            let kid = kid
                .as_reference()
                .map_err(|_| ambiguous("a page is not a reference"))?;
            self.node(kid, Some(id), inherited, depth + 1)?;
        }
        let found = i64::try_from(self.pages.len() - before).ok();
        ensure(count.is_some() && count == found, || {
            ambiguous("a page count is wrong")
        })
    }

    fn leaf(
        &mut self,
        id: ObjectId,
        dictionary: &'a Dictionary,
        inherited: Inherited<'a>,
    ) -> Result<(), Refusal> {
        ensure(!dictionary.has(b"Kids"), || ambiguous("a page has kids"))?;
        ensure(self.pages.len() < self.max_pages as usize, || {
            Refusal::TooManyPages
        })?;
        self.pages.push(Page {
            id,
            dictionary,
            inherited,
        });
        Ok(())
    }

    fn inherit(&self, node: &'a Dictionary, above: Inherited<'a>) -> Inherited<'a> {
        Inherited {
            resources: self.own(node, b"Resources").or(above.resources),
            media_box: self.value(node, b"MediaBox").or(above.media_box),
            crop_box: self.value(node, b"CropBox").or(above.crop_box),
            rotate: self.value(node, b"Rotate").or(above.rotate),
        }
    }

    /// The entry as it is written, a reference staying a reference; null is absence (§7.3.9).
    fn own(&self, node: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
        self.value(node, key).and_then(|_| node.get(key).ok())
    }

    fn value(&self, node: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
        node.get_deref(key, self.document)
            .ok()
            .filter(|value| !value.is_null())
    }
}
