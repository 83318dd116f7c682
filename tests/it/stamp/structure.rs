//! Files of every lawful structure: however its objects are stored, a document is stamped.

use lopdf::{Document, SaveOptions};

use super::assert_stamped;
use super::build::{FONT, File, LETTER, text};

fn pages(count: usize) -> Vec<u8> {
    let contents: Vec<String> = (1..=count)
        .map(|page| text(&format!("Page number {page}")))
        .collect();
    File::pages(&format!("{LETTER} {FONT}"), &contents).bytes()
}

#[test]
fn object_streams_and_cross_reference_streams_are_read() {
    let mut document = Document::load_mem(&pages(3)).expect("a file of ours");
    let mut modern = Vec::new();
    document
        .save_modern(&mut modern)
        .expect("writing to memory");
    assert_stamped("object streams", &modern);

    let options = SaveOptions::builder().use_xref_streams(true).build();
    let mut stream = Vec::new();
    document
        .save_with_options(&mut stream, options)
        .expect("writing to memory");
    assert_stamped("cross-reference stream", &stream);
}

#[test]
fn the_newest_of_several_revisions_is_stamped() {
    let newer = format!(
        "<< /Length {} >>\nstream\n{}\nendstream",
        text("Second").len(),
        text("Second")
    );
    let output = assert_stamped("revisions", &File::hello().updated(&[(4, &newer)]));
    let old = text("Hello page");
    let is_old = output
        .windows(old.len())
        .any(|window| window == old.as_bytes());
    assert!(!is_old, "the older revision is still in the file");
}

#[test]
fn a_hybrid_reference_file_is_read_through_its_hidden_stream() {
    assert_stamped("hybrid", &hybrid());
}

#[test]
fn a_thousand_pages_are_all_stamped() {
    assert_stamped("a thousand pages", &pages(1_000));
}

#[test]
fn a_tree_with_branches_is_stamped_in_reading_order() {
    let file = File::pages(
        &format!("{LETTER} {FONT}"),
        &[text("One"), text("Two"), text("Three")],
    );
    let leaf = |id: u32, parent: u32| {
        format!(
            "<< /Type /Page /Parent {parent} 0 R /Contents {} 0 R {LETTER} {FONT} >>",
            id + 1
        )
    };
    let file = file.with(2, "<< /Type /Pages /Kids [10 0 R 6 0 R] /Count 3 >>");
    let file = file.with(
        6,
        "<< /Type /Pages /Parent 2 0 R /Kids [12 0 R 7 0 R] /Count 2 >>",
    );
    let file = file
        .with(
            7,
            "<< /Type /Pages /Parent 6 0 R /Kids 8 0 R /Count 9 0 R >>",
        )
        .with(8, "[14 0 R]")
        .with(9, "1");
    assert_stamped(
        "branches",
        &file.with(12, leaf(12, 6)).with(14, leaf(14, 7)).bytes(),
    );
}

#[test]
fn a_form_with_a_signature_keeps_its_fields() {
    let page = format!(
        "<< /Type /Page /Parent 2 0 R {LETTER} {FONT} /Contents 4 0 R /Annots [6 0 R 8 0 R] >>"
    );
    let field = "<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Ada) /F 4 /P 3 0 R \
                 /Rect [72 300 300 330] /DA (/F1 12 Tf 0 g) /AP << /N 7 0 R >> >>";
    let shown =
        "/Type /XObject /Subtype /Form /BBox [0 0 228 30] /Resources << /Font << /F1 5 0 R >> >>";
    let signature = "<< /Type /Annot /Subtype /Widget /FT /Sig /T (signature) /F 132 /P 3 0 R /Rect [0 0 0 0] \
                     /V << /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached \
                     /ByteRange [0 10 20 10] /Contents <00> >> >>";
    let catalog = "<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R 8 0 R] /SigFlags 3 /DR << /Font << /F1 5 0 R >> >> >> >>";
    let file = File::hello()
        .with(1, catalog)
        .with(3, page)
        .with(6, field)
        .with(8, signature);
    assert_stamped(
        "form",
        &file
            .with_stream(7, shown, b"BT /F1 12 Tf 2 9 Td (Ada Lovelace) Tj ET")
            .bytes(),
    );
}

#[test]
fn layers_that_are_closed_are_stamped_and_stay_hidden() {
    let catalog =
        "<< /Type /Catalog /Pages 2 0 R /OCProperties << /OCGs [6 0 R] /D << /OFF [6 0 R] >> >> >>";
    let resources = "/Resources << /Font << /F1 5 0 R >> /Properties << /Layer 6 0 R >> >>";
    let content = format!(
        "/OC /Layer BDC {} EMC {}",
        text("Hidden"),
        text("Hello page")
    );
    let file = File::one_page(&format!("{LETTER} {resources}"), &content).with(1, catalog);
    assert_stamped(
        "layers",
        &file.with(6, "<< /Type /OCG /Name (Layer) >>").bytes(),
    );
}

/// Page and page tree in an object stream that only /XRefStm leads to (ISO 32000-1 §7.5.8.4).
fn hybrid() -> Vec<u8> {
    let pages = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>";
    let page = format!("<< /Type /Page /Parent 2 0 R {LETTER} /Contents 4 0 R /Resources << >> >>");
    let index = format!("2 0 3 {} ", pages.len() + 1);
    let members = format!("{index}{pages} {page}");
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut offsets = Vec::new();
    let mut add = |body: &[u8]| {
        offsets.push(file.len());
        file.extend(body);
        file.len()
    };
    add(b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n");
    add(b"4 0 obj\n<< /Length 3 >>\nstream\nq Q\nendstream\nendobj\n");
    let head = format!(
        "6 0 obj\n<< /Type /ObjStm /N 2 /First {} /Length {} >>\nstream\n",
        index.len(),
        members.len()
    );
    let hidden = add(format!("{head}{members}\nendstream\nendobj\n").as_bytes());
    let mut entries = vec![2, 0, 6, 0, 2, 0, 6, 1]; // objects 2 and 3: in stream 6
    let container = u16::try_from(offsets[2])
        .expect("a small file")
        .to_be_bytes();
    entries.extend([1, container[0], container[1], 0]);
    file.extend(
        b"7 0 obj\n<< /Type /XRef /Size 8 /Index [2 2 6 1] /W [1 2 1] /Length 12 >>\nstream\n",
    );
    file.extend(entries);
    file.extend(b"\nendstream\nendobj\n");
    let start = file.len();
    let table = format!(
        "xref\n0 2\n0000000000 65535 f \n{:010} 00000 n \n4 1\n{:010} 00000 n \n\
         trailer\n<< /Size 8 /Root 1 0 R /XRefStm {hidden} >>\nstartxref\n{start}\n%%EOF\n",
        offsets[0], offsets[1]
    );
    file.extend(table.into_bytes());
    file
}
