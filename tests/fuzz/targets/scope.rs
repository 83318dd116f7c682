#![no_main]
countersign_fuzz::target!(scope, 4_000 + 800 * bytes);
