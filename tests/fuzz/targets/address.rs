#![no_main]
countersign_fuzz::target!(address, 4_000 + 400 * bytes);
