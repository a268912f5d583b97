//! Coverage-guided input for the target of this name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    pure::targets::decide::run(data);
});
