//! The drawing: the mark across the sheet, and once more as a small horizontal line that text extraction finds whole.
//!
//! One form XObject serves the page's content and the annotation above it. It draws the upright sheet; its matrix places
//! it. Every graphics parameter that a page could have left behind is set again.

use lopdf::{Dictionary, Object, Stream, dictionary};

use super::mark::Line;
use super::sheet::{Rectangle, Sheet};

const DIAGONAL_SHARE: f64 = 0.84;
const CAP_HEIGHT: f64 = 0.72;
const RED: &str = "0.80 0.07 0.10";

pub(super) fn form(line: &Line, sheet: &Sheet) -> Stream {
    let (width, height) = sheet.size();
    let drawing = format!(
        "/Artifact <</Type /Pagination /Subtype /Watermark>> BDC\nq\n{}{}Q\nEMC\n",
        diagonal(line, width, height),
        banner(line, width, height),
    );
    let frame = Rectangle {
        left: 0.0,
        bottom: 0.0,
        right: width,
        top: height,
    };
    let dictionary = dictionary! {
        "Type" => "XObject",
        "Subtype" => "Form",
        "FormType" => 1,
        "BBox" => frame.to_object(),
        "Matrix" => Object::Array(sheet.placement().map(Object::from).to_vec()),
        "Resources" => resources(),
    };
    Stream::new(dictionary, drawing.into_bytes())
}

/// An annotation of its own above all others, because annotations are painted over the page's content. A watermark
/// annotation takes no clicks (ISO 32000-1 §12.5.6.22); it is printed, read-only and locked.
pub(super) fn annotation(
    form: lopdf::ObjectId,
    page: lopdf::ObjectId,
    sheet: &Sheet,
) -> Dictionary {
    const PRINT_READ_ONLY_LOCKED: i64 = 4 | 64 | 128 | 512;
    dictionary! {
        "Type" => "Annot",
        "Subtype" => "Watermark",
        "Rect" => sheet.visible.to_object(),
        "F" => PRINT_READ_ONLY_LOCKED,
        "P" => page,
        "AP" => dictionary! { "N" => form },
    }
}

/// From corner to corner. The white edge keeps the red visible on a red page.
fn diagonal(line: &Line, width: f64, height: f64) -> String {
    let size = (DIAGONAL_SHARE * width.hypot(height) / line.ems).min(0.22 * width.min(height));
    let (sine, cosine) = height.atan2(width).sin_cos();
    let (half, rise) = (line.ems * size / 2.0, CAP_HEIGHT * size / 2.0);
    let x = width / 2.0 - cosine * half + sine * rise;
    let y = height / 2.0 - sine * half - cosine * rise;
    let place = format!(
        "{cosine:.5} {sine:.5} {:.5} {cosine:.5} {x:.4} {y:.4} Tm",
        -sine
    );
    let edge = 0.025 * size;
    format!(
        "/Faint gs {RED} rg 1 1 1 RG {edge:.4} w\n{}",
        show(line, size, &place, 2)
    )
}

/// At the lower edge, on a light ground of its own.
fn banner(line: &Line, width: f64, height: f64) -> String {
    let size = (0.0135 * (width * height).sqrt())
        .min(0.94 * width / (line.ems + 1.2))
        .min(0.3 * height);
    let box_width = (line.ems + 1.2) * size;
    let left = (width - box_width) / 2.0;
    let bottom = 0.45 * size;
    let place = format!(
        "1 0 0 1 {:.4} {:.4} Tm",
        left + 0.6 * size,
        bottom + 0.48 * size
    );
    format!(
        "/Ground gs 1 1 1 rg {left:.4} {bottom:.4} {box_width:.4} {:.4} re f\n/Solid gs {RED} rg\n{}",
        1.7 * size,
        show(line, size, &place, 0),
    )
}

fn show(line: &Line, size: f64, place: &str, render_mode: u8) -> String {
    let hexadecimal: String = line
        .bytes
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!(
        "BT /Bold {size:.4} Tf {render_mode} Tr 0 Tc 0 Tw 100 Tz 0 TL 0 Ts {place} <{hexadecimal}> Tj ET\n"
    )
}

fn resources() -> Dictionary {
    dictionary! {
        "Font" => dictionary! {
            "Bold" => dictionary! {
                "Type" => "Font",
                "Subtype" => "Type1",
                "BaseFont" => "Helvetica-Bold",
                "Encoding" => "WinAnsiEncoding",
            },
        },
        "ExtGState" => dictionary! { "Faint" => paint(0.16), "Ground" => paint(0.75), "Solid" => paint(0.9) },
    }
}

fn paint(opacity: f64) -> Dictionary {
    dictionary! {
        "Type" => "ExtGState",
        "ca" => opacity,
        "CA" => opacity,
        "BM" => "Normal",
        "SMask" => "None",
        "AIS" => false,
        "OP" => false,
        "op" => false,
        "LW" => 1,
        "LC" => 0,
        "LJ" => 1,
        "D" => Object::Array(vec![Object::Array(Vec::new()), Object::Integer(0)]),
    }
}
