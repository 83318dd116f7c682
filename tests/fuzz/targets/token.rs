#![no_main]
countersign_fuzz::target!(token, 64_000 + 3_000 * bytes);
