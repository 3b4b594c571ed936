//! Two redirect URIs: one registered, one asked for.
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
    if let [Some(registered), Some(asked)] = &uris
        && asked.matches(registered)
    {
        // The same to whoever reads them, and to a browser, but for the port of this computer.
        let [registered, asked] = [registered, asked].map(|uri| Url::parse(uri.as_str()).expect("a URL"));
        let same = |url: &Url| {
            (
                url.scheme().to_owned(),
                url.host_str().map(str::to_owned),
                url.path().to_owned(),
                url.query().map(str::to_owned),
            )
        };
        assert_eq!(same(&registered), same(&asked));
        assert!(registered.port() == asked.port() || registered.scheme() == "http");
    }
});
