//! An operation of a document as a tool.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::{Method, Request};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::{
    body,
    catalog::source,
    curation::Place,
    document::{Document, Object, clean, shorten},
    parameter,
    refusal::Refusal,
    request::{Path, Plan},
    response::{self, Output},
    schema::{Direction, MAX_BYTES, Schema, fit_input, with_types, with_writer},
    security,
};

/// An operation that is served as a tool.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The tool, as clients see it.
    pub tool: Tool,
    /// The scopes that it needs.
    pub scopes: Vec<String>,
    /// Whether the user is asked first.
    pub is_destructive: bool,
    /// The method and the path in the document.
    pub source: String,
    /// Optional parameters that are never sent, such as cookies.
    pub left_out: Vec<String>,
    /// Parameters of the path that the document does not declare. Each is a text that the tool requires.
    pub undeclared: Vec<String>,
    /// Whether the document has other servers for it than for the rest. The request goes to `API_URL` all the same.
    pub has_other_servers: bool,
    pub(crate) plan: Plan,
    pub(crate) output: Output,
}

impl Operation {
    /// Whether it changes nothing.
    pub fn is_read_only(&self) -> bool {
        self.tool.annotations.as_ref().is_some_and(|hints| hints.read_only_hint == Some(true))
    }

    /// The request that these arguments make. Its URI is a path, and a query, below `API_URL`. The error is a text for the model.
    pub fn request(&self, arguments: Object) -> Result<Request<Bytes>, String> {
        let fitted = self.plan.fit(arguments).and_then(|arguments| self.plan.request(&arguments));
        fitted.map_err(|error| error.to_string())
    }
}

/// Reads an operation. The name of its tool is `name`.
pub(crate) fn read(document: &Document, place: &Place<'_>, name: String) -> Result<Operation, Refusal> {
    place.check_hidden()?;
    let method = method(place.method)?;
    let path = Path::parse(place.path)?;
    let scopes = security::scopes(document, place)?;
    let (is_read_only, is_destructive) = (place.is_read_only()?, place.is_destructive()?);
    let ((parameters, body), definitions, foreign) = with_writer(document, Direction::Request, |writer| {
        let parameters = parameter::read(document, place, &path, is_read_only, writer)?;
        Ok((parameters, body::read(document, place, writer)?))
    })?;
    let (mut properties, mut required) = (Object::new(), Vec::new());
    let mut sent = Vec::new();
    for (parameter, schema) in parameters.sent {
        properties.insert(parameter.argument.clone(), schema);
        if parameter.is_required {
            required.push(parameter.argument.clone());
        }
        sent.push(parameter);
    }
    let body = body.map(|(body, schema)| {
        properties.insert(body::ARGUMENT.to_owned(), schema);
        if body.is_required {
            required.push(body::ARGUMENT.to_owned());
        }
        body
    });
    let mut arguments = Schema { schema: Value::Null, definitions, foreign };
    let fixed = fix(place, &mut properties, &mut required, &arguments)?;
    // Which of two parameters of one name is fixed, only the names of their arguments would say.
    let is_fixed = |name: &str| fixed.iter().any(|(fixed, _)| fixed.eq_ignore_ascii_case(name));
    if let Some(other) = sent.iter().find(|other| other.argument != other.name && is_fixed(&other.name)) {
        return Err(Refusal::AmbiguousArgument(shorten(&other.name)));
    }
    arguments.schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        required.sort_unstable();
        arguments.schema["required"] = json!(required);
    }
    let input = for_clients(&arguments);
    if Value::Object(input.clone()).to_string().len() > MAX_BYTES {
        return Err(Refusal::LargeInput(MAX_BYTES));
    }
    let (output, accept) = response::read(document, place, is_read_only)?;
    document.take(KEPT * (arguments.size() + output.schema.as_ref().map_or(0, Schema::size)))?;
    let tool = tool(place, name, input, &output, is_read_only, is_destructive);
    let source = source(place.method, place.path);
    let plan = Plan { method, path, parameters: sent, body, accept, fixed, arguments };
    let (mut left_out, undeclared) = (parameters.left_out, parameters.undeclared);
    if place.method == "get" && place.operation.contains_key("requestBody") {
        left_out.push("the body of a GET request".to_owned());
    }
    let has_other_servers = place.has_other_servers();
    Ok(Operation {
        tool,
        scopes,
        is_destructive,
        source,
        left_out,
        undeclared,
        has_other_servers,
        plan,
        output,
    })
}

fn method(name: &str) -> Result<Method, Refusal> {
    Ok(match name {
        "delete" => Method::DELETE,
        "get" => Method::GET,
        "patch" => Method::PATCH,
        "post" => Method::POST,
        "put" => Method::PUT,
        other => return Err(Refusal::Method(other.to_ascii_uppercase())),
    })
}

/// Takes the arguments with a fixed value out of the schema.
fn fix(
    place: &Place<'_>,
    properties: &mut Object,
    required: &mut Vec<String>,
    arguments: &Schema,
) -> Result<Vec<(String, Value)>, Refusal> {
    let mut fixed = Vec::new();
    for (name, value, is_own) in place.fixed()? {
        let Some(schema) = properties.remove(name) else {
            if is_own {
                return Err(Refusal::Curation("x-deputy-fixed"));
            }
            continue;
        };
        let schema = Schema { schema, ..arguments.clone() };
        let mut value = value.clone();
        fit_input(&mut value, &schema).map_err(|_| Refusal::Curation("x-deputy-fixed"))?;
        required.retain(|other| other != name);
        fixed.push((name.to_owned(), value));
    }
    Ok(fixed)
}

/// The schema as a client gets it: one object, with its definitions inside.
fn for_clients(schema: &Schema) -> Object {
    let mut whole = schema.schema.clone();
    if !schema.definitions.is_empty() {
        whole["$defs"] = Value::Object(schema.definitions.clone());
    }
    with_types(&mut whole);
    let mut object = whole.as_object_mut().map(std::mem::take).unwrap_or_default();
    object.remove("anyOf");
    object
}

fn tool(
    place: &Place<'_>,
    name: String,
    input: Object,
    output: &Output,
    is_read_only: bool,
    is_destructive: bool,
) -> Tool {
    let summary = clean(place.summary(), MAX_TITLE);
    let description = clean(place.description(), MAX_DESCRIPTION);
    let title = if summary.is_empty() { name.clone() } else { summary.clone() };
    let mut words = match (summary.is_empty(), description.is_empty()) {
        (_, true) => summary,
        (true, false) => description,
        // The summary is often the beginning of the description.
        (false, false) if description.starts_with(summary.trim_end_matches('.')) => description,
        (false, false) => {
            clean(&format!("{}. {description}", summary.trim_end_matches('.')), MAX_DESCRIPTION)
        }
    };
    if words.is_empty() {
        words = format!("{} {}", place.method.to_ascii_uppercase(), clean(place.path, MAX_TITLE));
    }
    let is_idempotent = matches!(place.method, "delete" | "get" | "put");
    let annotations = ToolAnnotations::new()
        .read_only(is_read_only)
        .destructive(is_destructive)
        .idempotent(is_idempotent || is_read_only);
    let mut tool =
        Tool::new(name, Cow::Owned(words), Arc::new(input)).with_title(title).with_annotations(annotations);
    if let Some(schema) = &output.schema {
        tool.output_schema = Some(Arc::new(for_clients(schema)));
    }
    tool
}

/// Weight of a schema that is kept, for clients and for arguments, beside those that are read once.
const KEPT: usize = 16;
/// Characters of a title.
const MAX_TITLE: usize = 100;
/// Characters of a description: the most that OpenAI accepts.
pub(crate) const MAX_DESCRIPTION: usize = 1024;
