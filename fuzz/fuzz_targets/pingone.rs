//! Responses of PingOne: discovery, tokens and UserInfo.
#![no_main]

use bytes::Bytes;
use deputy::oidc::{Discovery, TokenResponse, UserInfo};
use deputy_fuzz::config;
use http::{Response, StatusCode};
use libfuzzer_sys::fuzz_target;

// The first byte chooses the status.
fuzz_target!(|input: &[u8]| {
    let [status, body @ ..] = input else { return };
    let mut response = Response::new(Bytes::copy_from_slice(body));
    *response.status_mut() = match status {
        b'0' => StatusCode::OK,
        b'1' => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let issuer = config().pingone.issuer;
    let discovery = Discovery::read(&response, &issuer);
    let tokens = TokenResponse::read(&response);
    let user_info = UserInfo::read(&response, "alice");
    if *status != b'0' {
        assert!(discovery.is_err() && tokens.is_err() && user_info.is_err());
    }
    // Errors go into logs and pages, so they do not contain the body.
    if let Err(error) = tokens {
        assert!(error.to_string().len() < 200, "{error}");
    }
});
