//! Counts the bytes that this thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static RUNS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is System's own
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|count| count.set(count.get().wrapping_add(layout.size())));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

pub fn allocated_by(work: impl FnOnce()) -> usize {
    RUNS.with(|runs| runs.set(runs.get() + 1));
    let before = ALLOCATED.with(Cell::get);
    work();
    ALLOCATED.with(Cell::get).wrapping_sub(before)
}

/// The first inputs also fill what is made once.
pub fn is_warming_up() -> bool {
    RUNS.with(Cell::get) <= 10
}
