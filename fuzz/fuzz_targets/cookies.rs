//! Cookies: the remembered approvals, and the cookies that bind a page or a login to a browser.
#![no_main]

use std::sync::LazyLock;

use deputy::{
    config::Config,
    host::Timestamp,
    oauth::{ApprovedClients, approval_cookie, browser_is_bound},
};
use deputy_fuzz::config;
use libfuzzer_sys::fuzz_target;

const HANDLE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static CONFIG: LazyLock<Config> = LazyLock::new(config);

fuzz_target!(|text: &str| {
    // Approvals cannot be forged: a cookie with an approval in it is one that Deputy has written.
    let cookie = (ApprovedClients::COOKIE.to_owned(), text.to_owned());
    let approved = ApprovedClients::among(&[cookie], &CONFIG.keys, Timestamp(0));
    assert!(approved.is_empty() || approved.render(&CONFIG.keys) == text, "{text}");
    let (name, genuine) = approval_cookie(HANDLE, &CONFIG.keys);
    for value in [text, text.trim(), text.split('=').next_back().unwrap_or_default()] {
        let cookies = [(name.clone(), value.to_owned())];
        assert_eq!(browser_is_bound("approve", HANDLE, &cookies, &CONFIG.keys), value == genuine, "{value}");
        assert!(!browser_is_bound("login", HANDLE, &cookies, &CONFIG.keys), "{value}");
    }
});
