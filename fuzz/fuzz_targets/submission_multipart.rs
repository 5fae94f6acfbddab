//! Any bytes as the parts of a job: read, or refused as the client's mistake.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Err(code) = mosel_server::fuzzing::read_multipart(body) {
        assert!(code.status().is_client_error(), "{code:?}");
    }
});
