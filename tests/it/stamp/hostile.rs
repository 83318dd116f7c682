//! Files that a reader could show without the mark: each is refused, with the code that says why.

use lopdf::{Document, EncryptionState, EncryptionVersion, Object, Permissions, StringFormat};

use super::build::{FONT, File, LETTER, exchange, startxref, text};
use super::{assert_refused, mark};

const PAGE: &str = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>";

fn tree(kids: &str, count: &str) -> File {
    File::hello().with(2, format!("<< /Type /Pages /Kids {kids} /Count {count} >>"))
}

fn page(entries: &str) -> Vec<u8> {
    File::one_page(&format!("{FONT} {entries}"), &text("Hello page")).bytes()
}

fn catalog(entries: &str) -> File {
    File::hello().with(1, format!("<< /Type /Catalog /Pages 2 0 R {entries} >>"))
}

#[test]
fn an_encrypted_file_is_refused_whatever_its_password() {
    for password in ["", "secret"] {
        assert_refused(password, &encrypted(password), "pdf_encrypted");
    }
}

#[test]
fn a_damaged_file_is_refused() {
    let whole = File::hello().bytes();
    assert_refused("empty", b"", "pdf_damaged");
    assert_refused("not a PDF", b"<html>Hello</html>", "pdf_damaged");
    assert_refused("truncated", &whole[..whole.len() / 2], "pdf_damaged");
    assert_refused("a header alone", b"%PDF-1.7\n%%EOF\n", "pdf_damaged");
    let start = startxref(&whole).to_string();
    assert_refused(
        "wrong startxref",
        &exchange(&whole, &format!("startxref\n{start}"), "startxref\n111"),
        "pdf_damaged",
    );
    assert_refused(
        "broken object",
        &exchange(&whole, "/Type /Font", "/Type <<<<<"),
        "pdf_damaged",
    );
    assert_refused(
        "wrong length",
        &exchange(
            &whole,
            &format!("/Length {}", text("Hello page").len()),
            "/Length 99",
        ),
        "pdf_damaged",
    );
}

#[test]
fn a_file_without_pages_is_refused() {
    assert_refused("no kids", &tree("[]", "0").bytes(), "pdf_no_pages");
}

#[test]
fn a_file_that_carries_files_is_refused() {
    let specification = "<< /Type /Filespec /F (a.pdf) /EF << /F 7 0 R >> >>";
    let carrier = |file: File| file.with(6, specification).with_stream(7, "", b"%PDF-1.4");
    let names = "/Names << /EmbeddedFiles << /Names [(a.pdf) 6 0 R] >> >>";
    assert_refused(
        "attachment",
        &carrier(catalog(names)).bytes(),
        "pdf_embedded_files",
    );
    assert_refused(
        "associated",
        &carrier(catalog("/AF [6 0 R]")).bytes(),
        "pdf_embedded_files",
    );
    assert_refused(
        "portfolio",
        &catalog("/Collection << /View /D >>").bytes(),
        "pdf_embedded_files",
    );
    let annotated = page(&format!(
        "{LETTER} /Annots [<< /Subtype /FileAttachment /Rect [0 0 9 9] >>]"
    ));
    assert_refused("annotation", &annotated, "pdf_embedded_files");
}

#[test]
fn a_form_that_replaces_the_pages_is_refused() {
    assert_refused(
        "XFA",
        &catalog("/AcroForm << /Fields [] /XFA [] >>").bytes(),
        "pdf_ambiguous",
    );
    assert_refused(
        "dynamic XFA",
        &catalog("/NeedsRendering true").bytes(),
        "pdf_ambiguous",
    );
}

#[test]
fn a_file_that_asks_for_another_box_is_refused() {
    let preferences = "/ViewerPreferences << /ViewArea /ArtBox >>";
    assert_refused("view area", &catalog(preferences).bytes(), "pdf_ambiguous");
}

#[test]
fn a_page_tree_that_is_not_plain_is_refused() {
    let odd = "<< /Type /Template /Parent 2 0 R /MediaBox [0 0 612 792] >>";
    let untyped = "<< /Parent 2 0 R /MediaBox [0 0 612 792] >>";
    let cases = [
        (
            "a kid with an odd type",
            tree("[3 0 R 6 0 R]", "2").with(6, odd),
        ),
        (
            "a kid without a type",
            tree("[3 0 R 6 0 R]", "2").with(6, untyped),
        ),
        (
            "an odd kid that the count forgets",
            tree("[3 0 R 6 0 R]", "1").with(6, odd),
        ),
        (
            "a type behind a reference",
            tree("[6 0 R]", "1")
                .with(6, exchange_type())
                .with(7, "/Page"),
        ),
        ("an inline kid", tree(&format!("[3 0 R {PAGE}]"), "2")),
        ("a repeated kid", tree("[3 0 R 3 0 R]", "2")),
        ("a null kid", tree("[3 0 R null]", "1")),
        ("a missing kid", tree("[3 0 R 99 0 R]", "1")),
        ("a cycle", tree("[3 0 R 2 0 R]", "1")),
        (
            "a kid that names no parent",
            tree("[3 0 R 6 0 R]", "2").with(6, "<< /Type /Page /MediaBox [0 0 9 9] >>"),
        ),
        ("a count that is too high", tree("[3 0 R]", "2")),
        (
            "a count that is too low",
            tree("[3 0 R 6 0 R]", "1").with(6, PAGE),
        ),
        ("a negative count", tree("[3 0 R]", "-1")),
        (
            "no count",
            File::hello().with(2, "<< /Type /Pages /Kids [3 0 R] >>"),
        ),
        (
            "no kids",
            File::hello().with(2, "<< /Type /Pages /Count 1 >>"),
        ),
        (
            "a page for a root",
            File::hello().with(2, "<< /Type /Page /MediaBox [0 0 612 792] >>"),
        ),
        (
            "a root with a parent",
            File::hello().with(2, "<< /Type /Pages /Parent 3 0 R /Kids [3 0 R] /Count 1 >>"),
        ),
        (
            "a page with kids",
            tree("[6 0 R]", "1").with(6, "<< /Type /Page /Parent 2 0 R /Kids [3 0 R] >>"),
        ),
        (
            "an untyped catalog",
            File::hello().with(1, "<< /Pages 2 0 R >>"),
        ),
    ];
    for (case, file) in cases {
        assert_refused(case, &file.bytes(), "pdf_ambiguous");
    }
}

fn exchange_type() -> String {
    PAGE.replace("/Type /Page", "/Type 7 0 R")
}

#[test]
fn a_page_tree_ten_thousand_levels_deep_is_refused() {
    let mut file = File::hello();
    for id in 10..10_010 {
        let parent = if id == 10 { 2 } else { id - 1 };
        file.set(
            id,
            format!(
                "<< /Type /Pages /Parent {parent} 0 R /Kids [{} 0 R] /Count 1 >>",
                id + 1
            ),
        );
    }
    let leaf = PAGE.replace("/Parent 2 0 R", "/Parent 10009 0 R");
    let file = file
        .with(2, "<< /Type /Pages /Kids [10 0 R] /Count 1 >>")
        .with(10_010, leaf);
    assert_refused("deep", &file.bytes(), "pdf_ambiguous");
}

#[test]
fn a_page_without_a_clear_sheet_is_refused() {
    let sheets = [
        "",
        "/MediaBox [0 0 612]",
        "/MediaBox [0 0 0 792]",
        "/MediaBox [0 0 612 1e9]",
        "/MediaBox [0 0 90000000 792]",
        "/MediaBox [0 0 612 792] /CropBox [700 0 900 792]",
        "/MediaBox [0 0 612 792] /CropBox [0 0 0 0]",
        "/MediaBox [0 0 612 792] /Rotate 45",
        "/MediaBox [0 0 612 792] /Rotate 90.0",
        "/MediaBox [0 0 612 792] /Rotate /East",
        "/MediaBox [0 0 612 792] /UserUnit 0",
        "/MediaBox [0 0 612 792] /Annots 5 0 R",
    ];
    for sheet in sheets {
        let code = if sheet.contains("1e9") {
            "pdf_damaged"
        } else {
            "pdf_ambiguous"
        };
        assert_refused(sheet, &page(sheet), code);
    }
}

#[test]
fn content_that_is_elsewhere_or_unreadable_is_refused() {
    let external = File::hello().with_stream(4, "/F (other.txt)", b"");
    assert_refused("external", &external.bytes(), "pdf_ambiguous");
    let missing = File::hello().with(
        3,
        format!("<< /Type /Page /Parent 2 0 R {LETTER} /Contents [4 0 R 99 0 R] >>"),
    );
    assert_refused("missing", &missing.bytes(), "pdf_ambiguous");
    let both = format!("<< /Type /Page /Parent 2 0 R {LETTER} /Contents [4 0 R 4 0 R] >>");
    let unknown = File::hello()
        .with(3, both)
        .with_stream(4, "/Filter /NoSuchDecode", b"q Q");
    assert_refused("unknown filter", &unknown.bytes(), "pdf_damaged");
}

#[test]
fn a_layer_that_is_never_closed_is_refused() {
    let endless = "/OC /Layer BDC";
    let closed_in_a_string = "/OC /Layer BDC (EMC) Tj % EMC";
    let inline_image = "/OC /Layer BDC BI /W 1 /H 1 /BPC 8 /CS /G /F /Fl ID x EI EMC";
    for content in [endless, closed_in_a_string, inline_image] {
        assert_refused(content, &layered(content, "").bytes(), "pdf_ambiguous");
        assert_refused(
            content,
            &layered("/Inner Do", content).bytes(),
            "pdf_ambiguous",
        );
    }
}

fn layered(content: &str, inner: &str) -> File {
    let resources = "/Resources << /Properties << /Layer 6 0 R >> /XObject << /Inner 7 0 R >> >>";
    let file = File::one_page(&format!("{LETTER} {resources}"), content).with(
        1,
        "<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] >> >> >>",
    );
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 9 9]";
    file.with(6, "<< /Type /OCG /Name (Layer) >>")
        .with_stream(7, form, inner.as_bytes())
}

#[test]
fn a_file_that_is_two_files_to_two_readers_is_refused() {
    let file = File::hello().bytes();
    assert_refused(
        "bytes before",
        &[b"\n".as_slice(), &file].concat(),
        "pdf_ambiguous",
    );
    assert_refused(
        "bytes after",
        &[&file, b"startxref\n9\n".as_slice()].concat(),
        "pdf_ambiguous",
    );
    assert_refused("glued", &[file.as_slice(), &file].concat(), "pdf_ambiguous");
    let hidden = File::hello()
        .with_stream(6, "", b"%PDF-1.4 another")
        .bytes();
    assert_refused("a header inside", &hidden, "pdf_ambiguous");
}

#[test]
fn a_cross_reference_table_that_does_not_match_is_refused() {
    let file = File::hello().bytes();
    let swapped = exchange(
        &exchange(&file, "4 0 obj\n", "9 0 obj\n"),
        "5 0 obj\n",
        "4 0 obj\n",
    );
    assert_refused("swapped", &swapped, "pdf_ambiguous");
    let generation = exchange(&file, "4 0 obj\n", "4 1 obj\n");
    assert_refused("generation", &generation, "pdf_ambiguous");
}

#[test]
fn revisions_that_form_a_loop_are_refused() {
    let file = File::hello().bytes();
    let start = startxref(&file);
    let looped = File {
        trailer: format!("/Root 1 0 R /Prev {start}"),
        ..File::hello()
    }
    .bytes();
    assert_eq!(startxref(&looped), start);
    assert_refused("loop", &looped, "pdf_ambiguous");
    let twice = File {
        trailer: "/Root 1 0 R /Prev 9 /Prev 10".to_owned(),
        ..File::hello()
    }
    .bytes();
    assert_refused("two previous revisions", &twice, "pdf_ambiguous");
    let roots = File {
        trailer: "/Root 2 0 R /Root 1 0 R".to_owned(),
        ..File::hello()
    }
    .bytes();
    assert_refused("two catalogs", &roots, "pdf_ambiguous");
}

#[test]
fn more_pages_than_allowed_are_refused() {
    let file = File::pages(LETTER, &[String::new(), String::new(), String::new()]).bytes();
    let refusal = countersign::pdf::stamp(&file, &mark(), 2).expect_err("three pages, two allowed");
    assert_eq!(refusal.code(), "pdf_too_many_pages");
}

#[test]
fn a_mark_that_nobody_could_read_is_refused() {
    for text in ["", "  ", "試験", &"x".repeat(200)] {
        let mark = countersign::pdf::Mark {
            text: text.to_owned(),
        };
        let refusal = countersign::pdf::stamp(&File::hello().bytes(), &mark, 1).expect_err(text);
        assert_eq!(refusal.code(), "stamp_mark_unusable", "{text}");
    }
}

fn encrypted(user_password: &str) -> Vec<u8> {
    let mut document = Document::load_mem(&File::hello().bytes()).expect("a file of ours");
    let id = Object::String(b"0123456789abcdef".to_vec(), StringFormat::Hexadecimal);
    document.trailer.set("ID", vec![id.clone(), id]);
    let version = EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password,
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).expect("a valid encryption");
    document.encrypt(&state).expect("encrypting a plain file");
    let mut file = Vec::new();
    document.save_to(&mut file).expect("writing to memory");
    file
}
