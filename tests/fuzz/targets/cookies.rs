#![no_main]
countersign_fuzz::target!(cookies, 8_000 + 800 * bytes);
