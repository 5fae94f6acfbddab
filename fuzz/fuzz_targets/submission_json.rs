//! Any bytes as the JSON of a job: read, or refused as the client's mistake.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Err(code) = mosel_server::fuzzing::read_json(body) {
        assert!(code.status().is_client_error(), "{code:?}");
    }
});
