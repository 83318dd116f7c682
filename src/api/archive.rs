//! Files out of a ZIP archive inside the binary (APPNOTE.TXT §4.3.12, §4.3.16). The archive is trusted: no ZIP64, no encryption.

use std::io::Read;

const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
/// Length of a central directory entry without its name, and of a local header without its name.
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const DEFLATE: usize = 8;

/// A file as the archive holds it.
pub struct Packed<'a> {
    deflated: bool,
    crc32: u32,
    size_bytes: u32,
    data: &'a [u8],
}

/// The file at `path` below the archive's only top folder.
pub fn find<'a>(archive: &'a [u8], path: &str) -> Option<Packed<'a>> {
    let end = archive.windows(END.len()).rposition(|at| at == END)?;
    let mut entry = archive.get(number(archive, end + 16, 4)?..)?;
    while entry.starts_with(ENTRY) {
        let name_end = ENTRY_BYTES + number(entry, 28, 2)?;
        let name = std::str::from_utf8(entry.get(ENTRY_BYTES..name_end)?).ok()?;
        if name.split_once('/').is_some_and(|(_, below)| below == path) {
            return unpack(archive, entry);
        }
        entry = entry.get(name_end + number(entry, 30, 2)? + number(entry, 32, 2)?..)?;
    }
    None
}

fn unpack<'a>(archive: &'a [u8], entry: &[u8]) -> Option<Packed<'a>> {
    let local = archive.get(number(entry, 42, 4)?..)?;
    let start = LOCAL_BYTES + number(local, 26, 2)? + number(local, 28, 2)?;
    Some(Packed {
        deflated: number(entry, 10, 2)? == DEFLATE,
        crc32: u32::try_from(number(entry, 16, 4)?).ok()?,
        size_bytes: u32::try_from(number(entry, 24, 4)?).ok()?,
        data: local.get(start..start + number(entry, 20, 4)?)?,
    })
}

/// A little-endian number of `length` bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + length)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)),
    )
}

impl Packed<'_> {
    /// As `Content-Encoding: gzip` (RFC 1952 §2.3), for which nothing is packed anew; `None` if the archive holds it plain.
    pub fn gzip(&self) -> Option<Vec<u8>> {
        const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        self.deflated.then(|| {
            let trailer = [self.crc32.to_le_bytes(), self.size_bytes.to_le_bytes()].concat();
            [&HEADER, self.data, &trailer].concat()
        })
    }

    /// The file itself.
    pub fn plain(&self) -> std::io::Result<Vec<u8>> {
        if !self.deflated {
            return Ok(self.data.to_vec());
        }
        let mut plain = Vec::new();
        flate2::read::DeflateDecoder::new(self.data).read_to_end(&mut plain)?;
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

    #[test]
    fn both_forms_hold_the_file_whose_checksum_the_archive_names() {
        let packed = find(ARCHIVE, "dist/swagger-ui.css").expect("it is there");
        let plain = packed.plain().expect("it unpacks");
        assert_eq!(crc32fast::hash(&plain), packed.crc32);
        let mut unzipped = Vec::new();
        flate2::read::GzDecoder::new(&packed.gzip().expect("it is deflated")[..])
            .read_to_end(&mut unzipped)
            .expect("it is gzip");
        assert_eq!(unzipped, plain);
    }

    #[test]
    fn a_stored_file_is_itself_and_an_unknown_one_is_none() {
        let icon = find(ARCHIVE, "dist/favicon-32x32.png").expect("it is there");
        assert!(icon.gzip().is_none());
        assert!(icon.plain().expect("it is plain").starts_with(b"\x89PNG"));
        assert!(find(ARCHIVE, "dist/nothing.js").is_none());
        assert!(find(&ARCHIVE[..100], "dist/swagger-ui.css").is_none());
    }
}
