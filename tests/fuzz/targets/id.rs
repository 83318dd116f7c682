#![no_main]
countersign_fuzz::target!(id, 4_000 + 200 * bytes);
