//! The tools of an OpenAPI document, `examples/invoices`, each for its own user.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{API, Response, World, api_responds, call_asking, send_reply};

fn invoice(customer: &str) -> Value {
    json!({ "body": { "customer": customer, "lines": [{ "text": "Advice", "cents": 5000 }] } })
}

/// Creates an invoice, and returns its id.
async fn created(world: &World, token: &str, customer: &str) -> String {
    let response = world.call(token, "createInvoice", invoice(customer)).await.json();
    response["result"]["structuredContent"]["id"].as_str().unwrap_or_else(|| panic!("{response}")).to_owned()
}

async fn customers(world: &World, token: &str) -> String {
    text(&world.call(token, "listCustomers", json!({})).await)
}

/// The text of a result.
fn text(response: &Response) -> String {
    let json = response.json();
    json["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

fn is_error(response: &Response) -> bool {
    response.json()["result"]["isError"] == true
}

/// The targets of the requests to the API so far, below its URL.
fn targets(world: &World) -> Vec<String> {
    let exchanges = world.network.exchanges();
    let uris = exchanges.iter().map(|exchange| exchange.request.uri().to_string());
    uris.filter_map(|uri| Some(uri.strip_prefix(API)?.to_owned())).collect()
}

#[tokio::test]
async fn list_of_documents_tools_is_the_curated_one() {
    let world = World::of_invoices();
    let token = world.connected().await.access;
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let list = world.mcp(Some(&token), &message).await.json();
    let tools = list["result"]["tools"].as_array().unwrap();
    let hints: Vec<_> = tools
        .iter()
        .map(|tool| {
            let hint = |name: &str| tool["annotations"][name].as_bool().unwrap();
            (tool["name"].as_str().unwrap(), hint("readOnlyHint"), hint("destructiveHint"))
        })
        .collect();
    let expected = [
        ("listCustomers", true, false),
        ("listInvoices", true, false),
        ("createInvoice", false, false),
        ("deleteInvoice", false, true),
        ("getInvoice", true, false),
        ("setNote", false, false),
        ("sendInvoice", false, true),
    ];
    assert_eq!(hints, expected);
    let page = world.get(&world.authorize_path(&world.client().await, &[])).await.text;
    for words in
        ["your invoices", "See your invoices", "Create, send and delete invoices", "Delete an invoice"]
    {
        assert!(page.contains(words), "{words} in {page}");
    }
    assert!(!page.contains("todo"), "{page}");
}

#[tokio::test]
async fn each_user_edits_only_their_own_invoices() {
    let world = World::of_invoices();
    let alice = world.connected().await.access;
    let bob = world.connected_as("bob", &[]).await.access;
    let id = created(&world, &alice, "Ada & Söhne").await;
    let noted = world.call(&alice, "setNote", json!({ "id": id, "body": "Thank you" })).await;
    assert_eq!(text(&noted), "The API responded with 204 No Content, without a body.");
    let drafts = json!({ "status": ["draft", "paid"], "created": { "from": "2026-01-01" }, "limit": 5 });
    let drafts = world.call(&alice, "listInvoices", drafts).await.json();
    let items = &drafts["result"]["structuredContent"]["items"];
    assert_eq!((&items[0]["customer"], &items[0]["note"]), (&json!("Ada & Söhne"), &json!("Thank you")));
    assert_eq!(
        targets(&world).last().unwrap(),
        "/v1/invoices?status=draft&status=paid&created%5Bfrom%5D=2026-01-01&limit=5"
    );
    let read = world.call(&alice, "getInvoice", json!({ "id": id })).await.json();
    let expected = json!({
        "id": id, "status": "draft", "customer": "Ada & Söhne", "lines": [{ "text": "Advice", "cents": 5000 }],
    });
    assert_eq!(read["result"]["structuredContent"], expected);
    assert_eq!(
        (customers(&world, &alice).await, customers(&world, &bob).await),
        ("[\"Ada & Söhne\"]".into(), "[]".into())
    );
    world.start(&[("UNCONFIRMED_TOOLS", "deleteInvoice sendInvoice")]);
    for (tool, arguments) in [
        ("getInvoice", json!({ "id": id })),
        ("setNote", json!({ "id": id, "body": "Mine" })),
        ("sendInvoice", json!({ "id": id })),
        ("deleteInvoice", json!({ "id": id })),
    ] {
        let response = world.call(&bob, tool, arguments).await;
        assert!(
            is_error(&response) && text(&response).contains("404 Not Found"),
            "{tool}: {}",
            response.text
        );
    }
    assert_eq!(
        text(&world.call(&alice, "sendInvoice", json!({ "id": id })).await),
        "The invoice is on its way to Ada & Söhne."
    );
    world.call(&alice, "deleteInvoice", json!({ "id": id })).await;
    assert_eq!(customers(&world, &alice).await, "[]");
}

#[tokio::test]
async fn documents_tool_without_its_scope_is_insufficient_scope() {
    let world = World::of_invoices();
    let token = world.connected_as("alice", &[("scope", "invoice.read")]).await.access;
    let response = world.call(&token, "createInvoice", invoice("Ada")).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN, "{}", response.text);
    let challenge = response.header("www-authenticate");
    assert!(
        challenge.contains("insufficient_scope")
            && challenge.contains("scope=\"invoice.read invoice.write\""),
        "{challenge}"
    );
    assert_eq!(targets(&world), [""; 0]);
    assert_eq!(customers(&world, &token).await, "[]");
}

#[tokio::test]
async fn destructive_operation_acts_after_the_user_accepted() {
    let world = World::of_invoices();
    let token = world.connected().await.access;
    let id = created(&world, &token, "Ada").await;
    let call = async |earlier| {
        call_asking(&world, &token, "deleteInvoice", json!({ "id": id }), earlier).await.json()["result"]
            .take()
    };
    let asked = call(json!({})).await;
    let question = format!("Delete an invoice?\nid: \"{id}\"\nThis may not be undone.");
    assert_eq!(asked["inputRequests"]["confirm"]["params"]["message"], question);
    let reply = |action: &str| json!({ "inputResponses": { "confirm": { "action": action } }, "requestState": asked["requestState"] });
    assert_eq!(call(reply("decline")).await["isError"], true);
    assert_eq!(customers(&world, &token).await, "[\"Ada\"]");
    let other = json!({ "id": created(&world, &token, "Other").await });
    let refused = call_asking(&world, &token, "deleteInvoice", other, reply("accept")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert_eq!(call(reply("accept")).await["isError"], false);
    assert_eq!(customers(&world, &token).await, "[\"Other\"]");
}

#[tokio::test]
async fn destructive_operation_asks_on_the_stream_of_a_session() {
    let world = World::of_invoices();
    let token = world.connected().await.access;
    let id = created(&world, &token, "Ada").await;
    let params =
        json!({ "name": "sendInvoice", "arguments": { "id": id, "body": { "cc": ["bob@example.com"] } } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    // A client that cannot ask its user.
    let session = world.session(&token, json!({})).await;
    let refused = world.mcp_in(&session, &token, &message).await;
    assert!(is_error(&refused) && text(&refused).starts_with("Nothing was done"), "{}", refused.text);
    let session = world.session(&token, json!({ "elicitation": {} })).await;
    let mut stream = world.stream(&token, &session, &message).await;
    let question = stream.next().await;
    let words = question["params"]["message"].as_str().unwrap();
    assert!(words.contains("body.cc.0: \"bob@example.com\""), "{words}");
    assert_eq!(
        send_reply(&world, &token, &question, json!({ "action": "accept" })).await,
        StatusCode::ACCEPTED
    );
    let result = stream.next().await;
    assert_eq!(result["result"]["content"][0]["text"], "The invoice is on its way to Ada.");
}

#[tokio::test]
async fn argument_of_documents_tool_stays_in_its_place() {
    let world = World::with(&[("TEST_INVOICES", "on"), ("UNCONFIRMED_TOOLS", "deleteInvoice sendInvoice")]);
    let token = world.connected().await.access;
    for id in [
        "",
        "..",
        "../customers",
        "a/b",
        "%2e%2e",
        "..%2fcustomers",
        "a?b=c",
        "a#b",
        "a\\b",
        "//evil.example",
        "a\r\nb",
    ] {
        for tool in ["getInvoice", "deleteInvoice", "sendInvoice"] {
            let response = world.call(&token, tool, json!({ "id": id })).await;
            assert!(is_error(&response), "{tool} {id:?} {}", response.text);
        }
    }
    for key in ["a\r\nAuthorization: Bearer evil", "a\nb", "ä"] {
        let mut arguments = invoice("Ada");
        arguments["Idempotency-Key"] = key.into();
        assert!(is_error(&world.call(&token, "createInvoice", arguments).await), "{key:?}");
    }
    for arguments in [json!({ "admin": 1 }), json!({ "status": ["draft&admin=1"] })] {
        assert!(is_error(&world.call(&token, "listInvoices", arguments.clone()).await), "{arguments}");
    }
    assert_eq!(targets(&world), [""; 0]);
    // A host in an argument is text, as is a separator.
    world.call(&token, "getInvoice", json!({ "id": "@evil.example:80" })).await;
    world.call(&token, "listInvoices", json!({ "created": { "a&b=c": "1" } })).await;
    assert_eq!(
        targets(&world),
        ["/v1/invoices/%40evil.example%3A80", "/v1/invoices?created%5Ba%26b%3Dc%5D=1"]
    );
    let hosts = world.network.exchanges();
    let mut hosts: Vec<_> = hosts.iter().filter_map(|exchange| exchange.request.uri().host()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    // The document's own server is `invoices.example`.
    assert_eq!(hosts, ["auth.pingone.eu", "deputy.example", "todo.example"]);
}

#[tokio::test]
async fn large_response_of_the_api_is_not_passed_on() {
    let world = World::of_invoices();
    let token = world.connected().await.access;
    let body = json!({ "items": [{ "customer": "x".repeat(300 * 1024) }] }).to_string();
    api_responds(&world, StatusCode::OK, &[("content-type", "application/json")], body);
    let response = world.call(&token, "listInvoices", json!({})).await;
    assert!(is_error(&response) && response.text.len() < 2000, "{:.2000}", response.text);
    assert!(
        text(&response).starts_with("Its response has 300 KiB, and at most 256 KiB are passed on."),
        "{}",
        response.text
    );
}

#[tokio::test]
async fn error_of_the_api_is_explained_without_its_secrets() {
    let world = World::of_invoices();
    let token = world.connected().await.access;
    let json = &[("content-type", "application/json")];
    for (status, headers, body, told) in [
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            &json[..],
            "{\"error\":\"limit is too large\"}",
            "limit is too large",
        ),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            &json[..],
            "{\"trace\":\"secret at db:5432\"}",
            "has a problem at the moment",
        ),
        (StatusCode::FORBIDDEN, &json[..], "{\"trace\":\"secret\"}", "does not allow this user"),
        (
            StatusCode::SEE_OTHER,
            &[("location", "https://evil.example/secret")][..],
            "",
            "Redirects are not followed",
        ),
        (StatusCode::OK, &[("content-type", "application/pdf")][..], "%PDF secret", "application/pdf"),
        (StatusCode::OK, &json[..], "{\"items\":5,\"secret\":1}", "does not match its document"),
    ] {
        api_responds(&world, status, headers, body.to_owned());
        let response = world.call(&token, "listInvoices", json!({})).await;
        assert!(is_error(&response), "{status} {}", response.text);
        let text = text(&response);
        assert!(text.contains(told), "{status} {text}");
        assert!(!text.contains("secret") || told.contains("match"), "{status} {text}");
        assert!(!response.text.contains("eyJ"), "{status}");
    }
    assert_eq!(world.requests_to("https://evil.example", ""), 0);
}

#[tokio::test]
async fn api_request_of_a_documents_tool_has_the_users_token() {
    let world = World::of_invoices();
    let tokens = world.connected().await;
    let id = created(&world, &tokens.access, "Ada").await;
    let response = world.call(&tokens.access, "getInvoice", json!({ "id": id })).await;
    assert!(!response.text.contains("eyJ"), "{}", response.text);
    let exchanges = world.network.exchanges();
    let sent =
        &exchanges.iter().rev().find(|e| e.request.uri().host() == Some("todo.example")).unwrap().request;
    assert!(sent.headers()["authorization"].as_bytes().starts_with(b"Bearer eyJ"));
    assert_eq!(sent.headers().get_all("authorization").iter().count(), 1);
    // A tool that the curation hides is no tool.
    let hidden = world.call(&tokens.access, "getInvoicePdf", json!({ "id": id })).await;
    assert!(hidden.json().get("error").is_some(), "{}", hidden.text);
}
