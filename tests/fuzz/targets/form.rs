#![no_main]
countersign_fuzz::target!(form, 16_000 + 800 * bytes);
