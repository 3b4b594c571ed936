//! Two redirect URIs: a registered one and a requested one.
#![no_main]

use deputy::types::RedirectUri;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|input: &str| {
    let mut lines = input.lines();
    let uris = [lines.next(), lines.next()].map(|line| line.and_then(|line| RedirectUri::parse(line).ok()));
    for uri in uris.iter().flatten() {
        let url = Url::parse(uri.as_str()).expect("a URL");
        assert!(uri.as_str().bytes().all(|byte| byte.is_ascii_graphic()) && url.fragment().is_none());
        assert!(url.username().is_empty() && url.password().is_none());
        assert!(url.scheme() != "http" || uri.is_loopback(), "{uri}");
        assert!(
            !["javascript", "data", "vbscript", "file", "blob", "about", "ws", "ftp"].contains(&url.scheme())
        );
        assert!(uri.matches(uri));
    }
    if let [Some(registered), Some(requested)] = &uris
        && requested.matches(registered)
    {
        // For a user and for a browser they are the same, except for the port of a loopback URI.
        let [registered, requested] =
            [registered, requested].map(|uri| Url::parse(uri.as_str()).expect("a URL"));
        let parts = |url: &Url| {
            (
                url.scheme().to_owned(),
                url.host_str().map(str::to_owned),
                url.path().to_owned(),
                url.query().map(str::to_owned),
            )
        };
        assert_eq!(parts(&registered), parts(&requested));
        assert!(registered.port() == requested.port() || registered.scheme() == "http");
    }
});
