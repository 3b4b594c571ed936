//! A running Deputy, from the outside.

use bytes::Bytes;
use deputy::{config::Config, host::FetchError};
use http::{Response, StatusCode, header};
use serde_json::Value;
use tokio::join;
use url::Url;

use super::check::{Check, Finding, Group, Seen, Unknown, judge};
use crate::management::Probe;

/// The responses of a running Deputy.
struct Deployment {
    config: Config,
    url: String,
    health: Result<Response<Bytes>, FetchError>,
    server: Result<Response<Bytes>, FetchError>,
    resource: Result<Response<Bytes>, FetchError>,
    mcp: Result<Response<Bytes>, FetchError>,
}

pub(super) async fn findings(probe: &Probe, config: &Config, url: &Url) -> Vec<Finding> {
    let url = url.as_str().trim_end_matches('/').to_owned();
    let get = async |path: &str| probe.get(&format!("{url}{path}"), None).await;
    let (health, server, resource, mcp) = join!(
        get("/readyz"),
        get("/.well-known/oauth-authorization-server"),
        get("/.well-known/oauth-protected-resource/mcp"),
        get("/mcp"),
    );
    judge(
        Group::Deployment,
        CHECKS,
        &Deployment { config: config.clone(), url, health, server, resource, mcp },
    )
}

const CHECKS: &[Check<Deployment>] = &[
    Check {
        name: "address",
        looked_at: "--deployment (DOCTOR_DEPLOYMENT), PUBLIC_URL",
        place: "PUBLIC_URL",
        look: |deployment| {
            let public_url = deployment.config.public_url.issuer();
            let seen = format!("this configuration has the PUBLIC_URL {public_url}");
            let fix = format!("set PUBLIC_URL to {}, or check the deployment at PUBLIC_URL", deployment.url);
            Ok(Seen::failure_unless(public_url == deployment.url, seen, fix))
        },
    },
    Check {
        name: "TLS",
        looked_at: "the connection",
        place: "",
        look: |deployment| {
            let is_https = deployment.url.starts_with("https:");
            Ok(match &deployment.health {
                Err(error) => Seen::failure(
                    format!("{}: {error}", deployment.url),
                    "check the name, its DNS record and its certificate, and whether Deputy runs",
                ),
                Ok(_) if is_https => Seen::ok("the certificate is valid"),
                Ok(_) => Seen::ok("no TLS: the address is on this computer"),
            })
        },
    },
    Check {
        name: "readiness",
        looked_at: "GET /readyz",
        place: "docs/operating.md",
        look: |deployment| {
            let response = reached(&deployment.health)?;
            let status = response.status();
            let body =
                String::from_utf8_lossy(&response.body()[..response.body().len().min(200)]).into_owned();
            let fix = "read the log of the deployment: it names what is missing";
            Ok(Seen::failure_unless(
                status == StatusCode::OK,
                format!("status {}: {}", status.as_u16(), body.trim()),
                fix,
            ))
        },
    },
    Check {
        name: "authorization server metadata",
        looked_at: "GET /.well-known/oauth-authorization-server",
        place: "PUBLIC_URL",
        look: |deployment| {
            let members = document(&deployment.server)?;
            Ok(is(&members["issuer"], deployment.config.public_url.issuer(), "issuer"))
        },
    },
    Check {
        name: "resource metadata",
        looked_at: "GET /.well-known/oauth-protected-resource/mcp",
        place: "PUBLIC_URL",
        look: |deployment| {
            let members = document(&deployment.resource)?;
            Ok(is(&members["resource"], &deployment.config.public_url.resource(), "resource"))
        },
    },
    Check {
        name: "MCP endpoint",
        looked_at: "GET /mcp without a token",
        place: "docs/clients.md",
        look: |deployment| {
            let response = reached(&deployment.mcp)?;
            let challenge =
                response.headers().get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            let names_metadata = challenge.is_some_and(|challenge| challenge.contains("resource_metadata="));
            let right = response.status() == StatusCode::UNAUTHORIZED && names_metadata;
            let seen = format!(
                "status {}, {} a challenge with resource_metadata",
                response.status().as_u16(),
                if names_metadata { "with" } else { "without" }
            );
            Ok(Seen::failure_unless(right, seen, "let the proxy pass status and WWW-Authenticate through"))
        },
    },
];

fn reached(response: &Result<Response<Bytes>, FetchError>) -> Result<&Response<Bytes>, Unknown> {
    response.as_ref().map_err(|_| Unknown("the deployment cannot be reached".to_owned()))
}

/// The members of a metadata document.
fn document(response: &Result<Response<Bytes>, FetchError>) -> Result<Value, Unknown> {
    let response = reached(response)?;
    Ok(serde_json::from_slice(response.body()).unwrap_or_default())
}

fn is(member: &Value, expected: &str, name: &str) -> Seen {
    let seen = format!("{name} is {}", member.as_str().unwrap_or("missing"));
    Seen::failure_unless(
        member == expected,
        seen,
        format!("set PUBLIC_URL of the deployment to the address of {expected}"),
    )
}
