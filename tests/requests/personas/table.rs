//! The clients, with the habits that were observed.

use serde_json::{Value, json};

use super::{Known, Persona, Refreshes, TokenMethod};
use crate::world::DEPUTY;

const RESOURCE: (&str, &str) = ("resource", "https://deputy.example/mcp");
const ALL_SCOPES: (&str, &str) = ("scope", "todo:read todo:write offline_access");
const CONSENT: (&str, &str) = ("prompt", "consent");

/// A client with the habits that most have.
fn common(name: &'static str, known: Known, redirect_uri: &'static str) -> Persona {
    Persona {
        name,
        known,
        redirect_uri,
        method: TokenMethod::None,
        probe: "POST",
        discovery: &["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"],
        authorize: vec![ALL_SCOPES, RESOURCE, CONSENT],
        redeem: vec![RESOURCE],
        refresh: vec![RESOURCE],
        refreshes: Refreshes::Once,
        revision: "2025-11-25",
        browser_origin: None,
    }
}

fn registers(metadata: Value) -> Known {
    Known::Registers(metadata)
}

fn public(name: &str, redirect_uris: &[&str]) -> Known {
    registers(json!({
        "client_name": name,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }))
}

fn described(client_id: &'static str, name: &str, redirect_uris: &[&str]) -> Known {
    Known::Document(json!({
        "client_id": client_id,
        "client_name": name,
        "redirect_uris": redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }))
}

/// Claude on the web and the desktop: its server logs in, and refreshes from two addresses.
pub(super) fn claude() -> Persona {
    let id = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    let callback = "https://claude.ai/api/mcp/auth_callback";
    let known = described(id, "Claude", &[callback, "https://claude.com/api/mcp/auth_callback"]);
    Persona { refreshes: Refreshes::FromTwoAddresses, ..common("Claude", known, callback) }
}

/// Claude registered by itself, where documents are off.
pub(super) fn claude_that_registers() -> Persona {
    let callback = "https://claude.ai/api/mcp/auth_callback";
    let known = registers(json!({
        "client_name": "Claude",
        "redirect_uris": [callback],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "todo:read todo:write offline_access",
    }));
    Persona {
        method: TokenMethod::SecretPost,
        refreshes: Refreshes::FromTwoAddresses,
        ..common("Claude", known, callback)
    }
}

/// Its document names no port, and it takes a free one. The resource may be the origin with a slash.
pub(super) fn claude_code() -> Persona {
    let id = "https://claude.ai/oauth/claude-code-client-metadata";
    let known = described(id, "Claude Code", &["http://localhost/callback", "http://127.0.0.1/callback"]);
    let resource = ("resource", "https://deputy.example/");
    Persona {
        authorize: vec![ALL_SCOPES, resource, CONSENT],
        redeem: vec![resource],
        refresh: vec![resource],
        refreshes: Refreshes::BeforeEachCall,
        revision: "2026-07-28",
        ..common("Claude Code", known, "http://localhost:51703/callback")
    }
}

/// Signs assertions, with the keys at its `jwks_uri`. Each connector has a path of its own.
pub(super) fn chatgpt() -> Persona {
    let callback = "https://chatgpt.com/connector/oauth/abcDEF123";
    let id = "https://chatgpt.com/oauth/abcDEF123/client.json";
    let known = Known::Document(json!({
        "client_id": id,
        "client_name": "ChatGPT",
        "redirect_uris": [callback],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
    }));
    Persona { method: TokenMethod::Assertion, ..common("ChatGPT", known, callback) }
}

/// A shared refresh token in several processes; refreshes without a resource.
pub(super) fn codex() -> Persona {
    let callback = "http://127.0.0.1:40123/callback/a1b2c3d4e5f6";
    Persona {
        probe: "GET",
        authorize: vec![ALL_SCOPES, RESOURCE, RESOURCE],
        refresh: vec![ALL_SCOPES],
        refreshes: Refreshes::TwiceAtOnce,
        revision: "2025-06-18",
        ..common("Codex", public("Codex", &[callback]), callback)
    }
}

/// Its document has a port, and it takes another one.
pub(super) fn copilot_cli() -> Persona {
    let id = "https://github.com/copilot/cli/client-metadata.json";
    let known = described(id, "GitHub Copilot CLI", &["http://127.0.0.1:33418/"]);
    Persona { revision: "2026-07-28", ..common("GitHub Copilot CLI", known, "http://127.0.0.1:50022/") }
}

/// Omits the method, so that the default applies: the secret in the `Authorization` header (RFC 7591 §2).
pub(super) fn copilot_studio() -> Persona {
    let callback = "https://global.consent.azure-apim.net/redirect/cr2c3-5fdeputy-5f1";
    let known = registers(json!({ "client_name": "Copilot Studio", "redirect_uris": [callback] }));
    Persona {
        method: TokenMethod::SecretBasic,
        authorize: vec![("scope", "todo:read todo:write")],
        redeem: Vec::new(),
        refresh: Vec::new(),
        ..common("Copilot Studio", known, callback)
    }
}

/// Registers three redirect URIs at once, and uses the one with its own scheme.
pub(super) fn cursor() -> Persona {
    let callback = "cursor://anysphere.cursor-mcp/oauth/callback";
    let others = ["https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"];
    Persona {
        authorize: vec![("scope", "todo:read todo:write"), RESOURCE],
        ..common("Cursor", public("Cursor", &[callback, others[0], others[1]]), callback)
    }
}

/// Starts with `HEAD`, and refreshes twice at once when it starts with a token near its end.
pub(super) fn gemini_cli() -> Persona {
    let callback = "http://localhost:38211/oauth/callback";
    Persona {
        probe: "HEAD",
        authorize: vec![ALL_SCOPES, RESOURCE],
        refreshes: Refreshes::TwiceAtOnce,
        revision: "2025-06-18",
        ..common("Gemini CLI", public("Gemini CLI MCP Client", &[callback]), callback)
    }
}

/// A page in a browser, which needs CORS for each request.
pub(super) fn inspector() -> Persona {
    let callback = "http://localhost:6274/oauth/callback";
    Persona {
        browser_origin: Some("http://localhost:6274"),
        ..common("MCP Inspector", public("MCP Inspector", &[callback]), callback)
    }
}

/// Sends neither `scope` nor `resource`; its redirect URI has a query.
pub(super) fn mcp_hub() -> Persona {
    let callback = "http://localhost:28784/api/oauth/callback?server_name=todos";
    Persona {
        discovery: &[
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-authorization-server/mcp",
        ],
        authorize: Vec::new(),
        redeem: Vec::new(),
        refresh: Vec::new(),
        revision: "2025-06-18",
        ..common("mcp-hub", public("MCP Hub", &[callback]), callback)
    }
}

/// Several processes share the registration and the tokens.
pub(super) fn mcp_remote() -> Persona {
    let callback = "http://localhost:44666/oauth/callback";
    Persona {
        probe: "GET",
        refreshes: Refreshes::TwiceAtOnce,
        ..common("mcp-remote", public("MCP CLI Proxy", &[callback]), callback)
    }
}

/// Looks for the documents of OpenID Connect too. Each sign-in takes the port that is free.
pub(super) fn vs_code() -> Persona {
    let uris = ["http://127.0.0.1:33418/", "http://127.0.0.1/", "https://vscode.dev/redirect"];
    Persona {
        discovery: &[
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/mcp/.well-known/openid-configuration",
        ],
        authorize: vec![("scope", "todo:read todo:write"), RESOURCE],
        ..common("Visual Studio Code", public("Visual Studio Code", &uris), "http://127.0.0.1:61007/")
    }
}

/// The URL that every document must name as the resource.
pub(super) fn resource() -> String {
    format!("{DEPUTY}/mcp")
}
