use super::*;

fn document(components: &Value) -> Document {
    Document::new(json!({ "openapi": "3.1.0", "components": { "schemas": components } })).unwrap()
}

fn request(schema: &Value) -> Value {
    write(&document(&json!({})), Direction::Request, schema).unwrap().schema
}

fn response(schema: &Value) -> Value {
    write(&document(&json!({})), Direction::Response, schema).unwrap().schema
}

/// A schema without the place of its values.
fn listed(mut schema: Value) -> Value {
    schema.as_object_mut().unwrap().remove(FOREIGN);
    schema
}

#[test]
fn schema_is_written_in_the_subset() {
    for (schema, written) in [
        (
            json!({ "type": "string", "format": "date-time" }),
            json!({ "type": "string", "format": "date-time" }),
        ),
        (
            json!({ "type": "string", "format": "uuid" }),
            json!({ "type": "string", "description": "Format: uuid." }),
        ),
        (
            json!({ "type": "string", "pattern": "^(?i)x$", "maxLength": 5, "description": "A\ncode." }),
            json!({ "type": "string", "maxLength": 5, "description": "A code. Pattern: ^(?i)x$" }),
        ),
        (
            json!({ "type": "integer", "format": "int32", "enum": [1, 2] }),
            json!({ "type": "integer", "description": "One of 1, 2." }),
        ),
        (json!({ "enum": ["a", "b"] }), json!({ "type": "string", "enum": ["a", "b"] })),
        (json!({ "const": "a" }), json!({ "type": "string", "enum": ["a"] })),
        (
            json!({ "type": "string", "nullable": true, "enum": ["a", null] }),
            json!({ "anyOf": [{ "type": "string", "enum": ["a"] }, { "type": "null" }] }),
        ),
        (
            json!({ "enum": ["a", null] }),
            json!({ "anyOf": [{ "type": "string", "enum": ["a"] }, { "type": "null" }] }),
        ),
        (
            json!({ "type": ["string", "integer", "null"], "maxLength": 5, "minimum": 0 }),
            json!({ "anyOf": [{ "type": "string", "maxLength": 5 }, { "type": "integer", "minimum": 0 }, { "type": "null" }] }),
        ),
        (
            json!({ "type": "number", "minimum": 0, "exclusiveMinimum": true }),
            json!({ "type": "number", "description": "More than 0." }),
        ),
        (json!({ "type": "integer", "default": 5 }), json!({ "type": "integer", "default": 5 })),
        (json!({ "type": "integer", "default": "five" }), json!({ "type": "integer" })),
        (json!({ "type": "array" }), json!({ "type": "array", "items": {} })),
        (json!({ "items": { "type": "string" } }), json!({ "type": "array", "items": { "type": "string" } })),
        (
            json!({ "oneOf": [{ "type": "string" }, { "type": "integer" }], "discriminator": { "propertyName": "x" } }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }),
        ),
        (
            json!({ "anyOf": [{ "type": "string", "description": "Inner." }] }),
            json!({ "type": "string", "description": "Inner." }),
        ),
        (json!(true), json!({})),
    ] {
        assert_eq!(request(&schema), written, "{schema}");
    }
}

#[test]
fn members_of_the_other_direction_are_left_out() {
    let schema = json!({
        "type": "object", "required": ["id", "secret", "name"], "additionalProperties": false,
        "properties": {
            "id": { "type": "string", "readOnly": true },
            "secret": { "type": "string", "writeOnly": true, "minLength": 8 },
            "name": { "type": "string" },
            "never": false,
        },
    });
    assert_eq!(
        listed(request(&schema)),
        json!({
            "type": "object", "required": ["name", "secret"], "additionalProperties": false,
            "properties": { "name": { "type": "string" }, "secret": { "type": "string", "minLength": 8 } },
        })
    );
    let expected = json!({
        "type": "object", "properties": { "id": { "type": "string" }, "name": { "type": "string" } },
    });
    assert_eq!(listed(response(&schema)), expected);
}

#[test]
fn all_of_is_one_schema() {
    let document = document(&json!({
        "Base": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } },
        "Named": { "allOf": [{ "$ref": "#/components/schemas/Base" }, { "properties": { "name": { "type": "string" } } }] },
    }));
    let schema = json!({ "description": "A thing.", "allOf": [{ "$ref": "#/components/schemas/Named" }, { "required": ["name"] }] });
    let expected = json!({
        "type": "object", "description": "A thing.", "required": ["id", "name"],
        "properties": { "id": { "type": "integer" }, "name": { "type": "string" } },
    });
    assert_eq!(write(&document, Direction::Request, &schema).unwrap().schema, expected);
}

#[test]
fn recursive_schema_has_definitions() {
    let document = document(&json!({
        "Tree": { "type": "object", "properties": { "children": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } } } },
        "Loop": { "allOf": [{ "$ref": "#/components/schemas/Loop" }] },
        "Chain": { "$ref": "#/components/schemas/Chain" },
    }));
    let of = |name: &str| {
        write(
            &document,
            Direction::Request,
            &json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{name}") } }),
        )
    };
    let tree = of("Tree").unwrap();
    assert_eq!(tree.schema, json!({ "type": "array", "items": { "$ref": "#/$defs/Tree" } }));
    assert_eq!(
        Value::Object(tree.definitions),
        json!({ "Tree": { "type": "object", "properties": { "children": { "type": "array", "items": { "$ref": "#/$defs/Tree" } } } } })
    );
    assert_eq!(of("Loop"), Err(Refusal::Cycle));
    assert_eq!(of("Chain"), Err(Refusal::Cycle));
}

#[test]
fn schema_that_is_recursive_through_all_of_has_definitions() {
    let node = json!({ "$ref": "#/components/schemas/Node" });
    let more = json!({ "properties": { "note": { "type": "string" } } });
    let document = document(&json!({
        "Node": { "type": "object", "properties": {
            "name": { "type": "string" },
            // The usual ways of a description and of `null` beside a reference.
            "parent": { "allOf": [node], "nullable": true, "description": "The node above.", "type": "object" },
            "next": { "$ref": "#/components/schemas/Node", "title": "Next" },
            "noted": { "allOf": [node, more] },
        } },
    }));
    let written = write(&document, Direction::Request, &json!({ "allOf": [node] })).unwrap();
    let reference = json!({ "$ref": "#/$defs/Node" });
    let nullable = json!({ "anyOf": [reference, { "type": "null" }], "description": "The node above." });
    assert_eq!(written.schema["properties"]["parent"], nullable);
    assert_eq!(written.schema["properties"]["next"], reference);
    assert_eq!(written.schema["properties"]["noted"]["properties"]["note"], json!({ "type": "string" }));
    let names: Vec<_> = written.definitions.keys().map(String::as_str).collect();
    assert_eq!(names, ["Node", "all_of"]);
}

#[test]
fn reference_that_is_no_text_is_malformed() {
    let malformed = Err(Refusal::Malformed("a `$ref` is not a text"));
    for reference in [Value::Null, json!(5), json!({}), json!(["#/components/schemas/A"]), json!(true)] {
        let schema = json!({ "$ref": reference });
        for schema in [
            schema.clone(),
            json!({ "allOf": [schema] }),
            json!({ "allOf": [{ "allOf": [schema, {}] }, {}] }),
            json!({ "properties": { "a": schema } }),
            json!({ "type": "array", "items": { "anyOf": [schema] } }),
        ] {
            let written = write(&document(&json!({ "A": schema })), Direction::Request, &schema);
            assert_eq!(written, malformed, "{schema}");
            let of = json!({ "$ref": "#/components/schemas/A", "description": "It." });
            assert_eq!(write(&document(&json!({ "A": schema })), Direction::Response, &of), malformed);
        }
    }
}

#[test]
fn references_of_one_last_segment_have_names_of_their_own() {
    let chain = |to: usize| json!({ "properties": { "id": { "$ref": format!("#/components/schemas/s{to}/properties/id") } } });
    let components: Object =
        (0..1200).map(|n| (format!("s{n}"), json!({ "properties": { "id": chain(n + 1) } }))).collect();
    let mut components = Value::Object(components);
    components["s1200"] = json!({ "properties": { "id": { "type": "string" } } });
    let written = write(&document(&components), Direction::Request, &chain(0)).unwrap();
    let names: Vec<_> = (2..=1201).map(|n| format!("id_{n}")).chain(["id".to_owned()]).collect();
    assert_eq!(written.definitions.len(), names.len());
    assert!(names.iter().all(|name| written.definitions.contains_key(name)));
}

#[test]
fn chain_of_references_is_followed_to_its_end() {
    let chain = |length: usize| {
        let hop = |n: usize| (format!("A{n}"), json!({ "$ref": format!("#/components/schemas/A{}", n + 1) }));
        let mut components: Object = (0..length).map(hop).collect();
        components.insert(format!("A{length}"), json!({ "type": "string" }));
        let schema = json!({ "properties": { "a": { "$ref": "#/components/schemas/A0" } } });
        write(&document(&Value::Object(components)), Direction::Request, &schema)
    };
    assert_eq!(chain(17).unwrap().schema["properties"]["a"], json!({ "type": "string" }));
    assert!(chain(90).is_ok());
    assert_eq!(chain(120), Err(Refusal::Cycle));
}

#[test]
fn length_that_is_no_length_is_left_out() {
    for bound in [json!(-1), json!(1.5), json!("1"), json!(1e300), Value::Null] {
        let text = json!({ "type": "string", "minLength": bound, "maxLength": bound });
        assert_eq!(request(&text), json!({ "type": "string" }));
        let list = json!({ "type": "array", "minItems": bound, "maxItems": bound });
        assert_eq!(request(&list), json!({ "type": "array", "items": {} }));
    }
    let number = json!({ "type": "number", "minimum": -1, "maximum": 1.5 });
    assert_eq!(request(&number), number);
}

#[test]
fn keywords_beside_a_reference_count() {
    let document = document(&json!({
        "Base": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } },
        "Circle": { "$ref": "#/components/schemas/Circle", "properties": {} },
    }));
    let base = "#/components/schemas/Base";
    let schema =
        json!({ "$ref": base, "required": ["name"], "properties": { "name": { "type": "string" } } });
    let expected = json!({
        "type": "object", "required": ["id", "name"],
        "properties": { "id": { "type": "integer" }, "name": { "type": "string" } },
    });
    let of = |schema: &Value| write(&document, Direction::Request, schema).map(|written| written.schema);
    assert_eq!(of(&schema), Ok(expected));
    let optional =
        json!({ "properties": { "base": { "$ref": base, "nullable": true, "description": "The base." } } });
    let written = of(&optional).unwrap();
    assert_eq!(written["properties"]["base"]["anyOf"][1], json!({ "type": "null" }));
    assert_eq!(written["properties"]["base"]["description"], "The base.");
    assert_eq!(of(&json!({ "$ref": "#/components/schemas/Circle" })), Err(Refusal::Cycle));
}

#[test]
fn values_of_the_discriminator_are_named() {
    let document = document(&json!({
        "Cat": { "type": "object", "properties": { "kind": { "type": "string" } } },
        "Dog": { "type": "object", "properties": { "kind": { "type": "string" }, "barks": { "type": "boolean" } } },
    }));
    let parts = json!([{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }]);
    for (discriminator, words) in [
        (json!({ "propertyName": "kind" }), r#"kind is one of "Cat", "Dog"."#),
        (
            json!({ "propertyName": "kind", "mapping": { "c": "Cat", "d": "Dog" } }),
            r#"kind is one of "c", "d"."#,
        ),
    ] {
        let schema = json!({ "oneOf": parts, "discriminator": discriminator });
        let written = write(&document, Direction::Request, &schema).unwrap().schema;
        assert_eq!(written["description"], words);
    }
}

#[test]
fn large_schema_has_definitions_and_a_bound() {
    let wide: Object =
        (0..20).map(|n| (format!("p{n}"), json!({ "$ref": "#/components/schemas/B" }))).collect();
    let narrow: Object = (0..20).map(|n| (format!("q{n}"), json!({ "type": "string" }))).collect();
    let components = json!({ "A": { "properties": wide }, "B": { "properties": narrow } });
    let large =
        write(&document(&components), Direction::Request, &json!({ "$ref": "#/components/schemas/A" }))
            .unwrap();
    assert_eq!(large.schema["properties"]["p7"], json!({ "$ref": "#/$defs/B" }));
    assert_eq!(large.definitions.len(), 1);

    let huge: Object = (0..5000).map(|n| (format!("p{n}"), json!({}))).collect();
    let refused = write(&document(&json!({})), Direction::Request, &json!({ "properties": huge }));
    assert_eq!(refused, Err(Refusal::LargeInput(MAX_BYTES)));
}

#[test]
fn deep_schema_is_refused() {
    let mut schema = json!({});
    for _ in 0..100 {
        schema = json!({ "type": "array", "items": schema });
    }
    assert_eq!(
        write(&document(&json!({})), Direction::Request, &schema),
        Err(Refusal::LargeInput(MAX_BYTES))
    );
}

#[test]
fn external_or_missing_reference_is_refused() {
    for (reference, refusal) in [
        ("other.yaml#/A", Refusal::ExternalReference("other.yaml#/A".to_owned())),
        ("#/components/schemas/None", Refusal::NoTarget("#/components/schemas/None".to_owned())),
    ] {
        let schema = json!({ "properties": { "a": { "$ref": reference } } });
        assert_eq!(write(&document(&json!({})), Direction::Request, &schema), Err(refusal));
    }
}
