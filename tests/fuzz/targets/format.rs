#![no_main]
countersign_fuzz::target!(format, 250_000 + 200 * bytes);
