#![no_main]
countersign_fuzz::target!(address, 16_000 + 4_000 * bytes);
