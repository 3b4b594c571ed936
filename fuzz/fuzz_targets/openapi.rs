//! An OpenAPI document, an overlay, and the arguments of its tools.
#![no_main]

use deputy_openapi::{Catalog, Operation};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use url::Url;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut parts = text.splitn(3, '\0');
    let (document, arguments, overlay) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let catalog = match overlay {
        Some(overlay) => Catalog::curated(document, overlay),
        None => Catalog::read(document),
    };
    let Ok(catalog) = catalog else { return };
    let arguments: Map<String, Value> =
        arguments.and_then(|arguments| serde_json::from_str(arguments).ok()).unwrap_or_default();
    let mut names: Vec<_> = catalog.operations.iter().map(|operation| &operation.tool.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two tools have one name");
    for operation in &catalog.operations {
        let name = &operation.tool.name;
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        assert!((1..=64).contains(&name.len()) && name.bytes().all(is_valid), "{name}");
        assert_eq!(operation.tool.input_schema["type"], "object");
        stays_in_place(operation, arguments.clone());
    }
    let _ = catalog.warnings();
});

/// The request has the segments of the document's path, and no other server.
fn stays_in_place(operation: &Operation, arguments: Map<String, Value>) {
    let Ok(request) = operation.request(arguments) else { return };
    let (_, path) = operation.source.split_once(' ').expect("a method and a path");
    // A document may have a query or a fragment after a path.
    let path = path.split(['?', '#']).next().expect("a path");
    let uri = request.uri();
    assert!(uri.authority().is_none() && uri.scheme().is_none(), "{uri}");
    let (sent, declared) = (uri.path().split('/').count(), path.split('/').count());
    // The source of an operation with a long path has the beginning of it.
    let is_whole = !path.ends_with('…');
    assert!(sent == declared || !is_whole && sent > declared, "{uri} {path}");
    let whole = format!("https://api.example{uri}");
    let url = Url::parse(&whole).expect("a URL");
    assert_eq!((url.as_str(), url.host_str()), (whole.as_str(), Some("api.example")));
    assert!(
        request.headers().keys().all(|name| name != "host" && name != "authorization" && name != "cookie")
    );
}
