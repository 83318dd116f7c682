//! The text of the mark, in the characters that every reader's built-in Helvetica can show.

use super::refusal::{Refusal, ensure};

/// What is written across every page, e.g. `SANDBOX - NOT FOR PRODUCTION USE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub text: String,
}

/// The mark as a PDF string in WinAnsiEncoding, and its length in units of the font size.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) ems: f64,
}

const MAX_CHARACTERS: usize = 120;

impl Mark {
    /// A character outside WinAnsi becomes `?`: the mark stays readable, and a stamp is never skipped for it.
    pub(super) fn line(&self) -> Result<Line, Refusal> {
        let text = self.text.trim();
        let unusable = |why: &str| Refusal::UnusableMark(why.to_owned());
        ensure(text.chars().count() <= MAX_CHARACTERS, || {
            unusable("it is longer than 120 characters")
        })?;
        let bytes: Vec<u8> = text.chars().map(win_ansi).collect();
        let visible = bytes
            .iter()
            .any(|&byte| byte != b'?' && byte != b' ' && byte != 0xA0);
        ensure(visible, || {
            unusable("it has no character that Helvetica can show")
        })?;
        let ems = bytes.iter().map(|&byte| width(byte)).sum::<f64>() / 1000.0;
        Ok(Line { bytes, ems })
    }
}

// ISO 32000-1 Annex D.2, WinAnsiEncoding
fn win_ansi(character: char) -> u8 {
    match character {
        ' '..='~' | '\u{A0}'..='\u{FF}' => u8::try_from(character).unwrap_or(b'?'),
        '€' => 0x80,
        '…' => 0x85,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '•' => 0x95,
        '–' | '‐' | '‑' => 0x96,
        '—' => 0x97,
        '™' => 0x99,
        character if character.is_whitespace() => b' ',
        _ => b'?',
    }
}

/// Advance widths of Helvetica-Bold in thousandths, from Adobe's font metrics; accented letters by a close guess, since
/// they only centre the line.
fn width(byte: u8) -> f64 {
    const ASCII: [u16; 95] = [
        278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556,
        556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722,
        722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722,
        667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611,
        611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556,
        500, 389, 280, 389, 584,
    ];
    let index = usize::from(byte).wrapping_sub(32);
    f64::from(
        ASCII
            .get(index)
            .copied()
            .unwrap_or(if byte >= 0xC0 { 722 } else { 611 }),
    )
}
