//! What the targets share: the properties, and how much memory one input may ask for.

#[path = "../properties/mod.rs"]
pub mod properties;

mod work;

use std::panic::PanicHookInfo;

/// A fuzz target for the property file of that name. Work that grows faster than the input shows as memory long before it
/// shows as time: a target names the most bytes that it may allocate, a start and so many for each byte of the input.
#[macro_export]
macro_rules! target {
    ($name:ident, $start:literal + $each:literal * bytes) => {
        libfuzzer_sys::fuzz_target!(init: $crate::prepare(), |input: &[u8]| {
            $crate::run($crate::properties::$name::check, input, $start + $each * input.len());
        });
    };
}

/// A panic inside the PDF library is an answer, and caught by the property; every other one ends the run.
pub fn prepare() {
    let abort = std::panic::take_hook();
    let is_caught = |info: &PanicHookInfo| info.location().is_some_and(|location| location.file().contains("/lopdf-"));
    std::panic::set_hook(Box::new(move |info| {
        if !is_caught(info) {
            abort(info)
        }
    }));
}

pub fn run(check: fn(&[u8]), input: &[u8], most: usize) {
    let allocated = work::allocated_by(|| check(input));
    assert!(allocated <= most || work::is_warming_up(), "{allocated} bytes were allocated for {} of input, {most} are allowed", input.len());
}
