//! What a request's headers say of its body, and whether that is true (MCP 2026-07-28, Streamable HTTP).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use super::{Era, RpcError};

/// Revisions with an `initialize` handshake, oldest first.
pub(super) const HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// Revisions in which every request stands for itself.
pub(super) const STATELESS: [&str; 1] = ["2026-07-28"];
/// MCP 2025-06-18: the revision of a request that names none.
const UNNAMED: &str = "2025-03-26";

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// By which rules a request is to be answered.
pub(super) fn era(headers: &HeaderMap, method: &str, params: &Map<String, Value>) -> Result<Era, RpcError> {
    let header = single(headers, &PROTOCOL_VERSION)?;
    let meta = params.get("_meta").and_then(Value::as_object);
    let in_body =
        meta.and_then(|meta| meta.get(META_VERSION)).map(|version| version.as_str().unwrap_or_default());
    if method == "initialize" {
        return handshake(header, in_body, params);
    }
    let Some(in_body) = in_body else {
        return match header {
            // A stateless request must say in its body what its header says.
            Some(version) if method == "server/discover" || STATELESS.contains(&version) => {
                Err(missing_meta())
            }
            None if method == "server/discover" => Err(missing_meta()),
            Some(version) if HANDSHAKE.contains(&version) => Ok(Era::Handshake(version.to_owned())),
            Some(version) => Err(unsupported(version)),
            None => Ok(Era::Handshake(UNNAMED.to_owned())),
        };
    };
    match header {
        None => return Err(mismatch("MCP-Protocol-Version is missing")),
        Some(header) if header != in_body => {
            return Err(mismatch("MCP-Protocol-Version is not the protocolVersion of the body"));
        }
        Some(_) => {}
    }
    if !STATELESS.contains(&in_body) {
        return Err(unsupported(in_body));
    }
    if !meta.and_then(|meta| meta.get(META_CAPABILITIES)).is_some_and(Value::is_object) {
        return Err(missing_meta());
    }
    Ok(Era::Stateless(in_body.to_owned()))
}

/// `initialize` opens a handshake, whatever revision it names; where requests stand for themselves it does not exist.
fn handshake(
    header: Option<&str>,
    in_body: Option<&str>,
    params: &Map<String, Value>,
) -> Result<Era, RpcError> {
    if in_body.is_some_and(|version| STATELESS.contains(&version)) {
        return Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "this revision has no initialize"));
    }
    let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    if header.is_some_and(|header| header != asked) {
        let text = "MCP-Protocol-Version is not the protocolVersion of the body";
        return Err(RpcError::new(RpcError::INVALID_REQUEST, text));
    }
    Ok(Era::Handshake(asked.to_owned()))
}

/// Whether `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` say what the body says. What stands between client and server may
/// have routed or admitted the request by them.
pub(super) fn agree(
    headers: &HeaderMap,
    method: &str,
    params: &Map<String, Value>,
    schema: Option<&Map<String, Value>>,
) -> Result<(), RpcError> {
    match single(headers, &HeaderName::from_static("mcp-method"))? {
        None => return Err(mismatch("Mcp-Method is missing")),
        Some(header) if header != method => return Err(mismatch("Mcp-Method is not the method of the body")),
        Some(_) => {}
    }
    if let Some(name) = name(method, params) {
        match single(headers, &HeaderName::from_static("mcp-name"))? {
            None => return Err(mismatch("Mcp-Name is missing")),
            Some(header) if decoded(header).as_deref() != Some(name) => {
                return Err(mismatch("Mcp-Name is not the name in the body"));
            }
            Some(_) => {}
        }
    }
    let Some(schema) = schema else { return Ok(()) };
    let arguments = params.get("arguments").unwrap_or(&Value::Null);
    let mut repeated = Vec::new();
    annotated(schema, arguments, &mut repeated);
    for (header, value) in repeated {
        // A header that no request could carry is the tool author's mistake, and demands nothing.
        let Ok(header) = HeaderName::try_from(format!("mcp-param-{header}")) else { continue };
        let same = match (single(headers, &header)?, value) {
            (None, None) => true,
            (Some(header), Some(value)) => decoded(header).as_deref() == Some(&value),
            _ => false,
        };
        if !same {
            return Err(mismatch("an Mcp-Param header is not the argument in the body"));
        }
    }
    Ok(())
}

/// What `Mcp-Name` repeats: the tool, prompt, resource or task that a request is about.
pub(super) fn name<'a>(method: &str, params: &'a Map<String, Value>) -> Option<&'a str> {
    let key = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    params.get(key).and_then(Value::as_str)
}

/// The header names and values of the arguments that a schema marks with `x-mcp-header`, nested ones included.
fn annotated(schema: &Map<String, Value>, value: &Value, into: &mut Vec<(String, Option<String>)>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties.iter().filter_map(|(name, schema)| Some((name, schema.as_object()?))) {
        let value = value.get(name).unwrap_or(&Value::Null);
        if let Some(header) =
            property.get("x-mcp-header").and_then(Value::as_str).filter(|header| !header.is_empty())
        {
            let text = match value {
                Value::String(text) => Some(text.clone()),
                Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => None,
            };
            into.push((header.to_ascii_lowercase(), text));
        }
        annotated(property, value, into);
    }
}

/// A header that may stand once. Local workerd leaves blanks at its ends; they mean nothing (RFC 9110 §5.5).
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, RpcError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| mismatch("an Mcp header is not visible ASCII"))?;
            Ok(Some(text.trim_matches([' ', '\t'])))
        }
        (Some(_), Some(_)) => Err(mismatch("an Mcp header is repeated")),
    }
}

/// A header value, out of `=?base64?…?=` if it is in it.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(inside) => String::from_utf8(STANDARD.decode(inside).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

fn mismatch(text: &str) -> RpcError {
    RpcError::new(RpcError::HEADER_MISMATCH, text)
}

fn missing_meta() -> RpcError {
    let text = format!("_meta must have {META_VERSION} and {META_CAPABILITIES}");
    RpcError::new(RpcError::INVALID_PARAMS, text)
}

fn unsupported(requested: &str) -> RpcError {
    let requested: String = requested.chars().take(64).collect();
    let supported: Vec<_> = STATELESS.iter().chain(HANDSHAKE.iter().rev()).collect();
    RpcError {
        code: RpcError::UNSUPPORTED_PROTOCOL_VERSION,
        message: "the protocol version is not supported".to_owned(),
        data: Some(serde_json::json!({ "supported": supported, "requested": requested })),
    }
}
