//! Members of the other direction, under each name and at each place at which they could be sent.

use serde_json::{Value, json};

use crate::session::{Session, one_operation};

/// A document with one operation, whose body and response have this schema.
fn document(schema: &Value, media: &str, components: &Value) -> String {
    let content = json!({ media: { "schema": schema } });
    let mut document: Value = serde_json::from_str(&one_operation("post", "/a", json!([]), content)).unwrap();
    document["components"]["schemas"] = components.clone();
    document["paths"]["/a"]["post"]["responses"] =
        json!({ "200": { "content": { "application/json": { "schema": schema } } } });
    document.to_string()
}

fn components() -> Value {
    let role = json!({ "type": "string" });
    let name = json!({ "name": { "type": "string" } });
    json!({
        "U": { "type": "object", "properties": { "name": {}, "role": { "type": "string", "readOnly": true } } },
        "Name": { "type": "object", "properties": name },
        "Base": { "type": "object", "properties": { "name": {}, "role": role } },
        "ReadOnly": { "properties": { "role": { "readOnly": true } } },
        "Role": role,
        "RoleRO": { "$ref": "#/components/schemas/Role", "readOnly": true },
        "RoleHop": { "$ref": "#/components/schemas/RoleRO" },
        "Account": { "type": "object", "properties": { "name": {} }, "discriminator": { "propertyName": "name", "mapping": { "a": "Admin" } } },
        "Admin": { "allOf": [{ "$ref": "#/components/schemas/Account" }, { "$ref": "#/components/schemas/ReadOnly" }] },
        "Tree": { "type": "object", "properties": {
            "name": {}, "role": { "readOnly": true },
            "parent": { "$ref": "#/components/schemas/Tree" }, "next": { "$ref": "#/components/schemas/Tree" },
        } },
    })
}

fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn with_role(role: &Value) -> Value {
    json!({ "type": "object", "properties": { "name": {}, "role": role } })
}

#[tokio::test]
async fn read_only_member_of_any_declaration_is_not_sent() {
    let admin = json!({ "name": "a", "role": "admin" });
    let age = json!({ "type": "object", "properties": { "age": { "type": "integer" }, "role": { "readOnly": true } } });
    let text = json!({ "type": "string" });
    for (schema, body, sent) in [
        (of("U"), admin.clone(), json!({ "name": "a" })),
        (of("U"), json!(admin.to_string()), json!({ "name": "a" })),
        (json!({ "additionalProperties": of("U") }), json!({ "x": admin }), json!({ "x": { "name": "a" } })),
        (
            json!({ "patternProperties": { "^x": of("U") } }),
            json!({ "x": admin }),
            json!({ "x": { "name": "a" } }),
        ),
        (
            json!({ "properties": { "x": {} }, "patternProperties": { "^x": of("U") } }),
            json!({ "x": admin }),
            json!({ "x": { "name": "a" } }),
        ),
        (json!({ "type": "array", "prefixItems": [of("U")] }), json!([admin]), json!([{ "name": "a" }])),
        (json!({ "type": "object", "then": of("ReadOnly") }), admin.clone(), json!({ "name": "a" })),
        (
            json!({ "type": "object", "dependentSchemas": { "name": of("ReadOnly") } }),
            admin.clone(),
            json!({ "name": "a" }),
        ),
        (json!({ "allOf": [of("Base"), of("ReadOnly")] }), admin.clone(), json!({ "name": "a" })),
        (json!({ "allOf": [of("ReadOnly"), of("Base")] }), admin.clone(), json!({ "name": "a" })),
        (
            json!({ "allOf": [{ "$ref": "#/components/schemas/Base", "properties": { "role": { "readOnly": true } } }] }),
            admin.clone(),
            json!({ "name": "a" }),
        ),
        (with_role(&of("RoleRO")), admin.clone(), json!({ "name": "a" })),
        (with_role(&of("RoleHop")), admin.clone(), json!({ "name": "a" })),
        (
            with_role(&json!({ "allOf": [of("Role"), { "readOnly": true }] })),
            admin.clone(),
            json!({ "name": "a" }),
        ),
        (with_role(&json!({ "anyOf": [text, { "readOnly": true }] })), admin.clone(), json!({ "name": "a" })),
        (with_role(&json!({ "oneOf": [text, of("RoleRO")] })), admin.clone(), json!({ "name": "a" })),
        (
            with_role(&json!({ "type": "array", "items": of("RoleRO") })),
            json!({ "name": "a", "role": ["admin"] }),
            json!({ "name": "a" }),
        ),
        (
            json!({ "oneOf": [age, of("Name")] }),
            json!({ "age": "x", "role": "admin" }),
            json!({ "age": "x" }),
        ),
        (
            json!({ "type": "object", "properties": { "role": text, "name": {} }, "required": ["role"], "anyOf": [of("ReadOnly"), of("Name")] }),
            admin.clone(),
            json!({ "name": "a" }),
        ),
        (
            json!({ "type": "object", "properties": { "x": {} }, "additionalProperties": { "readOnly": true } }),
            json!({ "x": 1, "role": "admin" }),
            json!({ "x": 1 }),
        ),
        (of("Account"), admin.clone(), json!({ "name": "a" })),
        (
            of("Tree"),
            json!({ "parent": { "next": admin }, "next": { "parent": admin } }),
            json!({ "next": { "parent": { "name": "a" } }, "parent": { "next": { "name": "a" } } }),
        ),
    ] {
        let session = Session::of(&document(&schema, "application/json", &components())).await;
        let requests = session.requests("act", json!({ "body": body })).await;
        assert_eq!(requests, [format!("POST /a content-type: application/json {sent}")], "{schema} {body}");
        let listed = serde_json::to_string(&session.tools().await[0].input_schema).unwrap();
        assert!(!listed.contains("role") && !listed.contains("x-deputy"), "{schema} {listed}");
    }
}

#[tokio::test]
async fn write_only_member_of_any_declaration_is_not_passed_on() {
    let value = json!({ "name": "a", "role": "secret" });
    for (schema, response, passed_on) in [
        (of("U"), value.clone(), json!({ "name": "a" })),
        (json!({ "allOf": [of("Base"), of("ReadOnly")] }), value.clone(), json!({ "name": "a" })),
        (with_role(&of("RoleHop")), value.clone(), json!({ "name": "a" })),
        (json!({ "type": "object", "then": of("ReadOnly") }), value.clone(), json!({ "name": "a" })),
        (
            json!({ "type": "object", "additionalProperties": of("U") }),
            json!({ "x": value }),
            json!({ "x": { "name": "a" } }),
        ),
        (
            json!({ "type": "object", "anyOf": [of("U"), of("Name")] }),
            json!({ "name": "a", "role": 5 }),
            json!({ "name": "a" }),
        ),
    ] {
        let document = document(&schema, "application/json", &components()).replace("readOnly", "writeOnly");
        let session = Session::of(&document).await;
        session.api.respond(200, "application/json", response.to_string());
        let result = session.call("act", json!({ "body": {} })).await;
        assert_eq!(result.structured_content, Some(passed_on), "{schema} {response}");
    }
}

#[tokio::test]
async fn read_only_member_by_another_spelling_is_not_sent() {
    let schema = json!({ "type": "object", "properties": {
        "isAdmin": { "readOnly": true }, "Key": { "readOnly": true }, "iskey": {}, "+1": { "readOnly": true }, "-1": {},
    } });
    let session = Session::of(&document(&schema, "application/json", &components())).await;
    for (name, is_sent) in [
        ("isAdmin", false),
        ("ISADMIN", false),
        ("i\u{17f}Admin", false),
        ("is_admin", false),
        ("is.Admin", false),
        ("is-admin", false),
        (" isAdmin", false),
        ("\u{131}s\u{130}dmin", true),
        ("\u{131}sAdmin", false),
        ("isAdmin\0x", false),
        ("\u{212a}ey", false),
        ("iskey", true),
        ("-1", true),
        ("admin", true),
    ] {
        let sent = json!({ name: true }).to_string();
        let sent = if is_sent { sent } else { "{}".to_owned() };
        let requests = session.requests("act", json!({ "body": { name: true } })).await;
        assert_eq!(requests, [format!("POST /a content-type: application/json {sent}")], "{name:?}");
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn undeclared_name_that_frameworks_read_otherwise_is_not_sent() {
    let user = json!({ "type": "object", "properties": { "role": { "readOnly": true } } });
    let schema = json!({ "type": "object", "properties": { "user": user, "role": { "readOnly": true }, "tags[]": {}, "a.b": {} } });
    let declared = json!({ "type": "object", "properties": { "_method": { "enum": ["PATCH"] } } });
    for (media, schema, name, is_sent) in [
        (FORM, &schema, "user[role]", false),
        (FORM, &schema, "other[]", false),
        (FORM, &schema, "user.role", false),
        (FORM, &schema, "[other", false),
        (FORM, &schema, "other", true),
        (FORM, &schema, "tags[]", true),
        (FORM, &schema, "a.b", true),
        (FORM, &schema, "_method", false),
        (FORM, &schema, "_METHOD", false),
        (FORM, &schema, " _method", false),
        (FORM, &schema, "method", true),
        (FORM, &json!({}), "_method", false),
        ("application/json", &schema, "_Method", false),
        ("application/json", &json!({}), "_method", false),
        ("application/json", &schema, "user.role", true),
        (FORM, &declared, "_method", true),
        ("application/json", &declared, "_method", true),
    ] {
        let session = Session::of(&document(schema, media, &components())).await;
        let requests = session.requests("act", json!({ "body": { name: "PATCH" } })).await;
        assert_eq!(requests.len(), usize::from(is_sent), "{media} {name:?} {requests:?}");
    }
}

#[tokio::test]
async fn bracket_in_a_deep_object_makes_no_other_member() {
    let parameters =
        json!([{ "name": "filter", "in": "query", "style": "deepObject", "schema": { "type": "object" } }]);
    let session = Session::of(&one_operation("get", "/a", parameters, Value::Null)).await;
    for filter in [json!({ "user][role": "admin" }), json!({ "a": { "b]": 1 } }), json!({ "[a": 1 })] {
        let error = session.error("act", json!({ "filter": filter })).await;
        assert!(error.contains("must not have a member with a bracket in its name"), "{error}");
    }
    assert_eq!(session.requests("act", json!({ "filter": { "a": 1 } })).await, ["GET /a?filter%5Ba%5D=1"]);
}

#[tokio::test]
async fn member_of_an_object_in_a_form_is_not_a_read_only_one() {
    let meta = json!({ "type": "object", "properties": { "role": {}, "note": {} } });
    let schema = json!({ "type": "object", "properties": { "meta": meta, "role": { "readOnly": true } } });
    let mut document: Value = serde_json::from_str(&document(&schema, FORM, &components())).unwrap();
    document["paths"]["/a"]["post"]["requestBody"]["content"][FORM]["encoding"] =
        json!({ "meta": { "style": "form" } });
    let session = Session::of(&document.to_string()).await;
    let sent = session.requests("act", json!({ "body": { "meta": { "note": "a" } } })).await;
    assert_eq!(sent, [format!("POST /a content-type: {FORM} note=a")]);
    let error = session.error("act", json!({ "body": { "meta": { "role": "admin" } } })).await;
    assert!(error.contains("the member `role`, which is not declared"), "{error}");
}
