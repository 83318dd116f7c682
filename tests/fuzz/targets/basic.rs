#![no_main]
countersign_fuzz::target!(basic, 4_000 + 100 * bytes);
