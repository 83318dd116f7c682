#![no_main]
countersign_fuzz::target!(credential, 8_000 + 400 * bytes);
