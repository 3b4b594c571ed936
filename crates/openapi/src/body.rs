//! The body of a request (OpenAPI §4.8.13, Request Body Object).

use std::collections::BTreeSet;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Value, json};

use crate::{
    curation::Place,
    document::{Document, Object, clean, is_true, shorten, text_of},
    media, parameter,
    refusal::Refusal,
    schema::{Unwritable, Writer, declared, folded},
    style::{Style, StyleError, encode, in_query},
};

/// The argument that is the body.
pub(crate) const ARGUMENT: &str = "body";

/// The body of an operation's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) content_type: HeaderValue,
    pub(crate) is_required: bool,
    form: Form,
    /// The names of the members that the document declares.
    declared: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// The encoding of each member that has one.
    Pairs(Vec<(String, Encoding)>),
    Text,
}

/// The encoding of a member of a form (Encoding Object).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Style {
        style: Style,
        explode: bool,
        /// The members of an exploded object, which become pairs of the form. Names of the form's own members are not among them.
        declared: Vec<String>,
    },
}

/// Reads the body of an operation, and the schema of its argument.
pub(crate) fn read(
    document: &Document,
    place: &Place<'_>,
    writer: &mut Writer<'_>,
) -> Result<Option<(Body, Value)>, Unwritable> {
    let Some(body) = place.operation.get("requestBody") else { return Ok(None) };
    let body = document.object(body)?;
    let is_required = is_true(body, "required");
    if place.method == "get" {
        // The content of a GET has no meaning (RFC 9110 §9.3.1).
        return if is_required { Err(Refusal::Body("in a GET request".to_owned()).into()) } else { Ok(None) };
    }
    let content = body.get("content").and_then(Value::as_object);
    let content = content.ok_or(Refusal::Malformed("a request body has no content"))?;
    let kinds: [fn(&str) -> bool; 3] = [media::is_json, media::is_form, is_plain_text];
    let chosen = kinds.iter().find_map(|is_kind| {
        let of_kind = content.iter().filter(|(media, _)| is_kind(media));
        of_kind.min_by_key(|(media, _)| rank(media))
    });
    let Some((media, details)) = chosen else {
        let named = content.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let named = if named.is_empty() { "of no media type".to_owned() } else { shorten(&named) };
        return Err(Refusal::Body(named).into());
    };
    let details = details.as_object().ok_or(Refusal::Malformed("a media type is not an object"))?;
    let (mut form, content_type, default) = if media::is_json(media) {
        let named = if media.contains('*') { "application/json" } else { media };
        (Form::Json, named, json!({}))
    } else if media::is_form(media) {
        (Form::Pairs(encodings(details)?), media.as_str(), json!({ "type": "object" }))
    } else {
        (Form::Text, "text/plain; charset=utf-8", json!({ "type": "string" }))
    };
    let content_type = HeaderValue::try_from(content_type)
        .map_err(|_| Refusal::Malformed("a media type is no media type"))?;
    let mut schema = match (&form, details.get("schema")) {
        (Form::Text, _) | (_, None) => default,
        (_, Some(schema)) => writer.write(schema)?,
    };
    if matches!(form, Form::Pairs(_))
        && let Some(kind) = schema.get("type")
        && kind != "object"
    {
        return Err(Refusal::Body("a form that is not an object".to_owned()).into());
    }
    let declared =
        details.get("schema").map(|schema| declared(document, schema)).transpose()?.unwrap_or_default();
    if let Form::Pairs(encodings) = &mut form {
        declare(encodings, &schema, &declared);
    }
    if let (Some(description), Some(members)) = (text_of(body, "description"), schema.as_object_mut()) {
        members.entry("description").or_insert_with(|| clean(description, 500).into());
    }
    Ok(Some((Body { content_type, is_required, form, declared }, schema)))
}

/// The order of preference of a media type. A merge patch is a part of the resource, and a JSON patch is a program that changes it.
fn rank(media: &str) -> usize {
    let best = ["application/json", "application/merge-patch+json"];
    let essence = media::essence(media);
    let worst = usize::from(essence == "application/json-patch+json");
    best.iter().position(|other| *other == essence).unwrap_or(best.len() + worst)
}

fn is_plain_text(media: &str) -> bool {
    media::essence(media) == "text/plain"
}

/// The encodings that the members of a form have. A style takes precedence over a media type.
fn encodings(details: &Object) -> Result<Vec<(String, Encoding)>, Refusal> {
    let mut encodings = Vec::new();
    for (name, encoding) in details.get("encoding").and_then(Value::as_object).into_iter().flatten() {
        let style = encoding.get("style").and_then(Value::as_str);
        let explode = encoding.get("explode").and_then(Value::as_bool);
        let media = encoding.get("contentType").and_then(Value::as_str);
        let encoding = match (style, explode) {
            (None, None) if media.is_some_and(media::is_json) => Encoding::Json,
            (None, None) => continue,
            (style, explode) => {
                let style = Style::parse(style.unwrap_or("form"));
                let style = style.ok_or(Refusal::Malformed("a form has an unknown style"))?;
                Encoding::Style {
                    style,
                    explode: explode.unwrap_or(style == Style::Form),
                    declared: Vec::new(),
                }
            }
        };
        encodings.push((name.clone(), encoding));
    }
    Ok(encodings)
}

/// Adds the members of exploded objects that `schema`, of the form, declares. `own` are the form's own members.
fn declare(encodings: &mut [(String, Encoding)], schema: &Value, own: &BTreeSet<String>) {
    for (name, encoding) in encodings {
        let Encoding::Style { declared: members, .. } = encoding else { continue };
        let member = schema.get("properties").and_then(|members| members.get(name.as_str()));
        *members = member.map(parameter::declared).unwrap_or_default();
        members.retain(|member| !own.contains(member));
    }
}

impl Body {
    /// The bytes of a value that fits the schema.
    pub(crate) fn write(&self, value: &Value) -> Result<Bytes, StyleError> {
        let mut names = value.as_object().into_iter().flatten().map(|(name, _)| name);
        if let Some(name) = names.find(|name| !self.declared.contains(*name) && self.has_meaning(name)) {
            return Err(StyleError::Undeclared(name.clone()));
        }
        match &self.form {
            Form::Json => Ok(value.to_string().into()),
            Form::Text => Ok(value.as_str().ok_or(StyleError::Nested)?.to_owned().into()),
            Form::Pairs(encodings) => {
                let members = value.as_object().ok_or(StyleError::Nested)?;
                let mut pairs = Vec::new();
                for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                    pairs.extend(pairs_of(name, value, encodings)?);
                }
                Ok(pairs.join("&").into())
            }
        }
    }
}

impl Body {
    /// Whether the name of a member has a meaning for frameworks: `_method` replaces the method of the request, and `a[b]` or
    /// `a.b` in a form is the member `b` of `a`.
    fn has_meaning(&self, name: &str) -> bool {
        let is_method = folded(name) == "method" && !name.starts_with(char::is_alphanumeric);
        is_method || matches!(self.form, Form::Pairs(_)) && name.contains(['[', ']', '.'])
    }
}

/// The pairs of a member of a form. Without an encoding, an object is sent as JSON, and a list as a pair for each item.
fn pairs_of(name: &str, value: &Value, encodings: &[(String, Encoding)]) -> Result<Vec<String>, StyleError> {
    let as_json = |value: &Value| format!("{}={}", encode(name), encode(&value.to_string()));
    let own = encodings.iter().find(|(named, _)| named == name).map(|(_, encoding)| encoding);
    match (own, value) {
        (Some(Encoding::Style { style, explode, declared }), _) => {
            in_query(name, value, *style, *explode, Some(declared))
        }
        (Some(Encoding::Json), _) | (None, Value::Object(_)) => Ok(vec![as_json(value)]),
        (None, Value::Array(items)) if items.iter().any(Value::is_object) => {
            Ok(items.iter().map(as_json).collect())
        }
        (None, _) => in_query(name, value, Style::Form, true, None),
    }
}
