//! The scopes that an operation needs (OpenAPI §4.8.30, Security Requirement Object).

use std::collections::BTreeMap;

use deputy::types::Scopes;
use serde_json::Value;

use crate::{
    curation::Place,
    document::{Document, Object, shorten, text_of},
    keys,
    markdown::unmarked,
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
    let alternatives = match security {
        None => &[][..],
        Some(Value::Array(alternatives)) => alternatives,
        Some(_) => return Err(Refusal::Malformed("`security` is not a list")),
    };
    let mut is_served = alternatives.is_empty();
    let mut refused = None;
    for alternative in alternatives {
        match alternative_scopes(document, alternative) {
            Ok(scopes) if scopes.is_empty() => is_served = true,
            Ok(scopes) => return checked(scopes),
            // It may be meant to need scopes.
            Err(malformed @ Refusal::Malformed(_)) => return Err(malformed),
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
        let needed: Option<Vec<&str>> =
            needed.as_array().and_then(|scopes| scopes.iter().map(Value::as_str).collect());
        let needed =
            needed.ok_or(Refusal::Malformed("the scopes of a security requirement are not texts"))?;
        let scheme =
            document.root().pointer("/components/securitySchemes").and_then(|schemes| schemes.get(name));
        let scheme = document.object(scheme.ok_or_else(|| Refusal::Security(shorten(name)))?)?;
        match text_of(scheme, "type") {
            Some("oauth2" | "openIdConnect") => {
                // These are PingOne's own, and no scopes of an API.
                let needed = needed.into_iter().filter(|scope| !OPENID.contains(scope));
                scopes.extend(needed.map(str::to_owned));
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
pub(crate) fn descriptions(document: &Document, root: &Object) -> BTreeMap<String, String> {
    let schemes = root.get("components").and_then(|components| components.get("securitySchemes"));
    let schemes = schemes.and_then(Value::as_object).into_iter().flatten();
    let schemes = schemes.filter_map(|(_, scheme)| document.object(scheme).ok());
    let flows = schemes.filter_map(|scheme| scheme.get("flows")?.as_object()).flatten();
    let of_flows = flows.filter_map(|(_, flow)| flow.get("scopes")?.as_object());
    let curated = root.get(keys::SCOPE_DESCRIPTIONS).and_then(Value::as_object);
    let mut descriptions = BTreeMap::new();
    // The last one counts.
    for (scope, words) in of_flows.chain(curated).flatten() {
        if let Some(words) =
            words.as_str().map(|words| unmarked(words, 200)).filter(|words| !words.is_empty())
        {
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
    fn malformed_requirement_opens_no_tool() {
        for security in [
            json!(null),
            json!("oauth"),
            json!({}),
            json!(["oauth"]),
            json!([{ "oauth": "write" }]),
            json!([{ "oauth": null }]),
            json!([{ "oauth": ["read", 2026] }]),
            json!([{}, { "bearer": null }]),
        ] {
            let decided = of(security.clone(), json!({}), json!({ "x-deputy-scopes": [] }));
            assert!(matches!(decided, Err(Refusal::Malformed(_))), "{security} {decided:?}");
        }
    }

    #[test]
    fn curated_description_of_scope_wins() {
        let document = Document::new(json!({
            "openapi": "3.0.0", "x-scheme": { "flows": { "implicit": { "scopes": { "read": "**See**\nthings", "x": "" } } } },
            "components": { "securitySchemes": { "a": { "$ref": "#/x-scheme" } } },
            "x-deputy-scope-descriptions": { "write": "Change things" },
        }))
        .unwrap();
        let descriptions = descriptions(&document, document.root().as_object().unwrap());
        let expected = [("read", "See things"), ("write", "Change things")];
        assert!(descriptions.iter().map(|(scope, words)| (scope.as_str(), words.as_str())).eq(expected));
    }
}
