#![no_main]
countersign_fuzz::target!(pkce, 8_000 + 100 * bytes);
