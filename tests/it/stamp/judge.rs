//! Poppler as the independent judge. It reads files, so each judgement has a directory of its own.

use std::path::Path;
use std::process::{Command, Output};

use crate::databases::is_skipped;

/// Every page of `original` is in `marked` with all of its text, the banner as text, and the mark as pixels where the
/// upright sheet has it.
pub fn assert_marked(case: &str, original: &[u8], marked: &[u8], banner: &str) {
    if is_skipped("PDF_TOOLS") {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (before, after) = (
        directory.path().join("a.pdf"),
        directory.path().join("b.pdf"),
    );
    std::fs::write(&before, original).expect("a file in the temporary directory");
    std::fs::write(&after, marked).expect("a file in the temporary directory");
    let pages = count_pages(&before);
    assert_eq!(
        count_pages(&after),
        pages,
        "{case}: the number of pages changed"
    );
    let texts = page_texts(&before).into_iter().zip(page_texts(&after));
    for (page, (old, new)) in (1..).zip(texts) {
        assert_kept_text(&format!("{case}, page {page}"), &old, &new, banner);
    }
    // pixels are slow: the first and the last pages stand for a long file
    for page in (1..=pages).filter(|page| *page <= 4 || *page == pages) {
        assert_pixels(
            &format!("{case}, page {page}"),
            &draw(&before, page),
            &draw(&after, page),
        );
    }
}

fn assert_kept_text(case: &str, old: &str, new: &str, banner: &str) {
    assert!(new.contains(banner), "{case}: no banner in {new:?}");
    let mut lines = new.lines();
    for line in old.lines().filter(|line| !line.trim().is_empty()) {
        assert!(
            lines.any(|kept| kept == line),
            "{case}: lost {line:?} in {new:?}"
        );
    }
}

/// The diagonal runs from the lower left over the middle to the upper right; the banner lies at the lower edge.
fn assert_pixels(case: &str, old: &Gray, new: &Gray) {
    assert_eq!(
        (old.width, old.height),
        (new.width, new.height),
        "{case}: the sheet changed"
    );
    let thirds = [
        (0, 2, "lower left"),
        (1, 1, "middle"),
        (2, 0, "upper right"),
    ];
    for (column, row, place) in thirds {
        let area = Area::of(column as f64 / 3.0, row as f64 / 3.0, 1.0 / 3.0, 1.0 / 3.0);
        assert!(
            changed(old, new, area) > 15,
            "{case}: no diagonal at the {place}"
        );
    }
    assert!(
        changed(old, new, Area::of(0.3, 0.95, 0.4, 0.05)) > 10,
        "{case}: no banner at the lower edge"
    );
    assert_eq!(
        changed(old, new, Area::of(0.3, 0.0, 0.3, 0.05)),
        0,
        "{case}: ink at the upper edge"
    );
}

/// In shares of the sheet, from the upper left.
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Area {
    fn of(left: f64, top: f64, width: f64, height: f64) -> Area {
        Area {
            left,
            top,
            width,
            height,
        }
    }
}

pub struct Gray {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

fn changed(old: &Gray, new: &Gray, area: Area) -> usize {
    let at = |share: f64, length: usize| (share * length as f64) as usize;
    let rows = at(area.top, old.height)..at(area.top + area.height, old.height).min(old.height);
    let columns = at(area.left, old.width)..at(area.left + area.width, old.width).min(old.width);
    let differs = |index: usize| old.pixels[index].abs_diff(new.pixels[index]) > 4;
    rows.map(|row| {
        columns
            .clone()
            .filter(|column| differs(row * old.width + column))
            .count()
    })
    .sum()
}

fn count_pages(file: &Path) -> usize {
    let output = poppler("pdfinfo", &[], file, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Pages:"));
    line.and_then(|number| number.trim().parse().ok())
        .expect("pdfinfo tells the number of pages")
}

/// In the order of the content streams, one string a page.
pub fn page_texts(file: &Path) -> Vec<String> {
    let output = poppler("pdftotext", &["-raw"], file, &["-"]);
    let text = String::from_utf8(output.stdout).expect("pdftotext writes UTF-8");
    let mut pages: Vec<String> = text.split('\u{C}').map(str::to_owned).collect();
    pages.pop(); // each page ends with a form feed
    pages
}

fn draw(file: &Path, page: usize) -> Gray {
    let page = page.to_string();
    let arguments = [
        "-gray",
        "-cropbox",
        "-scale-to",
        "240",
        "-f",
        page.as_str(),
        "-l",
        page.as_str(),
    ];
    parse_pgm(&poppler("pdftoppm", &arguments, file, &[]).stdout)
}

fn parse_pgm(image: &[u8]) -> Gray {
    let mut fields = image.splitn(4, |byte| *byte == b'\n' || *byte == b' ');
    let mut field = || fields.next().expect("pdftoppm writes a PGM header");
    assert_eq!(field(), b"P5");
    let number = |field: &[u8]| {
        String::from_utf8_lossy(field)
            .parse()
            .expect("a number in the PGM header")
    };
    let (width, height): (usize, usize) = (number(field()), number(field()));
    let pixels = field().strip_prefix(b"255\n").expect("256 shades").to_vec();
    assert_eq!(pixels.len(), width * height);
    Gray {
        width,
        height,
        pixels,
    }
}

/// Poppler speaks up on standard error when it has to guess; nothing that we write may make it.
fn poppler(tool: &str, before: &[&str], file: &Path, after: &[&str]) -> Output {
    let output = Command::new(tool)
        .args(before)
        .arg(file)
        .args(after)
        .output();
    let output = output.expect("poppler's command line tools: install the package poppler-utils");
    assert!(
        output.status.success(),
        "{tool} failed on {}",
        file.display()
    );
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(complaints, "", "{tool} complains about {}", file.display());
    output
}
