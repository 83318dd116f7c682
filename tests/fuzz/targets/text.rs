#![no_main]
countersign_fuzz::target!(text, 8_000 + 200 * bytes);
