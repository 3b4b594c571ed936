//! The headers that repeat parts of a request's body, and whether they agree with it (MCP 2026-07-28, Streamable HTTP).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use rmcp::model::ClientCapabilities;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::{Era, RpcError, peer::LogLevel};

/// Revisions with an `initialize` handshake, oldest first.
pub(super) const HANDSHAKE: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// Revisions whose requests are self-contained.
pub(super) const STATELESS: [&str; 1] = ["2026-07-28"];
/// MCP 2025-06-18: the revision of a request that does not name one.
const DEFAULT: &str = "2025-03-26";

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The era by whose rules a request is served.
pub(super) fn era(headers: &HeaderMap, method: &str, params: &Map<String, Value>) -> Result<Era, RpcError> {
    let meta = params.get("_meta").and_then(Value::as_object);
    let in_body = meta.and_then(|meta| meta.get(META_VERSION)).filter(|version| !version.is_null());
    let in_body = in_body.map(|version| version.as_str().unwrap_or_default());
    if method == "initialize" {
        return handshake(headers, in_body, params);
    }
    let Some(in_body) = in_body else {
        return match named(headers)? {
            // The body of a stateless request must name its revision too.
            Era::Stateless(_) => Err(missing_meta()),
            Era::Handshake(_) if method == "server/discover" => Err(missing_meta()),
            era @ Era::Handshake(_) => Ok(era),
        };
    };
    match version(headers)? {
        None => return Err(mismatch("MCP-Protocol-Version is missing")),
        Some(header) if header != in_body => {
            return Err(mismatch("MCP-Protocol-Version is not the protocolVersion of the body"));
        }
        Some(_) => {}
    }
    let era = named(headers)?;
    let capabilities = meta.and_then(|meta| meta.get(META_CAPABILITIES)).unwrap_or(&Value::Null);
    if era.is_stateless() && ClientCapabilities::deserialize(capabilities).is_err() {
        return Err(missing_meta());
    }
    Ok(era)
}

/// The era of the revision that the header names. The body of a notification does not name one.
pub(super) fn named(headers: &HeaderMap) -> Result<Era, RpcError> {
    match version(headers)? {
        None => Ok(Era::Handshake(DEFAULT.to_owned())),
        Some(version) if HANDSHAKE.contains(&version) => Ok(Era::Handshake(version.to_owned())),
        Some(version) if STATELESS.contains(&version) => Ok(Era::Stateless(version.to_owned())),
        Some(version) => Err(unsupported(version)),
    }
}

/// Whether the revision of a request has batches. 2025-03-26 is also that of a request without a version header.
pub(super) fn has_batches(headers: &HeaderMap) -> bool {
    named(headers).is_ok_and(|era| era.version() == "2025-03-26")
}

/// `MCP-Protocol-Version`. An empty value counts as absent.
fn version(headers: &HeaderMap) -> Result<Option<&str>, RpcError> {
    Ok(single(headers, &PROTOCOL_VERSION)?.filter(|version| !version.is_empty()))
}

/// Removes unreadable capabilities from a client's declaration, so that the others count. A declaration in `initialize`
/// that is not an object declares nothing.
pub(super) fn keep_readable_capabilities(method: &str, params: &mut Map<String, Value>) {
    let begins = method == "initialize";
    let declared = if begins {
        Some(params.entry("capabilities").or_insert(Value::Null))
    } else {
        params.get_mut("_meta").and_then(|meta| meta.get_mut(META_CAPABILITIES))
    };
    match declared {
        Some(Value::Object(members)) => {
            members.retain(|name, member| ClientCapabilities::deserialize(json!({ name: member })).is_ok());
        }
        Some(other) if begins => *other = json!({}),
        Some(_) | None => {}
    }
}

/// The capabilities that a stateless request declares.
pub(super) fn capabilities(params: &Map<String, Value>) -> ClientCapabilities {
    let declared = params.get("_meta").and_then(|meta| meta.get(META_CAPABILITIES)).unwrap_or(&Value::Null);
    ClientCapabilities::deserialize(declared).unwrap_or_default()
}

/// The least severe log entries that a stateless request asks for (MCP 2026-07-28, Logging).
pub(super) fn log_level(params: &Map<String, Value>) -> Result<Option<LogLevel>, RpcError> {
    let level = params.get("_meta").and_then(|meta| meta.get(META_LOG_LEVEL));
    let Some(level) = level.filter(|level| !level.is_null()) else { return Ok(None) };
    let level = level.as_str().and_then(LogLevel::parse);
    level.map(Some).ok_or_else(|| RpcError::new(RpcError::INVALID_PARAMS, "there is no such log level"))
}

/// The era of `initialize`, which begins a handshake whatever revision it names. Stateless revisions do not have it.
fn handshake(
    headers: &HeaderMap,
    in_body: Option<&str>,
    params: &Map<String, Value>,
) -> Result<Era, RpcError> {
    if in_body.is_some_and(|version| STATELESS.contains(&version)) {
        return Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "this revision has no initialize"));
    }
    let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    match version(headers)? {
        Some(header) if header != asked && STATELESS.contains(&header) => Err(mismatch(
            "MCP-Protocol-Version names a revision without initialize, and the body another revision",
        )),
        // A client that starts again may still name the revision of its last handshake.
        Some(header) if header != asked && !HANDSHAKE.contains(&header) => Err(unsupported(header)),
        _ => Ok(Era::Handshake(asked.to_owned())),
    }
}

/// Checks that `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` agree with the body. A proxy may have routed or admitted the
/// request by them.
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
    collect_annotated(schema, arguments, &mut repeated);
    for (header, value) in repeated {
        // An annotation that is not a valid field name is a mistake of the tool's author. It is ignored.
        let Ok(header) = HeaderName::try_from(format!("mcp-param-{header}")) else { continue };
        let same = match (single(headers, &header)?, value) {
            (None, None) => true,
            (Some(header), Some(value)) => decoded(header).is_some_and(|text| is_equal(&text, value)),
            _ => false,
        };
        if !same {
            return Err(mismatch("an Mcp-Param header is not the argument in the body"));
        }
    }
    Ok(())
}

/// Compares the headers with the body for a revision without these headers: they may be absent, but must not contradict the body.
pub(super) fn agree_if_present(
    headers: &HeaderMap,
    method: &str,
    params: &Map<String, Value>,
) -> Result<(), RpcError> {
    if single(headers, &HeaderName::from_static("mcp-method"))?.is_some_and(|header| header != method) {
        return Err(mismatch("Mcp-Method is not the method of the body"));
    }
    let name = name(method, params);
    let named = single(headers, &HeaderName::from_static("mcp-name"))?;
    if named.is_some_and(|header| decoded(header).as_deref() != name) {
        return Err(mismatch("Mcp-Name is not the name in the body"));
    }
    Ok(())
}

/// The value that `Mcp-Name` repeats: the tool, prompt, resource or task of a request.
pub(super) fn name<'a>(method: &str, params: &'a Map<String, Value>) -> Option<&'a str> {
    let key = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return None,
    };
    params.get(key).and_then(Value::as_str)
}

/// Collects the header names and values of the arguments that a schema marks with `x-mcp-header`, nested ones included.
fn collect_annotated<'a>(
    schema: &Map<String, Value>,
    value: &'a Value,
    into: &mut Vec<(String, Option<&'a Value>)>,
) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties.iter().filter_map(|(name, schema)| Some((name, schema.as_object()?))) {
        let value = value.get(name).unwrap_or(&Value::Null);
        if let Some(header) =
            property.get("x-mcp-header").and_then(Value::as_str).filter(|header| !header.is_empty())
        {
            // Lists and objects have no header form. The tool's own schema refuses them.
            let primitive = value.is_string() || value.is_boolean() || value.is_number();
            into.push((header.to_ascii_lowercase(), primitive.then_some(value)));
        }
        collect_annotated(property, value, into);
    }
}

/// Whether a header's text equals an argument. Integers are compared as numbers: `42.0` equals `42`.
fn is_equal(text: &str, value: &Value) -> bool {
    match value {
        Value::String(string) => string == text,
        Value::Number(number) => {
            let number = number.to_string();
            number == text || integer(text).is_some_and(|header| integer(&number) == Some(header))
        }
        Value::Bool(true) => text == "true",
        Value::Bool(false) => text == "false",
        Value::Array(_) | Value::Null | Value::Object(_) => false,
    }
}

fn integer(text: &str) -> Option<i64> {
    match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// The value of a field that may occur once. Blanks at its ends are not part of it (RFC 9110 §5.5); local workerd keeps
/// them.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, RpcError> {
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

/// A header value, decoded if it has the form `=?base64?…?=`.
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
