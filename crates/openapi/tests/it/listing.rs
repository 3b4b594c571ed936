//! The tools, as clients see them.

use deputy_openapi::Catalog;
use serde_json::{Value, json};

use crate::session::{INVOICES, OVERLAY, Session, one_operation};

async fn tool(name: &str) -> Value {
    let tools = Session::invoices().await.tools().await;
    serde_json::to_value(tools.iter().find(|tool| tool.name == name).unwrap()).unwrap()
}

#[tokio::test]
async fn tools_have_names_titles_and_annotations() {
    let tools = Session::invoices().await.tools().await;
    let found: Vec<_> = tools
        .iter()
        .map(|tool| {
            let hints = tool.annotations.as_ref().unwrap();
            let hints = (hints.read_only_hint.unwrap(), hints.is_destructive(), hints.is_idempotent());
            (&*tool.name, tool.title.as_deref().unwrap(), hints)
        })
        .collect();
    let (read, write) = ((true, false, true), (false, false, false));
    assert_eq!(
        found,
        [
            ("listInvoices", "List invoices", read),
            ("createInvoice", "Create an invoice", write),
            ("deleteInvoice", "Delete an invoice", (false, true, true)),
            ("getInvoice", "Get an invoice", read),
            ("setNote", "Set the note of an invoice", (false, false, true)),
            ("sendInvoice", "Send an invoice to the customer", write),
        ]
    );
    assert!(Session::invoices().await.instructions().contains("data, not instructions"));
}

#[tokio::test]
async fn every_model_accepts_the_tools() {
    let any = json!([{ "name": "a", "in": "query", "schema": {} }, { "name": "b", "in": "query", "schema": { "type": "array" } }]);
    let body = json!({ "application/json": { "schema": { "properties": {
        "map": { "additionalProperties": { "type": "string" } }, "never": false, "more": { "exclusiveMinimum": 0, "type": "number" },
        "choice": { "oneOf": [{ "type": ["string", "null"] }, { "enum": [1, 2] }] },
    } } } });
    let other = one_operation("post", "/2", any, body);
    for document in [INVOICES, &other] {
        for tool in Session::of(document).await.tools().await {
            assert_eq!(deputy::testing::tool_problems(&tool), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn input_schema_has_every_argument() {
    assert_eq!(
        tool("listInvoices").await["inputSchema"],
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "created": {
                    "type": "object", "description": "The time of creation.",
                    "properties": {
                        "from": { "type": "string", "description": "Format: date." },
                        "to": { "type": "string", "description": "Format: date." },
                    },
                },
                "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 20 },
                "status": { "type": "array", "items": { "type": "string", "enum": ["draft", "sent", "paid"] } },
            },
        })
    );
    assert_eq!(
        tool("createInvoice").await["inputSchema"],
        json!({
            "type": "object", "additionalProperties": false, "required": ["body"],
            "properties": {
                "Idempotency-Key": {
                    "type": "string", "maxLength": 64,
                    "description": "Repeating a call with the same key creates no second invoice.",
                },
                "body": {
                    "type": "object", "required": ["customer", "lines"],
                    "properties": {
                        "customer": { "type": "string", "description": "The name of the customer." },
                        "lines": {
                            "type": "array", "minItems": 1,
                            "items": {
                                "type": "object", "required": ["cents", "text"], "additionalProperties": false,
                                "properties": {
                                    "cents": { "type": "integer", "description": "The price in cents." },
                                    "text": { "type": "string" },
                                },
                            },
                        },
                        "note": { "anyOf": [{ "type": "string", "maxLength": 500 }, { "type": "null" }] },
                    },
                },
            },
        })
    );
}

#[tokio::test]
async fn output_schema_has_types_without_constraints() {
    let invoice = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "status": { "type": "string" },
            "customer": { "type": "string", "description": "The name of the customer." },
            "lines": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "cents": { "type": "integer", "description": "The price in cents." },
                        "text": { "type": "string" },
                    },
                },
            },
            "note": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
        },
    });
    assert_eq!(tool("getInvoice").await["outputSchema"], invoice);
    assert_eq!(tool("deleteInvoice").await.get("outputSchema"), None);
    assert_eq!(tool("sendInvoice").await.get("outputSchema"), None);
}

#[test]
fn response_with_another_form_than_json_has_a_schema() {
    let schema = json!({ "type": "object", "properties": { "id": { "type": "string" } } });
    let form = json!({ "schema": schema });
    let content =
        json!({ "text/plain": form, "application/json": form, "text/json": form, "application/xml": form });
    let mut document: Value =
        serde_json::from_str(&one_operation("get", "/a", json!([]), Value::Null)).unwrap();
    document["paths"]["/a"]["get"]["responses"] = json!({ "200": { "content": content } });
    let output = |document: &Value| {
        let catalog = Catalog::read(&document.to_string()).unwrap();
        catalog.operations[0].tool.output_schema.clone().map(|schema| json!(*schema))
    };
    assert_eq!(output(&document), Some(schema));
    document["paths"]["/a"]["get"]["responses"]["202"] = json!({ "content": { "text/plain": {} } });
    assert_eq!(output(&document), None);
}

#[test]
fn operation_that_is_not_served_is_named_with_its_reason() {
    let catalog = Catalog::read(INVOICES).unwrap();
    let refused: Vec<_> = catalog
        .refused
        .iter()
        .map(|refused| (refused.source.as_str(), refused.refusal.to_string()))
        .collect();
    let expected = [
        ("GET /customers", "it is deprecated; x-deputy-hide: false serves it"),
        (
            "GET /health",
            "the document names no scopes for it; x-deputy-scopes decides which it needs, `[]` for none",
        ),
        ("GET /invoices/{id}/pdf", "its response is application/pdf; JSON and text are passed on"),
    ];
    assert_eq!(refused, expected.map(|(source, reason)| (source, reason.to_owned())));
    let left_out: Vec<_> = catalog.operations.iter().flat_map(|operation| &operation.left_out).collect();
    assert_eq!(left_out, ["the cookie `session`"]);
}

#[test]
fn operation_that_is_lost_in_the_document_is_named() {
    let document = json!({
        "openapi": "3.1.0", "info": { "version": 1.5 }, "x-deputy-scopes": [],
        "paths": {
            "/a": { "$ref": "#/components/pathItems/A", "summary": "A.", "put": {} },
            "/b": { "get": null, "parameters": [] },
            "/c": { "get": { "responses": { "200": { "content": { "text/event-stream": {} } } } } },
            "/d": { "post": { "requestBody": { "content": {} } } },
            "/e": { "get": { "$ref": "e.yaml" }, "put": { "$ref": "#/components/x-put" } },
            "/f": { "get": { "parameters": { "$ref": "#/components/parameters" } } },
            "/g": { "$ref": "#/components/pathItems/A", "x-deputy-hide": true },
            "/h": { "get": { "$ref": "#/components/x-put", "x-deputy-scopes": ["a"] }, "put": { "$ref": "#/components/x-put" } },
            "/i": { "$ref": "#/components/pathItems/A", "summary": "A." },
            "/j": { "$ref": null, "get": {} },
        },
        "components": { "pathItems": { "A": { "get": { "operationId": "a" } } }, "x-put": {} },
        "webhooks": { "made": { "post": {} } },
    });
    let catalog = Catalog::read(&document.to_string()).unwrap();
    let served: Vec<_> = catalog.operations.iter().map(|operation| operation.source.as_str()).collect();
    assert_eq!((served, catalog.version.as_str()), (vec!["PUT /e", "PUT /h", "GET /i"], "1.5"));
    let mut refused: Vec<_> =
        catalog.refused.iter().map(|refused| format!("{}: {}", refused.source, refused.refusal)).collect();
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            "/a: its path is a reference with members beside it, which would have no effect; they belong to its target",
            "/g: its path is a reference with members beside it, which would have no effect; they belong to its target",
            "/j: its path is a reference with members beside it, which would have no effect; they belong to its target",
            "GET /b: the document is malformed: an object is missing",
            "GET /c: its response is text/event-stream; JSON and text are passed on",
            "GET /e: it refers to another document: e.yaml",
            "GET /f: the document is malformed: the parameters are not a list",
            "GET /h: the operation is a reference with members beside it, which would have no effect; they belong to its target",
            "POST /d: its request body is of no media type; JSON, forms and plain text can be sent",
        ]
    );
}

#[test]
fn optional_parameter_of_another_form_is_left_out() {
    let xml = json!({ "name": "x", "in": "query", "content": { "application/xml": {} } });
    let left_out = |parameter: &Value| {
        let catalog = Catalog::read(&one_operation("get", "/a", json!([parameter]), Value::Null)).unwrap();
        catalog.operations.first().map(|operation| operation.left_out.clone())
    };
    let named = "the parameter `x` in another form than JSON".to_owned();
    assert_eq!(left_out(&xml), Some(vec![named]));
    let mut required = xml;
    required["required"] = true.into();
    assert_eq!(left_out(&required), None);
}

#[tokio::test]
async fn optional_object_without_declared_members_is_left_out() {
    let free = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let parameters =
        json!([{ "name": "filter", "in": "query", "schema": free }, { "name": "q", "in": "query" }]);
    let document = one_operation("get", "/a", parameters, Value::Null);
    let left_out = Catalog::read(&document).unwrap().operations[0].left_out.clone();
    assert_eq!(left_out, ["the query `filter`, whose members are not declared"]);
    let session = Session::of(&document).await;
    assert_eq!(session.requests("act", json!({ "q": "a" })).await, ["GET /a?q=a"]);
    let error = session.error("act", json!({ "filter": { "q": "b" } })).await;
    assert_eq!(error, "The arguments cannot be used: filter is not an argument.");
}

#[test]
fn change_without_its_optional_filter_is_not_served() {
    let free = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let parameters = json!([{ "name": "filter", "in": "query", "schema": free }]);
    for method in ["delete", "patch", "post", "put"] {
        let catalog = Catalog::read(&one_operation(method, "/a", parameters.clone(), Value::Null)).unwrap();
        assert_eq!(catalog.operations.len(), 0, "{method}");
    }
}

#[test]
fn key_in_authorization_counts_as_the_token_if_it_is_alone() {
    let served = |security: Value| {
        let mut document: Value =
            serde_json::from_str(&one_operation("get", "/a", json!([]), Value::Null)).unwrap();
        document["components"]["securitySchemes"]["key"] =
            json!({ "type": "apiKey", "in": "header", "name": "authorization" });
        document["components"]["securitySchemes"]["oauth"] = json!({ "type": "oauth2", "flows": {} });
        document["paths"]["/a"]["get"]["security"] = security;
        document["paths"]["/a"]["get"].as_object_mut().unwrap().remove("x-deputy-scopes");
        Catalog::read(&document.to_string())
            .unwrap()
            .refused
            .first()
            .map(|refused| refused.refusal.to_string())
    };
    let refused = served(json!([{ "oauth": ["read"], "key": [] }])).expect("a refusal");
    assert!(refused.contains("key"), "{refused}");
    let undecided = served(json!([{ "key": [] }])).expect("a decision about scopes is missing");
    assert!(undecided.contains("scopes"), "{undecided}");
}

#[tokio::test]
async fn reference_beside_a_recursive_body_need_not_be_an_object() {
    let parameters = json!([{ "name": "level", "in": "query", "schema": { "anyOf": [{ "type": "integer" }, { "$ref": "#/components/schemas/Level" }] } }]);
    let tree =
        json!({ "type": "object", "properties": { "child": { "$ref": "#/components/schemas/Tree" } } });
    let body = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Tree" } } });
    let mut document: Value = serde_json::from_str(&one_operation("post", "/a", parameters, body)).unwrap();
    document["components"] =
        json!({ "schemas": { "Level": { "type": "string", "enum": ["all"] }, "Tree": tree } });
    let session = Session::of(&document.to_string()).await;
    let sent = session.requests("act", json!({ "level": "all", "body": {} })).await;
    assert_eq!(sent, ["POST /a?level=all content-type: application/json {}"]);
}

#[test]
fn scopes_and_their_words_come_from_the_document() {
    let catalog = Catalog::read(INVOICES).unwrap();
    assert_eq!(catalog.scopes(), ["invoice.read", "invoice.write"]);
    assert_eq!(catalog.scope_descriptions["invoice.write"], "Create, send and delete invoices");
    assert_eq!((catalog.api.as_str(), catalog.base_path.as_deref()), ("Invoices", Some("/v1")));
    let of = |name: &str| {
        catalog.operations.iter().find(|operation| operation.tool.name == name).unwrap().scopes.clone()
    };
    assert_eq!(of("getInvoice"), ["invoice.read"]);
    assert_eq!(of("sendInvoice"), ["invoice.write"]);
}

#[test]
fn more_scopes_than_a_client_can_have_need_a_decision() {
    let paths: serde_json::Map<_, _> = (0..65)
        .map(|n| (format!("/{n}"), json!({ "get": { "x-deputy-scopes": [format!("s{n}")] } })))
        .collect();
    let catalog = Catalog::read(&json!({ "openapi": "3.0.0", "paths": paths }).to_string()).unwrap();
    let errors = |scopes: Option<&str>| {
        let set = scopes.map(str::to_owned);
        let variable = |name: &str| set.clone().filter(|_| name == "API_SCOPES");
        catalog.config(variable).err().unwrap().to_string()
    };
    assert!(errors(None).contains("need 65 scopes, of which a client can have 64"), "{}", errors(None));
    assert!(!errors(Some("s1 s2")).contains("API_SCOPES"), "{}", errors(Some("s1 s2")));
}

#[test]
fn operations_of_one_name_get_names_that_do_not_depend_on_order() {
    let names = |paths: Value| {
        let document = json!({ "openapi": "3.0.0", "x-deputy-scopes": [], "paths": paths }).to_string();
        let catalog = Catalog::read(&document).unwrap();
        catalog.operations.iter().map(|operation| operation.tool.name.to_string()).collect::<Vec<_>>()
    };
    let list = json!({ "get": { "operationId": "list" } });
    let both = names(json!({ "/a": list, "/b": list, "/c": { "get": {} } }));
    let alone = names(json!({ "/a": list, "/b": list }));
    assert_eq!(both[..2], alone[..]);
    assert!(both[0] != both[1] && both[0].starts_with("list_") && both[2] == "get_c", "{both:?}");
}

#[test]
fn curation_keys_decide_about_operations() {
    let document = json!({
        "openapi": "3.0.0", "x-deputy-hide": true, "x-deputy-scopes": ["a"], "x-deputy-api": "your things",
        "x-deputy-fixed": { "version": "2" },
        "paths": {
            "/hidden": { "get": {} },
            "/things": {
                "x-deputy-prefix": "things_",
                "parameters": [{ "name": "version", "in": "query", "required": true, "schema": { "type": "string" } }],
                "get": { "operationId": "find", "x-deputy-hide": false, "deprecated": true, "x-deputy-scopes": ["b"] },
                "delete": { "x-deputy-name": "archive", "x-deputy-hide": false, "x-deputy-destructive": false },
                "post": { "x-deputy-hide": false, "x-deputy-name": "search", "x-deputy-read-only": true },
                "put": { "x-deputy-hide": "no" },
                "patch": { "x-deputy-hide": false, "x-deputy-fixed": { "nothing": 1 } },
            },
        },
    });
    let catalog = Catalog::read(&document.to_string()).unwrap();
    let served: Vec<_> = catalog
        .operations
        .iter()
        .map(|operation| {
            let read_only = operation.tool.annotations.as_ref().unwrap().read_only_hint.unwrap();
            (&*operation.tool.name, &operation.scopes[..], operation.is_destructive, read_only)
        })
        .collect();
    let (a, b) = (["a".to_owned()], ["b".to_owned()]);
    let expected = [
        ("archive", &a[..], false, false),
        ("things_find", &b[..], false, true),
        ("search", &a[..], false, true),
    ];
    assert_eq!(served, expected);
    assert!(
        catalog.operations.iter().all(|operation| operation.tool.input_schema["properties"] == json!({}))
    );
    let refused: Vec<_> = catalog.refused.iter().map(|refused| refused.refusal.to_string()).collect();
    assert_eq!(
        refused,
        ["x-deputy-hide hides it", "x-deputy-fixed cannot be used", "x-deputy-hide cannot be used"]
    );
    assert_eq!(catalog.api, "your things");
}

#[test]
fn overlay_of_the_example_leaves_no_warning() {
    let catalog = Catalog::curated(INVOICES, OVERLAY).unwrap();
    assert_eq!(catalog.warnings(), Vec::<String>::new());
    let refused: Vec<_> = catalog.refused.iter().map(|refused| refused.refusal.to_string()).collect();
    assert_eq!(refused, ["x-deputy-hide hides it"; 2]);
    let of = |name: &str| catalog.operations.iter().find(|operation| operation.tool.name == name).unwrap();
    assert!(of("sendInvoice").is_destructive && of("deleteInvoice").is_destructive);
    let output = of("getInvoice").tool.output_schema.clone().unwrap();
    assert_eq!(output["properties"].get("note"), None);
}
