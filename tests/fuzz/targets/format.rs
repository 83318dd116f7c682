#![no_main]
countersign_fuzz::target!(format, 16_000 + 200 * bytes);
