//! The scopes that an operation needs (OpenAPI §4.8.30, Security Requirement Object).

use std::collections::BTreeMap;

use deputy::types::Scopes;
use serde_json::Value;

use crate::{
    curation::Place,
    document::{Document, Object, clean, shorten, text_of},
    keys,
    refusal::Refusal,
};

/// The scopes of an operation.
///
/// Deputy sends the user's access token as a bearer token, so an alternative of OAuth 2, OpenID Connect or bearer tokens is
/// served. So is an API key in the header `Authorization`: it is how Swagger 2.0 describes a bearer token, and many documents
/// still do. An alternative that names scopes is preferred. Without scopes, the curation has to decide.
pub(crate) fn scopes(document: &Document, place: &Place<'_>) -> Result<Vec<String>, Refusal> {
    if let Some(own) = place.own_scopes()? {
        return checked(own);
    }
    let security = place.operation.get("security").or_else(|| place.root.get("security"));
    let alternatives = security.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut is_served = alternatives.is_empty();
    let mut refused = None;
    for alternative in alternatives {
        match alternative_scopes(document, alternative) {
            Ok(scopes) if scopes.is_empty() => is_served = true,
            Ok(scopes) => return checked(scopes),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match (is_served, refused) {
        (false, Some(refusal)) => Err(refusal),
        _ => checked(place.scopes()?.ok_or(Refusal::NoScopes)?),
    }
}

fn alternative_scopes(document: &Document, alternative: &Value) -> Result<Vec<String>, Refusal> {
    let schemes =
        alternative.as_object().ok_or(Refusal::Malformed("a security requirement is not an object"))?;
    let mut scopes = Vec::new();
    for (name, needed) in schemes {
        let scheme =
            document.root().pointer("/components/securitySchemes").and_then(|schemes| schemes.get(name));
        let scheme = document.object(scheme.ok_or_else(|| Refusal::Security(shorten(name)))?)?;
        match text_of(scheme, "type") {
            Some("oauth2" | "openIdConnect") => {
                let needed = needed.as_array().into_iter().flatten().filter_map(Value::as_str);
                // These are PingOne's own, and no scopes of an API.
                scopes.extend(needed.filter(|scope| !OPENID.contains(scope)).map(str::to_owned));
            }
            Some("http")
                if text_of(scheme, "scheme").is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")) => {}
            // Beside another scheme it would be another value than the user's token.
            Some("apiKey")
                if schemes.len() == 1
                    && text_of(scheme, "in") == Some("header")
                    && text_of(scheme, "name")
                        .is_some_and(|name| name.eq_ignore_ascii_case("authorization")) => {}
            _ => return Err(Refusal::Security(shorten(name))),
        }
    }
    Ok(scopes)
}

/// The scopes, in order and without duplicates, each of which a client can request.
fn checked(mut scopes: Vec<String>) -> Result<Vec<String>, Refusal> {
    scopes.sort_unstable();
    scopes.dedup();
    let can_be_requested = |scope: &str| {
        Scopes::parse(scope).is_ok_and(|parsed| parsed.iter().eq([scope]))
            && !scope.contains(',')
            && !OPENID.contains(&scope)
    };
    match scopes.iter().find(|scope| !can_be_requested(scope)) {
        Some(scope) => Err(Refusal::Scope(shorten(scope))),
        None => Ok(scopes),
    }
}

/// Each scope that the document describes, in words.
pub(crate) fn descriptions(root: &Object) -> BTreeMap<String, String> {
    let schemes = root.get("components").and_then(|components| components.get("securitySchemes"));
    let schemes = schemes.and_then(Value::as_object).into_iter().flatten();
    let flows = schemes.filter_map(|(_, scheme)| scheme.get("flows")?.as_object()).flatten();
    let of_flows = flows.filter_map(|(_, flow)| flow.get("scopes")?.as_object());
    let curated = root.get(keys::SCOPE_DESCRIPTIONS).and_then(Value::as_object);
    let mut descriptions = BTreeMap::new();
    // The last one counts.
    for (scope, words) in of_flows.chain(curated).flatten() {
        if let Some(words) = words.as_str().map(|words| clean(words, 200)).filter(|words| !words.is_empty()) {
            descriptions.insert(scope.clone(), words);
        }
    }
    descriptions
}

const OPENID: [&str; 4] = ["email", "offline_access", "openid", "profile"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(security: Value, operation: Value, root: Value) -> Result<Vec<String>, Refusal> {
        let mut document = json!({
            "openapi": "3.0.0", "security": security,
            "components": { "securitySchemes": {
                "oauth": { "type": "oauth2", "flows": { "authorizationCode": { "scopes": { "read": "See\nthings" } } } },
                "oidc": { "type": "openIdConnect" }, "bearer": { "type": "http", "scheme": "Bearer" },
                "basic": { "type": "http", "scheme": "basic" }, "key": { "type": "apiKey", "in": "query", "name": "Authorization" },
                "swagger": { "type": "apiKey", "in": "header", "name": "Authorization" },
            } },
        });
        document.as_object_mut().unwrap().extend(root.as_object().unwrap().clone());
        let document = Document::new(document).unwrap();
        let (root, item) = (document.root().as_object().unwrap(), Object::new());
        let operation = operation.as_object().unwrap();
        scopes(&document, &Place { path: "/", method: "get", root, item: &item, operation })
    }

    #[test]
    fn scopes_come_from_the_alternative_that_deputy_serves() {
        for (security, scopes) in [
            (json!([{ "oauth": ["b", "a", "a"] }]), vec!["a", "b"]),
            (json!([{ "key": [] }, { "oidc": ["openid", "email", "read"] }]), vec!["read"]),
            (json!([{}, { "bearer": [] }, { "oauth": ["read"] }]), vec!["read"]),
            (json!([{ "oauth": ["a"], "oidc": ["b"] }]), vec!["a", "b"]),
        ] {
            assert_eq!(of(security.clone(), json!({}), json!({})).unwrap(), scopes, "{security}");
        }
        let own = json!({ "security": [{ "oauth": ["write"] }] });
        assert_eq!(of(json!([{ "oauth": ["read"] }]), own, json!({})).unwrap(), ["write"]);
    }

    #[test]
    fn operation_without_scopes_needs_a_decision() {
        for security in [
            json!([]),
            json!([{}]),
            json!([{ "bearer": [] }]),
            json!([{ "swagger": [] }]),
            json!([{ "oauth": [] }]),
            json!([{ "key": [] }, {}]),
        ] {
            assert_eq!(of(security.clone(), json!({}), json!({})), Err(Refusal::NoScopes), "{security}");
            let decided = of(security.clone(), json!({}), json!({ "x-deputy-scopes": [] }));
            assert_eq!(decided, Ok(vec![]), "{security}");
        }
        let own = json!({ "x-deputy-scopes": ["invoice.read"] });
        assert_eq!(of(json!([{ "key": [] }]), own, json!({})).unwrap(), ["invoice.read"]);
    }

    #[test]
    fn other_credentials_or_scopes_are_refused() {
        for (security, refusal) in [
            (json!([{ "key": [] }]), Refusal::Security("key".to_owned())),
            (json!([{ "basic": [] }]), Refusal::Security("basic".to_owned())),
            (json!([{ "oauth": ["read"], "key": [] }]), Refusal::Security("key".to_owned())),
            (json!([{ "unknown": [] }]), Refusal::Security("unknown".to_owned())),
            (json!([{ "oauth": ["a b"] }]), Refusal::Scope("a b".to_owned())),
            (json!([{ "oauth": ["a\"b"] }]), Refusal::Scope("a\"b".to_owned())),
            (json!([{ "oauth": [""] }]), Refusal::Scope(String::new())),
        ] {
            let decided = json!({ "x-deputy-scopes": [] });
            assert_eq!(of(security.clone(), json!({}), decided), Err(refusal), "{security}");
        }
    }

    #[test]
    fn curated_description_of_scope_wins() {
        let root = json!({
            "components": { "securitySchemes": { "a": { "flows": { "implicit": { "scopes": { "read": "See\nthings", "x": "" } } } } } },
            "x-deputy-scope-descriptions": { "write": "Change things" },
        });
        let descriptions = descriptions(root.as_object().unwrap());
        let expected = [("read", "See things"), ("write", "Change things")];
        assert!(descriptions.iter().map(|(scope, words)| (scope.as_str(), words.as_str())).eq(expected));
    }
}
