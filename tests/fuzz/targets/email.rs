#![no_main]
countersign_fuzz::target!(email, 16_000 + 400 * bytes);
