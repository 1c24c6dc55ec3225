#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rulebox_fuzz::http_json(bytes));
