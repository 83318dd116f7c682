//! PDF files written byte by byte, so that each test says exactly what is odd about its file.

use std::collections::BTreeMap;

pub const LETTER: &str = "/MediaBox [0 0 612 792]";
pub const FONT: &str = "/Resources << /Font << /F1 5 0 R >> >>";

/// Objects by number, and what the trailer says beyond /Size.
#[derive(Clone)]
pub struct File {
    pub objects: BTreeMap<u32, Vec<u8>>,
    pub trailer: String,
}

impl File {
    /// 1 catalog, 2 page tree, 3 the page with `entries` and the content 4, 5 a font.
    pub fn one_page(entries: &str, content: &str) -> File {
        let mut file = File::empty();
        file.set(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
        file.set(
            3,
            format!("<< /Type /Page /Parent 2 0 R /Contents 4 0 R {entries} >>"),
        );
        file.stream(4, "", content.as_bytes());
        file
    }

    /// A letter page that says "Hello page".
    pub fn hello() -> File {
        File::one_page(&format!("{LETTER} {FONT}"), &text("Hello page"))
    }

    /// Pages 10, 12, ... with the contents 11, 13, ...
    pub fn pages(entries: &str, contents: &[String]) -> File {
        let mut file = File::empty();
        let ids: Vec<u32> = (0..contents.len() as u32)
            .map(|index| 10 + 2 * index)
            .collect();
        let kids: String = ids.iter().map(|id| format!("{id} 0 R ")).collect();
        file.set(
            2,
            format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", ids.len()),
        );
        for (id, content) in ids.into_iter().zip(contents) {
            let page = format!(
                "<< /Type /Page /Parent 2 0 R /Contents {} 0 R {entries} >>",
                id + 1
            );
            file.set(id, page);
            file.stream(id + 1, "", content.as_bytes());
        }
        file
    }

    fn empty() -> File {
        let mut file = File {
            objects: BTreeMap::new(),
            trailer: "/Root 1 0 R".to_owned(),
        };
        file.set(1, "<< /Type /Catalog /Pages 2 0 R >>");
        file.set(5, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
        file
    }

    pub fn set(&mut self, id: u32, body: impl AsRef<[u8]>) {
        self.objects.insert(id, body.as_ref().to_vec());
    }

    pub fn with(mut self, id: u32, body: impl AsRef<[u8]>) -> File {
        self.set(id, body);
        self
    }

    pub fn stream(&mut self, id: u32, entries: &str, content: &[u8]) {
        let mut body = format!("<< {entries} /Length {} >>\nstream\n", content.len()).into_bytes();
        body.extend(content);
        body.extend(b"\nendstream");
        self.set(id, body);
    }

    pub fn with_stream(mut self, id: u32, entries: &str, content: &[u8]) -> File {
        self.stream(id, entries, content);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec();
        append_revision(&mut file, &self.objects, &self.trailer);
        file
    }

    /// The file with an incremental update appended (ISO 32000-1 §7.5.6).
    pub fn updated(&self, changed: &[(u32, &str)]) -> Vec<u8> {
        let mut file = self.bytes();
        let changed = changed
            .iter()
            .map(|(id, body)| (*id, body.as_bytes().to_vec()))
            .collect();
        let trailer = format!("{} /Prev {}", self.trailer, startxref(&file));
        append_revision(&mut file, &changed, &trailer);
        file
    }
}

fn append_revision(file: &mut Vec<u8>, objects: &BTreeMap<u32, Vec<u8>>, trailer: &str) {
    let mut table = String::from("xref\n0 1\n0000000000 65535 f \n");
    for (id, body) in objects {
        table += &format!("{id} 1\n{:010} 00000 n \n", file.len());
        file.extend(format!("{id} 0 obj\n").into_bytes());
        file.extend(body);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    let size = objects.keys().last().map_or(1, |last| last + 1);
    let end = format!("{table}trailer\n<< /Size {size} {trailer} >>\nstartxref\n{start}\n%%EOF\n");
    file.extend(end.into_bytes());
}

/// The offset that the last `startxref` names.
pub fn startxref(file: &[u8]) -> usize {
    let text = String::from_utf8_lossy(file);
    let tail = text
        .rsplit("startxref\n")
        .next()
        .expect("rsplit yields at least one");
    tail.lines()
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a file of ours has one")
}

pub fn text(line: &str) -> String {
    format!("BT /F1 18 Tf 72 600 Td ({line}) Tj ET")
}

/// The file with one piece of text exchanged by another of the same length, so that offsets stay true.
pub fn exchange(file: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = file
        .windows(old.len())
        .position(|window| window == old.as_bytes());
    let at = at.expect("the text to exchange is in the file");
    [&file[..at], new.as_bytes(), &file[at + old.len()..]].concat()
}
