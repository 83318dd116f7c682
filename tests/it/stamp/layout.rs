//! The matrix of page shapes and contents: every one is stamped, upright and in sight.

use super::build::{FONT, File, LETTER, text};
use super::{MARK, assert_stamped, judge, mark, stamped};

fn page(entries: &str) -> Vec<u8> {
    File::one_page(&format!("{FONT} {entries}"), &text("Hello page")).bytes()
}

#[test]
fn a_plain_page_keeps_its_text_and_gets_the_mark() {
    assert_stamped("plain", &File::hello().bytes());
}

#[test]
fn the_same_document_gets_the_same_bytes() {
    let input = File::hello().bytes();
    assert_eq!(stamped(&input), stamped(&input));
}

#[test]
fn the_mark_stands_upright_on_pages_of_every_rotation() {
    for rotate in ["0", "90", "180", "270", "-90", "450"] {
        assert_stamped(rotate, &page(&format!("{LETTER} /Rotate {rotate}")));
    }
}

#[test]
fn the_mark_fits_the_crop_box() {
    let boxes = [
        "/MediaBox [0 0 612 792] /CropBox [50 500 450 700]",
        "/MediaBox [0 0 612 792] /CropBox [50 500 450 700] /Rotate 90",
        "/MediaBox [0 0 612 792] /CropBox [50 500 450 700] /Rotate 270",
        "/MediaBox [-300 -100 312 692]",
        "/MediaBox [612 792 0 0]",
        "/MediaBox [0.5 0.25 595.276 841.89]",
        "/MediaBox [0 0 14400 14400]",
    ];
    for boxes in boxes {
        assert_stamped(boxes, &page(boxes));
    }
}

#[test]
fn what_a_crop_box_adds_to_the_media_box_is_not_counted() {
    let odd = page("/MediaBox [0 0 612 792] /CropBox [-100 -100 500 700]");
    let plain = page("/MediaBox [0 0 612 792] /CropBox [0 0 500 700]");
    let output = stamped(&odd).expect("stamping");
    judge::assert_marked("partly outside", &plain, &output, MARK);
}

#[test]
fn the_mark_scales_with_the_user_unit() {
    let small = "BT /F1 2 Tf 7 60 Td (Hello page) Tj ET";
    let entries = format!("{FONT} /MediaBox [0 0 61.2 79.2] /UserUnit 10");
    assert_stamped("user unit", &File::one_page(&entries, small).bytes());
}

#[test]
fn inherited_attributes_survive() {
    let pages = format!("<< /Type /Pages /Kids [6 0 R] /Count 1 {FONT} /MediaBox [0 0 400 300] >>");
    let branch = "<< /Type /Pages /Parent 2 0 R /Kids [3 0 R] /Count 1 /Rotate 90 /CropBox [10 10 390 250] >>";
    let content = "BT /F1 18 Tf 72 200 Td (Hello page) Tj ET";
    let file = File::one_page("", content).with(2, pages).with(6, branch);
    assert_stamped(
        "inherited",
        &file
            .with(3, "<< /Type /Page /Parent 6 0 R /Contents 4 0 R >>")
            .bytes(),
    );
}

#[test]
fn pages_that_share_resources_and_content_are_each_marked_once() {
    let file = File::pages(
        &format!("{LETTER} /Resources 6 0 R"),
        &[text("unused"), text("unused")],
    );
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R {LETTER} /Resources 6 0 R /Annots 7 0 R >>"
    );
    let file = file
        .with(6, "<< /Font << /F1 5 0 R >> /XObject 8 0 R >>")
        .with(7, "[]")
        .with(8, "<< >>");
    let file = file
        .with(10, &page)
        .with(12, &page)
        .with_stream(4, "", text("Shared").as_bytes());
    assert_stamped("shared", &file.bytes());
}

#[test]
fn content_may_be_an_array_a_reference_to_one_or_missing() {
    let contents = [
        ("split between operators", "[6 0 R 7 0 R]"),
        ("behind a reference", "8 0 R"),
        ("repeated", "[6 0 R 7 0 R 6 0 R 7 0 R]"),
        ("empty", "[]"),
        ("null", "null"),
        ("a reference to null", "9 0 R"),
    ];
    for (case, contents) in contents {
        let file = File::hello().with(
            3,
            format!("<< /Type /Page /Parent 2 0 R {LETTER} {FONT} /Contents {contents} >>"),
        );
        let file = file
            .with_stream(6, "", b"q BT /F1 18 Tf 72 600 Td")
            .with_stream(7, "", b"(Two halves) Tj ET Q");
        assert_stamped(case, &file.with(8, "[6 0 R 7 0 R]").with(9, "null").bytes());
    }
    let bare = format!("<< /Type /Page /Parent 2 0 R {LETTER} >>");
    assert_stamped("missing", &File::hello().with(3, bare).bytes());
}

#[test]
fn encoded_content_stays_readable_alone_and_in_an_array() {
    let hexadecimal: String = text("Hello page")
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let file = File::hello().with_stream(4, "/Filter 6 0 R", format!("{hexadecimal}>").as_bytes());
    let file = file.with(6, "[/ASCIIHexDecode]");
    assert_stamped("alone", &file.bytes());
    let page = format!("<< /Type /Page /Parent 2 0 R {LETTER} {FONT} /Contents [4 0 R 4 0 R] >>");
    assert_stamped("in an array", &file.with(3, page).bytes());
}

#[test]
fn what_a_page_leaves_open_does_not_reach_the_mark() {
    let endings = [
        ("states", "q q q 0.001 0 0 0.001 0 0 cm"),
        ("an empty clip", "0 0 0 0 re W n"),
        ("a text object", "BT 3 Tr 400 Tz 0.001 0 0 0.001 0 0 Tm"),
        ("marked content", "/Span BMC /Tag << /MCID 0 >> BDC"),
        ("a comment", "% the end"),
        ("a path", "0 0 m 10 10 l"),
        ("an inline image", "BI /W 4000 /H 4000 /BPC 8 /CS /G ID "),
    ];
    for (case, ending) in endings {
        let content = format!("{} {ending}", text("Hello page"));
        assert_stamped(
            case,
            &File::one_page(&format!("{LETTER} {FONT}"), &content).bytes(),
        );
    }
}

#[test]
fn the_mark_shows_on_white_black_and_red_pages() {
    for color in ["1 1 1", "0 0 0", "0.80 0.07 0.10"] {
        let content = format!(
            "{color} rg -10 -10 700 900 re f 0.5 g {}",
            text("Hello page")
        );
        assert_stamped(
            color,
            &File::one_page(&format!("{LETTER} {FONT}"), &content).bytes(),
        );
    }
}

#[test]
fn an_annotation_that_covers_the_page_does_not_cover_the_mark() {
    let page =
        format!("<< /Type /Page /Parent 2 0 R {LETTER} {FONT} /Contents 4 0 R /Annots [6 0 R] >>");
    let annotation =
        "<< /Type /Annot /Subtype /Stamp /F 4 /Rect [0 0 612 792] /AP << /N 7 0 R >> >>";
    let cover = "/Type /XObject /Subtype /Form /BBox [0 0 612 792]";
    let file = File::hello().with(3, page).with(6, annotation);
    assert_stamped(
        "covered",
        &file
            .with_stream(7, cover, b"0.9 g 0 0 612 792 re f")
            .bytes(),
    );
}

#[test]
fn names_that_the_stamp_would_use_may_be_taken() {
    let taken =
        "/XObject << /CountersignMark0 6 0 R /CountersignPage0 6 0 R /CountersignMark2 6 0 R >>";
    let resources = format!("/Resources << /Font << /F1 5 0 R >> {taken} >>");
    let content = format!("{} /CountersignMark0 Do", text("Hello page"));
    let form =
        "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F1 5 0 R >> >>";
    let file = File::one_page(&format!("{LETTER} {resources}"), &content);
    assert_stamped(
        "taken",
        &file
            .with_stream(6, form, b"BT /F1 9 Tf 72 400 Td (A form) Tj ET")
            .bytes(),
    );
}

#[test]
fn a_stamped_document_can_be_stamped_again() {
    let input = page(&format!("{LETTER} /Rotate 90"));
    let once = assert_stamped("once", &input);
    let twice = stamped(&once).expect("stamping again");
    judge::assert_marked("twice", &input, &twice, MARK);
}

#[test]
fn a_character_that_helvetica_lacks_becomes_a_question_mark() {
    let mut mark = mark();
    mark.text = "SANDBOX – ÉPREUVE (試) \\ €".to_owned();
    let input = File::hello().bytes();
    let output = countersign::pdf::stamp(&input, &mark, 1).expect("stamping");
    judge::assert_marked("characters", &input, &output, "SANDBOX – ÉPREUVE (?) \\ €");
}
