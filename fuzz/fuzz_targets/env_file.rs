//! A `.env` file.
#![no_main]

use env_file::EnvFile;
use libfuzzer_sys::fuzz_target;

// Only this file of the native host, so that its dependencies need not be built.
#[path = "../../hosts/native/src/env_file.rs"]
#[allow(dead_code, reason = "files are not read here")]
mod env_file;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    match EnvFile::parse(&text) {
        Ok(file) => {
            // `Debug` shows names only.
            let shown = format!("{file:?}");
            assert!(shown.len() <= 8 * text.len() + 8, "{shown}");
        }
        Err(error) => assert!(error.to_string().starts_with("line "), "{error}"),
    }
});
