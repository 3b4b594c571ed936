//! Parameters of an operation (OpenAPI §4.8.12, Parameter Object).

use http::HeaderName;
use serde_json::{Value, json};

use crate::{
    curation::Place,
    document::{Document, Object, clean, is_true, shorten, text_of},
    names,
    refusal::Refusal,
    request::Path,
    schema::{Direction, Unwritable, Writer, resolved, write},
    style::Style,
};

/// A parameter, as a value is sent in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// The name of the tool's argument.
    pub(crate) argument: String,
    /// The name in the request.
    pub(crate) name: String,
    pub(crate) location: Location,
    pub(crate) encoding: Encoding,
    pub(crate) is_required: bool,
}

/// `in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Header,
    Path,
    Query,
}

/// The way in which a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As JSON (`content`).
    Json,
    Style {
        style: Style,
        explode: bool,
        /// The members of an exploded object in a query.
        declared: Vec<String>,
    },
}

/// The parameters of an operation, each with the schema of its argument, and those that are left out.
pub(crate) struct Parameters {
    pub(crate) sent: Vec<(Parameter, Value)>,
    /// Optional parameters that are never sent.
    pub(crate) left_out: Vec<String>,
    /// Parameters of the path that the document does not declare.
    pub(crate) undeclared: Vec<String>,
}

/// Reads the parameters of an operation and of its path.
pub(crate) fn read(
    document: &Document,
    place: &Place<'_>,
    path: &Path,
    is_read_only: bool,
    writer: &mut Writer<'_>,
) -> Result<Parameters, Unwritable> {
    let mut objects: Vec<(&str, &str, &Object)> = Vec::new();
    for owner in [place.operation, place.item] {
        let listed = match owner.get("parameters") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(listed)) => listed,
            Some(_) => return Err(Refusal::Malformed("the parameters are not a list").into()),
        };
        for parameter in listed {
            let parameter = document.object(parameter)?;
            let name = text_of(parameter, "name").filter(|name| !name.is_empty());
            let name = name.ok_or(Refusal::Malformed("a parameter has no name"))?;
            let location = text_of(parameter, "in").ok_or(Refusal::Malformed("a parameter has no `in`"))?;
            // A parameter of the operation replaces that of its path. Names of headers have no case.
            let is_same = |other: &str| {
                if location == "header" { other.eq_ignore_ascii_case(name) } else { other == name }
            };
            if !objects.iter().any(|(other, at, _)| is_same(other) && *at == location) {
                objects.push((name, location, parameter));
            }
        }
    }
    if objects.len() > MAX_PARAMETERS {
        return Err(Refusal::Malformed("it has more than 100 parameters").into());
    }
    // Some documents declare parameters of a longer path.
    objects
        .retain(|(name, location, _)| *location != "path" || path.parameters().any(|other| other == *name));
    let mut parameters = Parameters { sent: Vec::new(), left_out: Vec::new(), undeclared: Vec::new() };
    for (name, location, object) in objects {
        let is_required = is_true(object, "required");
        let location = match (location, is_required) {
            ("path", _) => Location::Path,
            ("query", _) => Location::Query,
            // The specification says to ignore these.
            ("header", _) if IGNORED_HEADERS.iter().any(|ignored| name.eq_ignore_ascii_case(ignored)) => {
                continue;
            }
            ("header", _) if may_be_sent(name) => Location::Header,
            (location, true) => {
                return Err(
                    Refusal::Parameter(format!("the {} `{}`", shorten(location), shorten(name))).into()
                );
            }
            (location, false) => {
                parameters.left_out.push(format!("the {} `{}`", shorten(location), shorten(name)));
                continue;
            }
        };
        let (encoding, schema) = match encoding(document, object, name, location, writer) {
            Err(Unwritable::Refused(Refusal::Parameter(which)))
                if !is_required && location != Location::Path =>
            {
                parameters.left_out.push(which);
                continue;
            }
            // Without a filter, an operation that writes could change everything.
            Err(Unwritable::Refused(Refusal::FreeParameters(name))) if !is_required && is_read_only => {
                parameters.left_out.push(format!("the query `{name}`, whose members are not declared"));
                continue;
            }
            read => read?,
        };
        let is_required = is_required || location == Location::Path;
        let argument = names::argument(name);
        let parameter = Parameter { argument, name: name.to_owned(), location, encoding, is_required };
        parameters.sent.push((parameter, schema));
    }
    for name in path.parameters() {
        if !parameters.sent.iter().any(|(other, _)| other.location == Location::Path && other.name == name) {
            // Such as `{id:[0-9]+}`, which is a pattern.
            if names::argument(name) != name {
                return Err(Refusal::Malformed("a parameter of the path is not declared").into());
            }
            parameters.undeclared.push(name.to_owned());
            parameters.sent.push((Parameter::undeclared(name), json!({ "type": "string" })));
        }
    }
    name_arguments(&mut parameters.sent)?;
    check_declared(&parameters.sent, path)?;
    Ok(parameters)
}

impl Parameter {
    /// A text in the path.
    fn undeclared(name: &str) -> Self {
        let encoding = Encoding::Style { style: Style::Simple, explode: false, declared: Vec::new() };
        let argument = names::argument(name);
        Self { argument, name: name.to_owned(), location: Location::Path, encoding, is_required: true }
    }
}

fn encoding(
    document: &Document,
    object: &Object,
    name: &str,
    location: Location,
    writer: &mut Writer<'_>,
) -> Result<(Encoding, Value), Unwritable> {
    let (schema, is_json) = match object.get("content").and_then(Value::as_object) {
        Some(content) => {
            let json = content.iter().find(|(media, _)| crate::media::is_json(media));
            let refused =
                || Refusal::Parameter(format!("the parameter `{}` in another form than JSON", shorten(name)));
            (json.ok_or_else(refused)?.1.get("schema"), true)
        }
        None => (object.get("schema"), false),
    };
    let any = json!({});
    let text = json!({ "type": "string" });
    let schema = schema.unwrap_or(if is_json { &any } else { &text });
    // The argument's own schema is in its place, so that its type and its members are known.
    let own = resolved(document, schema)?;
    let mut written = writer.write(own)?;
    if let (Some(description), Some(members)) = (text_of(object, "description"), written.as_object_mut()) {
        let hints = members.get("description").and_then(Value::as_str).unwrap_or_default();
        // The description of the parameter replaces that of its schema, and the hints stay.
        let of_schema =
            own.get("description").and_then(Value::as_str).map(|text| clean(text, 500)).unwrap_or_default();
        let hints = hints.strip_prefix(of_schema.as_str()).unwrap_or_default().trim();
        let text = format!("{} {hints}", clean(description, 500));
        members.insert("description".to_owned(), text.trim().into());
    }
    if is_json {
        return Ok((Encoding::Json, written));
    }
    let default = if location == Location::Query { "form" } else { "simple" };
    let style = text_of(object, "style").unwrap_or(default);
    let fits = match location {
        Location::Header => style == "simple",
        Location::Path => ["label", "matrix", "simple"].contains(&style),
        Location::Query => ["deepObject", "form", "pipeDelimited", "spaceDelimited"].contains(&style),
    };
    let style = Style::parse(style)
        .filter(|_| fits)
        .ok_or(Refusal::Malformed("a parameter has a style of another place"))?;
    let explode = object.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
    // Without references, if that is possible: the target of a reference need not be an object.
    let inline =
        if accepts_objects(&written) { write(document, Direction::Request, own)?.schema } else { json!({}) };
    let declared = declared(&inline);
    let is_exploded_object =
        location == Location::Query && explode && style != Style::DeepObject && accepts_objects(&inline);
    if is_exploded_object && declared.is_empty() {
        return Err(Refusal::FreeParameters(shorten(name)).into());
    }
    Ok((Encoding::Style { style, explode, declared }, written))
}

/// The names of the declared members of a written schema, also those of its alternatives.
pub(crate) fn declared(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let own = properties.map(|(name, _)| name.clone());
    own.chain(alternatives(schema).flat_map(declared)).collect()
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["anyOf", "allOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
    lists.flatten()
}

fn accepts_objects(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
        || schema.get("$ref").is_some()
        || alternatives(schema).any(accepts_objects)
}

/// Gives each argument a name of its own: a parameter of the path keeps its name, others get their place as a suffix.
fn name_arguments(parameters: &mut [(Parameter, Value)]) -> Result<(), Refusal> {
    parameters.sort_by_key(|(parameter, _)| parameter.location != Location::Path);
    let mut taken = vec![crate::body::ARGUMENT.to_owned()];
    for (parameter, _) in parameters {
        if taken.contains(&parameter.argument) {
            let place = match parameter.location {
                Location::Header => "header",
                Location::Path => "path",
                Location::Query => "query",
            };
            let name: String = parameter.argument.chars().take(57).collect();
            parameter.argument = format!("{name}_{place}");
        }
        if taken.contains(&parameter.argument) {
            return Err(Refusal::AmbiguousArgument(parameter.argument.clone()));
        }
        taken.push(parameter.argument.clone());
    }
    Ok(())
}

/// Refuses a parameter of the query, or an object in it with a member, that is another parameter or in the query of the path.
fn check_declared(parameters: &[(Parameter, Value)], path: &Path) -> Result<(), Refusal> {
    let in_query = || parameters.iter().filter(|(parameter, _)| parameter.location == Location::Query);
    for (parameter, schema) in in_query() {
        // `filter[id]` beside the members of `filter`.
        let prefix = format!("{}[", parameter.name);
        let is_member = |name: &str| match &parameter.encoding {
            Encoding::Style { style: Style::DeepObject, .. } => name.starts_with(&prefix),
            Encoding::Style { explode: true, declared, .. } => {
                accepts_objects(schema) && declared.iter().any(|member| member == name)
            }
            Encoding::Json | Encoding::Style { .. } => false,
        };
        let own = path.query_names().find(|name| *name == parameter.name || is_member(name));
        let others = in_query().filter(|(other, _)| other.argument != parameter.argument);
        let other =
            others.flat_map(|(other, schema)| names_in_query(other, schema)).find(|name| is_member(name));
        if let Some(name) = own.or(other) {
            return Err(Refusal::AmbiguousArgument(shorten(name)));
        }
    }
    Ok(())
}

/// The names that a parameter can have in the query: its own, and those of the members of an exploded object.
fn names_in_query<'a>(parameter: &'a Parameter, schema: &Value) -> impl Iterator<Item = &'a str> {
    let members = match &parameter.encoding {
        Encoding::Style { style, explode: true, declared }
            if *style != Style::DeepObject && accepts_objects(schema) =>
        {
            declared.as_slice()
        }
        Encoding::Json | Encoding::Style { .. } => &[],
    };
    std::iter::once(parameter.name.as_str()).chain(members.iter().map(String::as_str))
}

/// Whether a client may choose the value of a header: not if it concerns the connection, the host, credentials, or the way to
/// the API.
fn may_be_sent(name: &str) -> bool {
    // Many servers take `_` for `-`.
    let name = name.to_ascii_lowercase().replace('_', "-");
    let prefixes = [
        "access-control-",
        "cf-",
        "fastly-",
        "proxy-",
        "sec-",
        "x-accel-",
        "x-amzn-oidc-",
        "x-appengine-",
        "x-auth-request-",
        "x-azure-",
        "x-envoy-",
        "x-forwarded",
        "x-goog-authenticated-",
        "x-goog-iap-",
        "x-http-method",
        "x-ms-client-principal",
        "x-original-",
        "x-originating-",
        "x-remote-",
        "x-rewrite-",
    ];
    HeaderName::try_from(&name).is_ok()
        && !IGNORED_HEADERS.contains(&name.as_str())
        && !REFUSED_HEADERS.contains(&name.as_str())
        && !prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Headers that a parameter cannot describe (OpenAPI §4.8.12.2, `name`). Deputy sends its own.
const IGNORED_HEADERS: [&str; 3] = ["accept", "authorization", "content-type"];

const REFUSED_HEADERS: [&str; 33] = [
    "accept-encoding",
    "cdn-loop",
    "client-ip",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "origin",
    "referer",
    "remote-user",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "x-method-override",
    "x-real-ip",
    "x-sendfile",
];

const MAX_PARAMETERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_that_concerns_the_way_to_the_api_is_not_sent() {
        for name in [
            "Host",
            "Cookie",
            "X-HTTP-Method-Override",
            "X-Forwarded-For",
            "X_Forwarded_For",
            "Content_Type",
            "Proxy-Authorization",
            "X-Remote-IP",
            "X-Envoy-Original-Path",
            "X-MS-CLIENT-PRINCIPAL-ID",
            "Remote_User",
            "X-Accel-Redirect",
            "Set-Cookie",
            "a b",
            "a:b",
            "",
        ] {
            assert!(!may_be_sent(name), "{name}");
        }
        for name in ["If-Match", "Idempotency-Key", "X-Request-Id", "Prefer"] {
            assert!(may_be_sent(name), "{name}");
        }
    }
}
