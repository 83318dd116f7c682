#![no_main]
countersign_fuzz::target!(verify, 16_000 + 800 * bytes);
