#![no_main]
countersign_fuzz::target!(token, 64_000 + 400 * bytes);
