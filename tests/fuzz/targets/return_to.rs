#![no_main]
countersign_fuzz::target!(return_to, 8_000 + 200 * bytes);
