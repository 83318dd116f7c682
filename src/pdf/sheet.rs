//! The visible sheet of a page: which rectangle a reader shows, which way up, and the matrix that places a drawing made
//! for the upright sheet (ISO 32000-1 §14.11.2, table 30).

use lopdf::{Document, Object};

use super::pages::Page;
use super::refusal::{Refusal, ambiguous, ensure};

/// ISO 32000-1 Annex C.2 says 14 400 units; ten times that still keeps every number exact enough.
const SIDES: std::ops::RangeInclusive<f64> = 1.0..=144_000.0;
const MAX_COORDINATE: f64 = 1_000_000.0;

#[derive(Clone, Copy, PartialEq)]
pub(super) struct Rectangle {
    pub(super) left: f64,
    pub(super) bottom: f64,
    pub(super) right: f64,
    pub(super) top: f64,
}

/// UserUnit scales the whole sheet, mark included, so it needs no part here.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Sheet {
    pub(super) media: Rectangle,
    pub(super) visible: Rectangle,
    /// Clockwise: 0, 90, 180 or 270.
    pub(super) rotate: i64,
}

impl Sheet {
    pub(super) fn of(document: &Document, page: &Page) -> Result<Sheet, Refusal> {
        check_user_unit(document, page)?;
        let media = page
            .inherited
            .media_box
            .ok_or_else(|| ambiguous("a page has no media box"))?;
        let media = Rectangle::parse(document, media)?;
        let crop = page
            .inherited
            .crop_box
            .map(|crop| Rectangle::parse(document, crop))
            .transpose()?;
        // §14.11.2: what a crop box adds to the media box is ignored; nothing left is read differently everywhere
        let visible = media.intersect(crop.unwrap_or(media)).ensure_sides()?;
        Ok(Sheet {
            media,
            visible,
            rotate: rotation(page)?,
        })
    }

    /// Width and height as the reader shows them.
    pub(super) fn size(&self) -> (f64, f64) {
        let (width, height) = (self.visible.width(), self.visible.height());
        if self.rotate % 180 == 0 {
            (width, height)
        } else {
            (height, width)
        }
    }

    /// From the upright sheet, origin at its lower left, to the page's own space.
    pub(super) fn placement(&self) -> [f64; 6] {
        let Rectangle {
            left,
            bottom,
            right,
            top,
        } = self.visible;
        match self.rotate {
            90 => [0.0, 1.0, -1.0, 0.0, right, bottom],
            180 => [-1.0, 0.0, 0.0, -1.0, right, top],
            270 => [0.0, -1.0, 1.0, 0.0, left, top],
            _ => [1.0, 0.0, 0.0, 1.0, left, bottom],
        }
    }
}

impl Rectangle {
    fn parse(document: &Document, object: &Object) -> Result<Rectangle, Refusal> {
        let unreadable = || ambiguous("a page box cannot be read");
        let corners = object.as_array().map_err(|_| unreadable())?;
        let mut numbers = [0.0; 4];
        ensure(corners.len() == numbers.len(), unreadable)?;
        for (number, corner) in numbers.iter_mut().zip(corners) {
            *number = document
                .dereference(corner)
                .ok()
                .and_then(|(_, corner)| finite(corner))
                .ok_or_else(unreadable)?;
        }
        let [x1, y1, x2, y2] = numbers;
        Rectangle {
            left: x1.min(x2),
            bottom: y1.min(y2),
            right: x1.max(x2),
            top: y1.max(y2),
        }
        .ensure_sides()
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.top - self.bottom
    }

    pub(super) fn to_object(self) -> Object {
        Object::Array(
            [self.left, self.bottom, self.right, self.top]
                .map(Object::from)
                .to_vec(),
        )
    }

    fn intersect(self, other: Rectangle) -> Rectangle {
        Rectangle {
            left: self.left.max(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.min(other.right),
            top: self.top.min(other.top),
        }
    }

    fn ensure_sides(self) -> Result<Rectangle, Refusal> {
        let is_sheet = SIDES.contains(&self.width()) && SIDES.contains(&self.height());
        ensure(is_sheet, || {
            ambiguous("a page is empty or out of proportion")
        })?;
        Ok(self)
    }
}

/// Poppler takes `90.0` for no rotation, others for a quarter turn: only an integer will do.
fn rotation(page: &Page) -> Result<i64, Refusal> {
    let degrees = page.inherited.rotate.map_or(Ok(0), Object::as_i64);
    let degrees = degrees.ok().filter(|degrees| degrees % 90 == 0);
    let degrees =
        degrees.ok_or_else(|| ambiguous("a page is not turned by a multiple of 90 degrees"))?;
    Ok(degrees.rem_euclid(360))
}

fn check_user_unit(document: &Document, page: &Page) -> Result<(), Refusal> {
    let Ok(unit) = page.dictionary.get_deref(b"UserUnit", document) else {
        return Ok(());
    };
    let is_scale = unit.is_null() || finite(unit).is_some_and(|unit| unit > 0.0);
    ensure(is_scale, || ambiguous("a user unit cannot be read"))
}

fn finite(object: &Object) -> Option<f64> {
    let number = f64::from(object.as_float().ok()?);
    (number.is_finite() && number.abs() <= MAX_COORDINATE).then_some(number)
}
