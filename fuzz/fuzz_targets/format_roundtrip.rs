#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rulebox_fuzz::format_roundtrip(bytes));
