#![no_main]
countersign_fuzz::target!(stamp, 16_000_000 + 20_000 * bytes);
