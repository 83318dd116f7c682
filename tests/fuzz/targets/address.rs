#![no_main]
countersign_fuzz::target!(address, 16_000 + 1_000 * bytes);
