#![no_main]
countersign_fuzz::target!(redirect_uri, 32_000 + 400 * bytes);
