use serde_json::json;

use super::*;

fn schema(schema: Value) -> Schema {
    let definitions =
        json!({ "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } } } });
    Schema { schema, definitions: definitions.as_object().unwrap().clone(), ..Schema::default() }
}

fn input(mut value: Value, of: &Value) -> Result<Value, String> {
    fit_input(&mut value, &schema(of.clone())).map(|()| value).map_err(|mismatch| mismatch.to_string())
}

#[test]
fn argument_of_unambiguous_form_is_corrected() {
    for (value, of, fitted) in [
        (json!("5"), json!({ "type": "integer" }), json!(5)),
        (json!("true"), json!({ "type": "boolean" }), json!(true)),
        (json!("[1]"), json!({ "type": "array", "items": { "type": "integer" } }), json!([1])),
        (json!("{\"a\":1}"), json!({ "type": "object" }), json!({ "a": 1 })),
        (json!(17), json!({ "type": "string" }), json!("17")),
        (json!(17), json!({ "anyOf": [{ "type": "string" }, { "type": "integer" }] }), json!(17)),
        (json!("5"), json!({ "anyOf": [{ "type": "null" }, { "type": "integer" }] }), json!(5)),
        (json!(2.0), json!({ "type": "integer" }), json!(2)),
        (json!(1e15), json!({ "type": "number" }), json!(1e15)),
        (json!("18446744073709551615"), json!({ "type": "integer" }), json!(18_446_744_073_709_551_615_u64)),
        (
            json!({ "next": { "next": {} } }),
            json!({ "$ref": "#/$defs/node" }),
            json!({ "next": { "next": {} } }),
        ),
    ] {
        assert_eq!(input(value.clone(), &of), Ok(fitted), "{value} {of}");
    }
}

#[test]
fn argument_that_does_not_fit_names_its_place() {
    let person = json!({
        "type": "object", "required": ["name"], "additionalProperties": false,
        "properties": { "name": { "type": "string" }, "tags": { "type": "array", "items": { "enum": ["a", "b"] } } },
    });
    for (value, error) in [
        (json!({}), "name is missing"),
        (json!({ "name": [] }), "name must be a string"),
        (json!({ "name": "x", "tags": ["a", "c"] }), "tags.1 must be one of \"a\", \"b\""),
        (json!({ "name": "x", "role": "admin" }), "role is not an argument"),
        (json!(5), "must be an object"),
    ] {
        assert_eq!(input(value, &person), Err(error.to_owned()));
    }
}

#[test]
fn mismatch_is_that_of_the_alternative_that_is_meant() {
    let book = json!({ "type": "object", "properties": { "kind": { "enum": ["book"] } } });
    let issue = json!({ "type": "integer" });
    let magazine =
        json!({ "type": "object", "properties": { "kind": { "enum": ["magazine"] }, "issue": issue } });
    let either = json!({ "anyOf": [book, magazine] });
    let value = json!({ "kind": "magazine", "issue": "x" });
    assert_eq!(input(value, &either), Err("issue must be an integer".to_owned()));
    assert_eq!(input(json!({ "kind": "x" }), &either), Err("kind must be one of \"book\"".to_owned()));
}

#[test]
fn number_that_lost_digits_is_refused() {
    let number: Value = serde_json::from_str("12345678901234567890123").unwrap();
    for (value, kind, error) in [
        (number.clone(), "integer", "has too many digits to be exact"),
        (number.clone(), "number", "has too many digits to be exact"),
        (number.clone(), "any", "has too many digits to be exact"),
        (json!({ "a": [number] }), "object", "a.0 has too many digits to be exact"),
        (json!(9_007_199_254_740_993.0), "number", "has too many digits to be exact"),
        (json!(1e300), "number", "has too many digits to be exact"),
        (number.clone(), "string", "must be a string"),
        (json!(number.to_string()), "integer", "has too many digits to be exact"),
        (json!("12345678901234567890123"), "integer", "has too many digits to be exact"),
    ] {
        assert_eq!(input(value, &json!({ "type": kind })), Err(error.to_owned()));
    }
    assert_eq!(input(json!(0.5), &json!({ "type": "string" })), Ok(json!("0.5")));
}

#[test]
fn null_of_response_is_removed_where_it_does_not_fit() {
    let of = json!({ "type": "object", "properties": { "a": { "type": "string" }, "b": { "anyOf": [{ "type": "string" }, { "type": "null" }] } } });
    let mut value = json!({ "a": null, "b": null, "c": null });
    fit_output(&mut value, &schema(of.clone())).unwrap();
    assert_eq!(value, json!({ "b": null, "c": null }));
    let mut wrong = json!({ "a": 5 });
    assert_eq!(fit_output(&mut wrong, &schema(of)).unwrap_err().to_string(), "a must be a string");
}

#[test]
fn copies_of_large_values_count_as_many_steps() {
    // Each level copies the whole value for each branch.
    let branch = json!({ "type": "array", "items": { "$ref": "#/$defs/deep" } });
    let text = json!({ "type": "string", "enum": ["a"] });
    let definitions = json!({ "deep": { "anyOf": [branch, text] } });
    let schema = Schema {
        schema: json!({ "$ref": "#/$defs/deep" }),
        definitions: definitions.as_object().unwrap().clone(),
        ..Schema::default()
    };
    let mut value = json!(["x".repeat(1024 * 1024)]);
    for _ in 0..10 {
        value = json!([value]);
    }
    let mut fitting = Fitting::new(&schema, Direction::Request);
    let error = fitting.fit(&mut value, &schema.schema, 0, true).unwrap_err();
    assert!(error.to_string().ends_with("is too complex"), "{error}");
    assert_eq!(fitting.steps, 0);
}

#[test]
fn large_value_fits_one_of_several_alternatives() {
    let text = "x".repeat(1024 * 1024);
    let of = json!({ "anyOf": [{ "type": "object" }, { "type": "array" }, { "type": "string" }, { "type": "null" }] });
    assert_eq!(input(json!(text), &of), Ok(json!(text)));
}

#[test]
fn alternatives_inside_alternatives_are_bounded() {
    let recursive = json!({ "anyOf": [
        { "type": "array", "items": { "$ref": "#/$defs/deep" } }, { "type": "array", "items": { "$ref": "#/$defs/deep" } },
    ] });
    let mut value = json!(5);
    for _ in 0..60 {
        value = json!([value]);
    }
    let definitions = json!({ "deep": recursive, "loop": { "$ref": "#/$defs/loop" } });
    let definitions = definitions.as_object().unwrap();
    for start in ["deep", "loop"] {
        let schema = Schema {
            schema: json!({ "$ref": format!("#/$defs/{start}") }),
            definitions: definitions.clone(),
            ..Schema::default()
        };
        let error = fit_input(&mut value.clone(), &schema).unwrap_err();
        assert!(error.to_string().ends_with("is too complex"), "{error}");
    }
}

#[test]
fn long_list_of_nullable_numbers_fits() {
    let of = json!({ "type": "array", "items": { "anyOf": [{ "type": "integer" }, { "type": "null" }] } });
    let list: Vec<_> = (0..130_000).map(|n| if n % 2 == 0 { json!(1) } else { Value::Null }).collect();
    fit_output(&mut json!(list), &schema(of)).unwrap();
}
