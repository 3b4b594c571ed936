//! The form of `POST /token` and `POST /revoke`, with an `Authorization` header before the first line break.
#![no_main]

use std::sync::LazyLock;

use deputy::{
    config::Config,
    oauth::{ClientCredentials, Params, ReferenceToken, TokenKind, TokenRequest},
};
use deputy_fuzz::config;
use libfuzzer_sys::fuzz_target;

static CONFIG: LazyLock<Config> = LazyLock::new(config);

fuzz_target!(|input: &[u8]| {
    let (header, form) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (Some(&input[..end]), &input[end + 1..]),
        None => (None, input),
    };
    let params = Params::decode(form);
    if let Ok(credentials) = ClientCredentials::parse(header, &params) {
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("hunter2") || credentials.client_id().contains("hunter2"), "{shown}");
    }
    if let Err(error) = TokenRequest::parse(&params, &CONFIG) {
        assert!(error.to_string().len() < 300);
    }
    // Tokens cannot be forged: the grant's id in a token is authenticated.
    let text = String::from_utf8_lossy(form);
    for kind in [TokenKind::AccessToken, TokenKind::AuthorizationCode, TokenKind::RefreshToken] {
        assert!(ReferenceToken::parse(kind, &text, &CONFIG.keys).is_none(), "{text}");
    }
});
