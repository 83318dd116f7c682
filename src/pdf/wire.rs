//! What parent and child say to each other: each part is its length in eight bytes, then its bytes.

use std::io::{self, Read, Write};

use super::refusal::Refusal;

/// Everything the child needs to know about one document.
pub(super) struct Job {
    pub(super) mark: String,
    pub(super) max_pages: u32,
    pub(super) input: Vec<u8>,
}

pub(super) type Answer = Result<Vec<u8>, Refusal>;

const STAMPED: u8 = b'+';
const REFUSED: u8 = b'-';

/// The most that an answer is longer than the document in it.
pub(super) const ANSWER_OVERHEAD_BYTES: u64 = 16;

impl Job {
    /// What goes before the document, so that the document itself is not copied.
    pub(super) fn head(mark: &str, max_pages: u32, input_length: usize) -> Vec<u8> {
        let mut head = Vec::new();
        head.extend((mark.len() as u64).to_le_bytes());
        head.extend(mark.as_bytes());
        head.extend(max_pages.to_le_bytes());
        head.extend((input_length as u64).to_le_bytes());
        head
    }

    pub(super) fn read(from: &mut impl Read) -> io::Result<Job> {
        let mark = String::from_utf8(read_part(from)?).map_err(io::Error::other)?;
        let mut max_pages = [0; 4];
        from.read_exact(&mut max_pages)?;
        Ok(Job {
            mark,
            max_pages: u32::from_le_bytes(max_pages),
            input: read_part(from)?,
        })
    }
}

pub(super) fn write_answer(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    match answer {
        Ok(output) => {
            to.write_all(&[STAMPED])?;
            write_part(to, output)?;
        }
        Err(refusal) => {
            to.write_all(&[REFUSED])?;
            write_part(to, refusal.code().as_bytes())?;
            write_part(to, refusal.detail().as_bytes())?;
        }
    }
    to.flush()
}

/// `None` for anything but one whole answer.
pub(super) fn parse_answer(mut answer: &[u8]) -> Option<Answer> {
    let mut kind = [0];
    answer.read_exact(&mut kind).ok()?;
    let first = read_part(&mut answer).ok()?;
    let answered = match kind[0] {
        STAMPED => Ok(first),
        REFUSED => {
            let detail = String::from_utf8_lossy(&read_part(&mut answer).ok()?).into_owned();
            Err(Refusal::from_code(
                std::str::from_utf8(&first).ok()?,
                detail,
            ))
        }
        _ => return None,
    };
    answer.is_empty().then_some(answered)
}

fn write_part(to: &mut impl Write, part: &[u8]) -> io::Result<()> {
    to.write_all(&(part.len() as u64).to_le_bytes())?;
    to.write_all(part)
}

fn read_part(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut part = Vec::new();
    from.take(length).read_to_end(&mut part)?;
    if part.len() as u64 == length {
        Ok(part)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
