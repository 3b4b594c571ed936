//! Arguments and documents that try to send another request than the document describes.

use deputy_openapi::{Catalog, DocumentError, Refusal};
use serde_json::{Map, Value, json};

use crate::session::{Session, one_operation};

#[tokio::test]
async fn argument_cannot_leave_its_path_segment() {
    let session = Session::invoices().await;
    for id in [
        "",
        ".",
        "..",
        " .. ",
        "../customers",
        "a/b",
        "..%2fcustomers",
        "%2e%2e",
        "a\\b",
        "..;x",
        "a?admin=1",
        "a#b",
        "a\r\nHost: evil",
        "a\0",
        "/",
        "//evil.example",
        "https://evil.example/",
    ] {
        let error = session.error("getInvoice", json!({ "id": id })).await;
        assert!(error.starts_with("The argument id cannot be used"), "{id:?} {error}");
    }
    assert_eq!(session.api.requests(), [""; 0]);
    for (id, target) in
        [("...", "..."), ("@evil.example", "%40evil.example"), ("a:b", "a%3Ab"), ("ä", "%C3%A4")]
    {
        assert_eq!(
            session.requests("getInvoice", json!({ "id": id })).await,
            [format!("GET /invoices/{target}")]
        );
    }
}

#[tokio::test]
async fn argument_cannot_add_a_query_parameter() {
    let page = json!({ "type": "object", "properties": { "page": { "type": "integer" } } });
    let parameters = json!([{ "name": "q", "in": "query" }, { "name": "p", "in": "query", "schema": page }]);
    let session = Session::of(&one_operation("get", "/a", parameters, Value::Null)).await;
    let sent = session.requests("act", json!({ "q": "x&admin=1#y", "p": { "page": 1 } })).await;
    assert_eq!(sent, ["GET /a?q=x%26admin%3D1%23y&page=1"]);
    let error = session.error("act", json!({ "p": { "admin": "1" } })).await;
    assert_eq!(error, "The argument p cannot be used: it has the member `admin`, which is not declared.");
    assert_eq!(session.api.requests(), [""; 0]);
}

#[tokio::test]
async fn member_of_a_form_cannot_add_another_member() {
    let meta = json!({ "type": "object", "properties": { "note": { "type": "string" }, "amount": { "type": "integer" } } });
    let schema = json!({ "type": "object", "properties": { "amount": { "type": "integer" }, "meta": meta } });
    let encoding = json!({ "meta": { "style": "form" } });
    let form = json!({ "application/x-www-form-urlencoded": { "schema": schema, "encoding": encoding } });
    let session = Session::of(&one_operation("post", "/a", json!([]), form)).await;
    let sent = session.requests("act", json!({ "body": { "amount": 1, "meta": { "note": "a" } } })).await;
    assert_eq!(sent, ["POST /a content-type: application/x-www-form-urlencoded amount=1&note=a"]);
    for member in ["admin", "amount"] {
        let error = session.error("act", json!({ "body": { "amount": 1, "meta": { member: 9 } } })).await;
        assert!(error.contains(&format!("the member `{member}`, which is not declared")), "{error}");
    }
    assert_eq!(session.api.requests(), [""; 0]);
}

#[test]
fn parameter_beside_the_same_name_after_the_path_is_refused() {
    let object = json!({ "type": "object", "properties": { "beta": { "type": "string" } } });
    for (path, parameter) in [
        ("/a?beta=true", json!({ "name": "beta", "in": "query" })),
        ("/a?beta=true", json!({ "name": "p", "in": "query", "schema": object })),
        ("/a?p%5Bbeta%5D=1", json!({ "name": "p", "in": "query", "style": "deepObject", "schema": object })),
    ] {
        let refusal = refusal(&one_operation("get", path, json!([parameter]), Value::Null));
        assert!(matches!(refusal, Refusal::AmbiguousArgument(_)), "{path} {refusal}");
    }
}

#[tokio::test]
async fn argument_cannot_add_a_header() {
    let session = Session::invoices().await;
    let body = json!({ "customer": "A", "lines": [{ "cents": 1, "text": "x" }] });
    for key in ["a\r\nAuthorization: Bearer evil", "a\nb", "a\0", "ä", " a"] {
        let error = session.error("createInvoice", json!({ "Idempotency-Key": key, "body": body })).await;
        assert!(error.starts_with("The argument Idempotency-Key cannot be used"), "{key:?} {error}");
    }
    assert_eq!(session.api.requests(), [""; 0]);
}

#[tokio::test]
async fn long_or_deep_arguments_send_no_request() {
    let session = Session::invoices().await;
    let error = session.error("getInvoice", json!({ "id": "x".repeat(9000) })).await;
    assert_eq!(error, "The arguments are too long for a request.");
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let error = session.error("listInvoices", json!({ "status": deep })).await;
    assert_eq!(error, "The arguments cannot be used: status.0 must be a string.");
    assert_eq!(session.api.requests(), [""; 0]);
}

/// The refusal of the one operation of a document.
fn refusal(document: &str) -> Refusal {
    let catalog = Catalog::read(document).unwrap();
    assert_eq!((catalog.operations.len(), catalog.refused.len()), (0, 1), "{document}");
    catalog.refused[0].refusal.clone()
}

#[test]
fn operation_that_cannot_be_sent_safely_is_refused() {
    let free = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    for (path, parameters, body) in [
        ("/a", json!([{ "name": "s", "in": "cookie", "required": true }]), Value::Null),
        ("/a", json!([{ "name": "Host", "in": "header", "required": true }]), Value::Null),
        ("/a", json!([{ "name": "X-HTTP-Method-Override", "in": "header", "required": true }]), Value::Null),
        ("/a", json!([{ "name": "a\nb", "in": "header", "required": true }]), Value::Null),
        ("/a", json!([{ "name": "filter", "in": "query", "schema": free, "required": true }]), Value::Null),
        ("/a", json!([{ "name": "a", "in": "query", "style": "simple" }]), Value::Null),
        ("/a", json!([{ "$ref": "https://evil.example/p.json" }]), Value::Null),
        ("/a", json!([{ "$ref": "file:///etc/passwd" }]), Value::Null),
        ("/a/{id:[0-9]+}", json!([]), Value::Null),
        ("/a/../{id}", json!([]), Value::Null),
        ("//evil.example/a", json!([]), Value::Null),
        ("/a%2fb", json!([]), Value::Null),
        ("/a", json!([]), json!({ "multipart/form-data": {} })),
        ("/a", json!([]), json!({ "application/json\r\nX: y": { "schema": { "type": "object" } } })),
    ] {
        let refusal = refusal(&one_operation("post", path, parameters.clone(), body));
        assert!(!refusal.to_string().is_empty(), "{path} {parameters}");
    }
}

#[test]
fn small_document_with_large_copies_of_a_schema_is_bounded() {
    let members: Map<String, Value> = (0..450)
        .map(|n| (format!("p{n}"), json!({ "type": "string", "description": "d".repeat(60) })))
        .collect();
    let body = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/S" } } });
    let mut document: Value = serde_json::from_str(&one_operation("post", "/a", json!([]), body)).unwrap();
    let item = document["paths"]["/a"].take();
    document["paths"] = (0..600).map(|n| (format!("/a{n}"), item.clone())).collect();
    document["components"] = json!({ "schemas": { "S": { "type": "object", "properties": members } } });
    let catalog = Catalog::read(&document.to_string()).unwrap();
    assert!(catalog.operations.len() > 100 && catalog.refused.len() > 100);
    assert!(catalog.refused.iter().all(|refused| matches!(refused.refusal, Refusal::Schemas(_))));
}

#[test]
fn large_list_of_alternatives_or_parts_is_bounded() {
    let members: Map<String, Value> =
        (0..20_000).map(|n| (format!("p{n}"), json!({ "readOnly": true }))).collect();
    let all = json!({ "allOf": [{ "properties": members }, {}] });
    let any = json!({ "anyOf": (0..20_000).map(|n| json!({ "const": n.to_string() })).collect::<Vec<_>>() });
    let kinds = json!({ "type": (0..20_000).map(|n| ["string", "integer"][n % 2]).collect::<Vec<_>>() });
    for (schema, is_served) in [(all, true), (any, false), (kinds, true)] {
        let body = json!({ "application/json": { "schema": schema } });
        let catalog = Catalog::read(&one_operation("post", "/a", json!([]), body)).unwrap();
        assert_eq!(catalog.operations.len() == 1, is_served);
    }
}

#[test]
fn parameter_without_a_name_is_refused() {
    let refusal = refusal(&one_operation("get", "/a", json!([{ "name": "", "in": "query" }]), Value::Null));
    assert_eq!(refusal, Refusal::Malformed("a parameter has no name"));
}

#[tokio::test]
async fn nested_alternatives_of_a_query_are_sent_or_not_listed() {
    let page = json!({ "type": "object", "properties": { "page": { "type": "integer" } } });
    let nested = json!({ "anyOf": [{ "oneOf": [page, { "type": "string" }] }, { "type": "integer" }] });
    let parameters = json!([{ "name": "p", "in": "query", "schema": nested }]);
    let session = Session::of(&one_operation("get", "/a", parameters, Value::Null)).await;
    assert_eq!(session.requests("act", json!({ "p": { "page": 1 } })).await, ["GET /a?page=1"]);
    assert_eq!(session.requests("act", json!({ "p": "x" })).await, ["GET /a?p=x"]);
    let error = session.error("act", json!({ "p": { "admin": "1" } })).await;
    assert!(error.contains("the member `admin`, which is not declared"), "{error}");
}

#[test]
fn servers_of_the_document_are_ignored() {
    let mut document: Value =
        serde_json::from_str(&one_operation("get", "/a", json!([]), Value::Null)).unwrap();
    document["servers"] = json!([{ "url": "https://evil.example/v1" }]);
    document["paths"]["/a"]["get"]["servers"] = json!([{ "url": "https://evil.example" }]);
    let catalog = Catalog::read(&document.to_string()).unwrap();
    assert_eq!(
        (catalog.operations[0].source.as_str(), catalog.base_path.as_deref()),
        ("GET /a", Some("/v1"))
    );
}

#[test]
fn hostile_document_ends_with_an_error() {
    for text in [
        "",
        "null",
        "5",
        "[]",
        "openapi: 3.1.0\npaths: 5",
        "openapi: 3.0.0\npaths: {/a: {get: 5}}",
        "\u{0}",
        "openapi: [3]",
    ] {
        if let Ok(catalog) = Catalog::read(text) {
            assert_eq!(catalog.operations.len(), 0, "{text:?}");
        }
    }
    let many: Vec<_> = (0..6000)
        .map(|n| {
            format!(
                "  /a{n}: {{get: {{}}}}
"
            )
        })
        .collect();
    let refused = Catalog::read(&format!("openapi: 3.0.0\npaths:\n{}", many.concat())).err();
    assert_eq!(refused, Some(DocumentError::TooManyOperations(5000)));
}

#[test]
fn text_of_the_document_is_cleaned_for_pages_and_models() {
    let document = json!({
        "openapi": "3.0.0", "info": { "title": "A\u{202e}PI\n", "version": "1" }, "x-deputy-scopes": [],
        "paths": { "/a": { "get": { "summary": "Do\tit\u{0}", "description": "x".repeat(5000) } } },
    });
    let catalog = Catalog::read(&document.to_string()).unwrap();
    let tool = &catalog.operations[0].tool;
    assert_eq!((catalog.api.as_str(), tool.title.as_deref()), ("API", Some("Do it")));
    assert_eq!(tool.description.as_ref().unwrap().chars().count(), 1024);
}

#[test]
fn fixed_argument_cannot_be_sent_beside_another() {
    let tenant = json!({ "type": "object", "properties": { "tenant": { "type": "string" } } });
    let objects = json!([{ "name": "a", "in": "query", "schema": tenant }, { "name": "b", "in": "query", "schema": tenant }]);
    assert_eq!(
        refusal(&one_operation("get", "/a", objects, Value::Null)),
        Refusal::AmbiguousArgument("tenant".to_owned())
    );
    let parameters = json!([{ "name": "Tenant", "in": "header" }, { "name": "Tenant", "in": "query" }]);
    let mut document: Value =
        serde_json::from_str(&one_operation("get", "/a", parameters, Value::Null)).unwrap();
    document["paths"]["/a"]["get"]["x-deputy-fixed"] = json!({ "Tenant": "acme" });
    assert_eq!(refusal(&document.to_string()), Refusal::AmbiguousArgument("Tenant".to_owned()));
}

#[tokio::test]
async fn change_of_an_empty_selection_is_not_sent() {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let object = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let parameters = json!([
        { "name": "ids", "in": "query", "schema": list },
        { "name": "where", "in": "query", "style": "deepObject", "explode": true, "schema": object },
    ]);
    let session = Session::of(&one_operation("delete", "/a", parameters.clone(), Value::Null)).await;
    for arguments in [json!({ "ids": [] }), json!({ "where": {} })] {
        let error = session.error("act", arguments).await;
        assert!(
            error.contains("it must not be empty, since the request would be made without it"),
            "{error}"
        );
    }
    assert_eq!(session.api.requests(), [""; 0]);
    let reading = Session::of(&one_operation("get", "/a", parameters, Value::Null)).await;
    assert_eq!(reading.requests("act", json!({ "ids": [] })).await, ["GET /a"]);
}

#[tokio::test]
async fn argument_cannot_leave_a_key_in_a_path() {
    for (path, value, is_sent) in [
        ("/report(user='{id}')", "bob',all='true", false),
        ("/report(user='{id}')", "O(1), a=b", true),
        ("/report(user={id})", "1,all=true", false),
        ("/report(user={id})", "1)", false),
        ("/report(user={id})", "1", true),
        ("/a/{id};raw", "..", false),
        ("/a/{id};raw", "b", true),
        ("/a/'{id}'", "b'c", false),
        ("/a/{id}", "b'c(1,2)", true),
    ] {
        let session = Session::of(&one_operation("get", path, json!([]), Value::Null)).await;
        let result = session.call("act", json!({ "id": value })).await;
        assert_eq!(result.is_error != Some(true), is_sent, "{path} {value}");
        assert_eq!(session.api.requests().len(), usize::from(is_sent), "{path} {value}");
    }
}

#[tokio::test]
async fn dropped_member_does_not_reach_the_model_as_text() {
    let mut document: Value =
        serde_json::from_str(&one_operation("get", "/a", json!([]), Value::Null)).unwrap();
    document["paths"]["/a"]["get"]["x-deputy-drop"] = json!(["ssn"]);
    let session = Session::of(&document.to_string()).await;
    let people = r#"[{"id":"1","ssn":"S"}]"#;
    let with_mark = format!("\u{feff}{people}");
    for (media, body) in
        [("text/plain", people), ("text/html", people), ("", &with_mark), ("application/json", &with_mark)]
    {
        session.api.respond(200, media, body.to_owned());
        let result = session.call("act", json!({})).await;
        assert_eq!(crate::session::text(&result), r#"[{"id":"1"}]"#, "{media}");
    }
    for (status, media, body) in [(200, "text/csv", "id,ssn\n1,Secret"), (422, "application/json", people)] {
        session.api.respond(status, media, body);
        let error = session.error("act", json!({})).await;
        assert!(!error.contains("Secret") && !error.contains("ssn"), "{error}");
    }
}

#[test]
fn text_of_a_document_cannot_forge_a_line() {
    let path = "/a#\u{1b}[31m\nfake (GET /x; no scope)";
    let catalog = Catalog::read(&one_operation("get", path, json!([]), Value::Null)).unwrap();
    let listing = catalog.listing();
    assert!(!listing.contains(['\u{1b}']) && !listing.contains("\nfake"), "{listing}");
}
