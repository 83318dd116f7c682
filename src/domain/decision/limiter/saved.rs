//! A window as it is written down, and back.

use super::window::{Bucket, Window};
use crate::store::limit_windows::LimitWindow;

pub(super) fn write(owner: &str, policy: &str, subject: &str, window: &Window) -> LimitWindow {
    let admissions: Vec<String> = window
        .buckets()
        .map(|bucket| format!("{}:{}", bucket.newest, bucket.count))
        .collect();
    LimitWindow {
        name: format!("{policy} {subject}"),
        owner: owner.to_owned(),
        window_millis: window.length_millis(),
        admissions: admissions.join(" "),
        ends_at: window.ends_at(),
    }
}

/// Policy and subject. No policy has a space in its name.
pub(super) fn names(row: &LimitWindow) -> Option<(&str, &str)> {
    row.name.split_once(' ')
}

/// None: this is not how a window is written down.
pub(super) fn read(row: &LimitWindow) -> Option<Window> {
    let bucket = |text: &str| {
        let (newest, count) = text.split_once(':')?;
        Some(Bucket {
            newest: newest.parse().ok()?,
            count: count.parse().ok()?,
        })
    };
    let buckets: Option<Vec<Bucket>> = row.admissions.split_whitespace().map(bucket).collect();
    Some(Window::from_buckets(buckets?, row.window_millis.max(0)))
}
